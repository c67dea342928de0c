from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

_STEPS = 50
_FAR = 15.0
"""No covariate in standard deviations has so large an effect unless the likelihood has no top."""
_COLLINEAR = 1e-10
"""Smallest share of the information's largest eigenvalue, or of 1, that is not rounding."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CoxFit:
    """A maximum of Cox's partial likelihood, Efron's for ties, or the reason why there is none."""

    effects: Float[np.ndarray, " covariate"]
    information: Float[np.ndarray, "covariate covariate"]
    log_likelihood: float
    null: float
    """Log-likelihood without any covariate."""
    reason: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Deaths:
    """The rows sorted by time, and what of them is at risk at each event."""

    order: Int[np.ndarray, " row"]
    rows: Int[np.ndarray, " event"]
    """Places of the events in that order."""
    first: Int[np.ndarray, " event"]
    """Place of the first row that is still at risk."""
    tie: Int[np.ndarray, " event"]
    """Number of the distinct event time, from 0."""
    share: Float[np.ndarray, " event"]
    """Efron's share of the tied events that have left the risk set: 0, 1/d, ... (d - 1)/d."""


def fit_cox(
    time: Float[np.ndarray, " row"],
    event: Bool[np.ndarray, " row"],
    columns: Float[np.ndarray, "row covariate"],
) -> CoxFit:
    """Newton's method with halved steps; columns should have about unit spread.

    Reference:
        Cox 1972; Efron 1977.
    """
    deaths, effects = _deaths_of(time, event), np.zeros(columns.shape[1])
    value, score, information = _likelihood(deaths, columns, effects)
    null = value
    reason = None
    if _singular(information):
        reason = "the covariates are collinear, or one does not vary among those at risk"
    for _ in range(0 if reason else _STEPS):
        step = np.linalg.solve(information, score)
        tried = _likelihood(deaths, columns, effects + step)
        while tried[0] < value - 1e-9 * abs(value) and np.abs(step).max() > 1e-9:
            step = step / 2
            tried = _likelihood(deaths, columns, effects + step)
        effects, (value, score, information) = effects + step, tried
        if np.abs(effects).max() > _FAR or _singular(information):
            reason = "no finite hazard ratio: a covariate tells apart who has the events"
            break
        if np.abs(step).max() < 1e-9:
            break
    return CoxFit(
        effects=effects, information=information, log_likelihood=value, null=null, reason=reason
    )


def score_residuals(
    time: Float[np.ndarray, " row"],
    event: Bool[np.ndarray, " row"],
    columns: Float[np.ndarray, "row covariate"],
    effects: Float[np.ndarray, " covariate"],
    weights: Float[np.ndarray, " event"] | None = None,
) -> Float[np.ndarray, "row covariate"]:
    """What each row adds to the score, Efron's shares kept; the sum over rows is the score.

    Args:
        time: Of each row.
        event: Whether it is an event.
        columns: The covariates.
        effects: Their log hazard ratios.
        weights: Of each event, in order of time; a function of time gives the score of an effect
            that changes as that function does.

    Reference:
        Therneau & Grambsch 2000, section 4.2 and 3.3.
    """
    deaths = _deaths_of(time, event)
    factor = np.ones(len(deaths.rows)) if weights is None else weights
    ordered, risk = columns[deaths.order], _risk(columns[deaths.order], effects)
    total, mean, _ = _moments(deaths, ordered, risk)
    rate = factor / total
    # Each event time as a whole: rows at risk up to their own time take part in all before it.
    ties = int(deaths.tie[-1]) + 1
    hazard = np.cumsum(np.bincount(deaths.tie, rate, ties))
    drawn = np.cumsum(_by_tie(deaths.tie, rate[:, None] * mean, ties), axis=0)
    last = np.searchsorted(time[deaths.order][_tie_starts(deaths)], time[deaths.order], "right")
    hazard, drawn = np.r_[0, hazard][last], np.r_[np.zeros((1, mean.shape[1])), drawn][last]
    gone = np.bincount(deaths.tie, rate * deaths.share, ties)[deaths.tie]
    hazard[deaths.rows] -= gone
    drawn[deaths.rows] -= _by_tie(deaths.tie, (rate * deaths.share)[:, None] * mean, ties)[
        deaths.tie
    ]
    parts = -risk[:, None] * (ordered * hazard[:, None] - drawn)
    number = np.bincount(deaths.tie)[:, None]
    mid = (_by_tie(deaths.tie, factor[:, None] * mean, ties) / number)[deaths.tie]
    weight = (np.bincount(deaths.tie, factor) / number[:, 0])[deaths.tie]
    parts[deaths.rows] += weight[:, None] * ordered[deaths.rows] - mid
    residuals = np.empty_like(parts)
    residuals[deaths.order] = parts
    return residuals


