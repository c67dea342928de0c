"""Fits of a score by who is present: what LIME and KernelSHAP make of their samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import rankdata
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Fit:
    """score = intercept + the sum of the coefficients of those who are present."""

    coefficients: Float[Tensor, " player"]
    intercept: float
    r2: float
    """Share of the weighted variance of the scores that the fit explains, at most 1. NaN where the
    scores do not vary."""


def ridge_fit(
    present: Float[Tensor, "sample player"],
    scores: Float[Tensor, " sample"],
    weights: Float[Tensor, " sample"],
    penalty: float,
) -> Fit:
    """Weighted least squares with a penalty on the coefficients, none on the intercept."""
    share = weights / weights.sum()
    start = scores[0]  # what does not vary stays exactly zero
    centre, level = share @ present, share @ (scores - start)
    root = weights.sqrt()
    coefficients = _least_squares(
        torch.cat(
            [
                root[:, None] * (present - centre),
                penalty**0.5 * torch.eye(len(centre), dtype=centre.dtype),
            ]
        ),
        torch.cat([root * (scores - start - level), torch.zeros_like(centre)]),
    )
    intercept = float(start + level - centre @ coefficients)
    return _judged(coefficients, intercept, present, scores, weights)


def shapley_fit(
    present: Float[Tensor, "sample player"],
    scores: Float[Tensor, " sample"],
    weights: Float[Tensor, " sample"],
    *,
    nobody: float,
    everybody: float,
) -> Fit:
    """Weighted least squares through the scores of nobody and everybody, exactly.

    The coefficients are an equal share of the whole change each, plus what sums to zero: the least
    squares of smallest norm in the presences without their mean over the players is of that kind.
    """
    count = present.shape[1]
    change = everybody - nobody
    root = weights.sqrt()
    beyond = scores - nobody - present.mean(dim=1) * change
    apart = _least_squares(
        root[:, None] * (present - present.mean(dim=1, keepdim=True)), root * beyond
    )
    return _judged(apart + change / count, nobody, present, scores, weights)


def rank_agreement(fits: Sequence[Fit]) -> float:
    """Mean Spearman correlation of the coefficients over all pairs of fits.

    In [-1, 1], 0 by chance; NaN with fewer than two fits or players, or where one fit's
    coefficients are all the same.
    """
    ranks = [rankdata(fit.coefficients.numpy()) for fit in fits]
    if len(ranks) < 2 or any(np.ptp(own) == 0 for own in ranks):
        return float("nan")
    return float(np.mean([np.corrcoef(one, other)[0, 1] for one, other in combinations(ranks, 2)]))


def _least_squares(design: Tensor, goal: Tensor) -> Tensor:
    """The solution of smallest norm; NaN where a number is not finite."""
    if not bool(goal.isfinite().all()):
        return goal.new_full((design.shape[1],), torch.nan)
    if design.numel() == 0:
        return goal.new_zeros(design.shape[1])
    return torch.linalg.lstsq(design, goal, driver="gelsd").solution


def _judged(
    coefficients: Tensor, intercept: float, present: Tensor, scores: Tensor, weights: Tensor
) -> Fit:
    left = scores - intercept - present @ coefficients
    spread = scores - (weights @ scores) / weights.sum()
    varies = len(scores) > 0 and bool((scores != scores[0]).any())
    r2 = 1 - float(weights @ left**2) / float(weights @ spread**2) if varies else float("nan")
    return Fit(coefficients=coefficients, intercept=intercept, r2=r2)
