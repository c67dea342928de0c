"""A calibrator from a run's labelled images: fitted on some patients, judged on the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveal.analysis.calibrator_file import FittedCalibrator
from foveal.analysis.calibrators import AbstractCalibrator, Isotonic
from foveal.analysis.deferral import Deferral, defer_by_coverage, defer_with_guarantee
from foveal.analysis.estimate import FEW_UNITS
from foveal.analysis.recalibrated import MEASURES, Recalibration, recalibrate, split_by_patient
from foveal.analysis.recalibration import at_edge
from foveal.analysis.records import Records
from foveal.analysis.truth import COLUMNS, truth_of
from foveal.analysis.units import Units
from foveal.core import ModelError

LEAST = 10
"""Patients to fit on, and as many to judge: with fewer chance decides."""
_MANY_FOR_STEPS = 1000
"""Rows that an isotonic calibrator needs (Niculescu-Mizil & Caruana 2005)."""
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
        ModelError: A model of another task, no labels, fewer than `LEAST` patients on a side, only
            right answers or one class to fit on, or a temperature at the end of its range.
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
    if units.count < 2 * LEAST:
        raise ModelError(
            f"a calibrator of {name} needs {LEAST} {units.unit}s to be fitted on and {LEAST} "
            f"others to be judged on, but the run has {units.counted} with labels"
        )
    said = answers.predicted[rows]
    fitting = split_by_patient(units, share=how.share, seed=how.seed, strata=index)
    _check_sides(name, units, fitting)
    _check_answers(name, said[fitting], index[fitting], units.chosen(fitting))
    made = recalibrate(how.method, table, index, units, fitting)
    _check_range(name, made.calibrator, units.chosen(fitting))
    judged, said = made.calibrator(table[~fitting]), said[~fitting]
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


def cautions(fitted: FittedCalibrator, made: Recalibration) -> tuple[str, ...]:
    """What must be known before the calibrator is believed."""
    judges = made.changes[0].difference
    chosen = () if fitted.deferral is None else fitted.deferral.notes
    found = [f"to judge: {note}" for note in dict.fromkeys((*judges.notes, *chosen))]
    if fitted.units < FEW_UNITS:
        found.append(f"fitted on {fitted.units} {fitted.unit}s only: with fewer than {FEW_UNITS} "
                     "another draw of them gives another calibrator")  # fmt: skip
    if isinstance(fitted.calibrator, Isotonic) and fitted.rows < _MANY_FOR_STEPS:
        found.append(f"isotonic calibrators need about {_MANY_FOR_STEPS} images, but this one was "
                     f"fitted on {fitted.rows}")  # fmt: skip
    if judges.low is not None and judges.high is not None and judges.low <= 0 <= judges.high:
        found.append("the interval of the log loss's change holds 0: no gain was shown")
    return tuple(found)


def _check_sides(name: str, units: Units, fitting: np.ndarray) -> None:
    fit, judge = units.chosen(fitting), units.chosen(~fitting)
    if min(fit.count, judge.count) < LEAST:
        raise ModelError(
            f"the share leaves {fit.counted} to fit a calibrator of {name} and {judge.counted} to "
            f"judge it, and {LEAST} of each are the least; choose a share nearer to a half"
        )


def _check_answers(name: str, said: np.ndarray, true: np.ndarray, units: Units) -> None:
    rows = f"the {len(true)} images of {units.counted} to fit a calibrator of {name} on"
    if len(set(true.tolist())) < 2:
        raise ModelError(
            f"{rows} are all of one class, for which the surest calibrator is always the best; "
            "label images of other classes too"
        )
    if (said == true).all():
        raise ModelError(
            f"{rows} are all answered right, so nothing says how often a sure answer is wrong; "
            "label more images, among them some that the model gets wrong"
        )


def _check_range(name: str, calibrator: AbstractCalibrator, units: Units) -> None:
    if at_edge(calibrator):
        raise ModelError(
            f"{units.counted} have no best temperature for {name}: it ran to the end of its range, "
            f"{vars(calibrator)['temperature']:.3g}; label more, or choose the method bayesian"
        )


def _deferral(sure: np.ndarray, wrong: np.ndarray, units: Units, how: Fitting) -> Deferral | None:
    if how.coverage is not None:
        return defer_by_coverage(sure, wrong, coverage=how.coverage)
    if how.risk is not None:
        return defer_with_guarantee(sure, wrong, units, risk=how.risk, seed=how.seed)
    return None
