"""What has changed between two visits, against what changes between repeats of one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Map = Float[np.ndarray, "row column"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Change:
    """Two maps of one grid compared."""

    difference: Map
    """Second minus first, in the maps' own unit; NaN where either is unknown."""
    noise_floor: Map | None
    """Standard deviation of a difference of two maps between which nothing has changed."""
    in_floors: Map | None
    """The difference in units of its noise floor; NaN where the floor is 0 or unknown."""
    reason: str | None = None
    """Why there is no floor, where there is none."""


def change_map(first: Map, second: Map, *, repeats: Sequence[Map] = ()) -> Change:
    """Change of a map from one visit to the next, in units of what repeats differ by.

    The floor is the square root of 2 times the pixel's standard deviation over the repeats (n - 1
    in the denominator), since both maps of a difference are noisy. Few repeats make a coarse
    floor: over three of them it is off by half its size in one pixel of six.

    Args:
        first: The map of the first visit.
        second: Of the later one, carried to the first one's grid with `carry_to_first`.
        repeats: Maps of one state, of scans repeated on one day, on the same grid.

    Raises:
        ValueError: Maps of different grids.
    """
    for map_ in (second, *repeats):
        if map_.shape != first.shape:
            raise ValueError(
                f"maps must share a grid, but are {first.shape} and {map_.shape}; carry them to "
                "the first one with carry_to_first"
            )
    difference = second - first
    if len(repeats) < 2:
        return Change(
            difference=difference,
            noise_floor=None,
            in_floors=None,
            reason=f"a noise floor needs two repeats or more of one state, not {len(repeats)}",
        )
    floor = np.sqrt(2) * np.std(np.stack(repeats), axis=0, ddof=1)
    usable = np.where(floor > 0, floor, np.nan)
    return Change(difference=difference, noise_floor=floor, in_floors=difference / usable)
