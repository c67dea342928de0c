"""Are probabilities frequencies? Of all answers held 80 % likely, are 80 in 100 right?

Everything here takes a probability and whether it came true, row by row. Which probability makes
the form: of the predicted class (`top_label`), of one class (classwise), of the positive one
(binary).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from foveal.analysis.statistic import AbstractStatistic, Ties, Values, Weights, divided

BINS = 15
DRAWS = 1000
Kind = Literal["ece", "mce", "debiased"]


@dataclass(frozen=True, kw_only=True)
class CalibrationErrors:
    """How far probabilities are from frequencies, beside what perfect calibration would show."""

    form: str
    """Which probability: top-label, classwise or binary."""
    ece: float | None
    """Expected calibration error, in [0, 1]; never 0 in a sample, so read it beside the null."""
    mce: float | None
    """The largest gap of a bin."""
    debiased: float | None
    """Root mean square gap without the part that chance adds (Kumar et al. 2019)."""
    debiased_squared: float | None
    """Its square before the root; below 0 where bins agree better than chance would have it."""
    null_mean: float | None
    """The error of a perfectly calibrated model on as many rows with these probabilities."""
    null_high: float | None
    """The 95th percentile of that."""
    p: float | None
    """Share of perfectly calibrated samples with as large an error; rows count as independent."""
    rows: int
    bins: int
    reason: str | None = None
    """Why there are no numbers."""


class CalibrationError(AbstractStatistic):
    """A calibration error over equal-mass bins, for intervals and subgroups.

    `ece` is the mean gap and `mce` the largest, both in [0, 1]; `debiased` is the signed mean
    squared gap of Kumar et al. 2019. Rows of one probability share a bin. A bootstrap makes the
    first two larger than they are: the sample's own error is added to the resample's.

    Reference:
        Naeini et al. 2015; Guo et al. 2017; Kumar et al. 2019.
    """

    missing = "no row has a probability and an outcome"

    def __init__(
        self,
        probability: Float[np.ndarray, " row"],
        came_true: Bool[np.ndarray, " row"],
        *,
        bins: int = BINS,
        kind: Kind = "ece",
    ) -> None:
        self.valid = usable(probability, came_true, bins)
        self._probability = np.where(self.valid, probability, 0.0)
        self._came_true = came_true.astype(np.float64)
        self._ties = Ties(self._probability)
        self._bins, self._kind = bins, kind

    def __call__(self, weights: Weights) -> Values:
        weights = weights * self.valid
        total = weights.sum(1)
        places = bins_of(self._ties, weights, self._bins)
        count, said, true = (
            _summed(places, weights * column, self._bins)
            for column in (self.valid, self._probability, self._came_true)
        )
        gap = np.abs(divided(said - true, count))
        if self._kind == "mce":
            worst = np.where(count > 0, gap, 0).max(1)
            return np.where(total > 0, worst, np.nan)
        if self._kind == "ece":
            return divided(np.abs(said - true).sum(1), total)
        share = divided(true, count)
        # A bin of one row has no spread to take off.
        chance = divided(share * (1 - share), np.maximum(count - 1, 0))
        squared = count * (gap**2 - np.nan_to_num(chance))
        return divided(np.nansum(squared, axis=1), total)


def top_label(
    probabilities: Float[np.ndarray, "row label"], truth: Int[np.ndarray, " row"]
) -> tuple[Float[np.ndarray, " row"], Bool[np.ndarray, " row"]]:
    """The probability of the predicted class, and whether it was right.

    Raises:
        ValueError: Other rows of truth, or a truth that is no column.
    """
    check_truth(probabilities, truth)
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == truth


def check_truth(
    probabilities: Float[np.ndarray, "row label"], truth: Int[np.ndarray, " row"]
) -> None:
    """Every row has a true class, by the number of its column.

    Raises:
        ValueError: Other rows of truth, or a truth that is no column.
    """
    rows, labels = probabilities.shape
    if len(truth) != rows or (rows and not (truth.min() >= 0 and truth.max() < labels)):
        raise ValueError(
            f"{rows} rows of {labels} probabilities need as many true classes from 0 to "
            f"{labels - 1}, but got {len(truth)} rows"
        )


def ece(
    probability: Float[np.ndarray, " row"],
    came_true: Bool[np.ndarray, " row"],
    *,
    bins: int = BINS,
    form: str = "top-label",
    draws: int = DRAWS,
    seed: int = 0,
) -> CalibrationErrors:
    """Calibration errors over equal-mass bins, with their null.

    The null keeps the probabilities and draws outcomes from them (consistency resampling, Bröcker
    & Smith 2007): 300 rows of a perfectly calibrated model show an error of 0.05. It takes rows
    for independent; two eyes of a patient make it too narrow. Rows without a probability do not
    count.

    Args:
        probability: Of one class, in [0, 1].
        came_true: Whether that class was the true one.
        bins: Of equal mass; fewer where probabilities tie.
        form: What the probability is, for the record: top-label, classwise or binary.
        draws: Of the null.
        seed: Of the null.

    Raises:
        ValueError: Columns of different lengths, probabilities outside [0, 1], or no bins.
    """
    valid = usable(probability, came_true, bins)
    probability, came_true = probability[valid], came_true[valid]
    rows = len(probability)
    if not rows:
        return CalibrationErrors(
            form=form, ece=None, mce=None, debiased=None, debiased_squared=None, null_mean=None,
            null_high=None, p=None, rows=0, bins=bins, reason=CalibrationError.missing,
        )  # fmt: skip
    once = np.ones((1, rows))
    found = {
        kind: float(CalibrationError(probability, came_true, bins=bins, kind=kind)(once)[0])
        for kind in ("ece", "mce", "debiased")
    }
    null = null_counts(probability, bins, draws, seed)
    spread = np.abs(null - _null_said(probability, bins)).sum(axis=1) / rows
    return CalibrationErrors(
        form=form,
        ece=found["ece"],
        mce=found["mce"],
        debiased=float(np.sqrt(max(0.0, found["debiased"]))),
        debiased_squared=found["debiased"],
        null_mean=float(spread.mean()),
        null_high=float(np.quantile(spread, 0.95)),
        p=float((1 + (spread >= found["ece"] - 1e-12).sum()) / (1 + draws)),
        rows=rows,
        bins=bins,
    )


def classwise_ece(
    probabilities: Float[np.ndarray, "row label"],
    truth: Int[np.ndarray, " row"],
    *,
    bins: int = BINS,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[CalibrationErrors, ...]:
    """The calibration errors of each class for itself; their mean is the classwise ECE.

    Raises:
        ValueError: Other rows of truth, a truth that is no column, or no bins.

    Reference:
        Nixon et al. 2019; Kull et al. 2019.
    """
    check_truth(probabilities, truth)
    return tuple(
        ece(column, truth == label, bins=bins, form="classwise", draws=draws, seed=seed)
        for label, column in enumerate(probabilities.T)
    )


def bins_of(ties: Ties, weights: Weights, bins: int) -> Int[np.ndarray, "replicate row"]:
    """The bin of each row: by its middle rank, so that rows that tie stay together."""
    share = divided(ties.below(weights), weights.sum(1, keepdims=True))
    return np.clip(np.nan_to_num(share) * bins, 0, bins - 1).astype(np.int64)


def _summed(
    places: Int[np.ndarray, "replicate row"], values: Weights, bins: int
) -> Float[np.ndarray, "replicate bin"]:
    flat = (places + bins * np.arange(len(places))[:, None]).ravel()
    return np.bincount(flat, values.ravel(), minlength=bins * len(places)).reshape(-1, bins)


def _null_said(probability: Float[np.ndarray, " row"], bins: int) -> Float[np.ndarray, " bin"]:
    once = np.ones((1, len(probability)))
    return _summed(bins_of(Ties(probability), once, bins), probability[None], bins)[0]


def null_counts(
    probability: Float[np.ndarray, " row"], bins: int, draws: int, seed: int
) -> Float[np.ndarray, "draw bin"]:
    """How many came true in each bin, if the probabilities were frequencies."""
    random = np.random.default_rng(seed)
    places = bins_of(Ties(probability), np.ones((1, len(probability))), bins)[0]
    member = (places[:, None] == np.arange(bins)).astype(np.float32)
    true = [
        (random.random((min(100, draws - start), len(probability))) < probability) @ member
        for start in range(0, draws, 100)
    ]
    return np.concatenate(true).astype(np.float64)


def usable(
    probability: Float[np.ndarray, " row"], came_true: Bool[np.ndarray, " row"], bins: int
) -> Bool[np.ndarray, " row"]:
    """The rows that have a probability.

    Raises:
        ValueError: Columns of different lengths, probabilities outside [0, 1], or no bins.
    """
    if len(probability) != len(came_true) or bins < 1:
        raise ValueError(
            f"needs an outcome for each probability and a bin or more, but got "
            f"{len(probability)} probabilities, {len(came_true)} outcomes and {bins} bins"
        )
    valid = np.isfinite(probability)
    outside = probability[valid & ((probability < 0) | (probability > 1))]
    if outside.size:
        raise ValueError(f"probabilities lie in [0, 1], but one is {outside[0]}")
    return valid
