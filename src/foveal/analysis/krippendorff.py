from collections.abc import Callable
from typing import Literal

import numpy as np
from jaxtyping import Float

from foveal.analysis.ratings import Ratings, check_shape, check_word, counted
from foveal.analysis.statistic import AbstractStatistic, Values, Weights, divided

Scale = Literal["nominal", "ordinal", "interval"]
Distances = Callable[[Weights], tuple[Values, Values]]
"""Half the squared distances of all pairs of ratings, within the cases and among all.

Of n numbers they sum to n sum(v^2) - sum(v)^2, so that no table of pairs of labels is needed, which
many different numbers would make large. Those within a case are by its other ratings.
"""


class KrippendorffAlpha(AbstractStatistic):
    """1 - observed / expected disagreement over all pairs of ratings of one case, at most 1.

    0 is chance, 1 perfect, below 0 worse than chance. Cases of one rating do not count; missing
    ratings need no filling. On the ordinal scale two grades are as far apart as there are ratings
    between them. Missing where no rating differs from another: nothing says that readers would see
    a difference.

    Reference:
        Krippendorff 2011, with the marginals of the coincidence matrix.
    """

    missing = "no case has two ratings, or all ratings are the same"

    def __init__(self, ratings: Ratings, *, scale: Scale = "ordinal") -> None:
        check_word("scale", scale, ("nominal", "ordinal", "interval"))
        check_shape(ratings)
        self._readers = np.isfinite(ratings).sum(axis=1).astype(np.float64)
        self.valid = self._readers >= 2
        of = {"nominal": _of_names, "ordinal": _of_ranks, "interval": _of_numbers}[scale]
        self._distances = of(ratings, self._readers)

    def __call__(self, weights: Weights) -> Values:
        weights = weights * self.valid
        within, among = self._distances(weights)
        return 1 - divided((weights @ self._readers - 1) * within, among)


def _of_names(ratings: Ratings, readers: Float[np.ndarray, " row"]) -> Distances:
    counts = counted(ratings)[1]
    apart = (readers**2 - (counts**2).sum(axis=1)) / np.maximum(readers - 1, 1)

    def distances(weights: Weights) -> tuple[Values, Values]:
        margin = weights @ counts
        return weights @ apart, margin.sum(axis=1) ** 2 - (margin**2).sum(axis=1)

    return distances


def _of_ranks(ratings: Ratings, readers: Float[np.ndarray, " row"]) -> Distances:
    counts, others = counted(ratings)[1], np.maximum(readers - 1, 1)
    shared = counts * (readers / others)[:, None]

    def distances(weights: Weights) -> tuple[Values, Values]:
        margin = weights @ counts
        total = margin.sum(axis=1)
        # Mean ranks of the labels; those of all ratings sum to 0.
        place = np.cumsum(margin, axis=1) - margin / 2 - total[:, None] / 2
        own = place @ counts.T
        within = ((weights @ shared) * place**2).sum(1) - (weights / others * own**2).sum(1)
        return np.maximum(within, 0.0), total * (margin * place**2).sum(axis=1)

    return distances


def _of_numbers(ratings: Ratings, readers: Float[np.ndarray, " row"]) -> Distances:
    told = np.isfinite(ratings)
    # The middle is taken off first: squares of large numbers leave no digits for differences.
    middle = float(ratings[told].mean()) if told.any() else 0.0
    numbers = np.where(told, ratings - middle, 0.0)
    sums, squares = numbers.sum(axis=1), (numbers**2).sum(axis=1)
    apart = np.maximum(readers * squares - sums**2, 0.0) / np.maximum(readers - 1, 1)

    def distances(weights: Weights) -> tuple[Values, Values]:
        most = (weights @ readers) * (weights @ squares)
        among = most - (weights @ sums) ** 2
        # What is left of numbers that are all the same is rounding.
        return weights @ apart, np.where(among > 1e-12 * most, among, 0.0)

    return distances
