"""Calibration: do the probabilities that a model gives come true?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from foveal.analysis.calibration import CalibrationErrors, classwise_ece, ece
from foveal.analysis.calibration_line import CalibrationLine, smooth_curve
from foveal.analysis.estimate import Estimate
from foveal.analysis.proper_scores import Murphy, log_losses, murphy, squared_errors
from foveal.analysis.records import Records
from foveal.analysis.reliability import ReliabilityBin, reliability_table
from foveal.analysis.resampling import Bootstrap, interval
from foveal.analysis.statistic import Mean
from foveal.report.proof.performance import Judged

_FEW_FOR_BINS = 150
"""With fewer images than ten a bin, there are fewer bins."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One set of probabilities: the model's own, or calibrated."""

    name: str
    top: CalibrationErrors
    """Of the predicted class."""
    classwise: float | None
    """Mean over the classes."""
    numbers: tuple[tuple[str, str, Estimate], ...]
    murphy: Murphy
    """Of the predicted class."""
    bins: tuple[ReliabilityBin, ...]
    smooth: tuple[tuple[float, float], ...]
    """Points of the curve without bins."""


def confidence(one: Judged, table: Float[np.ndarray, "image label"]) -> Float[np.ndarray, " image"]:
    """The probability of the class that the model named."""
    at = np.maximum(one.answers.predicted, 0)
    return table[np.arange(len(table)), at]


def reading(
    one: Judged,
    name: str,
    table: Float[np.ndarray, "image label"],
    records: Records,
    how: Bootstrap,
) -> Reading:
    """What one table of probabilities is worth on the images with a truth.

    Args:
        one: The model's answers and the truth.
        name: Of the table.
        table: Probabilities.
        records: The run.
        how: Of the intervals.
    """
    rows = one.known
    units = records.units.chosen(rows)
    sure, right = confidence(one, table)[rows], one.right[rows]
    truth, table = one.truth.index[rows], table[rows]
    bins = 15 if len(sure) >= _FEW_FOR_BINS else max(3, len(sure) // 10)
    errors = [label.ece for label in classwise_ece(table, truth, bins=bins)]
    classes = [error for error in errors if error is not None]
    at = np.linspace(sure.min(), sure.max(), 41)
    line = {part: CalibrationLine(sure, right, part=part) for part in ("intercept", "slope")}
    curve = smooth_curve(sure, right, at)
    return Reading(
        name=name,
        top=ece(sure, right, bins=bins, seed=how.seed),
        classwise=float(np.mean(classes)) if classes else None,
        numbers=(
            ("Brier score", "sum over the classes of squared errors, 0 to 2; lower is better",
             interval(Mean(squared_errors(table, truth)), units, how)),
            ("Log loss", "in nats; lower is better",
             interval(Mean(log_losses(table, truth)), units, how)),
            ("Calibration intercept", "0 is best; below 0 the model is too sure on the whole",
             interval(line["intercept"], units, how)),
            ("Calibration slope", "1 is best; below 1 probabilities are too extreme",
             interval(line["slope"], units, how)),
        ),
        murphy=murphy(sure, right, bins=bins),
        bins=reliability_table(sure, right, units, bins=bins, how=how),
        smooth=tuple((p, f) for p, f in zip(at.tolist(), curve.tolist(), strict=True) if f == f),
    )  # fmt: skip
