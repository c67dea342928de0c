"""Did recalibration help? Fitted on some patients, judged on others, both drawn again and again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from foveal.analysis.calibration import CalibrationError, check_truth, top_label
from foveal.analysis.calibrators import AbstractCalibrator, Table
from foveal.analysis.estimate import Comparison, Estimate
from foveal.analysis.proper_scores import log_losses, squared_errors
from foveal.analysis.recalibration import FITS, Weight
from foveal.analysis.resampling import Bootstrap
from foveal.analysis.statistic import AbstractStatistic, Mean
from foveal.analysis.units import Units

MEASURES = ("log loss", "brier", "ece")
"""What calibrators are judged by: nats, the sum of squares over all classes, and top-label gaps."""


@dataclass(frozen=True, kw_only=True)
class Recalibration:
    """A calibrator, and what it does to patients it has not seen."""

    calibrator: AbstractCalibrator
    changes: tuple[Comparison, ...]
    """Of each of `MEASURES`, calibrated less raw: below 0 is better. Intervals are percentiles over
    resamples of both splits, with the calibrator fitted anew each time."""
    raw: tuple[float, ...]
    calibrated: tuple[float, ...]
    same_class: float
    """Share of judged rows whose likeliest class stays."""
    rows: int
    """That judge, of the units that the changes count."""

    @property
    def worse(self) -> bool:
        """Whether the log loss, which calibrators are fitted to lower, rose on the judged rows."""
        return self.calibrated[0] > self.raw[0]


def split_by_patient(
    units: Units,
    *,
    share: float = 0.5,
    seed: int = 0,
    strata: Int[np.ndarray, " row"] | None = None,
) -> Bool[np.ndarray, " row"]:
    """Which rows are for fitting: all of about `share` of the patients, and of the others none.

    Args:
        units: Whose rows they are.
        share: Of the patients.
        seed: Of the draw.
        strata: A grade a row. Patients are drawn within their highest grade, so that rare grades
            come on both sides where there are patients enough.

    Raises:
        ValueError: A share outside (0, 1), fewer than two patients, or strata of other rows.
    """
    if not 0 < share < 1 or units.count < 2:
        raise ValueError(
            f"a split needs a share between 0 and 1 and two {units.unit}s or more, but got "
            f"{share} and {units.count}"
        )
    grades = np.zeros(len(units.codes), np.int64) if strata is None else strata
    if len(grades) != len(units.codes):
        raise ValueError(f"{len(grades)} rows have a grade, but {len(units.codes)} have a unit")
    highest = np.full(units.count, np.iinfo(np.int64).min)
    np.maximum.at(highest, units.codes, grades)
    order = np.random.default_rng(seed).permutation(units.count)
    order = order[np.argsort(highest[order], kind="stable")]
    # Along the grades every 1 / share-th patient is taken, so each grade gives its share.
    steps = np.floor((np.arange(units.count) + 0.5) * share + 0.5)
    taken = np.diff(steps, prepend=0) > 0
    if taken.all() or not taken.any():
        taken[0] = not taken[0]
    chosen = np.zeros(units.count, bool)
    chosen[order] = taken
    return chosen[units.codes]


def recalibrate(
    method: str,
    probabilities: Table,
    truth: Int[np.ndarray, " row"],
    units: Units,
    fitting: Bool[np.ndarray, " row"],
    *,
    how: Bootstrap | None = None,
) -> Recalibration:
    """Fit on some rows, judge on the others.

    Args:
        method: `temperature`, `platt`, `isotonic` or `bayesian`.
        probabilities: One column a class; rows with a missing number are left out.
        truth: The number of the true class.
        units: Whose rows they are.
        fitting: The rows to fit on, from `split_by_patient`.
        how: Resamples, level and seed; the interval is of percentiles.

    Raises:
        ValueError: An unknown method, a patient on both sides, a side without rows, or rows of one
            class only to fit on.
    """
    if method not in FITS:
        raise ValueError(f"method must be one of {', '.join(FITS)}, but is {method!r}")
    how = how or Bootstrap(resamples=400)
    check_truth(probabilities, truth)
    valid = np.all(np.isfinite(probabilities), axis=1)
    _check_split(units, fitting, valid)
    sides = [_Side.of(probabilities, truth, units, valid & rows) for rows in (fitting, ~fitting)]
    first, second = sides
    if len(np.unique(first.truth)) < 2:
        raise ValueError(
            "all rows to fit on are of one class, for which the surest calibrator is always the "
            "best; fit on patients of several classes"
        )
    calibrator = FITS[method](first.probabilities, first.truth, None)
    raw, better = (_scores(second, table) for table in (None, calibrator))
    once = np.ones((1, len(second.truth)))
    means = [[float(score(once)[0]) for score in scores] for scores in (raw, better)]
    drawn = _changes(method, first, second, raw, how)
    calibrated = calibrator(second.probabilities)
    return Recalibration(
        calibrator=calibrator,
        changes=tuple(
            _comparison(b - a, column, second.units, how)
            for a, b, column in zip(*means, drawn.T, strict=True)
        ),
        raw=tuple(means[0]),
        calibrated=tuple(means[1]),
        same_class=float((calibrated.argmax(1) == second.probabilities.argmax(1)).mean()),
        rows=len(second.truth),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Side:
    probabilities: Table
    truth: Int[np.ndarray, " row"]
    units: Units

    @classmethod
    def of(cls, table: Table, truth: np.ndarray, units: Units, rows: np.ndarray) -> "_Side":
        return cls(probabilities=table[rows], truth=truth[rows], units=units.chosen(rows))

    def drawn(self, random: np.random.Generator) -> Weight:
        """How often each row counts when the patients are drawn again."""
        count = self.units.count
        times = np.bincount(random.integers(count, size=count), minlength=count)
        return times[self.units.codes].astype(np.float64)


def _scores(side: _Side, calibrator: AbstractCalibrator | None) -> tuple[AbstractStatistic, ...]:
    """In the order of `MEASURES`."""
    table = side.probabilities if calibrator is None else calibrator(side.probabilities)
    return (
        Mean(log_losses(table, side.truth)),
        Mean(squared_errors(table, side.truth)),
        CalibrationError(*top_label(table, side.truth)),
    )


def _changes(
    method: str, first: _Side, second: _Side, raw: Sequence[AbstractStatistic], how: Bootstrap
) -> Float[np.ndarray, "replicate score"]:
    random = np.random.default_rng(how.seed)
    changes = []
    for _ in range(how.resamples):
        fitted = FITS[method](first.probabilities, first.truth, first.drawn(random))
        weights = second.drawn(random)[None]
        pairs = zip(_scores(second, fitted), raw, strict=True)
        changes.append([float((new(weights) - old(weights))[0]) for new, old in pairs])
    return np.array(changes)


def _comparison(
    change: float, drawn: Float[np.ndarray, " replicate"], units: Units, how: Bootstrap
) -> Comparison:
    tail = (1 - how.level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail]).tolist()
    estimate = Estimate(
        estimate=change,
        low=low,
        high=high,
        level=how.level,
        n_units=units.count,
        unit=units.unit,
        method=f"bootstrap of both splits by {units.unit}, percentile, B={how.resamples}, "
        f"seed {how.seed}",
        notes=units.remarks(),
    )
    return Comparison(first="raw", second="calibrated", difference=estimate, p=None, test="none")


def _check_split(
    units: Units, fitting: Bool[np.ndarray, " row"], valid: Bool[np.ndarray, " row"]
) -> None:
    both = units.chosen(np.isin(units.codes, units.codes[fitting]) & ~fitting)
    if both.count:
        raise ValueError(f"both fitted on and judged: {both.counted}; split with split_by_patient")
    if not (fitting & valid).any() or not (~fitting & valid).any():
        raise ValueError("one side of the split has no row with probabilities")
