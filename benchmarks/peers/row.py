"""What a row of the comparison holds, and the maps and masks that it is made on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter

from foveal.core import Score

_SIDE, _CASES = 24, 12


@dataclass(frozen=True, kw_only=True)
class Row:
    """One of our numbers beside one of another package, on the same inputs."""

    measure: str
    peer: str
    how: str
    """The settings under which the other one has the same definition; or why it has not."""
    ours: object
    """Numbers, NaN where ours are missing."""
    theirs: object
    same: bool = True
    """Whether the definitions are the same, so that the numbers have to be."""

    @property
    def difference(self) -> float:
        """Largest difference as a share of the other's largest value; infinite if one lacks."""
        ours, theirs = (np.asarray(values, np.float64) for values in (self.ours, self.theirs))
        if (np.isnan(ours) != np.isnan(theirs)).any():
            return np.inf
        largest = float(np.nanmax(np.abs(theirs)))
        return float(np.nanmax(np.abs(ours - theirs))) / (largest or 1.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A signed map without ties, its rectified twin that is mostly zeros, and a region."""

    map: Float[np.ndarray, "row column"]
    rectified: Float[np.ndarray, "row column"]
    mask: Bool[np.ndarray, "row column"]

    @property
    def positive(self) -> Float[np.ndarray, "row column"]:
        """What most packages ask for: no negative value, no tie."""
        return self.map - self.map.min()


def cases() -> list[Case]:
    """Smooth random maps with regions of 1 to 30 % of the image."""
    random = np.random.default_rng(7)
    made = []
    for number in range(_CASES):
        smooth = gaussian_filter(random.standard_normal((_SIDE, _SIDE)), 1 + number / 4)
        high = gaussian_filter(random.standard_normal((_SIDE, _SIDE)), 2) + smooth
        mask = high >= np.quantile(high, 1 - 0.01 - 0.29 * number / (_CASES - 1))
        rectified = np.maximum(smooth - np.quantile(smooth, 0.9), 0)
        made.append(Case(map=smooth, rectified=rectified, mask=mask))
    return made


def values(scores: Sequence[Score]) -> Float[np.ndarray, " score"]:
    """Of scores, NaN where they are missing."""
    return np.array([np.nan if s.value is None else s.value for s in scores])
