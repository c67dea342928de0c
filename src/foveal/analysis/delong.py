from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from jaxtyping import Bool, Float, Num, Shaped
from scipy.optimize import root_scalar
from scipy.special import ndtri

from foveal.analysis.estimate import Estimate
from foveal.analysis.statistic import Ties, divided
from foveal.analysis.units import Units

ONE_CLASS = "one class only"
NOTHING = 1e-12
"""A standard error that consists of rounding."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Contest:
    """Areas of one or several scores, and their covariance between units."""

    areas: Float[np.ndarray, " score"]
    covariance: Float[np.ndarray, "score score"]
    sides: tuple[int, int]
    """Units with a positive row, and with a negative one."""
    used: Units
    notes: tuple[str, ...]

    @property
    def method(self) -> str:
        several = self.used.count < len(self.used.codes)
        return f"Obuchowski 1997 by {self.used.unit}" if several else "DeLong 1988"

    @property
    def reason(self) -> str | None:
        if min(self.sides) == 0:
            return ONE_CLASS
        if min(self.sides) == 1:
            kind = "positive" if self.sides[0] == 1 else "negative"
            return f"only one {self.used.unit} has {kind} rows"
        return None

    def estimate(
        self,
        value: float,
        limits: tuple[float, float] | None,
        *,
        level: float,
        notes: tuple[str, ...] = (),
        reason: str | None = None,
    ) -> Estimate:
        low, high = limits or (None, None)
        return Estimate(
            estimate=float(value) if np.isfinite(value) else None,
            low=low,
            high=high,
            level=level,
            n_units=self.used.count,
            unit=self.used.unit,
            method=self.method,
            notes=(*self.used.remarks(), *self.notes, *notes),
            reason=self.reason or reason,
        )


def contest_of(
    truth: Shaped[np.ndarray, " row"], scores: Sequence[Num[np.ndarray, " row"]], units: Units
) -> Contest:
    lengths = [len(truth), len(units.codes), *map(len, scores)]
    if len(set(lengths)) != 1:
        raise ValueError(f"truth, units and scores need the same rows, but have {lengths}")
    answers = truth.astype(np.float64)
    if not np.isin(answers[np.isfinite(answers)], (0, 1)).all():
        raise ValueError("the truth must be 0 or 1 (NaN is missing); say which classes count as 1")
    present = np.all(np.isfinite(np.stack([answers, *scores])), axis=0)
    used, positive = units.chosen(present), truth[present].astype(bool)
    missing = int((~present).sum())
    wins = np.stack([_wins(positive, score[present]) for score in scores])
    # Either side's mean is the area; without rows on one side both are NaN.
    areas = divided(wins @ positive, np.full(len(wins), positive.sum(), dtype=np.float64))
    return Contest(
        areas=areas,
        covariance=_covariance(positive, wins - areas[:, None], used),
        sides=(len(set(used.codes[positive])), len(set(used.codes[~positive]))),
        used=used,
        notes=(f"{missing} of {len(present)} rows lack truth or score and do not count",)
        * (missing > 0),
    )


def _wins(
    positive: Bool[np.ndarray, " row"], score: Num[np.ndarray, " row"]
) -> Float[np.ndarray, " row"]:
    """Share of the other class that each row is on the right side of: DeLong's V10 and V01."""
    order = Ties(score)
    below = order.below(np.stack([~positive, positive]).astype(np.float64))
    others = np.where(positive, (~positive).sum(), positive.sum())
    share = divided(np.where(positive, below[0], below[1]), others.astype(np.float64))
    return np.where(positive, share, 1 - share)


def _covariance(
    positive: Bool[np.ndarray, " row"], surplus: Float[np.ndarray, "score row"], used: Units
) -> Float[np.ndarray, "score score"]:
    """Obuchowski 1997, equations for S10, S01 and S11; with one row a unit this is DeLong's."""
    totals = [
        np.stack([np.bincount(used.codes[rows], s[rows], minlength=used.count) for s in surplus])
        / max(1, rows.sum())
        for rows in (positive, ~positive)
    ]
    sides = [len(set(used.codes[rows])) for rows in (positive, ~positive)]
    (first, second), mixed = totals, totals[0] @ totals[1].T
    both = _unbiased(used.count) * (mixed + mixed.T)
    return _unbiased(sides[0]) * first @ first.T + _unbiased(sides[1]) * second @ second.T + both


def _unbiased(units: int) -> float:
    return units / (units - 1) if units > 1 else float("nan")


def newcombe(area: float, positives: int, negatives: int, level: float) -> tuple[float, float]:
    """Newcombe 2006, method 5: areas whose own standard error reaches the one that was seen."""
    z, half = float(ndtri((1 + level) / 2)), (positives + negatives) / 2 - 1

    def beyond(other: float) -> float:
        spread = (
            other
            * (1 - other)
            * (1 + half * (1 - other) / (2 - other) + half * other / (1 + other))
        )
        return abs(other - area) - z * sqrt(spread / (positives * negatives))

    inner = min(max(area, NOTHING), 1 - NOTHING)
    low = 0.0 if area == 0 else root_scalar(beyond, bracket=(0, inner)).root
    high = 1.0 if area == 1 else root_scalar(beyond, bracket=(inner, 1)).root
    return low, high
