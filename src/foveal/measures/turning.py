"""Chance by turning: the same shapes at random places, as far from the centre as before."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Int

DRAWS = 20
"""Random turns behind a null."""

Turned = tuple[Int[np.ndarray, "point 2"], Bool[np.ndarray, " point"]]


def turns(
    points: Int[np.ndarray, "point 2"],
    field: Bool[np.ndarray, "row column"],
    *,
    draws: int,
    seed: int,
) -> Iterator[Turned]:
    """Pixels rotated about the field's centre by random angles, every other time mirrored before.

    Maps and lesions both gather in the middle; turning keeps their distance from it, so that what
    the centre explains is not counted as agreement.

    Args:
        points: Row and column of pixels.
        field: The field of view.
        draws: How many turns.
        seed: Of the angles.

    Yields:
        The pixels after the turn, and which of them still lie in the field; the others are to be
        left out, and those beyond the image lie on its edge.

    Raises:
        ValueError: Fewer than 0 draws.
    """
    if draws < 0:
        raise ValueError(f"draws must not be negative, but is {draws}")
    random = np.random.default_rng(seed)
    centre = np.argwhere(field).mean(axis=0)
    for angle, mirrored in zip(random.uniform(0, 2 * np.pi, draws), _alternating(), strict=False):
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, -sin], [sin, cos]])
        if mirrored:
            turn = turn @ np.diag([1.0, -1.0])
        moved = np.rint((points - centre) @ turn.T + centre).astype(int)
        on_grid = np.all((moved >= 0) & (moved < field.shape), axis=1)
        moved = np.clip(moved, 0, np.array(field.shape) - 1)
        yield moved, on_grid & field[tuple(moved.T)]


def _alternating() -> Iterator[bool]:
    while True:
        yield False
        yield True
