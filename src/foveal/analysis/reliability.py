"""The points of a reliability plot, with their intervals and what chance alone would show."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from foveal.analysis.calibration import BINS, DRAWS, bins_of, null_counts, usable
from foveal.analysis.estimate import Estimate
from foveal.analysis.proportions import proportion
from foveal.analysis.resampling import Bootstrap
from foveal.analysis.statistic import Ties
from foveal.analysis.units import Units


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """One point of a reliability plot."""

    low: float
    high: float
    """Smallest and largest probability in the bin."""
    rows: int
    probability: float
    """Mean."""
    frequency: Estimate
    """Share that came true."""
    band: tuple[float, float]
    """Where the frequency of a perfectly calibrated model lies 95 times in 100."""


def reliability_table(
    probability: Float[np.ndarray, " row"],
    came_true: Bool[np.ndarray, " row"],
    units: Units,
    *,
    bins: int = BINS,
    how: Bootstrap | None = None,
) -> tuple[ReliabilityBin, ...]:
    """The points of a reliability plot with intervals by patient; empty bins are left out.

    Raises:
        ValueError: Columns of different lengths, probabilities outside [0, 1], or no bins.
    """
    how = how or Bootstrap()
    valid = usable(probability, came_true, bins)
    used, probability, came_true = units.chosen(valid), probability[valid], came_true[valid]
    if not len(probability):
        return ()
    places = bins_of(Ties(probability), np.ones((1, len(probability))), bins)[0]
    counts = np.bincount(places, minlength=bins)
    null = null_counts(probability, bins, DRAWS, how.seed)
    return tuple(
        _bin(probability, came_true, used, places == one, null[:, one] / counts[one], how)
        for one in np.flatnonzero(counts)
    )


def _bin(
    probability: Float[np.ndarray, " row"],
    came_true: Bool[np.ndarray, " row"],
    units: Units,
    rows: Bool[np.ndarray, " row"],
    null: Float[np.ndarray, " draw"],
    how: Bootstrap,
) -> ReliabilityBin:
    own = probability[rows]
    low, high = np.quantile(null, [0.025, 0.975]).tolist()
    return ReliabilityBin(
        low=float(own.min()),
        high=float(own.max()),
        rows=int(rows.sum()),
        probability=float(own.mean()),
        frequency=proportion(came_true[rows].astype(np.float64), units.chosen(rows), how),
        band=(low, high),
    )
