"""How far does a map's region agree with what readers drew, against how far they agree themselves?

Readers draw before they see the map, or they agree with it rather than with each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float, Num

from foveal.analysis.estimate import Estimate
from foveal.analysis.resampling import Bootstrap, interval
from foveal.analysis.statistic import AbstractStatistic, Mean, Values, Weights, divided
from foveal.analysis.units import Units

Region = Bool[np.ndarray, "row column"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ReaderOverlap:
    """Dice coefficients on one image, in [0, 1]; two empty regions agree, which is 1."""

    consensus: Region
    """Pixels that more than half of the readers drew."""
    with_consensus: float
    """Of the map's region and the consensus."""
    with_readers: Float[np.ndarray, " reader"]
    """Of the map's region and each reader's."""
    between_readers: Float[np.ndarray, " pair"]
    """Of each pair of readers: what no map can be asked to exceed."""


@dataclass(frozen=True, kw_only=True)
class RoiAgreement:
    """A map and its readers over a cohort, as mean Dice coefficients."""

    with_consensus: Estimate
    """Higher than with single readers where they differ, since a majority is smoother."""
    with_readers: Estimate
    between_readers: Estimate
    """The ceiling."""
    ratio: Estimate
    """`with_readers` by `between_readers`; at 1 the map agrees with a reader as another would."""


class MeanRatio(AbstractStatistic):
    """Mean of one column by the mean of another, over the rows that have both."""

    missing = "no image has both numbers, or the divisor is 0"

    def __init__(self, above: Num[np.ndarray, " row"], below: Num[np.ndarray, " row"]) -> None:
        self.valid = np.isfinite(above) & np.isfinite(below)
        self._above, self._below = (np.where(self.valid, c, 0.0) for c in (above, below))

    def __call__(self, weights: Weights) -> Values:
        return divided(weights @ self._above, weights @ self._below)


def reader_overlap(region: Region, drawn: Bool[np.ndarray, "reader row column"]) -> ReaderOverlap:
    """The map's region on one image, such as its strongest pixels, beside what readers drew.

    A reader who found nothing drew an empty region, which is a statement and counts: two who found
    nothing agree wholly, and so does a map without a region.

    Raises:
        ValueError: Fewer than two readers, or regions of different sizes.
    """
    if len(drawn) < 2 or drawn.shape[1:] != region.shape:
        raise ValueError(
            "an overlap needs two readers or more who drew on the map's pixels, but got regions "
            f"{drawn.shape} for a map {region.shape}"
        )
    # With an even number of readers half of them are no majority.
    consensus = 2 * drawn.sum(axis=0) > len(drawn)
    return ReaderOverlap(
        consensus=consensus,
        with_consensus=_agreement(region, consensus),
        with_readers=np.array([_agreement(region, one) for one in drawn]),
        between_readers=np.array([_agreement(*pair) for pair in combinations(drawn, 2)]),
    )


def region_dice(first: Region, second: Region) -> float:
    """Twice the pixels of both by the sum of the pixels of each; NaN where both are empty.

    The intersection over union is J = D / (2 - D).

    Reference:
        Dice 1945.
    """
    both = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / both if both else float("nan")


def roi_agreement(
    overlaps: Sequence[ReaderOverlap], units: Units, *, how: Bootstrap | None = None
) -> RoiAgreement:
    """The overlaps of a cohort's images with intervals by patient; the readers are kept.

    Each image counts with the mean over its readers, and over their pairs; the ratio is that of
    both means, over the same images.

    Raises:
        ValueError: Overlaps of other rows than those that have a unit.
    """
    consensus = np.array([one.with_consensus for one in overlaps], dtype=np.float64)
    readers = np.array([one.with_readers.mean() for one in overlaps], dtype=np.float64)
    ceiling = np.array([one.between_readers.mean() for one in overlaps], dtype=np.float64)
    return RoiAgreement(
        with_consensus=interval(Mean(consensus), units, how),
        with_readers=interval(Mean(readers), units, how),
        between_readers=interval(Mean(ceiling), units, how),
        ratio=interval(MeanRatio(readers, ceiling), units, how),
    )


def _agreement(first: Region, second: Region) -> float:
    return region_dice(first, second) if first.any() or second.any() else 1.0
