from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from foveal.core import Image
from foveal.synthetic.devices import DEVICES
from foveal.synthetic.fundus import Eye, draw_fundus, render
from foveal.synthetic.grading import GRADES
from foveal.synthetic.oct import OctEye, draw_oct, render_oct
from foveal.synthetic.oct_draw import OCT_CLASSES, SCANNERS, draw_oct_kinds
from foveal.synthetic.oct_spec import OctSpec
from foveal.synthetic.slitlamp import FrontEye, draw_slitlamp, render_slitlamp
from foveal.synthetic.slitlamp_draw import SLIT_LAMPS
from foveal.synthetic.slitlamp_lesions import FRONT_CLASSES, draw_kinds
from foveal.synthetic.slitlamp_spec import SlitLampSpec
from foveal.synthetic.spec import FundusSpec, Side

SIDES: tuple[Side, Side] = ("right", "left")


def cohort(count: int, seed: int = 0, *, size: int = 512) -> Iterator[Eye]:
    """Photographs of both eyes of one patient after the other, every grade about equally often.

    Fellow eyes were taken by one device and are alike in pigment and grade. Image,
    patient and eye have ids: `P001`, `P001/right`. An odd count leaves one patient with one eye.

    Raises:
        ValueError: A count below 1.
    """
    random = np.random.default_rng(seed)
    for number, grades in enumerate(_pairs(random, count, len(GRADES))):
        device = list(DEVICES)[number % len(DEVICES)]
        for spec in _fellows(random, grades, device):
            eye = render(spec, size=size)
            yield replace(eye, image=_named(eye.image, number))


def front_cohort(count: int, seed: int = 0, *, size: int = 512) -> Iterator[FrontEye]:
    """Slit lamp photographs as `cohort`: fellows are alike in iris, skin, sclera and class.

    Every class is about equally often; half of the patients are photographed by the slit's beam.

    Raises:
        ValueError: A count below 1.
    """
    random = np.random.default_rng(seed)
    for number, labels in enumerate(_pairs(random, count, len(FRONT_CLASSES))):
        for spec in _fellow_fronts(random, labels, number):
            eye = render_slitlamp(spec, size=size)
            yield replace(eye, image=_named(eye.image, number))


def oct_cohort(
    count: int, seed: int = 0, *, rows: int = 496, columns: int = 512
) -> Iterator[OctEye]:
    """Sections through the fovea as `cohort`: fellows are alike in layers, scanner and class.

    Every class is about equally often, by what the section itself shows.

    Raises:
        ValueError: A count below 1.
    """
    random = np.random.default_rng(seed)
    for number, labels in enumerate(_pairs(random, count, len(OCT_CLASSES))):
        for eye in _fellow_sections(random, labels, number, (rows, columns)):
            yield replace(eye, image=_named(eye.image, number))


def _pairs(random: np.random.Generator, count: int, classes: int) -> list[list[int]]:
    """The classes of each patient's eyes, patients in random order."""
    if count < 1:
        raise ValueError(f"a cohort needs at least one eye, but count is {count}")
    numbers = [index * classes // count for index in range(count)]
    pairs = [numbers[first : first + 2] for first in range(0, count, 2)]
    return [pairs[index] for index in random.permutation(len(pairs))]


def _named(image: Image, number: int) -> Image:
    patient = f"P{number + 1:03d}"
    return replace(image, patient=patient, eye=f"{patient}/{image.laterality}")


def _fellows(random: np.random.Generator, grades: list[int], device: str) -> Iterator[FundusSpec]:
    pigment, tessellation = random.beta(2, 2), random.beta(1.2, 2.2)
    for side, grade in zip(SIDES, grades, strict=False):
        seed = int(random.integers(2**31))
        spec = draw_fundus(seed, grade=grade, laterality=side, device=device)
        ground = replace(spec.ground, pigment=pigment, tessellation=tessellation)
        yield replace(spec, ground=ground)


def _fellow_fronts(
    random: np.random.Generator, labels: list[int], number: int
) -> Iterator[SlitLampSpec]:
    device = list(SLIT_LAMPS)[number % len(SLIT_LAMPS)]
    iris, skin, yellow = random.beta(1.0, 0.8), random.beta(1.5, 2.0), random.uniform(0, 1)
    for side, label in zip(SIDES, labels, strict=False):
        spec = draw_slitlamp(
            int(random.integers(2**31)),
            findings=draw_kinds(random, label),
            laterality=side,
            device=device,
            illumination="slit" if number % 2 else "diffuse",
        )
        yield replace(
            spec,
            iris=replace(spec.iris, pigment=iris),
            lids=replace(spec.lids, skin=skin),
            sclera=replace(spec.sclera, yellow=yellow),
        )


def _fellow_sections(
    random: np.random.Generator, labels: list[int], number: int, grid: tuple[int, int]
) -> Iterator[OctEye]:
    scanner, macula = list(SCANNERS)[number % len(SCANNERS)], None
    for side, label in zip(SIDES, labels, strict=False):
        shown = None
        while shown is None or shown.label != label:  # some lesions lie beside the section
            spec = _drawn_section(random, label, side, scanner)
            macula = macula or spec.macula
            shown = render_oct(replace(spec, macula=macula), rows=grid[0], columns=grid[1])
        yield shown


def _drawn_section(random: np.random.Generator, label: int, side: Side, scanner: str) -> OctSpec:
    seed, kinds = int(random.integers(2**31)), draw_oct_kinds(random, label)
    return draw_oct(seed, findings=kinds, laterality=side, scanner=scanner)
