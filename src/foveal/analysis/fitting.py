"""A calibrator from a run's labelled images: fitted on some patients, judged on the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveal.analysis.calibrator_file import FittedCalibrator
from foveal.analysis.deferral import Deferral, defer_by_coverage, defer_with_guarantee
from foveal.analysis.recalibrated import MEASURES, Recalibration, recalibrate, split_by_patient
from foveal.analysis.records import Records
from foveal.analysis.truth import COLUMNS, truth_of
from foveal.analysis.units import Units
from foveal.core import ModelError

_TASKS = ("binary", "multiclass", "ordinal")


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """How a calibrator is fitted.

    Raises:
        ValueError: A share, coverage or risk outside (0, 1), or a coverage and a risk together.
    """

    method: str = "temperature"
    """`temperature`, `bayesian`, `platt` or `isotonic`."""
    share: float = 0.5
    """Of the patients, to fit on; the others judge it."""
    seed: int = 0
    coverage: float | None = None
    """Choose a deferral threshold that keeps at least so many answers."""
    risk: float | None = None
    """Choose one that promises at most so many errors among those kept, with 95 % certainty."""

    def __post_init__(self) -> None:
        for name in ("share", "coverage", "risk"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1:
                raise ValueError(f"{name} must lie between 0 and 1, but is {value}")
        if self.coverage is not None and self.risk is not None:
            raise ValueError("choose a threshold by coverage or by risk, not by both")


def fit_calibrator(
    records: Records, model: Mapping[str, Any], how: Fitting
) -> tuple[FittedCalibrator, Recalibration]:
    """Fit on a share of the patients, judge on the others, and choose a threshold there.

    The threshold is chosen on patients that the calibrator has not seen, since probabilities look
    better than they are where it was fitted.

    Args:
        records: The run, with labels.
        model: Its facts in the run's header.
        how: Method, split and threshold.

    Raises:
        ModelError: A model of another task, no labels, one patient or one class only.
        ValueError: An unknown method.
    """
    name, task = model["name"], model["task"]
    if task not in _TASKS:
        raise ModelError(f"{name} is a {task} model, and calibrators are for {', '.join(_TASKS)}")
    answers = records.answers.get(name)
    truth = None if answers is None else truth_of(records.facts, answers.classes)
    if answers is None or truth is None:
        raise ModelError(
            f"the run has no labelled answers of {name}: its manifest needs a column "
            f"{', '.join(COLUMNS[:-1])} or {COLUMNS[-1]}"
        )
    rows = (truth.index >= 0) & np.isfinite(answers.probability).all(axis=1)
    units, index, table = records.units.chosen(rows), truth.index[rows], answers.probability[rows]
    if units.count < 2 or len(set(index.tolist())) < 2:
        raise ModelError(
            f"{units.count} {units.unit}s with {len(set(index.tolist()))} different true classes "
            f"cannot be split to fit a calibrator of {name}; label two or more of each"
        )
    fitting = split_by_patient(units, share=how.share, seed=how.seed, strata=index)
    made = recalibrate(how.method, table, index, units, fitting)
    judged = made.calibrator(table[~fitting])
    said = answers.predicted[rows][~fitting]
    sure = judged[np.arange(len(judged)), said]
    fitted = FittedCalibrator(
        calibrator=made.calibrator,
        model=name,
        fingerprint=model["fingerprint"],
        classes=answers.classes,
        rows=int(fitting.sum()),
        units=units.chosen(fitting).count,
        unit=units.unit,
        split=f"{how.share:g} of the {units.unit}s of a run, seed {how.seed}",
        measured={
            measure: (raw, better)
            for measure, raw, better in zip(MEASURES, made.raw, made.calibrated, strict=True)
        },
        deferral=_deferral(sure, said != index[~fitting], units.chosen(~fitting), how),
    )
    return fitted, made


def _deferral(sure: np.ndarray, wrong: np.ndarray, units: Units, how: Fitting) -> Deferral | None:
    if how.coverage is not None:
        return defer_by_coverage(sure, wrong, coverage=how.coverage)
    if how.risk is not None:
        return defer_with_guarantee(sure, wrong, units, risk=how.risk, seed=how.seed)
    return None
