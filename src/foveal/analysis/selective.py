"""What is gained when the least sure answers go to a person: risk against coverage."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from scipy.special import digamma

from foveal.analysis.estimate import Estimate
from foveal.analysis.resampling import Bootstrap, interval
from foveal.analysis.statistic import AbstractStatistic, Values, Weights, divided
from foveal.analysis.units import Units

COVERAGES = (0.8, 0.9, 0.95, 1.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class RiskCoverage:
    """Share of rows kept and mean loss of those kept, from the surest row to all."""

    coverage: Float[np.ndarray, " row"]
    risk: Float[np.ndarray, " row"]
    """Within rows of one confidence: the mean over all their orders."""
    threshold: Float[np.ndarray, " row"]
    """The confidence of the last row kept."""


@dataclass(frozen=True, kw_only=True)
class AtCoverage:
    """How the answers that are kept do."""

    coverage: float
    threshold: float
    """Confidence of the least sure row that is kept; of rows that tie there, a share is kept."""
    sensitivity: Estimate
    specificity: Estimate
    kept_positives: float
    """Share of the positive rows that are kept: what is deferred may be the sick ones."""


class SelectiveRisk(AbstractStatistic):
    """One number for a risk-coverage curve; lower is better. Ties count as all their orders.

    `aurc` is the mean risk over the coverages 1/n, 2/n, ... 1 (Geifman & El-Yaniv 2017), `eaurc`
    that less the best possible for these losses (Geifman et al. 2019), `augrc` the mean over all
    coverages of the chance that a row is kept and wrong (Traub et al. 2024), which does not let
    the few surest rows weigh most: in [0, 0.5] for losses of 0 and 1.
    """

    missing = "no row has a confidence and a loss"

    def __init__(
        self,
        confidence: Num[np.ndarray, " row"],
        loss: Num[np.ndarray, " row"],
        *,
        kind: Literal["aurc", "eaurc", "augrc"] = "aurc",
    ) -> None:
        _check(confidence, loss)
        self.valid = np.isfinite(confidence) & np.isfinite(loss)
        self._loss = np.where(self.valid, loss, 0.0)
        self._order = _Falling(np.where(self.valid, confidence, 0.0))
        self._best = _Falling(-self._loss)
        self._kind = kind

    def __call__(self, weights: Weights) -> Values:
        weights = weights * self.valid
        if self._kind == "augrc":
            return self._kept_and_wrong(weights)
        found = self._area(self._order, weights)
        return found - self._area(self._best, weights) if self._kind == "eaurc" else found

    def _area(self, order: "_Falling", weights: Weights) -> Values:
        """Mean over n of (losses before + j mean loss) / (n before + j), summed by groups."""
        size, loss = order.summed(weights), order.summed(weights * self._loss)
        before, lost = np.cumsum(size, axis=1) - size, np.cumsum(loss, axis=1) - loss
        mean = np.nan_to_num(divided(loss, size))
        # The sum of 1 / (before + j) for j = 1 ... size is a difference of harmonic numbers.
        harmonic = digamma(before + size + 1) - digamma(before + 1)
        return divided((loss + (lost - before * mean) * harmonic).sum(1), weights.sum(1))

    def _kept_and_wrong(self, weights: Weights) -> Values:
        """The area by trapezoids: each loss counts for the rows after it and half of its own."""
        size = self._order.summed(weights)
        loss = self._order.summed(weights * self._loss)
        total = weights.sum(1)
        after = total[:, None] - np.cumsum(size, axis=1) + size / 2
        return divided((loss * after).sum(1), total**2)


class SelectiveRate(AbstractStatistic):
    """Share of the marked rows that are right among those kept at a coverage.

    Sensitivity where the marked are the positives, specificity where they are the negatives,
    accuracy where they are all. The coverage is of all rows, marked or not.
    """

    missing = "no marked row is kept"

    def __init__(
        self,
        confidence: Num[np.ndarray, " row"],
        right: Bool[np.ndarray, " row"],
        marked: Bool[np.ndarray, " row"],
        coverage: float,
    ) -> None:
        if not 0 < coverage <= 1:
            raise ValueError(f"coverage must lie in (0, 1], but is {coverage}")
        _check(confidence, right)
        self.valid = np.isfinite(confidence)
        self._order = _Falling(np.where(self.valid, confidence, -np.inf))
        self._right, self._marked, self._coverage = right & marked, marked, coverage

    def __call__(self, weights: Weights) -> Values:
        weights = weights * self.valid
        kept = weights * self.kept(weights)
        return divided((kept * self._right).sum(1), (kept * self._marked).sum(1))

    def kept(self, weights: Weights) -> Weights:
        """The share of each row that is kept: all, none, or some where it ties at the threshold."""
        size = self._order.summed(weights)
        before = np.cumsum(size, axis=1) - size
        room = self._coverage * weights.sum(1, keepdims=True) - before
        # Of a group without weight nothing can be kept, so that its share does not matter.
        return np.clip(np.nan_to_num(divided(room, size)), 0, 1)[:, self._order.group]


def risk_coverage(
    confidence: Num[np.ndarray, " row"], loss: Num[np.ndarray, " row"]
) -> RiskCoverage:
    """The curve of a plot; rows without a number are left out.

    Args:
        confidence: More is surer: highest probability, margin, 1 - entropy, - mutual information.
        loss: 0 for right and 1 for wrong, or any other.

    Raises:
        ValueError: Columns of different lengths.
    """
    _check(confidence, loss)
    valid = np.isfinite(confidence) & np.isfinite(loss)
    order = np.argsort(-confidence[valid], kind="stable")
    sure, lost = confidence[valid][order].astype(np.float64), loss[valid][order].astype(np.float64)
    group = np.unique(-sure, return_inverse=True)[1]
    mean = (np.bincount(group, lost) / np.maximum(np.bincount(group), 1))[group]
    count = np.arange(1, len(sure) + 1)
    return RiskCoverage(
        coverage=count / max(1, len(sure)), risk=np.cumsum(mean) / count, threshold=sure
    )


def aurc(
    confidence: Num[np.ndarray, " row"],
    loss: Num[np.ndarray, " row"],
    units: Units,
    *,
    kind: Literal["aurc", "eaurc", "augrc"] = "aurc",
    how: Bootstrap | None = None,
) -> Estimate:
    """`SelectiveRisk` with its interval by patient.

    Raises:
        ValueError: Columns of different lengths.
    """
    return interval(SelectiveRisk(confidence, loss, kind=kind), units, how)


def at_coverage(
    confidence: Num[np.ndarray, " row"],
    truth: Bool[np.ndarray, " row"],
    predicted: Bool[np.ndarray, " row"],
    units: Units,
    *,
    coverages: tuple[float, ...] = COVERAGES,
    how: Bootstrap | None = None,
) -> tuple[AtCoverage, ...]:
    """Sensitivity and specificity of what is kept, when the least sure go to a person.

    Args:
        confidence: More is surer.
        truth: Whether the disease is there.
        predicted: Whether the model says so.
        units: Whose rows they are.
        coverages: Shares of all rows that are kept.
        how: Resamples; in each the threshold is found anew.

    Raises:
        ValueError: Columns of different lengths, or a coverage outside (0, 1].
    """
    _check(confidence, truth)
    rows = []
    valid = np.isfinite(confidence)
    once = valid[None].astype(np.float64)
    for coverage in coverages:
        rates = [
            SelectiveRate(confidence, predicted == truth, marked, coverage)
            for marked in (truth, ~truth)
        ]
        kept = rates[0].kept(once)[0] * valid
        found = confidence[kept > 0]
        positives = float((valid & truth).sum())
        rows.append(
            AtCoverage(
                coverage=coverage,
                threshold=float(found.min()) if found.size else float("nan"),
                sensitivity=interval(rates[0], units, how),
                specificity=interval(rates[1], units, how),
                kept_positives=kept @ truth / positives if positives else float("nan"),
            )
        )
    return tuple(rows)


class _Falling:
    """Groups of rows of one value, from the highest value down."""

    def __init__(self, values: Num[np.ndarray, " row"]) -> None:
        values, group = np.unique(-values.astype(np.float64), return_inverse=True)
        self.group: Int[np.ndarray, " row"] = group
        self._order = np.argsort(group, kind="stable")
        self._starts = np.searchsorted(group[self._order], np.arange(len(values)))

    def summed(self, weights: Weights) -> Float[np.ndarray, "replicate group"]:
        return np.add.reduceat(weights[:, self._order], self._starts, axis=1)


def _check(confidence: Num[np.ndarray, " row"], other: np.ndarray) -> None:
    if len(confidence) != len(other):
        raise ValueError(f"{len(confidence)} rows have a confidence, but {len(other)} an outcome")
