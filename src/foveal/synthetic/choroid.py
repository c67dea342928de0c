"""The choroidal vessels, which shine through where there is little pigment."""

from math import atan2, cos, pi, sin

import numpy as np

from foveal.synthetic.headings import ahead, turn
from foveal.synthetic.spec import Vessel


def draw_choroid(random: np.random.Generator) -> tuple[Vessel, ...]:
    """Wide ribbons that run from around the disc and the macula towards the periphery."""
    return tuple(_ribbon(random) for _ in range(190))


def _ribbon(random: np.random.Generator) -> Vessel:
    angle, distance, middle = random.uniform(0, 2 * pi), random.uniform(3, 24), 6.0
    points = [(distance * cos(angle), middle + distance * sin(angle))]
    heading, radius = angle + random.normal(0, 0.5), random.uniform(0.16, 0.4)
    for _ in range(int(random.integers(6, 16))):
        outward = atan2(points[-1][1] - middle, points[-1][0])
        heading += random.normal(0, 0.28) + 0.15 * turn(outward - heading)
        points.append(ahead(points[-1], heading, 1.1))
    bulge = [sin(pi * (k + 0.7) / (len(points) + 0.4)) ** 0.5 for k in range(len(points))]
    return Vessel(kind="choroidal", points=tuple(points), radii=tuple(radius * b for b in bulge))