def schoenfeld_residuals(
    time: Float[np.ndarray, " row"],
    event: Bool[np.ndarray, " row"],
    columns: Float[np.ndarray, "row covariate"],
    effects: Float[np.ndarray, " covariate"],
) -> tuple[Float[np.ndarray, "event covariate"], Float[np.ndarray, " event"]]:
    """The covariates of each event less their mean among those at risk, and the events' times."""
    deaths = _deaths_of(time, event)
    ordered = columns[deaths.order]
    _, mean, _ = _moments(deaths, ordered, _risk(ordered, effects))
    ties = int(deaths.tie[-1]) + 1
    shared = _by_tie(deaths.tie, mean, ties) / np.bincount(deaths.tie)[:, None]
    return ordered[deaths.rows] - shared[deaths.tie], time[deaths.order][deaths.rows]


def _deaths_of(time: Float[np.ndarray, " row"], event: Bool[np.ndarray, " row"]) -> _Deaths:
    order = np.argsort(time, kind="stable")
    ordered = time[order]
    rows = np.flatnonzero(event[order])
    times, tie, number = np.unique(ordered[rows], return_inverse=True, return_counts=True)
    place = np.arange(len(rows)) - np.searchsorted(tie, np.arange(len(times)))[tie]
    return _Deaths(
        order=order,
        rows=rows,
        first=np.searchsorted(ordered, ordered[rows]),
        tie=tie,
        share=place / number[tie],
    )


def _singular(information: Float[np.ndarray, "covariate covariate"]) -> bool:
    roots = np.linalg.eigvalsh(information)
    return bool(roots[0] <= _COLLINEAR * max(roots[-1], 1.0))


def _tie_starts(deaths: _Deaths) -> Int[np.ndarray, " tie"]:
    return deaths.rows[np.searchsorted(deaths.tie, np.arange(int(deaths.tie[-1]) + 1))]


def _likelihood(
    deaths: _Deaths,
    columns: Float[np.ndarray, "row covariate"],
    effects: Float[np.ndarray, " covariate"],
) -> tuple[float, Float[np.ndarray, " covariate"], Float[np.ndarray, "covariate covariate"]]:
    ordered = columns[deaths.order]
    linear = ordered @ effects
    total, mean, second = _moments(deaths, ordered, _risk(ordered, effects))
    value = np.sum((linear - linear.max())[deaths.rows] - np.log(total))
    score = (ordered[deaths.rows] - mean).sum(0)
    return float(value), score, second.sum(0) - mean.T @ mean


def _risk(
    ordered: Float[np.ndarray, "row covariate"], effects: Float[np.ndarray, " covariate"]
) -> Float[np.ndarray, " row"]:
    linear = ordered @ effects
    return np.exp(linear - linear.max())  # a common factor cancels everywhere


def _moments(
    deaths: _Deaths, ordered: Float[np.ndarray, "row covariate"], risk: Float[np.ndarray, " row"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Total risk at each event, and the first two moments of the covariates under it."""
    first = ordered * risk[:, None]
    second = first[:, :, None] * ordered[:, None, :]
    total = _at_events(deaths, risk)
    return (
        total,
        _at_events(deaths, first) / total[:, None],
        _at_events(deaths, second) / total[:, None, None],
    )


def _at_events(deaths: _Deaths, rows: np.ndarray) -> np.ndarray:
    """Sums over those at risk, less Efron's share of those who have the event then."""
    at_risk = np.cumsum(rows[::-1], axis=0)[::-1][deaths.first]
    tied = _by_tie(deaths.tie, rows[deaths.rows], int(deaths.tie[-1]) + 1)[deaths.tie]
    return at_risk - deaths.share.reshape(-1, *[1] * (rows.ndim - 1)) * tied


def _by_tie(tie: Int[np.ndarray, " event"], events: np.ndarray, ties: int) -> np.ndarray:
    sums = np.zeros((ties, *events.shape[1:]))
    np.add.at(sums, tie, events)
    return sums
