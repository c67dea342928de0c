"""Below which confidence a person is asked: chosen on calibration patients, with a guarantee."""

from dataclasses import dataclass
from math import ceil, isfinite, log2
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from scipy.special import betaincinv

from foveal.analysis.units import Units

_RULES = ("coverage", "risk", "sgr")


@dataclass(frozen=True, kw_only=True)
class Deferral:
    """Answers of at least this confidence are kept; below it a person is asked.

    Raises:
        ValueError: A threshold that is no finite number, a rule that is not known, or neither a
            threshold nor the reason why there is none.
    """

    threshold: float | None
    rule: Literal["coverage", "risk", "sgr"]
    asked: float
    """The coverage or the risk that was asked for."""
    coverage: float
    """Share of the calibration rows that are kept."""
    risk: float | None
    """Share of the kept calibration rows that are wrong."""
    bound: float | None = None
    """With probability 1 - delta the risk on new patients of this kind is at most this."""
    delta: float | None = None
    rows: int
    """Calibration rows that the threshold was chosen on."""
    notes: tuple[str, ...] = ()
    reason: str | None = None
    """Why there is no threshold: then a person is always asked."""

    def __post_init__(self) -> None:
        if self.rule not in _RULES:
            raise ValueError(f"rule must be one of {', '.join(_RULES)}, but is {self.rule!r}")
        if self.threshold is not None and not isfinite(self.threshold):
            raise ValueError(f"the threshold must be a finite number, but is {self.threshold}")
        if (self.threshold is None) != (self.reason is not None):
            raise ValueError(
                "a threshold or the reason why there is none, but got "
                f"{self.threshold} and {self.reason!r}"
            )

    def keeps(self, confidence: Num[np.ndarray, " row"]) -> Bool[np.ndarray, " row"]:
        """Which answers are kept; what has no confidence goes to a person."""
        if self.threshold is None:
            return np.zeros(len(confidence), bool)
        return np.nan_to_num(confidence, nan=-np.inf) >= self.threshold


