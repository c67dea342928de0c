"""How well a score tells who progresses, when some rows are not followed long enough to know."""

from dataclasses import replace

import numpy as np
from jaxtyping import Num, Shaped

from foveal.analysis.estimate import Estimate
from foveal.analysis.follow_up import NO_EVENT, follow_up_of, observed_share
from foveal.analysis.resampling import Bootstrap, interval
from foveal.analysis.statistic import AbstractStatistic, Ties, Values, Weights, divided
from foveal.analysis.units import Units

NO_ROW = "no row has a time, a cause and a score"
_BLOCK = 2**22
"""Pairs of an event and a row in memory at once: 32 MB."""


class UnoC(AbstractStatistic):
    """Uno's C: chance that of two rows the one that progresses first has the higher score.

    0.5 is chance, 1 is perfect; tied scores count half. Each event counts 1 / G(t)^2, with G the
    chance of still being followed, estimated anew in every resample, so that the number does not
    depend on how long the cohort was followed, as Harrell's does. Without censoring both agree.
    Only events up to the horizon count. Missing without a pair of which one is known to be first.

    Reference:
        Uno et al. 2011.
    """

    def __init__(
        self,
        time: Num[np.ndarray, " row"],
        cause: Shaped[np.ndarray, " row"],
        score: Num[np.ndarray, " row"],
        units: Units,
        *,
        horizon: float | None = None,
    ) -> None:
        follow_up = follow_up_of(time, cause, units)
        self.valid = follow_up.valid & np.isfinite(score)
        self.notes = follow_up.notes
        self._time, self._event = follow_up.time, follow_up.event & self.valid
        self._score = np.where(self.valid, score, 0.0)
        until = np.inf if horizon is None else horizon
        self._cases = np.flatnonzero(self._event & (self._time <= until))
        self.missing = "no pair of rows of which one is known to progress first"
        if not self._cases.size:
            self.missing = NO_EVENT if horizon is None else f"no event by {horizon:g}"
        if not self.valid.any():
            self.missing = NO_ROW

    def __call__(self, weights: Weights) -> Values:
        weights = weights * self.valid
        followed = observed_share(self._time, self._event, weights)
        right, pairs = np.zeros((2, len(weights)))
        size = max(1, _BLOCK // max(1, weights.shape[1]))
        for start in range(0, self._cases.size, size):
            cases = self._cases[start : start + size]
            weight = divided(weights[:, cases], followed[:, cases] ** 2)
            weight[weights[:, cases] == 0] = 0
            later, wins = self._pairs(cases)
            pairs += (weight * (weights @ later.T)).sum(1)
            right += (weight * (weights @ wins.T)).sum(1)
        return divided(right, pairs)

    def _pairs(self, cases: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which rows outlast each event, and what of them the score tells right."""
        time, score = self._time[cases, None], self._score[cases, None]
        later = (self._time > time) | ((self._time == time) & ~self._event)
        wins = (self._score < score) + (self._score == score) / 2
        return later.astype(np.float64), later * wins


class AucAt(AbstractStatistic):
    """Area under the ROC curve at a horizon: who progressed by then against who had not.

    0.5 is chance, 1 is perfect. Rows that were lost before the horizon are neither; the events
    count 1 / G(t) in their stead. A row that was followed exactly to the horizon had not
    progressed. Without censoring it is the plain AUC. Missing without either side.

    Reference:
        Uno et al. 2007; Hung & Chiang 2010 (cumulative/dynamic).
    """

    def __init__(
        self,
        time: Num[np.ndarray, " row"],
        cause: Shaped[np.ndarray, " row"],
        score: Num[np.ndarray, " row"],
        units: Units,
        *,
        horizon: float,
    ) -> None:
        follow_up = follow_up_of(time, cause, units)
        self.valid = follow_up.valid & np.isfinite(score)
        self.notes = follow_up.notes
        self._time, self._event = follow_up.time, follow_up.event & self.valid
        self._case = self._event & (self._time <= horizon)
        self._control = self.valid & ~self._case & (self._time >= horizon)
        self._order = Ties(np.where(self.valid, score, 0.0))
        self.missing = f"no row is followed to {horizon:g} without an event"
        if not self._case.any():
            self.missing = f"no event by {horizon:g}"
        if not self.valid.any():
            self.missing = NO_ROW

    def __call__(self, weights: Weights) -> Values:
        weights = weights * self.valid
        case = inverse_weights(weights * self._case, self._time, self._event, weights)
        control = weights * self._control
        wins = (case * self._order.below(control)).sum(1)
        return divided(wins, case.sum(1) * control.sum(1))


def uno_c(
    time: Num[np.ndarray, " row"],
    cause: Shaped[np.ndarray, " row"],
    score: Num[np.ndarray, " row"],
    units: Units,
    *,
    horizon: float | None = None,
    how: Bootstrap | None = None,
) -> Estimate:
    """Uno's C of a score (higher progresses sooner), with its interval by patient: see `UnoC`.

    Give a horizon that some rows outlast: the weights of late events are large. Fit and measure on
    different patients, or the number is optimistic. Causes other than 1 count as censored.

    Raises:
        ValueError: Columns of different lengths, negative times or odd causes.
    """
    statistic = UnoC(time, cause, score, units, horizon=horizon)
    return noted(interval(statistic, units, how), statistic.notes)


def auc_at(
    time: Num[np.ndarray, " row"],
    cause: Shaped[np.ndarray, " row"],
    score: Num[np.ndarray, " row"],
    units: Units,
    *,
    horizon: float,
    how: Bootstrap | None = None,
) -> Estimate:
    """Cumulative/dynamic AUC at a horizon that was fixed beforehand: see `AucAt`.

    Raises:
        ValueError: As `uno_c`, or a horizon that is not above 0.
    """
    checked(horizon)
    statistic = AucAt(time, cause, score, units, horizon=horizon)
    return noted(interval(statistic, units, how), statistic.notes)


def inverse_weights(
    rows: Weights, time: np.ndarray, event: np.ndarray, weights: Weights
) -> Weights:
    """Rows counted 1 / (chance of being followed so long); rows of no weight stay without."""
    followed = observed_share(time, event, weights)
    return np.divide(rows, followed, out=np.zeros_like(rows), where=rows > 0)


def noted(found: Estimate, notes: tuple[str, ...]) -> Estimate:
    """The same estimate with more to know."""
    return replace(found, notes=(*found.notes, *notes)) if notes else found


def checked(horizon: float) -> None:
    """Refuses a horizon that is no time."""
    if not 0 < horizon < np.inf:
        raise ValueError(f"the horizon must be a time above 0, but is {horizon}")
