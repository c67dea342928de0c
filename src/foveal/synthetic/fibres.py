"""The course of the nerve fibres, which streaks and flame haemorrhages follow.

Fibres leave the disc, arch around the macula and end at the raphe on its temporal side. Circular
arcs from the disc to a point on the raphe are a good likeness near the disc (the streamlines of a
source and a sink).

Reference:
    Jansonius et al. 2009, A mathematical description of nerve fiber bundle trajectories, Vision
    Research 49:2157, measures them.
"""

from math import atan2

import numpy as np
from jaxtyping import Float

from foveal.synthetic.spec import Disc, Point

RAPHE: Point = (0.0, -9.0)


def fibre_heading(point: Point, disc: Disc) -> float:
    """Direction of the fibres at a place, in radians from the row to the column axis."""
    down, across = 0.0, 0.0
    for sign, (row, column) in ((1.0, (disc.row, disc.column)), (-1.0, RAPHE)):
        offset = point[0] - row, point[1] - column
        square = offset[0] ** 2 + offset[1] ** 2 + 1e-6
        down += sign * offset[0] / square
        across += sign * offset[1] / square
    return atan2(across, down)


def fibre_number(
    row: Float[np.ndarray, "row 1"], column: Float[np.ndarray, "1 column"], disc: Disc
) -> Float[np.ndarray, "row column"]:
    """A number that stays the same along a fibre and grows from one fibre to the next."""
    from_disc = np.arctan2(row - disc.row, disc.column - column)
    from_raphe = np.arctan2(row - RAPHE[0], RAPHE[1] - column)
    return from_disc - from_raphe