def defer_by_coverage(
    confidence: Num[np.ndarray, " row"], wrong: Bool[np.ndarray, " row"], *, coverage: float
) -> Deferral:
    """The highest threshold that keeps at least so much of the calibration rows.

    Raises:
        ValueError: A coverage outside (0, 1], or columns of different lengths.
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage must lie in (0, 1], but is {coverage}")
    sure, wrongs = _falling(confidence, wrong)
    ends = _ends(sure)
    enough = ends[ends >= coverage * len(sure) - 1e-9]
    kept = int(enough[0]) if enough.size else 0
    return _deferral(sure, wrongs, kept, "coverage", coverage)


def defer_by_risk(
    confidence: Num[np.ndarray, " row"], wrong: Bool[np.ndarray, " row"], *, risk: float
) -> Deferral:
    """The lowest threshold at which no more of the kept calibration rows are wrong.

    It is chosen for looking good, so new patients will see more errors: see `defer_with_guarantee`.

    Raises:
        ValueError: A risk outside (0, 1), or columns of different lengths.
    """
    _check_risk(risk)
    sure, wrongs = _falling(confidence, wrong)
    ends = _ends(sure)
    good = ends[wrongs[ends - 1] <= risk * ends + 1e-9]
    return _deferral(sure, wrongs, int(good[-1]) if good.size else 0, "risk", risk)


def defer_with_guarantee(
    confidence: Num[np.ndarray, " row"],
    wrong: Bool[np.ndarray, " row"],
    units: Units,
    *,
    risk: float,
    delta: float = 0.05,
    seed: int = 0,
) -> Deferral:
    """A threshold whose risk on new patients exceeds `risk` with probability `delta` at most.

    Selection with guaranteed risk: a binary search over the rows, each step tested with the exact
    binomial bound at delta / steps. The bound needs independent rows, so of each patient one row
    is drawn, and it speaks of patients like these: another camera or clinic is another matter.

    Args:
        confidence: Of the calibration rows; more is surer.
        wrong: Whether the answer was wrong.
        units: Whose rows they are.
        risk: The share of wrong answers among those kept that is accepted.
        delta: How often the promise may fail.
        seed: Of the draw of rows.

    Raises:
        ValueError: A risk or delta outside (0, 1), or columns of different lengths.

    Reference:
        Geifman & El-Yaniv 2017, algorithm 1; Clopper & Pearson 1934.
    """
    _check_risk(risk)
    if not 0 < delta < 1 or len(units.codes) != len(confidence):
        raise ValueError(
            f"delta must lie in (0, 1) and every row needs a unit, but got {delta} and "
            f"{len(units.codes)} units for {len(confidence)} rows"
        )
    chosen = _one_a_unit(units, np.isfinite(confidence), seed)
    sure, wrongs = _falling(confidence[chosen], wrong[chosen])
    ends, low, high = _ends(sure), 0, len(_ends(sure))
    steps = max(1, ceil(log2(high + 1)))
    best, bound = 0, None
    while low < high:
        middle = (low + high) // 2
        kept = int(ends[middle])
        limit = _upper(int(wrongs[kept - 1]), kept, delta / steps)
        if limit <= risk:
            best, bound, low = kept, limit, middle + 1
        else:
            high = middle
    notes = units.remarks()
    if len(chosen) < len(confidence):
        notes = (*notes, f"one row of each {units.unit}: {len(chosen)} of {len(confidence)}")
    return _deferral(sure, wrongs, best, "sgr", risk, bound=bound, delta=delta, notes=notes)


def _deferral(
    sure: Float[np.ndarray, " row"],
    wrongs: Int[np.ndarray, " row"],
    kept: int,
    rule: Literal["coverage", "risk", "sgr"],
    asked: float,
    *,
    bound: float | None = None,
    delta: float | None = None,
    notes: tuple[str, ...] = (),
) -> Deferral:
    return Deferral(
        threshold=float(sure[kept - 1]) if kept else None,
        rule=rule,
        asked=asked,
        coverage=kept / len(sure) if len(sure) else 0.0,
        risk=float(wrongs[kept - 1]) / kept if kept else None,
        bound=bound,
        delta=delta,
        rows=len(sure),
        notes=notes,
        reason=None if kept else "no threshold on these rows keeps what was asked for",
    )


def _falling(
    confidence: Num[np.ndarray, " row"], wrong: Bool[np.ndarray, " row"]
) -> tuple[Float[np.ndarray, " row"], Int[np.ndarray, " row"]]:
    """Confidence from the surest down, and how many are wrong up to each."""
    if len(confidence) != len(wrong):
        raise ValueError(f"{len(confidence)} rows have a confidence, but {len(wrong)} an outcome")
    valid = np.isfinite(confidence)
    order = np.argsort(-confidence[valid], kind="stable")
    return confidence[valid][order].astype(np.float64), np.cumsum(wrong[valid][order])


def _ends(sure: Float[np.ndarray, " row"]) -> Int[np.ndarray, " threshold"]:
    """How many rows each threshold keeps: rows that tie are kept together."""
    return np.flatnonzero(np.r_[sure[1:] != sure[:-1], True][: len(sure)]) + 1


def _one_a_unit(
    units: Units, valid: Bool[np.ndarray, " row"], seed: int
) -> Int[np.ndarray, " row"]:
    """One row of each unit that has one with a number, drawn."""
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(valid))
    return np.sort(rows[np.unique(units.codes[rows], return_index=True)[1]])


def _upper(wrong: int, kept: int, delta: float) -> float:
    """The highest risk under which so few errors still come with probability delta."""
    return 1.0 if wrong >= kept else float(betaincinv(wrong + 1, kept - wrong, 1 - delta))


def _check_risk(risk: float) -> None:
    if not 0 < risk < 1:
        raise ValueError(f"risk must lie in (0, 1), but is {risk}")
