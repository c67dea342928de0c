from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num, Shaped
from scipy.special import chdtrc

from foveal.analysis.cox_design import design_of
from foveal.analysis.cox_fit import fit_cox
from foveal.analysis.discrimination import UnoC, noted
from foveal.analysis.estimate import Estimate
from foveal.analysis.follow_up import follow_up_of
from foveal.analysis.resampling import Bootstrap, interval
from foveal.analysis.statistic import AbstractStatistic, Values, Weights
from foveal.analysis.survival import Cox, cox
from foveal.analysis.units import Units

_FOLDS = 10


@dataclass(frozen=True, kw_only=True)
class AddedValue:
    """What some covariates tell beyond others, on the same rows."""

    base: Cox
    full: Cox
    likelihood_ratio: float | None
    """Twice the gain of the partial log-likelihood; `freedom` degrees of freedom under no gain."""
    freedom: int
    p: float | None
    """Of the likelihood ratio; it takes rows for independent."""
    p_wald: float | None
    """Of Wald's test with errors by patient: read this one where patients have several rows."""
    c_change: Estimate
    """Uno's C of the full model less that of the base, each row scored by models that were fitted
    on other patients."""
    reason: str | None = None


class _Change(AbstractStatistic):
    def __init__(self, base: UnoC, full: UnoC) -> None:
        self.valid = base.valid & full.valid
        self.missing = full.missing
        self._base, self._full = base, full

    def __call__(self, weights: Weights) -> Values:
        weights = weights * self.valid
        return self._full(weights) - self._base(weights)


def added_value(
    time: Num[np.ndarray, " row"],
    cause: Shaped[np.ndarray, " row"],
    base: Mapping[str, Num[np.ndarray, " row"]],
    added: Mapping[str, Num[np.ndarray, " row"]],
    units: Units,
    *,
    horizon: float | None = None,
    how: Bootstrap | None = None,
) -> AddedValue:
    """Do map features tell more than what is known anyway, such as age, grade or the model's score?

    Nested Cox models on the rows that have all covariates: likelihood-ratio test, Wald's test with
    errors by patient, and the change of Uno's C, cross-fitted over ten folds of patients so that a
    feature of noise does not seem to help. Two univariable hazard ratios side by side do not
    answer this. The interval of the change takes the fitted models as they are.

    Raises:
        ValueError: A covariate on both sides, none added, or as `cox`.

    Reference:
        Harrell 2015, section 9.3; Uno et al. 2011.
    """
    if not added or set(base) & set(added):
        raise ValueError(
            f"added covariates must be new ones, but {sorted(added)} join {sorted(base)}"
        )
    how = how or Bootstrap()
    both = {**base, **added}
    known = np.all(np.isfinite(np.column_stack(list(both.values()))), axis=1)
    told = np.where(known, time.astype(np.float64), np.nan)
    first = cox(told, cause, base, units, level=how.level)
    second = cox(told, cause, both, units, level=how.level)
    ratio, p, p_wald = _tests(first, second, len(base), len(added))
    scores = [_elsewhere(told, cause, part, units, how.seed) for part in (base, both)]
    sides = [UnoC(told, cause, score, units, horizon=horizon) for score in scores]
    change = _Change(*sides)
    if not change.valid.any():
        change.missing = first.reason or second.reason or "the models of a fold cannot be fitted"
    return AddedValue(
        base=first,
        full=second,
        likelihood_ratio=ratio,
        freedom=len(added),
        p=p,
        p_wald=p_wald,
        c_change=noted(interval(change, units, how), sides[0].notes),
        reason=first.reason or second.reason,
    )


def _tests(
    base: Cox, full: Cox, before: int, added: int
) -> tuple[float | None, float | None, float | None]:
    if base.log_likelihood is None or full.log_likelihood is None:
        return None, None, None
    ratio = max(0.0, 2 * (full.log_likelihood - base.log_likelihood))
    effects, errors = full.effects[before:], full.covariance[before:, before:]
    p_wald = None
    if np.linalg.matrix_rank(errors) == added:
        p_wald = float(chdtrc(added, effects @ np.linalg.solve(errors, effects)))
    return ratio, float(chdtrc(added, ratio)), p_wald


def _elsewhere(
    time: Num[np.ndarray, " row"],
    cause: Shaped[np.ndarray, " row"],
    covariates: Mapping[str, Num[np.ndarray, " row"]],
    units: Units,
    seed: int,
) -> Float[np.ndarray, " row"]:
    """Each row's log hazard by a model of the other folds' patients; NaN where one has no fit."""
    design = design_of(follow_up_of(time, cause, units), covariates, {}, units)
    scores = np.full(len(time), np.nan)
    if design.reason is not None:
        return scores
    folds = min(_FOLDS, design.used.count)
    fold = np.random.default_rng(seed).permutation(design.used.count) % folds
    found = np.full(len(design.time), np.nan)
    for one in range(folds):
        inside = fold[design.used.codes] == one
        if not design.event[~inside].any():
            return scores
        fit = fit_cox(design.time[~inside], design.event[~inside], design.columns[~inside])
        if fit.reason is not None:
            return scores
        found[inside] = design.columns[inside] @ fit.effects
    scores[design.chosen] = found
    return scores
