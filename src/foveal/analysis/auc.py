from collections.abc import Sequence
from math import sqrt

import numpy as np
from jaxtyping import Bool, Num, Shaped
from scipy.special import expit, logit, ndtr, ndtri

from foveal.analysis.delong import NOTHING, ONE_CLASS, contest_of, newcombe
from foveal.analysis.estimate import Comparison, Estimate
from foveal.analysis.statistic import AbstractStatistic, Ties, Values, Weights, divided
from foveal.analysis.units import Units

_NO_SPREAD = "no spread between units, as with perfectly separated classes: Newcombe's interval"


class Auc(AbstractStatistic):
    """Area under the ROC curve: chance that a positive scores above a negative, ties counting half.

    0.5 is chance, 1 is perfect. Missing when all rows are of one class. As a statistic it can be
    bootstrapped and looked at in subgroups; `auc` has the interval in closed form.

    Reference:
        Mann & Whitney 1947; Bamber 1975.
    """

    missing = ONE_CLASS

    def __init__(
        self,
        truth: Bool[np.ndarray, " row"],
        score: Num[np.ndarray, " row"],
        *,
        counted: Bool[np.ndarray, " row"] | None = None,
    ) -> None:
        self.valid = np.isfinite(score) & (True if counted is None else counted)
        self._positive = truth & self.valid
        self._negative = ~truth & self.valid
        self._order = Ties(np.where(self.valid, score, 0.0))

    def __call__(self, weights: Weights) -> Values:
        positive, negative = weights * self._positive, weights * self._negative
        wins = (positive * self._order.below(negative)).sum(1)
        return divided(wins, positive.sum(1) * negative.sum(1))


class MacroAuc(AbstractStatistic):
    """Mean area over several classes, each against all others or each pair for itself.

    `one-vs-rest` depends on how common the classes are; `one-vs-one` (Hand & Till 2001), the mean
    of both scores' areas over every pair of classes, does not. Temperature changes the first.

    Raises:
        ValueError: Scores without a column for each label, or a truth that is not a label.
    """

    missing = "a class has no row"

    def __init__(
        self,
        truth: Sequence[object],
        scores: Num[np.ndarray, "row label"],
        labels: Sequence[object],
        *,
        kind: str = "one-vs-rest",
    ) -> None:
        if kind not in ("one-vs-rest", "one-vs-one"):
            raise ValueError(f"kind must be 'one-vs-rest' or 'one-vs-one', but is {kind!r}")
        if scores.shape != (len(truth), len(labels)) or not set(truth) <= set(labels):
            raise ValueError(
                f"{len(truth)} rows and {len(labels)} labels need scores of that shape and a truth "
                f"among the labels, but the scores are {scores.shape}"
            )
        self.valid = np.all(np.isfinite(scores), axis=1)
        classes = np.array([list(labels).index(label) for label in truth])
        self._areas = [
            Auc(classes == one, scores[:, one], counted=self.valid & np.isin(classes, others))
            for one, others in _contests(len(labels), kind)
        ]

    def __call__(self, weights: Weights) -> Values:
        return np.mean([area(weights) for area in self._areas], axis=0)


def auc(
    truth: Shaped[np.ndarray, " row"],
    score: Num[np.ndarray, " row"],
    units: Units,
    *,
    level: float = 0.95,
) -> Estimate:
    """Area under the ROC curve: DeLong's interval, or Obuchowski's for several rows a unit.

    The interval is Wald's on the logit scale, and so stays in [0, 1]. Where the classes are
    perfectly separated the variance is 0 and says nothing: the limit is then Newcombe's, from the
    number of units. Missing when all rows are of one class. Rows without a truth (NaN) or a score
    do not count.

    Raises:
        ValueError: A truth that is neither 0, 1 nor missing, or columns of different lengths.

    Reference:
        DeLong et al. 1988, with the midranks of Sun & Xu 2014; Obuchowski 1997; Newcombe 2006,
        method 5.
    """
    contest = contest_of(truth, [score], units)
    if contest.reason is not None:
        return contest.estimate(contest.areas[0], None, level=level)
    area, error = float(contest.areas[0]), sqrt(max(0.0, contest.covariance[0, 0]))
    if error > NOTHING and 0 < area < 1:
        half = float(ndtri((1 + level) / 2)) * error / (area * (1 - area))
        limits = float(expit(logit(area) - half)), float(expit(logit(area) + half))
        return contest.estimate(area, limits, level=level)
    limits = newcombe(area, *contest.sides, level)
    return contest.estimate(area, limits, level=level, notes=(_NO_SPREAD,))


def compare_auc(
    truth: Shaped[np.ndarray, " row"],
    first: Num[np.ndarray, " row"],
    second: Num[np.ndarray, " row"],
    units: Units,
    *,
    names: tuple[str, str] = ("first", "second"),
    level: float = 0.95,
) -> Comparison:
    """Two scores on the same rows: the difference of their areas, second less first.

    A z-test with DeLong's covariance, Obuchowski's for several rows a unit. Rows that lack the
    truth or a score do not count. Where both order the rows alike there is no difference and p is
    1.

    Raises:
        ValueError: As `auc`.

    Reference:
        DeLong et al. 1988; Obuchowski 1997.
    """
    contest = contest_of(truth, [first, second], units)
    difference = float(contest.areas[1] - contest.areas[0])
    limits, p, reason = None, None, None
    if contest.reason is None:
        contrast = np.array([-1.0, 1.0])
        error = sqrt(max(0.0, float(contrast @ contest.covariance @ contrast)))
        if error > NOTHING:
            half = float(ndtri((1 + level) / 2)) * error
            limits = max(-1.0, difference - half), min(1.0, difference + half)
            p = float(2 * ndtr(-abs(difference) / error))
        else:
            reason = "no spread between units"
            p = 1.0 if abs(difference) < NOTHING else None
    return Comparison(
        first=names[0],
        second=names[1],
        difference=contest.estimate(difference, limits, level=level, reason=reason),
        p=p,
        test=f"{contest.method}, z-test",
    )


def _contests(labels: int, kind: str) -> list[tuple[int, list[int]]]:
    """The class that is positive, and all that count, itself among them."""
    every = range(labels)
    if kind == "one-vs-rest":
        return [(one, list(every)) for one in every]
    return [(one, [one, other]) for one in every for other in every if one != other]
