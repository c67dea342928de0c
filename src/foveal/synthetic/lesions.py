"""Draws the lesions of diabetic retinopathy that make up a grade."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import cos, hypot, pi, sin
from types import MappingProxyType

import numpy as np

from foveal.synthetic.fibres import fibre_heading
from foveal.synthetic.grading import quadrant_of
from foveal.synthetic.site import Site
from foveal.synthetic.spec import Lesion, Point, Spot, Vessel

Range = tuple[int, int]
"""Fewest and most."""


@dataclass(frozen=True, kw_only=True)
class Burden:
    """How many lesions of each kind an eye of one grade has."""

    microaneurysms: Range = (0, 0)
    haemorrhages: Range = (0, 0)
    haemorrhages_per_quadrant: Range = (0, 0)
    exudate_clusters: Range = (0, 0)
    soft_exudates: Range = (0, 0)
    exudates_in: float = 0.0
    """Share of the eyes that have hard exudates."""
    soft_exudates_in: float = 0.0


BURDENS: Mapping[int, Burden] = MappingProxyType(
    {
        0: Burden(),
        1: Burden(microaneurysms=(3, 14)),
        2: Burden(
            microaneurysms=(4, 25),
            haemorrhages=(3, 11),
            exudate_clusters=(1, 4),
            soft_exudates=(1, 2),
            exudates_in=0.65,
            soft_exudates_in=0.25,
        ),
        3: Burden(
            microaneurysms=(8, 30),
            haemorrhages_per_quadrant=(6, 12),
            exudate_clusters=(1, 4),
            soft_exudates=(1, 4),
            exudates_in=0.65,
            soft_exudates_in=0.55,
        ),
    }
)


def draw_lesions(site: Site, grade: int) -> tuple[Lesion, ...]:
    """The lesions of an eye of this grade; a proliferative one has those of grade 2 or 3, too."""
    if grade < 4:
        return tuple(_draw(site, BURDENS[grade]))
    random = site.random
    lesions = [*_draw(site, BURDENS[int(random.integers(2, 4))])]
    what = random.random()
    if what < 0.7:
        lesions.append(_neovascularisation(site))
    if what > 0.35:
        lesions.append(_preretinal_haemorrhage(site))
    return tuple(lesions)


def _draw(site: Site, burden: Burden) -> Iterator[Lesion]:
    def times(most: Range, share: float = 1.0) -> range:
        drawn = site.random.random() < share
        return range(int(site.random.integers(most[0], most[1] + 1)) if drawn else 0)

    for _ in times(burden.microaneurysms):
        yield _microaneurysm(site)
    for _ in times(burden.haemorrhages):
        yield _haemorrhage(site)
    for quadrant in range(4):
        for _ in times(burden.haemorrhages_per_quadrant):
            yield _haemorrhage(site, quadrant)
    for _ in times(burden.exudate_clusters, burden.exudates_in):
        yield from _hard_exudates(site)
    for _ in times(burden.soft_exudates, burden.soft_exudates_in):
        yield _soft_exudate(site)


def _microaneurysm(site: Site) -> Lesion:
    random = site.random
    row, column = site.place(spread=7.0, extent=0.3, apart=0.2)
    spot = Spot(
        row=row,
        column=column,
        radius=_lognormal(random, median=0.142, sigma=0.22, low=0.1, high=0.2),
        strength=random.uniform(0.5, 0.95),
        rough=0.1,
        soft=0.6,
    )
    return Lesion(kind="microaneurysms", spots=(spot,))


def _haemorrhage(site: Site, quadrant: int | None = None) -> Lesion:
    flame = site.random.random() < 0.3
    place = site.place(spread=9.0, extent=1.9 if flame else 1.4)
    while quadrant is not None and quadrant_of(place) != quadrant:
        place = site.place(spread=9.0, extent=1.9 if flame else 1.4)
    spots = _flame(site, place) if flame else _blot(site.random, place)
    return Lesion(kind="haemorrhages", spots=tuple(spots))


def _blot(random: np.random.Generator, place: Point) -> Iterator[Spot]:
    """Deep blood: round, sometimes with smaller bulges."""
    radius = _lognormal(random, median=0.33, sigma=0.42, low=0.22, high=0.75)
    yield _patch(random, place, radius, strength=random.uniform(0.7, 1.0))
    for _ in range(random.poisson(0.8) if radius > 0.3 else 0):
        turn = random.uniform(0, 2 * pi)
        beside = place[0] + radius * cos(turn), place[1] + radius * sin(turn)
        size = radius * random.uniform(0.4, 0.8)
        yield _patch(random, beside, size, strength=random.uniform(0.6, 0.95))


def _flame(site: Site, place: Point) -> Iterator[Spot]:
    """Superficial blood between the nerve fibres: parallel streaks along them."""
    random, heading = site.random, fibre_heading(place, site.disc)
    width = random.uniform(0.1, 0.2)
    for streak in range(int(random.integers(3, 7))):
        along, aside = (
            (random.normal(0, 0.3), random.normal(0, 1.4 * width)) if streak else (0.0, 0.0)
        )
        yield Spot(
            row=place[0] + along * cos(heading) - aside * sin(heading),
            column=place[1] + along * sin(heading) + aside * cos(heading),
            radius=width * random.uniform(0.6, 1.1),
            strength=random.uniform(0.5, 0.9),
            stretch=random.uniform(3, 5),
            angle=heading + random.normal(0, 0.12),
            rough=0.2,
            soft=0.9,
        )


def _patch(
    random: np.random.Generator,
    place: Point,
    radius: float,
    *,
    strength: float,
    rough: float = 0.14,
    soft: float = 0.6,
) -> Spot:
    return Spot(
        row=place[0],
        column=place[1],
        radius=radius,
        strength=strength,
        stretch=random.uniform(1, 1.6),
        angle=random.uniform(0, pi),
        rough=rough,
        soft=soft,
    )


def _hard_exudates(site: Site) -> Iterator[Lesion]:
    """A cluster of small deposits, or a ring of them around a leak; none where nothing fits."""
    random = site.random
    size, ring = random.uniform(0.9, 3.2), random.random() < 0.45
    centre = site.place(spread=5.5, extent=0.6, least=2.2)
    opening = random.uniform(0, 2 * pi)
    spots: list[Spot] = []
    for _ in range(int(random.integers(20, 110))):
        turn = opening + random.uniform(0, 1.5 * pi if ring else 2 * pi)
        away = size * random.normal(1, 0.13) if ring else abs(random.normal(0, 0.5 * size))
        place = centre[0] + away * cos(turn), centre[1] + 1.2 * away * sin(turn)
        radius = _lognormal(random, median=0.08, sigma=0.65, low=0.045, high=0.55)
        patch = _patch(
            random, place, radius, strength=random.uniform(0.3, 1.0), rough=0.25, soft=0.5
        )
        if site.holds(place, 2.5 * radius) and hypot(*place) > 0.5 + radius:
            spots.append(patch)
    if spots:
        yield Lesion(kind="hard exudates", spots=tuple(spots))


def _soft_exudate(site: Site) -> Lesion:
    """Swollen nerve fibres: pale, fluffy, across the fibres."""
    random = site.random
    row, column = site.place(spread=9.0, extent=2.4, least=5.0)
    size, heading = random.uniform(0.4, 0.8), fibre_heading((row, column), site.disc)
    spots = tuple(
        Spot(
            row=row + random.normal(0, 0.45 * size),
            column=column + random.normal(0, 0.45 * size),
            radius=size * random.uniform(0.5, 1.0),
            strength=random.uniform(0.25, 0.5),
            stretch=random.uniform(1, 1.6),
            angle=heading + pi / 2 + random.normal(0, 0.4),
            rough=0.18,
            soft=1.6,
        )
        for _ in range(int(random.integers(3, 6)))
    )
    return Lesion(kind="soft exudates", spots=spots)


def _neovascularisation(site: Site) -> Lesion:
    """A tangle of fine new vessels that loop back on themselves."""
    random = site.random
    size = random.uniform(1.4, 2.4)
    centre = site.place(spread=9.5, extent=size + 0.3, least=5.5)
    threads = (_thread(random, centre, size) for _ in range(int(random.integers(16, 28))))
    return Lesion(kind="neovascularisation", vessels=tuple(threads))


def _thread(random: np.random.Generator, centre: Point, size: float) -> Vessel:
    heading = random.uniform(0, 2 * pi)
    bend = float(random.choice([-1, 1])) * random.uniform(0.15, 0.5)
    points = [(centre[0] + random.normal(0, 0.15), centre[1] + random.normal(0, 0.15))]
    for _ in range(int(random.integers(5, 14))):
        heading += bend + random.normal(0, 0.25)
        row, column = points[-1][0] + 0.25 * cos(heading), points[-1][1] + 0.25 * sin(heading)
        if hypot(row - centre[0], column - centre[1]) < size:
            points.append((row, column))
    radius = random.uniform(0.05, 0.09)
    return Vessel(kind="vein", points=tuple(points), radii=(radius,) * len(points))


def _preretinal_haemorrhage(site: Site) -> Lesion:
    """Blood before the retina, which settles to a level."""
    random = site.random
    radius, stretch = random.uniform(1.1, 2.2), random.uniform(1.2, 1.7)
    row, column = site.place(spread=8.5, extent=radius * stretch + 0.3, least=3.5)
    spot = Spot(
        row=row,
        column=column,
        radius=radius,
        strength=random.uniform(0.9, 1.0),
        stretch=stretch,
        angle=pi / 2 + random.normal(0, 0.12),
        rough=0.02,
        soft=0.12,
        level=row - radius * random.uniform(0.0, 0.4),
    )
    return Lesion(kind="preretinal haemorrhage", spots=(spot,))


def _lognormal(
    random: np.random.Generator, *, median: float, sigma: float, low: float, high: float
) -> float:
    return min(max(median * random.lognormal(0, sigma), low), high)
