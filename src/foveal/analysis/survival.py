from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp, sqrt

import numpy as np
from jaxtyping import Float, Num, Shaped
from scipy.special import chdtrc, ndtr, ndtri, stdtr, stdtrit
from scipy.stats import rankdata

from foveal.analysis.cox_design import Cut, Design, design_of
from foveal.analysis.cox_fit import CoxFit, fit_cox, schoenfeld_residuals, score_residuals
from foveal.analysis.estimate import FEW_UNITS, Estimate
from foveal.analysis.follow_up import follow_up_of
from foveal.analysis.units import Units, unit_sums

_HUGE = 100.0
"""A log hazard ratio with its error beyond this is a sum of rounding errors."""


@dataclass(frozen=True, kw_only=True)
class HazardRatio:
    """What one covariate means for the rate of progression, the others held."""

    name: str
    per: str
    """The difference that the ratio is for: `SD of 0.12`, `1 against 0`, `0.4 and above`."""
    ratio: Estimate
    """Above 1: sooner. Its limits are symmetric on the logarithm: sqrt(low high) is the ratio."""
    p: float | None
    drift: float | None
    """Correlation of the scaled Schoenfeld residuals with the rank of time, in [-1, 1]: above 0
    the ratio grows with time, at 0 hazards are proportional."""
    p_drift: float | None
    """Of no drift; a small one says that a single ratio hides a change."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cox:
    """A Cox model of some covariates, or the reason why there is none."""

    rows: tuple[HazardRatio, ...]
    events: int
    used: Units
    log_likelihood: float | None
    likelihood_ratio: float | None
    """Twice the gain over no covariate; chi^2 only where each patient has one row."""
    score: Float[np.ndarray, " row"] = field(repr=False)
    """Log hazard of each row against the mean row; NaN where a covariate or time is missing."""
    effects: Float[np.ndarray, " covariate"]
    """Log hazard ratios, per SD as the rows say."""
    covariance: Float[np.ndarray, "covariate covariate"]
    """Of the effects, between units."""
    notes: tuple[str, ...]
    reason: str | None = None


def cox(
    time: Num[np.ndarray, " row"],
    cause: Shaped[np.ndarray, " row"],
    covariates: Mapping[str, Num[np.ndarray, " row"]],
    units: Units,
    *,
    cuts: Mapping[str, Cut] | None = None,
    level: float = 0.95,
) -> Cox:
    """Hazard ratios of map features and other covariates: Cox's model with errors by patient.

    Covariates of two values are compared, high against low; others count per standard deviation
    of the rows used. Ties after Efron; errors are the sandwich with each patient's residuals
    summed, since eyes and visits of a patient are alike. Fewer than 30 patients widen it as
    `interval` does. Map features come from the model that predicts progression and are not
    independent of its score: give that score, with age and grade, as further covariates, and read
    the feature's partial ratio.

    Args:
        time: Of the event or of the last visit; NaN is missing. One row an eye, from baseline.
        cause: 1 progression, 0 followed only, 2 and above ended otherwise, such as by death: these
            count as censored (cause-specific), and a note says so.
        covariates: Columns at baseline by name; a row that lacks one does not count.
        units: The patient of each row.
        cuts: Where to split a covariate; without one nothing is split.
        level: Of the intervals.

    Raises:
        ValueError: No covariates, columns of different lengths, a cut of no covariate, negative
            times or odd causes.

    Reference:
        Cox 1972; Efron 1977; Lin & Wei 1989 (sandwich); Grambsch & Therneau 1994 (drift).
    """
    follow_up = follow_up_of(time, cause, units)
    design = design_of(follow_up, covariates, cuts or {}, units)
    reason, fit = design.reason, None
    if reason is None:
        fit = fit_cox(design.time, design.event, design.columns)
        reason = fit.reason
    if fit is None or reason is not None:
        return _without_fit(design, reason or "", level)
    covariance = _sandwich(design, fit)
    score = np.full(len(time), np.nan)
    score[design.chosen] = (design.columns - design.columns.mean(0)) @ fit.effects
    drifts = _drifts(design, fit)
    return Cox(
        rows=tuple(
            _row(design, place, fit.effects[place], covariance[place, place], drift, level)
            for place, drift in enumerate(drifts)
        ),
        events=int(design.event.sum()),
        used=design.used,
        log_likelihood=fit.log_likelihood,
        likelihood_ratio=2 * (fit.log_likelihood - fit.null),
        score=score,
        effects=fit.effects,
        covariance=covariance,
        notes=design.notes,
    )


def _sandwich(design: Design, fit: CoxFit) -> Float[np.ndarray, "covariate covariate"]:
    parts = score_residuals(design.time, design.event, design.columns, fit.effects)
    sums = unit_sums(parts, design.used)[0] @ np.linalg.inv(fit.information)
    few = design.used.count < FEW_UNITS
    return sums.T @ sums * (design.used.count / (design.used.count - 1) if few else 1.0)


def _row(
    design: Design,
    place: int,
    effect: float,
    variance: float,
    drift: tuple[float | None, float | None],
    level: float,
) -> HazardRatio:
    error, freedom = sqrt(variance), design.used.count - 1
    few = design.used.count < FEW_UNITS
    tail = (1 + level) / 2
    half = error * float(stdtrit(freedom, tail) if few else ndtri(tail))
    ratio = abs(effect) / error if error > 0 else float("inf")
    reason = None
    if not error > 1e-9 or abs(effect) + half > _HUGE:
        reason = "the errors are not finite: too few patients with events"
    return HazardRatio(
        name=design.names[place],
        per=design.per[place],
        ratio=_ratio(design, level, exp(effect), half if reason is None else None, reason),
        p=float(2 * (stdtr(freedom, -ratio) if few else ndtr(-ratio))) if reason is None else None,
        drift=drift[0],
        p_drift=drift[1],
    )


def _ratio(
    design: Design, level: float, ratio: float | None, half: float | None, reason: str | None
) -> Estimate:
    few = design.used.count < FEW_UNITS
    return Estimate(
        estimate=ratio,
        low=None if ratio is None or half is None else ratio * exp(-half),
        high=None if ratio is None or half is None else ratio * exp(half),
        level=level,
        n_units=design.used.count,
        unit=design.used.unit,
        method=f"Cox, Efron, sandwich by {design.used.unit}" + ", t-expanded" * few,
        notes=design.notes,
        reason=reason,
    )


def _drifts(design: Design, fit: CoxFit) -> list[tuple[float | None, float | None]]:
    """Of each covariate: how its residuals go with the rank of time, and the p of no such thing."""
    residuals, times = schoenfeld_residuals(design.time, design.event, design.columns, fit.effects)
    rank = rankdata(times)
    if len(set(times.tolist())) < 3:
        return [(None, None)] * len(design.names)
    rank = rank - rank.mean()
    inverse = np.linalg.inv(fit.information)
    slopes = rank @ residuals @ inverse
    variance = np.diag(inverse) * (rank @ rank) / len(rank)
    if design.used.count < len(design.used.codes):
        parts = score_residuals(design.time, design.event, design.columns, fit.effects, rank)
        sums = unit_sums(parts, design.used)[0] @ inverse
        variance = (sums**2).sum(0)
    scaled = residuals @ inverse
    spread = np.sqrt((rank @ rank) * ((scaled - scaled.mean(0)) ** 2).sum(0))
    return [
        (float(np.clip(slope / one, -1, 1)), float(chdtrc(1, slope**2 / of_slope)))
        if one > 0 and of_slope > 0
        else (None, None)
        for slope, one, of_slope in zip(slopes, spread, variance, strict=True)
    ]


def _without_fit(design: Design, reason: str, level: float) -> Cox:
    return Cox(
        rows=tuple(
            HazardRatio(
                name=name,
                per=per,
                ratio=_ratio(design, level, None, None, reason),
                p=None,
                drift=None,
                p_drift=None,
            )
            for name, per in zip(design.names, design.per, strict=True)
        ),
        events=int(design.event.sum()),
        used=design.used,
        log_likelihood=None,
        likelihood_ratio=None,
        score=np.full(len(design.chosen), np.nan),
        effects=np.empty(0),
        covariance=np.empty((0, 0)),
        notes=design.notes,
        reason=reason,
    )
