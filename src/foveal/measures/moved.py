"""Chance by moving: the same region elsewhere in the field, its area kept."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import affine_transform, distance_transform_edt
from scipy.optimize import brentq

from foveal.measures.base import diameter

_TRIES = 30
_INSIDE = 0.95
"""Share of a moved region that must lie in the field."""
_MOVES, _OVERLAP = 10, 0.05
"""Moves tried for one away from the region itself, and the share of it that may still overlap."""


def moved_regions(
    depth: Float[np.ndarray, "row column"],
    field: Bool[np.ndarray, "row column"],
    count: int,
    seed: int,
    *,
    feather_px: float = 0.0,
) -> Iterator[Float[np.ndarray, "row column"]]:
    """The region rotated, reflected and shifted at random inside the field, its area kept exactly.

    The region comes as its `signed_distance`: a move carries distances along. The move is drawn
    again, with ever shorter shifts, until 95 % of the region lies in the field; what is still
    missing then grows at the moved region's edge.

    A copy that overlaps the region would be the same evidence, and hide what it is a control for:
    of up to ten moves the first is taken that leaves the region's place but for 5 %, else the one
    that leaves most of it. Where the score depends on no place, the order of the region among its
    copies stays one of chance; where it depends on one, a region that touches it by accident stands
    out more often than chance has it (docs/diagnosis.md gives the rates).
    """
    random = np.random.default_rng(seed)
    centre = np.argwhere(field).mean(axis=0)
    region = depth > 0
    points = np.argwhere(region)
    jitter = random.random(depth.shape) * 1e-9  # breaks ties of equal depth
    beyond = -float(sum(depth.shape))  # farther from the region than any pixel of the image
    for _ in range(count):
        turn, shift = _apart(random, points, centre, region, field)
        # affine_transform asks where each output pixel comes from: the inverse move.
        back = turn.T
        moved = affine_transform(
            depth, back, offset=centre - back @ (centre + shift), order=1, cval=beyond
        )
        yield faded(moved + jitter, field, len(points), feather_px)


def faded(
    depth: Float[np.ndarray, "row column"],
    field: Bool[np.ndarray, "row column"],
    count: int,
    width: float,
) -> Float[np.ndarray, "row column"]:
    """How much of each pixel is taken away: the deepest of the field, `count` pixels in all.

    With a width the edge is a ramp of distances, clip(1/2 + (depth - level) / width, 0, 1), at the
    level where it sums to `count`. Around a level of 0 scattered pixels would grow to more than
    twice their area, and blobs would not.
    """
    values = depth[field]
    deepest = np.argpartition(values, -count)[-count:]
    amount = np.zeros(len(values))
    amount[deepest] = 1
    if width > 0:
        edge = float(values[deepest].min())
        near = values[values > edge - 1.1 * width]  # the rest is 0 at any level that comes up
        level = brentq(
            lambda level: np.clip(0.5 + (near - level) / width, 0, 1).sum() - count,
            edge - 0.6 * width,  # all of `deepest` is 1, so the sum is at least `count`
            edge + 0.5 * width,  # only pixels deeper than the edge are left, so it is below
        )
        amount = np.clip(0.5 + (values - level) / width, 0, 1)
    region = np.zeros(field.shape)
    region[field] = amount
    return region


def signed_distance(
    region: Bool[np.ndarray, "row column"],
) -> Float[np.ndarray, "row column"]:
    """Distance of each pixel to the region's edge, positive inside."""
    if region.all():
        return np.full(region.shape, float(max(region.shape)))
    inside = np.asarray(distance_transform_edt(region))
    outside = np.asarray(distance_transform_edt(~region))
    return np.where(region, inside - 0.5, 0.5 - outside)


def _apart(
    random: np.random.Generator,
    points: Float[np.ndarray, "point 2"],
    centre: Float[np.ndarray, " 2"],
    region: Bool[np.ndarray, "row column"],
    field: Bool[np.ndarray, "row column"],
) -> tuple[Float[np.ndarray, "2 2"], Float[np.ndarray, " 2"]]:
    """A move inside the field, away from where the region is."""
    least, found = np.inf, (np.eye(2), np.zeros(2))
    for _ in range(_MOVES):
        turn, shift = _move(random, points, centre, field)
        overlap = _share(_moved(points, centre, turn, shift), region)
        if overlap < least:
            least, found = overlap, (turn, shift)
        if least <= _OVERLAP:
            break
    return found


def _move(
    random: np.random.Generator,
    points: Float[np.ndarray, "point 2"],
    centre: Float[np.ndarray, " 2"],
    field: Bool[np.ndarray, "row column"],
) -> tuple[Float[np.ndarray, "2 2"], Float[np.ndarray, " 2"]]:
    reach = float(diameter(field))
    turn, shift = np.eye(2), np.zeros(2)
    for attempt in range(_TRIES):
        angle = random.uniform(0, 2 * np.pi)
        mirror = np.diag([1.0, random.choice([-1.0, 1.0])])
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ mirror
        shift = random.uniform(-0.5, 0.5, size=2) * reach * (1 - attempt / (_TRIES - 1))
        if _share(_moved(points, centre, turn, shift), field) >= _INSIDE:
            break
    return turn, shift


def _moved(
    points: Float[np.ndarray, "point 2"],
    centre: Float[np.ndarray, " 2"],
    turn: Float[np.ndarray, "2 2"],
    shift: Float[np.ndarray, " 2"],
) -> Int[np.ndarray, "point 2"]:
    return np.rint((points - centre) @ turn.T + centre + shift).astype(int)


def _share(points: Int[np.ndarray, "point 2"], mask: Bool[np.ndarray, "row column"]) -> float:
    """How many of the points lie on a mask; beyond the image none do."""
    on_grid = ((points >= 0) & (points < mask.shape)).all(axis=1)
    return float(mask[tuple(points[on_grid].T)].sum() / len(points))
