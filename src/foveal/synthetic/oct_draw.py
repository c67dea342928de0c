"""Draws the numbers of a macula and its lesions, and tells the class that follows from them."""

from collections.abc import Iterable
from typing import get_args

import numpy as np

from foveal.synthetic.oct_spec import (
    Cyst,
    Dome,
    DomeKind,
    Macula,
    OctKind,
    Pose,
    RetinalVessel,
    Scanner,
    Swelling,
)

OCT_CLASSES = ("Normal", "Drusen", "Fluid")
OCT_KINDS: tuple[OctKind, ...] = (*get_args(DomeKind), "intraretinal fluid")

SCANNERS = {
    scanner.name: scanner
    for scanner in (
        Scanner(
            name="averaged",
            depth_mm=1.92,
            width_mm=6.0,
            looks=14.0,
            grain=0.75,
            floor=0.07,
            compression=0.25,
            fall_off_db=4.0,
        ),
        Scanner(
            name="tracked",
            depth_mm=1.92,
            width_mm=6.0,
            looks=6.0,
            grain=0.7,
            floor=0.11,
            compression=0.25,
            fall_off_db=6.0,
        ),
        Scanner(
            name="single",
            depth_mm=2.0,
            width_mm=6.0,
            looks=2.0,
            grain=0.85,
            floor=0.17,
            compression=0.3,
            fall_off_db=8.0,
        ),
    )
}


def oct_class_of(kinds: Iterable[str]) -> int:
    """The class by the kinds of lesions alone, as a place in `OCT_CLASSES`.

    2 when there is fluid within or below the retina or below its pigment epithelium, 1 when there
    are only drusen, 0 otherwise.
    """
    found = set(kinds)
    if found - {"drusen"}:
        return 2
    return 1 if found else 0


def draw_oct_kinds(random: np.random.Generator, number: int) -> tuple[OctKind, ...]:
    """Lesions that come together in an eye of this class."""
    if number == 1:
        return ("drusen",)
    if number == 2:
        main = ("intraretinal fluid", "subretinal fluid")[random.integers(2)]
        return tuple(k for k in OCT_KINDS if k == main or random.random() < 0.2)
    return ()


def draw_domes(random: np.random.Generator, kinds: Iterable[OctKind]) -> tuple[Dome, ...]:
    domes: list[Dome] = []
    for kind in kinds:
        if kind == "drusen":
            domes += [_druse(random) for _ in range(random.integers(5, 22))]
        elif kind != "intraretinal fluid":
            domes.append(_pool(random, kind))
    return tuple(domes)


def draw_cysts(random: np.random.Generator) -> tuple[tuple[Cyst, ...], Swelling]:
    """Cysts and the swelling they lie in."""
    row, column = random.normal(0, 0.12), random.normal(0, 0.7)
    radius = random.uniform(0.7, 1.3)
    cysts = tuple(
        Cyst(
            row=row + random.normal(0, 0.13 * radius),
            column=column + random.normal(0, 0.45 * radius),
            level=random.uniform(0.1, 0.65),
            half_depth_mm=random.uniform(0.025, 0.09),
            radius_mm=random.uniform(0.08, 0.28),
        )
        for _ in range(random.integers(6, 16))
    )
    return cysts, Swelling(
        row=row, column=column, height_mm=random.uniform(0.06, 0.2), radius_mm=1.3 * radius
    )


def draw_macula(random: np.random.Generator) -> Macula:
    return Macula(
        rnfl=random.uniform(0.055, 0.085),
        gcl_ipl=random.uniform(0.075, 0.1),
        inl=random.uniform(0.032, 0.044),
        opl=random.uniform(0.024, 0.034),
        onl=random.uniform(0.055, 0.072),
        foveal_onl=random.uniform(0.025, 0.05),
        elm_to_ez=random.uniform(0.022, 0.028),
        ez_to_rpe=random.uniform(0.03, 0.038),
        rpe=random.uniform(0.018, 0.026),
        choroid=random.uniform(0.16, 0.36),
        pit_mm=random.uniform(0.4, 0.62),
    )


def draw_pose(random: np.random.Generator, scanner: Scanner) -> Pose:
    return Pose(
        depth_mm=scanner.depth_mm * random.uniform(0.48, 0.62),
        tilt=random.normal(0, 0.035),
        slice_tilt=random.normal(0, 0.015),
        curve_mm=random.uniform(18.0, 60.0),
    )


def draw_retinal_vessels(random: np.random.Generator) -> tuple[RetinalVessel, ...]:
    """Beside the fovea, more of them and wider ones towards the nose."""
    drawn = []
    for _ in range(random.integers(4, 10)):
        column = random.choice([-1, 1]) * random.uniform(0.9, 3.0)
        if random.random() < 0.4:
            column = random.uniform(1.2, 3.0)
        drawn.append(
            RetinalVessel(
                column=column,
                slope=random.normal(0, 0.25),
                bend=0.08 * float(np.sign(column)),
                radius_mm=random.uniform(0.015, 0.06),
                shadow=random.uniform(0.35, 0.75),
            )
        )
    return tuple(drawn)


def _druse(random: np.random.Generator) -> Dome:
    radius = random.uniform(0.06, 0.28)
    return Dome(
        kind="drusen",
        row=random.normal(0, 0.5 * radius),
        column=random.normal(0, 1.2),
        height_mm=random.uniform(0.025, 0.35 * radius + 0.03),
        radius_mm=radius,
        flat=random.uniform(0.6, 1.3),
    )


def _pool(random: np.random.Generator, kind: DomeKind) -> Dome:
    radius = random.uniform(0.5, 1.3)
    return Dome(
        kind=kind,
        row=random.normal(0, 0.15 * radius),
        column=random.normal(0, 0.7),
        height_mm=random.uniform(0.08, 0.12 + 0.1 * radius),
        radius_mm=radius,
        flat=random.uniform(0.6, 1.1),
    )
