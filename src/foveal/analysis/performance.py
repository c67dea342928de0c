"""How good is the classifier? Every number comes with its interval, by patient.

The labels are always the full list: dropping grades that happen not to occur changes kappa.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from foveal.analysis.estimate import Estimate
from foveal.analysis.proportions import proportion
from foveal.analysis.resampling import Bootstrap, interval
from foveal.analysis.statistic import AbstractStatistic, Mean, Values, Weights, divided
from foveal.analysis.units import Units, is_missing

Matrices = Float[np.ndarray, "replicate label label"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Grades:
    """True and predicted class of each row, as places in the list of labels.

    Made by `grades`.
    """

    truth: Int[np.ndarray, " row"]
    predicted: Int[np.ndarray, " row"]
    labels: tuple[Hashable, ...]
    valid: Bool[np.ndarray, " row"]
    """Rows with both; the others are -1 and do not count."""


def grades(
    truth: Sequence[Hashable] | np.ndarray,
    predicted: Sequence[Hashable] | np.ndarray,
    labels: Sequence[Hashable],
) -> Grades:
    """Rows of true and predicted labels; `None`, NaN and "" are missing.

    Raises:
        ValueError: Fewer than two labels, a label named twice or not in the list, or columns of
            different lengths.
    """
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise ValueError(f"labels must be two or more different ones, but are {list(labels)}")
    if len(truth) != len(predicted):
        raise ValueError(f"{len(truth)} true labels, but {len(predicted)} predicted ones")
    true, said = (_places(column, labels) for column in (truth, predicted))
    return Grades(truth=true, predicted=said, labels=tuple(labels), valid=(true >= 0) & (said >= 0))


def confusion_matrix(grades: Grades) -> Int[np.ndarray, "label label"]:
    """Counts; a row for each true label, a column for each predicted one, in the given order."""
    return np.rint(_Tables(grades)(np.ones((1, len(grades.valid))))[0]).astype(np.int64)


class QuadraticKappa(AbstractStatistic):
    """Agreement beyond chance, with disagreements weighted by their squared distance in grades.

    1 - sum(w O) / sum(w E) with w = (i - j)^2 and E the counts that the margins alone would give.
    1 is perfect, 0 is chance, also for a constant prediction. Depends on how common the grades
    are. Missing when truth and prediction are the same single grade.

    Reference:
        Cohen 1968.
    """

    missing = "truth and prediction are one and the same grade throughout"

    def __init__(self, grades: Grades) -> None:
        self.valid = grades.valid
        self._tables = _Tables(grades)
        places = np.arange(len(grades.labels))
        self._distances = (places[:, None] - places) ** 2.0

    def __call__(self, weights: Weights) -> Values:
        seen = self._tables(weights)
        expected = seen.sum(2)[:, :, None] * seen.sum(1)[:, None, :]
        total = seen.sum((1, 2))
        disagreed = (self._distances * seen).sum((1, 2)) * total
        return 1 - divided(disagreed, (self._distances * expected).sum((1, 2)))


class MacroF1(AbstractStatistic):
    """Mean over the classes of each class's F1, in [0, 1]; not the F1 of mean precision and recall.

    A class that is neither true nor predicted anywhere has no F1 and is left out of the mean;
    `class_table` names it. Missing without rows.
    """

    missing = "no row has both labels"

    def __init__(self, grades: Grades) -> None:
        self.valid = grades.valid
        self._tables = _Tables(grades)

    def __call__(self, weights: Weights) -> Values:
        seen = self._tables(weights)
        hits = np.diagonal(seen, axis1=1, axis2=2)
        f1 = divided(2 * hits, seen.sum(1) + seen.sum(2))
        return divided(np.nansum(f1, axis=1), np.isfinite(f1).sum(1).astype(np.float64))


class ClassF1(AbstractStatistic):
    """2 TP / (2 TP + FP + FN) of one class, in [0, 1]; missing when it is nowhere true or said."""

    missing = "the class is neither true nor predicted in any row"

    def __init__(self, grades: Grades, label: int) -> None:
        self.valid = grades.valid
        true, said = grades.truth == label, grades.predicted == label
        self._hits = (true & said).astype(np.float64)
        self._named = true.astype(np.float64) + said

    def __call__(self, weights: Weights) -> Values:
        return divided(2 * weights @ self._hits, weights @ self._named)


def quadratic_kappa(grades: Grades, units: Units, how: Bootstrap | None = None) -> Estimate:
    """`QuadraticKappa` with its interval by patient."""
    return _told(interval(QuadraticKappa(grades), units, how), grades)


def macro_f1(grades: Grades, units: Units, how: Bootstrap | None = None) -> Estimate:
    """`MacroF1` with its interval by patient; a note names the classes it leaves out."""
    named = {*grades.truth[grades.valid].tolist(), *grades.predicted[grades.valid].tolist()}
    absent = [str(label) for place, label in enumerate(grades.labels) if place not in named]
    note = f"without an F1, and left out: {', '.join(absent)}"
    return _told(interval(MacroF1(grades), units, how), grades, *[note] * bool(absent))


def accuracy(grades: Grades, units: Units, how: Bootstrap | None = None) -> Estimate:
    """Share of rows with the right label, in [0, 1]."""
    right = _where(grades.truth == grades.predicted, grades.valid)
    return _told(proportion(right, units, how), grades)


def grade_error(grades: Grades, units: Units, how: Bootstrap | None = None) -> Estimate:
    """Mean distance between the true and the predicted grade, in grades; 0 is best."""
    distance = np.abs(grades.truth - grades.predicted)
    return _told(interval(Mean(_where(distance, grades.valid)), units, how), grades)


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """One class of a report."""

    label: Hashable
    support: int
    """Rows of which the class is true."""
    precision: Estimate
    recall: Estimate
    f1: Estimate


def class_table(
    grades: Grades, units: Units, how: Bootstrap | None = None
) -> tuple[ClassScores, ...]:
    """Precision, recall and F1 of each class; where one would be 0 / 0 it is missing, not 0."""
    return tuple(
        ClassScores(
            label=label,
            support=int((grades.valid & (grades.truth == place)).sum()),
            precision=proportion(_hits(grades, place, given=grades.predicted), units, how),
            recall=proportion(_hits(grades, place, given=grades.truth), units, how),
            f1=interval(ClassF1(grades, place), units, how),
        )
        for place, label in enumerate(grades.labels)
    )


def rates(
    truth: Num[np.ndarray, " row"] | Bool[np.ndarray, " row"],
    predicted: Num[np.ndarray, " row"] | Bool[np.ndarray, " row"],
    units: Units,
    how: Bootstrap | None = None,
) -> Mapping[str, Estimate]:
    """Sensitivity, specificity and predictive values of yes or no, each in [0, 1].

    Truth and prediction are 0 or 1 (NaN is missing). The threshold behind the prediction must have
    been fixed on other patients. Predictive values hold for the prevalence of this cohort only.
    Wilson's interval for one row a unit, else by patient.

    Raises:
        ValueError: Values other than 0, 1 and NaN, or columns of different lengths.
    """
    both = grades(_answers(truth), _answers(predicted), (0, 1))
    named = {
        "sensitivity": (1, both.truth),
        "specificity": (0, both.truth),
        "ppv": (1, both.predicted),
        "npv": (0, both.predicted),
    }
    return {
        name: proportion(_hits(both, answer, given=given), units, how)
        for name, (answer, given) in named.items()
    }


def _told(estimate: Estimate, grades: Grades, *notes: str) -> Estimate:
    """With what was left out."""
    missing = int((~grades.valid).sum())
    left_out = f"{missing} of {len(grades.valid)} rows lack a label and do not count"
    return replace(estimate, notes=(*estimate.notes, *[left_out] * bool(missing), *notes))


class _Tables:
    """Confusion matrices of the rows under each set of weights."""

    def __init__(self, grades: Grades) -> None:
        self._size = len(grades.labels)
        cells = grades.truth * self._size + grades.predicted
        self._rows = np.zeros((len(cells), self._size**2))
        self._rows[grades.valid, cells[grades.valid]] = 1

    def __call__(self, weights: Weights) -> Matrices:
        return (weights @ self._rows).reshape(-1, self._size, self._size)


def _places(
    column: Sequence[Hashable] | np.ndarray, labels: Sequence[Hashable]
) -> Int[np.ndarray, " row"]:
    places: dict[Hashable, int] = {label: place for place, label in enumerate(labels)}
    unknown = {name for name in column if not is_missing(name) and name not in places}
    if unknown:
        raise ValueError(
            f"{sorted(map(str, unknown))} are not among the labels {list(labels)}; give them all"
        )
    found = [-1 if is_missing(name) else places[name] for name in column]
    return np.array(found, dtype=np.int64)


def _answers(column: np.ndarray) -> list[int | None]:
    numbers = column.astype(np.float64)
    if not np.isin(numbers[np.isfinite(numbers)], (0, 1)).all():
        raise ValueError("truth and prediction must be 0 or 1; compare a score with its threshold")
    return [int(number) if np.isfinite(number) else None for number in numbers]


def _hits(
    grades: Grades, label: int, *, given: Int[np.ndarray, " row"]
) -> Float[np.ndarray, " row"]:
    """1 where truth and prediction are the label, 0 where only the given one is, else NaN."""
    both = (grades.truth == label) & (grades.predicted == label)
    return _where(both, grades.valid & (given == label))


def _where(values: np.ndarray, counted: Bool[np.ndarray, " row"]) -> Float[np.ndarray, " row"]:
    return np.where(counted, values.astype(np.float64), np.nan)
