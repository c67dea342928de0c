"""Do readers agree beyond chance? A row is one case, a column one reader, NaN a missing rating.

Grades of a map's plausibility, of a disease, or yes and no. The intervals draw patients with all
their cases and keep the readers: they speak of these readers, not of others.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

from foveal.analysis.estimate import Estimate
from foveal.analysis.krippendorff import KrippendorffAlpha, Scale
from foveal.analysis.performance import Grades
from foveal.analysis.ratings import Ratings, check_shape, check_word, counted
from foveal.analysis.resampling import Bootstrap, interval
from foveal.analysis.statistic import AbstractStatistic, Mean, Values, Weights, divided
from foveal.analysis.units import Units

Weighting = Literal["nominal", "linear", "quadratic"]


class FleissKappa(AbstractStatistic):
    """Agreement of several readers on names beyond chance; 0 is chance, 1 perfect.

    For yes and no. Grades that are next to each other count as wholly different: for those use
    `KrippendorffAlpha`. Only cases that every reader rated count. Missing where all ratings are
    the same.

    Reference:
        Fleiss 1971.
    """

    missing = "no case was rated by every reader, or all ratings are the same"

    def __init__(self, ratings: Ratings) -> None:
        _, self._counts = counted(ratings)
        self.valid = self._counts.sum(axis=1) == ratings.shape[1]
        self._alike = np.nan_to_num(_alike(self._counts))

    def __call__(self, weights: Weights) -> Values:
        weights = weights * self.valid
        named = weights @ self._counts
        chance = (divided(named, np.broadcast_to(named.sum(1)[:, None], named.shape)) ** 2).sum(1)
        seen = divided(weights @ self._alike, weights.sum(axis=1))
        return divided(seen - chance, np.where(chance > 1 - 1e-12, 0.0, 1 - chance))


class GwetAC(AbstractStatistic):
    """Agreement beyond chance that does not fall where nearly all cases are alike; at most 1.

    Chance is what readers do who guess on the cases that are hard, so 95 yes of 100 with 90 %
    agreement is much, where kappa says nothing; ratings that are all the same are 1. AC1 for names,
    AC2 for grades with linear or quadratic weights. Depends on how many labels there are: give the
    whole list.

    Reference:
        Gwet 2008 (AC1); Gwet 2014 (AC2 and missing ratings).
    """

    missing = "no case has two ratings"

    def __init__(
        self, ratings: Ratings, labels: Sequence[float], *, weighting: Weighting = "nominal"
    ) -> None:
        _, counts = counted(ratings, labels)
        near = 1 - _distances(len(labels), weighting)
        readers = counts.sum(axis=1)
        self.valid = readers >= 1
        self._paired = readers >= 2
        self._alike = np.nan_to_num(_alike(counts, near))
        self._shares = counts / np.maximum(readers, 1)[:, None]
        self._guess = float(near.sum()) / (len(labels) * (len(labels) - 1))

    def __call__(self, weights: Weights) -> Values:
        weights = weights * self.valid
        share = divided(
            weights @ self._shares,
            np.broadcast_to(weights.sum(axis=1)[:, None], (len(weights), self._shares.shape[1])),
        )
        chance = self._guess * (share * (1 - share)).sum(axis=1)
        seen = divided(weights @ self._alike, weights @ self._paired.astype(np.float64))
        return (seen - chance) / (1 - chance)


class WeightedKappa(AbstractStatistic):
    """Cohen's kappa of two readers, or of a reader and a model; 0 is chance, 1 perfect.

    `linear` weighs a disagreement by its distance in grades, `quadratic` by the square of it (as
    `QuadraticKappa`), `nominal` all alike. Missing where both give one and the same label only.

    Reference:
        Cohen 1968.
    """

    missing = "both give one and the same label throughout"

    def __init__(self, grades: Grades, *, weighting: Weighting = "linear") -> None:
        self.valid = grades.valid
        places = np.arange(len(grades.labels))
        self._first, self._second = (
            (column[:, None] == places).astype(np.float64)
            for column in (grades.truth, grades.predicted)
        )
        self._distances = _distances(len(places), weighting)
        self._apart = self._distances[grades.truth, grades.predicted]

    def __call__(self, weights: Weights) -> Values:
        weights = weights * self.valid
        margins = weights @ self._first, weights @ self._second
        expected = np.einsum("rc,rk,ck->r", *margins, self._distances)
        return 1 - divided(weights.sum(axis=1) * (weights @ self._apart), expected)


class Icc(AbstractStatistic):
    """Intraclass correlation for absolute agreement, cases and readers drawn at random; at most 1.

    ICC(A,1) of one reader's number, or with `mean` ICC(A,k) of the mean of all readers. For
    numbers, such as areas; a reader who is always higher lowers it. Only cases that every reader
    rated count. Missing of fewer than two cases, where all numbers are the same, and where the
    variance that it is a share of comes out at 0 or below, as that of the mean may where readers
    contradict each other: the ratio would pass 1.

    Reference:
        McGraw & Wong 1996, case 2A.
    """

    missing = (
        "fewer than two cases were rated by every reader, all numbers are the same, or cases "
        "differ less than the readers' errors alone would make them"
    )

    def __init__(self, ratings: Ratings, *, mean: bool = False) -> None:
        check_shape(ratings)
        self.valid = np.all(np.isfinite(ratings), axis=1)
        table = np.where(self.valid[:, None], ratings, 0.0)
        # The middle is taken off first: squares of large numbers leave no digits for differences.
        middle = float(table[self.valid].mean()) if self.valid.any() else 0.0
        self._table = (table - middle) * self.valid[:, None]
        self._mean = mean

    def __call__(self, weights: Weights) -> Values:
        weights = weights * self.valid
        readers = self._table.shape[1]
        cases = weights.sum(axis=1)
        of_case = self._table.mean(axis=1)
        of_reader = (weights @ self._table) / np.maximum(cases, 1)[:, None]
        middle = of_reader.mean(axis=1)
        total = weights @ (self._table**2).sum(axis=1) - cases * readers * middle**2
        between = readers * (weights @ of_case**2 - cases * middle**2)
        biased = cases * ((of_reader - middle[:, None]) ** 2).sum(axis=1)
        freedom = np.where(cases > 1, cases - 1, np.nan)
        case, reader = between / freedom, biased / (readers - 1)
        left = (total - between - biased) / (freedom * (readers - 1))
        shift = (reader - left) / np.maximum(cases, 1)
        spread = case + shift if self._mean else case + (readers - 1) * left + readers * shift
        some = (total > 1e-12 * np.abs(total).max()) & (spread > 1e-9 * total / freedom)
        return divided(case - left, np.where(some, spread, 0.0))


def krippendorff_alpha(
    ratings: Ratings, units: Units, *, scale: Scale = "ordinal", how: Bootstrap | None = None
) -> Estimate:
    """`KrippendorffAlpha` with its interval by patient; for grades, the first to look at.

    Raises:
        ValueError: Fewer than two readers, or an unknown scale.
    """
    return interval(KrippendorffAlpha(ratings, scale=scale), units, how)


def fleiss_kappa(ratings: Ratings, units: Units, *, how: Bootstrap | None = None) -> Estimate:
    """`FleissKappa` with its interval by patient.

    Raises:
        ValueError: Fewer than two readers.
    """
    return interval(FleissKappa(ratings), units, how)


def gwet_ac(
    ratings: Ratings,
    units: Units,
    labels: Sequence[float],
    *,
    weighting: Weighting = "nominal",
    how: Bootstrap | None = None,
) -> Estimate:
    """`GwetAC` with its interval by patient.

    Raises:
        ValueError: Fewer than two readers or labels, a label named twice, a rating that is no
            label, or an unknown weighting.
    """
    return interval(GwetAC(ratings, labels, weighting=weighting), units, how)


def weighted_kappa(
    grades: Grades,
    units: Units,
    *,
    weighting: Weighting = "linear",
    how: Bootstrap | None = None,
) -> Estimate:
    """`WeightedKappa` of the two columns of `grades` with its interval by patient.

    Raises:
        ValueError: An unknown weighting.
    """
    return interval(WeightedKappa(grades, weighting=weighting), units, how)


def icc(
    ratings: Ratings, units: Units, *, mean: bool = False, how: Bootstrap | None = None
) -> Estimate:
    """`Icc` with its interval by patient.

    Raises:
        ValueError: Fewer than two readers.
    """
    return interval(Icc(ratings, mean=mean), units, how)


def raw_agreement(ratings: Ratings, units: Units, *, how: Bootstrap | None = None) -> Estimate:
    """Share of the pairs of readers of a case that agree, as a mean over the cases, in [0, 1].

    High where nearly all cases are alike, whatever the readers do: it stands beside kappa or
    alpha, never alone. Cases of one rating do not count.

    Raises:
        ValueError: Fewer than two readers.
    """
    return interval(Mean(_alike(counted(ratings)[1])), units, how)


def _alike(
    counts: Float[np.ndarray, "row label"], near: Float[np.ndarray, "label label"] | None = None
) -> Float[np.ndarray, " row"]:
    """How near the pairs of readers of a case are on average; NaN of cases of one rating."""
    readers = counts.sum(axis=1)
    agreeing = (counts * ((counts if near is None else counts @ near) - 1)).sum(axis=1)
    return divided(agreeing, readers * (readers - 1))


def _distances(labels: int, weighting: Weighting) -> Float[np.ndarray, "label label"]:
    """From 0 for the same label to 1 for the ends of the list."""
    check_word("weighting", weighting, ("nominal", "linear", "quadratic"))
    if labels < 2:
        raise ValueError(f"agreement needs two labels or more, but got {labels}")
    places = np.arange(labels)
    apart = np.abs(places[:, None] - places) / (labels - 1)
    return {"nominal": np.ceil(apart), "linear": apart, "quadratic": apart**2}[weighting]
