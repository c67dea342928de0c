"""Grows the arteries and veins of a retina.

An artery and a vein leave the disc in each of four directions: two arcades bend around the macula,
two trunks run towards the nose. Trunks give off branches, which seek the macula or the periphery,
keep away from vessels of their own kind, thin out by Murray's law (the cubes of the radii add up at
a branching) and stop short of the foveal avascular zone.

Reference:
    Murray 1926, The physiological principle of minimum work, Proc Natl Acad Sci 12:207.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import atan2, hypot, pi
from typing import Literal

import numpy as np

from foveal.synthetic.headings import Goal, ahead, follow, inward, outward, turn
from foveal.synthetic.spec import Disc, Point, Vessel

STEP_DEG = 0.6
REACH_DEG = 33.0
"""Vessels end this far from the fovea, outside every camera's field."""
SMALLEST_DEG = 0.035
"""Radius below which a camera no longer sees a vessel."""
APART_DEG, TOUCHING_DEG = 1.5, 0.3
"""A branch turns away from a vessel of its kind below the first distance, and ends below the
second."""
BACKWARDS = 2.0
"""A branch ends where it would have to turn by more than this, in radians."""
CHILD_SPACING_DEG = 2.6

Kind = Literal["artery", "vein"]


def draw_vessels(random: np.random.Generator, disc: Disc) -> tuple[Vessel, ...]:
    grown: list[Vessel] = []
    for kind in ("vein", "artery"):
        crowd = _Crowd()
        waiting = deque(_trunks(random, disc, kind))
        while waiting:
            points, radii, children = _grow(random, waiting.popleft(), crowd)
            if len(points) > 3:
                grown.append(Vessel(kind=kind, points=tuple(points), radii=_tapered(radii)))
                crowd.add(points)
                waiting.extend(children)
    return tuple(grown)


@dataclass(frozen=True, kw_only=True)
class _Habit:
    """How a vessel grows, step by step."""

    pull: float
    """Share of the turn to the wanted heading that is made at once."""
    keeps: float
    """Share of the radius that is left."""
    shy: bool
    """Whether it makes way for other vessels of its kind, and never turns back."""
    bare_deg: float
    """How far it runs before it branches."""


TRUNK = _Habit(pull=0.35, keeps=0.994, shy=False, bare_deg=2.0)
BRANCH = _Habit(pull=0.14, keeps=0.984, shy=True, bare_deg=0.0)


@dataclass(frozen=True, kw_only=True)
class _Bud:
    """Where and how a vessel starts."""

    kind: Kind
    start: Point
    heading: float
    radius: float
    goal: Goal
    wiggle: float
    """Standard deviation of the change of curvature at each step, in radians."""
    order: int
    """0 for a trunk, one more at each branching."""


@dataclass(eq=False)
class _Crowd:
    """The vessels of one kind so far, which others must not cross."""

    lines: list[np.ndarray] = field(default_factory=list)
    places: np.ndarray = field(default_factory=lambda: np.full((1, 2), np.inf))

    def add(self, points: list[Point]) -> None:
        self.lines.append(np.array(points))
        self.places = np.concatenate(self.lines)

    def nearest(self, point: Point) -> tuple[float, float]:
        """Distance in degrees to the nearest vessel, and the heading away from it."""
        squares = ((self.places - point) ** 2).sum(axis=1)
        row, column = self.places[squares.argmin()]
        return hypot(row - point[0], column - point[1]), atan2(point[1] - column, point[0] - row)


def _grow(
    random: np.random.Generator, bud: _Bud, crowd: _Crowd
) -> tuple[list[Point], list[float], list[_Bud]]:
    """Where the vessel runs, its radii, and the branches that it gives off."""
    habit = BRANCH if bud.order else TRUNK
    points, radii, children = [bud.start], [bud.radius], []
    heading, bend, radius = bud.heading, 0.0, bud.radius
    until_child = habit.bare_deg + random.uniform(0.8, 2.0)
    free = not habit.shy or crowd.nearest(ahead(bud.start, heading, 2.2))[0] >= 1.0
    while free and radius > SMALLEST_DEG and hypot(*points[-1]) < REACH_DEG:
        wanted = bud.goal(points[-1])
        if wanted is None or (habit.shy and abs(turn(wanted - heading)) > BACKWARDS):
            break
        bend = 0.6 * bend + random.normal(0, bud.wiggle)
        heading += habit.pull * turn(wanted - heading) + bend
        if habit.shy and len(points) > 4:
            distance, away = crowd.nearest(points[-1])
            heading += 0.25 * max(APART_DEG - distance, 0) * turn(away - heading)
            free = distance >= TOUCHING_DEG
        points.append(ahead(points[-1], heading, STEP_DEG))
        radius *= habit.keeps
        until_child -= STEP_DEG
        if until_child < 0 and radius > 0.05:
            child, radius, swerve = _branch(random, bud, points[-1], heading, radius)
            children.append(child)
            heading += swerve
            until_child = 0.7 + random.exponential(CHILD_SPACING_DEG * (0.75 + 0.25 * bud.order))
        radii.append(radius)
    return points, radii, children


