"""Headings, in radians from the row to the column axis, and where a growing vessel wants to go."""

from collections import deque
from collections.abc import Callable
from math import atan2, cos, hypot, pi, remainder, sin

import numpy as np

from foveal.synthetic.spec import Point

AVASCULAR_DEG = 1.4
"""Radius around the fovea that vessels seldom enter."""

Goal = Callable[[Point], float | None]
"""The heading a vessel wants at a place; `None` ends it."""


def follow(waypoints: list[Point]) -> Goal:
    """Heads for one waypoint after the other, then ends."""
    left = deque(waypoints)

    def goal(point: Point) -> float | None:
        while left and hypot(left[0][0] - point[0], left[0][1] - point[1]) < 1.2:
            left.popleft()
        return atan2(left[0][1] - point[1], left[0][0] - point[0]) if left else None

    return goal


def inward(random: np.random.Generator) -> Goal:
    """Heads for the fovea and stops short of it."""
    target = random.normal(0, 0.9), random.normal(0, 0.9)
    stop = AVASCULAR_DEG + random.exponential(1.6)

    def goal(point: Point) -> float | None:
        arrived = hypot(*point) < stop
        return None if arrived else atan2(target[1] - point[1], target[0] - point[0])

    return goal


def outward(random: np.random.Generator) -> Goal:
    """Heads for the periphery, away from a place between the disc and the fovea."""
    centre = random.normal(0, 1.5), random.normal(6, 3)
    return lambda point: atan2(point[1] - centre[1], point[0] - centre[0])


def ahead(point: Point, heading: float, distance: float) -> Point:
    return point[0] + distance * cos(heading), point[1] + distance * sin(heading)


def turn(angle: float) -> float:
    """The same angle within half a turn."""
    return remainder(angle, 2 * pi)
