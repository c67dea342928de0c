"""Calibration as a line on the logit scale, and as a smooth curve (TRIPOD+AI)."""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import expit, logit

from foveal.analysis.statistic import AbstractStatistic, Values, Weights

_EDGE = 1e-12
_STEPS = 100
_SETTLED = 1e-9
_STEEPEST = 1e3


class CalibrationLine(AbstractStatistic):
    """Intercept or slope of logit P(true) = a + b logit p; perfect is a = 0 and b = 1.

    `intercept` is calibration in the large, with b held at 1: above 0 where probabilities are too
    low. `slope` comes with its own a: below 1 where probabilities are too extreme, as after
    overfitting. Missing where all or none came true, the probability is constant, or a threshold
    separates them perfectly.

    Reference:
        Cox 1958; Van Calster et al. 2019.
    """

    missing = "the outcomes are all alike, perfectly separated, or the probability is constant"

    def __init__(
        self,
        probability: Float[np.ndarray, " row"],
        came_true: Bool[np.ndarray, " row"],
        *,
        part: Literal["intercept", "slope"] = "slope",
    ) -> None:
        if len(probability) != len(came_true):
            raise ValueError(f"{len(probability)} probabilities, but {len(came_true)} outcomes")
        self.valid = np.isfinite(probability)
        inside = np.clip(np.where(self.valid, probability, 0.5), _EDGE, 1 - _EDGE)
        self._said, self._came_true = logit(inside), came_true.astype(np.float64)
        self._slope = part == "slope"

    def __call__(self, weights: Weights) -> Values:
        weights = weights * self.valid
        intercept, slope = np.zeros(len(weights)), np.ones(len(weights))
        change = np.full(len(weights), np.inf)
        for _ in range(_STEPS):
            fitted = expit(intercept[:, None] + slope[:, None] * self._said)
            left = weights * (self._came_true - fitted)
            bend = weights * fitted * (1 - fitted)
            steps = self._newton(left, bend)
            intercept, slope = intercept + steps[0], slope + steps[1]
            change = np.abs(steps).max(axis=0)
            if not np.nanmax(change, initial=0) > _SETTLED:
                break
        found = slope if self._slope else intercept
        settled = (change <= 1e-6) & (np.abs(found) < _STEEPEST)
        return np.where(settled, found, np.nan)

    def _newton(self, left: Weights, bend: Weights) -> Float[np.ndarray, "2 replicate"]:
        """One step for each set of weights; at most 2 wide, so that it cannot run away."""
        said = self._said
        first, level = left.sum(1), bend.sum(1)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            if not self._slope:
                steps = np.stack([first / level, np.zeros(len(left))])
            else:
                second, mixed, square = left @ said, bend @ said, bend @ said**2
                area = level * square - mixed**2
                area[area <= 1e-12 * level * square] = np.nan
                steps = np.stack(
                    [
                        (square * first - mixed * second) / area,
                        (level * second - mixed * first) / area,
                    ]
                )
        return np.clip(steps, -2, 2)


def smooth_curve(
    probability: Float[np.ndarray, " row"],
    came_true: Bool[np.ndarray, " row"],
    at: Float[np.ndarray, " point"],
    *,
    span: float = 0.75,
) -> Float[np.ndarray, " point"]:
    """Frequency as a smooth function of the probability, in [0, 1]: a plot without bins.

    Locally linear with tricube weights over the nearest `span` of the rows. NaN where all these
    have one probability, which is not the point's.

    Raises:
        ValueError: A span outside (0, 1], or columns of different lengths.

    Reference:
        Cleveland 1979, without his robust iterations, since outcomes of 0 and 1 are no outliers.
    """
    if not 0 < span <= 1 or len(probability) != len(came_true):
        raise ValueError(
            f"span must lie in (0, 1] and every probability needs an outcome: {span}, "
            f"{len(probability)} and {len(came_true)} rows"
        )
    valid = np.isfinite(probability)
    said, true = probability[valid], came_true[valid].astype(np.float64)
    if not len(said):
        return np.full(len(at), np.nan)
    nearest = max(2, int(np.ceil(span * len(said)))) - 1
    return np.array([_local(said - point, true, min(nearest, len(said) - 1)) for point in at])


def _local(away: np.ndarray, true: np.ndarray, nearest: int) -> float:
    """The local line's height at the point."""
    reach = np.partition(np.abs(away), nearest)[nearest]
    if reach == 0:
        return float(true[away == 0].mean())
    weights = np.clip(1 - (np.abs(away) / reach) ** 3, 0, None) ** 3
    total = weights.sum()
    if not total:
        return float("nan")
    middle, height = (weights @ away) / total, (weights @ true) / total
    spread = weights @ (away - middle) ** 2
    slope = 0.0 if spread <= 1e-12 * reach**2 else weights @ ((away - middle) * true) / spread
    return float(np.clip(height - slope * middle, 0, 1))