def _branch(
    random: np.random.Generator, bud: _Bud, point: Point, heading: float, radius: float
) -> tuple[_Bud, float, float]:
    """The branch, and the radius and the turn of what goes on."""
    forks = bud.order > 0 or random.random() < 0.2
    share = random.uniform(0.6, 0.82) if forks else random.uniform(0.35, 0.62)
    angle = float(random.choice([-1.0, 1.0])) * random.uniform(0.6, 1.15)
    to_fovea = atan2(-point[1], -point[0])
    macular = hypot(*point) < 19 and abs(turn(to_fovea - heading - angle)) < 1.6
    child = _Bud(
        kind=bud.kind,
        start=point,
        heading=heading + angle,
        radius=min(radius * share, 0.14) if macular else radius * share,
        goal=inward(random) if macular else outward(random),
        wiggle=0.13,
        order=bud.order + 1,
    )
    return child, radius * (1 - share**3) ** (1 / 3), -0.15 * angle * share


def _trunks(random: np.random.Generator, disc: Disc, kind: Kind) -> Iterator[_Bud]:
    calibre = random.uniform(0.9, 1.12) * (0.35 if kind == "vein" else 0.25)
    hilum = disc.column + disc.radius * random.uniform(0.05, 0.25)
    hilum += 0.25 if kind == "vein" else -0.25
    for up in (-1.0, 1.0):
        upright = 0.0 if up > 0 else pi
        rise = up * disc.radius * random.uniform(0.25, 0.55)
        arcade = _arcade(random, disc, up, vein=kind == "vein")
        nasal = _nasal(random, disc, up)
        for start, waypoints, share in ((up * 0.1, arcade, 1.0), (rise, nasal, 0.62)):
            yield _Bud(
                kind=kind,
                start=(disc.row + start, hilum + random.normal(0, 0.12)),
                heading=upright + random.normal(0, 0.4),
                radius=calibre * share * random.uniform(0.85, 1.15),
                goal=follow(waypoints),
                wiggle=0.055,
                order=0,
            )
        if random.random() < 0.75:
            yield _cilioretinal(random, disc, kind, up)


def _cilioretinal(random: np.random.Generator, disc: Disc, kind: Kind, up: float) -> _Bud:
    """A small vessel from the temporal border of the disc straight to the macula."""
    return _Bud(
        kind=kind,
        start=(
            disc.row + up * disc.radius * random.uniform(0.1, 0.7),
            disc.column - disc.radius * random.uniform(0.4, 0.8),
        ),
        heading=-pi / 2 - up * random.uniform(-0.2, 0.7),
        radius=random.uniform(0.06, 0.11),
        goal=inward(random),
        wiggle=0.09,
        order=2,
    )


def _arcade(random: np.random.Generator, disc: Disc, up: float, *, vein: bool) -> list[Point]:
    height = random.uniform(0.95, 1.42) * (1.06 if vein else 0.97)
    lean, sweep = random.normal(0, 1.0), random.uniform(-4.0, 4.0)
    shape = [
        (disc.radius * 0.85, disc.column + random.uniform(-0.3, 0.8)),
        (disc.radius * 1.7, disc.column - random.uniform(-0.2, 1.4)),
        (6.9 * height, disc.column - 3.9),
        (9.4 * height, 7.0 + lean),
        (10.5 * height, 1.0 + lean),
        (10.3 * height + 0.2 * sweep, -6.0),
        (9.8 * height + 0.6 * sweep, -13.0),
        (9.0 * height + 1.3 * sweep, -21.0),
        (8.5 * height + 2.5 * sweep, -33.0),
    ]
    # The first places are measured from the disc, the last from the fovea.
    return [
        (disc.row * max(0.0, 1 - k / 4) + up * (row + random.normal(0, 0.45)), column)
        for k, (row, column) in enumerate(shape)
    ]


def _nasal(random: np.random.Generator, disc: Disc, up: float) -> list[Point]:
    spread = random.uniform(0.8, 1.35)
    shape = [
        (disc.radius * 0.75, disc.radius * 0.45),
        (4.8 * spread, 3.0),
        (9.0 * spread, 6.5),
        (13.5 * spread, 11.0),
        (18.0 * spread, 22.0),
    ]
    return [
        (disc.row + up * (row + random.normal(0, 0.3)), disc.column + column)
        for row, column in shape
    ]


def _tapered(radii: list[float]) -> tuple[float, ...]:
    """A vessel that ends in the picture thins out over its last steps."""
    left = range(len(radii), 0, -1)
    return tuple(r * min(1.0, k / 7) ** 0.7 for r, k in zip(radii, left, strict=True))
