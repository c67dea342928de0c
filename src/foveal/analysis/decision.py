from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Num, Shaped

from foveal.analysis.discrimination import NO_ROW, checked, inverse_weights, noted
from foveal.analysis.estimate import Estimate
from foveal.analysis.follow_up import FollowUp, follow_up_of
from foveal.analysis.resampling import Bootstrap, interval
from foveal.analysis.statistic import AbstractStatistic, Values, Weights, divided
from foveal.analysis.units import Units


@dataclass(frozen=True, kw_only=True)
class NetBenefit:
    """One threshold of a decision curve."""

    threshold: float
    """Act where the risk is at least this: t / (1 - t) false alarms are worth one true one."""
    model: Estimate
    """True alarms a row, less false ones at that price; acting on nobody has 0."""
    everybody: Estimate
    """The same where all are acted upon."""
    gain: Estimate
    """The model less the better of acting on everybody and on nobody; below 0 it does harm."""


def decision_curve(
    time: Num[np.ndarray, " row"],
    cause: Shaped[np.ndarray, " row"],
    risk: Num[np.ndarray, " row"],
    units: Units,
    *,
    horizon: float,
    thresholds: Sequence[float],
    how: Bootstrap | None = None,
) -> tuple[NetBenefit, ...]:
    """Is acting on a predicted risk better than acting on all, or on none, at thresholds in use?

    Net benefit is at most the share who progress by the horizon. Those who were lost before count
    through the rest (inverse probability of censoring). The risk must be a calibrated probability
    of progression by the horizon, from other patients. Where deaths count as censored, the share
    who progress is overstated, and so is the benefit of acting. Missing where nobody is followed
    to the horizon.

    Args:
        time: Of the event or of the last visit.
        cause: 1 progression, 0 followed only, 2 and above ended otherwise.
        risk: Predicted, in [0, 1]; NaN is missing.
        units: The patient of each row.
        horizon: Fixed beforehand.
        thresholds: Risks from which somebody would act, between 0 and 1.
        how: The intervals' making.

    Raises:
        ValueError: A risk outside [0, 1], a threshold not between 0 and 1, or as `uno_c`.

    Reference:
        Vickers & Elkin 2006; Vickers et al. 2008 for censoring.
    """
    checked(horizon)
    if not thresholds or not all(0 < threshold < 1 for threshold in thresholds):
        raise ValueError(f"thresholds must lie between 0 and 1, but are {list(thresholds)}")
    told = risk[np.isfinite(risk)]
    if ((told < 0) | (told > 1)).any():
        raise ValueError("a risk must lie in [0, 1]; give probabilities, not scores")
    follow_up = follow_up_of(time, cause, units)
    return tuple(
        _net_benefit(follow_up, risk, units, horizon, threshold, how) for threshold in thresholds
    )


class _Benefit(AbstractStatistic):
    def __init__(
        self,
        follow_up: FollowUp,
        known: Bool[np.ndarray, " row"],
        alarm: Bool[np.ndarray, " row"],
        horizon: float,
        threshold: float,
    ) -> None:
        self.valid = follow_up.valid & known
        self.missing = f"no row is followed to {horizon:g} without an event"
        if not self.valid.any():
            self.missing = NO_ROW
        # What comes after the horizon is not looked at.
        self._time = np.minimum(follow_up.time, horizon)
        self._case = follow_up.event & self.valid & (follow_up.time <= horizon)
        self._control = self.valid & ~self._case & (follow_up.time >= horizon)
        self._alarm = alarm
        self._price = threshold / (1 - threshold)

    def __call__(self, weights: Weights) -> Values:
        weights = weights * self.valid
        told = self._case | self._control
        counted = inverse_weights(weights * told, self._time, self._case, weights)
        rows = weights.sum(1)
        hits = counted @ (self._case & self._alarm)
        alarms = counted @ (self._control & self._alarm)
        # The rows that are known stand for all of them, unless the follow-up ends before.
        complete = np.isclose(counted.sum(1), rows)
        return np.where(complete, divided(hits - self._price * alarms, rows), np.nan)


class _Gain(AbstractStatistic):
    def __init__(self, model: _Benefit, everybody: _Benefit) -> None:
        self.valid, self.missing = model.valid, model.missing
        self._model, self._everybody = model, everybody

    def __call__(self, weights: Weights) -> Values:
        return self._model(weights) - np.maximum(self._everybody(weights), 0)


def _net_benefit(
    follow_up: FollowUp,
    risk: Num[np.ndarray, " row"],
    units: Units,
    horizon: float,
    threshold: float,
    how: Bootstrap | None,
) -> NetBenefit:
    known = np.isfinite(risk)
    alarm = np.where(known, risk, 0) >= threshold
    model = _Benefit(follow_up, known, alarm, horizon, threshold)
    everybody = _Benefit(follow_up, known, np.ones_like(alarm), horizon, threshold)
    found, of_all, gain = (
        noted(interval(statistic, units, how), follow_up.notes)
        for statistic in (model, everybody, _Gain(model, everybody))
    )
    return NetBenefit(threshold=threshold, model=found, everybody=of_all, gain=gain)
