from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int, Num

Weights = Float[np.ndarray, "replicate row"]
"""How often each row counts, one set a resample."""
Values = Float[np.ndarray, " replicate"]


class AbstractStatistic(ABC):
    """A number of a table's rows, as a function of how often each row counts.

    Whole weights must give the number of the table with its rows repeated so often. That is all
    that intervals, subgroups and their gaps need to know.
    """

    valid: Bool[np.ndarray, " row"]
    """Rows that have what the number needs; the others have no weight."""
    missing: str
    """Why there is no number, when there is none."""

    @abstractmethod
    def __call__(self, weights: Weights) -> Values:
        """The number under each set of weights; NaN where it is not defined."""

    def by_unit(
        self, codes: Int[np.ndarray, " row"], counted: Bool[np.ndarray, " row"]
    ) -> Callable[[Float[np.ndarray, "replicate unit"]], Values]:
        """The same number as a function of how often each unit counts, with all its rows.

        Sums over units are faster than sums over rows, where a number is made of sums alone.

        Args:
            codes: The unit of each row, from 0.
            counted: The rows that count; the others have no weight.
        """
        return lambda weights: self(weights[:, codes] * counted)


class Mean(AbstractStatistic):
    """Mean of the rows that have a number: of a measure, or of 0 and 1, a rate."""

    missing = "no row has a number"

    def __init__(self, values: Num[np.ndarray, " row"]) -> None:
        self.valid = np.isfinite(values)
        self._values = np.where(self.valid, values, 0.0)

    def __call__(self, weights: Weights) -> Values:
        return divided(weights @ self._values, weights @ self.valid.astype(np.float64))

    def by_unit(
        self, codes: Int[np.ndarray, " row"], counted: Bool[np.ndarray, " row"]
    ) -> Callable[[Float[np.ndarray, "replicate unit"]], Values]:
        """A ratio of sums over units."""
        rows = self.valid & counted
        units = int(codes.max()) + 1 if codes.size else 0
        sums = np.bincount(codes[rows], self._values[rows], minlength=units)
        counts = np.bincount(codes[rows], minlength=units).astype(np.float64)
        return lambda weights: divided(weights @ sums, weights @ counts)


class Spearman(AbstractStatistic):
    """Rank correlation of two columns, in [-1, 1]; ties share their mean rank.

    Missing when one of the columns is constant, and of fewer than three rows: two are always in
    perfect order.
    """

    missing = "fewer than three rows, or one of the columns is constant"

    def __init__(self, first: Num[np.ndarray, " row"], second: Num[np.ndarray, " row"]) -> None:
        self.valid = np.isfinite(first) & np.isfinite(second)
        self._columns = tuple(Ties(np.where(self.valid, c, 0.0)) for c in (first, second))

    def __call__(self, weights: Weights) -> Values:
        weights = weights * self.valid
        total = weights.sum(1, keepdims=True)
        # A row that counts w times holds the ranks "those below" + 1 ... + w, and so their mean.
        ranks = [column.below(weights) - total / 2 for column in self._columns]
        first, second = (
            rank - divided((weights * rank).sum(1), total[:, 0])[:, None] for rank in ranks
        )
        spread = np.sqrt((weights * first**2).sum(1) * (weights * second**2).sum(1))
        # Constant ranks leave a spread of rounding errors only.
        spread[(spread <= 1e-9 * total[:, 0] ** 3) | (total[:, 0] < 3)] = 0
        return np.clip(divided((weights * first * second).sum(1), spread), -1, 1)


class Ties:
    """The order of a column's rows, found once and used for every set of weights."""

    def __init__(self, values: Num[np.ndarray, " row"]) -> None:
        self._order = np.argsort(values, kind="stable")
        ordered = values[self._order]
        self._starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]][: len(ordered)])
        self._group = np.empty(len(values), np.int64)
        self._group[self._order] = (
            np.searchsorted(self._starts, np.arange(len(values)), "right") - 1
        )

    def below(self, weights: Weights) -> Weights:
        """For each row the weight of the rows with a smaller value, and half of those that tie."""
        groups = np.add.reduceat(weights[:, self._order], self._starts, axis=1)
        return (np.cumsum(groups, axis=1) - groups / 2)[:, self._group]


def divided(
    above: Float[np.ndarray, "*shape"], below: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    """A ratio; NaN where the divisor is 0."""
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below != 0)
