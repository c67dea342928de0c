"""Draws lesions of the cornea and of the lens, and tells the class that follows from them."""

from collections.abc import Callable, Iterable
from math import cos, pi, sin
from typing import get_args

import numpy as np

from foveal.synthetic.slitlamp_spec import (
    Cornea,
    CornealKind,
    FrontKind,
    FrontLesion,
    LensKind,
    Pupil,
)
from foveal.synthetic.spec import Spot

FRONT_CLASSES = ("Healthy", "Keratitis", "Cataract")
CORNEAL_KINDS: tuple[CornealKind, ...] = get_args(CornealKind)
LENS_KINDS: tuple[LensKind, ...] = get_args(LensKind)
FRONT_KINDS: tuple[FrontKind, ...] = (*CORNEAL_KINDS, *LENS_KINDS)
NUCLEUS_MM = 2.6
"""Radius of the lens nucleus."""


def front_class_of(lesions: Iterable[FrontLesion]) -> int:
    """The class of an eye by its lesions alone, as a place in `FRONT_CLASSES`.

    1 keratitis when the cornea is infiltrated or pus lies in the chamber, whatever the lens is
    like; 2 cataract when only the lens is opaque; 0 healthy otherwise.
    """
    kinds = {lesion.kind for lesion in lesions}
    if kinds & set(CORNEAL_KINDS):
        return 1
    return 2 if kinds else 0


def draw_kinds(random: np.random.Generator, number: int) -> tuple[FrontKind, ...]:
    """Lesions that usually come together in an eye of this class."""
    if number == 1:
        ring = random.random() < 0.25
        first: CornealKind = "ring infiltrate" if ring else "corneal infiltrate"
        return (first, "hypopyon") if random.random() < 0.35 else (first,)
    if number == 2:
        main = LENS_KINDS[random.integers(len(LENS_KINDS))]
        return tuple(kind for kind in LENS_KINDS if kind == main or random.random() < 0.25)
    return ()


def draw_front_lesions(
    random: np.random.Generator, kinds: Iterable[FrontKind], cornea: Cornea, pupil: Pupil
) -> tuple[FrontLesion, ...]:
    def draw(kind: FrontKind) -> FrontLesion:
        place: Cornea | Pupil = cornea if kind in CORNEAL_KINDS else pupil
        spots = _DRAWN[kind](random, place)
        return FrontLesion(kind=kind, spots=spots, tint=random.uniform(*_TINTS[kind]))

    return tuple(draw(kind) for kind in kinds)


def _infiltrate(random: np.random.Generator, cornea: Cornea) -> tuple[Spot, ...]:
    """One, rarely two; never wholly below the upper lid."""
    spots = []
    for _ in range(1 + (random.random() < 0.2)):
        away = cornea.radius_mm * 0.62 * random.random() ** 0.5
        angle = random.uniform(-0.7, pi + 0.7)
        spots.append(
            Spot(
                row=away * sin(angle),
                column=away * cos(angle),
                radius=random.uniform(0.5, 1.6),
                strength=random.uniform(0.6, 0.95),
                stretch=random.uniform(1.0, 1.7),
                angle=random.uniform(0, pi),
                rough=random.uniform(0.04, 0.11),
                soft=random.uniform(0.7, 1.3),
            )
        )
    return tuple(spots)


def _ring(random: np.random.Generator, cornea: Cornea) -> tuple[Spot, ...]:
    """Beads along most of a circle."""
    radius, width = random.uniform(1.7, 3.0), random.uniform(0.3, 0.5)
    row, column = random.uniform(0, 0.8), random.uniform(-0.8, 0.8)
    start, length = random.uniform(0, 2 * pi), random.uniform(1.5 * pi, 2 * pi)
    strength = random.uniform(0.55, 0.85)
    beads = int(length * radius / (0.7 * width))
    return tuple(
        Spot(
            row=row + radius * sin(angle),
            column=column + radius * cos(angle),
            radius=width * random.uniform(0.8, 1.25),
            strength=strength * random.uniform(0.85, 1.0),
            rough=0.12,
            soft=1.1,
        )
        for angle in start + np.linspace(0, length, beads)
    )


def _hypopyon(random: np.random.Generator, cornea: Cornea) -> tuple[Spot, ...]:
    """Pus that has settled: all of the chamber below its level."""
    lowest = cornea.radius_mm * cornea.aspect
    spot = Spot(
        row=0.0,
        column=0.0,
        radius=lowest * 0.97,
        stretch=1 / cornea.aspect,
        angle=pi / 2,
        strength=random.uniform(0.8, 0.95),
        soft=0.06,
        level=lowest - random.uniform(1.3, 3.0),
    )
    return (spot,)


def _nuclear(random: np.random.Generator, pupil: Pupil) -> tuple[Spot, ...]:
    spot = Spot(
        row=pupil.row,
        column=pupil.column,
        radius=NUCLEUS_MM * random.uniform(0.75, 1.05),
        strength=random.uniform(0.4, 0.85),
        soft=random.uniform(0.7, 1.1),
    )
    return (spot,)


def _cortical(random: np.random.Generator, pupil: Pupil) -> tuple[Spot, ...]:
    """Spokes that point at the middle, broad at the edge of the pupil."""
    spokes = []
    for angle in random.uniform(0, 2 * pi, random.integers(4, 10)):
        inner, outer = pupil.radius_mm * random.uniform(0.15, 0.65), pupil.radius_mm + 0.8
        middle, half = (inner + outer) / 2, (outer - inner) / 2
        width = random.uniform(0.1, 0.28)
        spokes.append(
            Spot(
                row=pupil.row + middle * sin(angle),
                column=pupil.column + middle * cos(angle),
                radius=width,
                strength=random.uniform(0.5, 0.85),
                stretch=half / width,
                angle=pi / 2 - angle,
                rough=0.1,
                soft=1.0,
            )
        )
    return tuple(spokes)


def _subcapsular(random: np.random.Generator, pupil: Pupil) -> tuple[Spot, ...]:
    """A plaque of crumbs near the middle of the back of the lens."""
    spread = min(random.uniform(0.35, 0.7), 0.4 * pupil.radius_mm)
    strength = random.uniform(0.55, 0.9)
    return tuple(
        Spot(
            row=pupil.row + random.normal(0, spread),
            column=pupil.column + random.normal(0, spread),
            radius=random.uniform(0.12, 0.4),
            strength=strength * random.uniform(0.6, 1.0),
            rough=0.2,
            soft=0.7,
        )
        for _ in range(random.integers(14, 30))
    )


_DRAWN: dict[FrontKind, Callable[..., tuple[Spot, ...]]] = {
    "corneal infiltrate": _infiltrate,
    "ring infiltrate": _ring,
    "hypopyon": _hypopyon,
    "nuclear opacity": _nuclear,
    "cortical opacity": _cortical,
    "posterior subcapsular opacity": _subcapsular,
}
_TINTS: dict[FrontKind, tuple[float, float]] = {
    "corneal infiltrate": (0.0, 0.6),
    "ring infiltrate": (0.0, 0.4),
    "hypopyon": (0.5, 1.0),
    "nuclear opacity": (0.2, 1.0),
    "cortical opacity": (0.0, 0.2),
    "posterior subcapsular opacity": (0.0, 0.4),
}
