from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from foveal.synthetic.devices import DEVICES
from foveal.synthetic.fundus import Eye, draw_fundus, render
from foveal.synthetic.grading import GRADES
from foveal.synthetic.spec import FundusSpec, Side

SIDES: tuple[Side, Side] = ("right", "left")


def cohort(count: int, seed: int = 0, *, size: int = 512) -> Iterator[Eye]:
    """Photographs of both eyes of one patient after the other, every grade about equally often.

    Fellow eyes were taken by one device and are alike in pigment and grade. Image,
    patient and eye have ids: `P001`, `P001/right`. An odd count leaves one patient with one eye.

    Raises:
        ValueError: A count below 1.
    """
    if count < 1:
        raise ValueError(f"a cohort needs at least one eye, but count is {count}")
    random = np.random.default_rng(seed)
    grades = [index * len(GRADES) // count for index in range(count)]
    pairs = [grades[first : first + 2] for first in range(0, count, 2)]
    for number, pair in enumerate(random.permutation(len(pairs))):
        patient, device = f"P{number + 1:03d}", list(DEVICES)[number % len(DEVICES)]
        for spec in _fellows(random, pairs[pair], device):
            eye = render(spec, size=size)
            name = f"{patient}/{spec.laterality}"
            yield replace(eye, image=replace(eye.image, patient=patient, eye=name))


def _fellows(random: np.random.Generator, grades: list[int], device: str) -> Iterator[FundusSpec]:
    pigment, tessellation = random.beta(2, 2), random.beta(1.2, 2.2)
    for side, grade in zip(SIDES, grades, strict=False):
        seed = int(random.integers(2**31))
        spec = draw_fundus(seed, grade=grade, laterality=side, device=device)
        ground = replace(spec.ground, pigment=pigment, tessellation=tessellation)
        yield replace(spec, ground=ground)
