"""How good the model is on a run's labelled images, with intervals by patient."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from foveal.analysis.auc import MacroAuc, auc
from foveal.analysis.estimate import Estimate
from foveal.analysis.performance import (
    ClassScores,
    Grades,
    accuracy,
    class_table,
    confusion_matrix,
    grade_error,
    grades,
    macro_f1,
    quadratic_kappa,
    rates,
)
from foveal.analysis.records import Answers, Records
from foveal.analysis.resampling import Bootstrap, interval
from foveal.analysis.truth import COLUMNS, Truth, truth_of

ONE_CLASS_TASKS = ("binary", "multiclass", "ordinal")


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """One model's answers beside the truth."""

    model: str
    task: str
    classes: tuple[str, ...]
    answers: Answers
    truth: Truth

    @property
    def known(self) -> Bool[np.ndarray, " image"]:
        """Images with a truth and an answer."""
        told = np.isfinite(self.answers.probability).all(axis=1)
        return (self.truth.index >= 0) & (self.answers.predicted >= 0) & told

    @property
    def right(self) -> Bool[np.ndarray, " image"]:
        """Known and answered with the true class."""
        return self.known & (self.answers.predicted == self.truth.index)


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The model as a yes or no: a class or more of an order, else one class."""

    name: str
    positives: int
    auc: Estimate
    rates: Mapping[str, Estimate]


@dataclass(frozen=True, kw_only=True, eq=False)
class Performance:
    """How good one model is."""

    model: str
    classes: tuple[str, ...]
    images: int
    truth: str
    """The manifest's column."""
    numbers: tuple[tuple[str, str, Estimate], ...]
    """Name, what it means, and the number."""
    cuts: tuple[Cut, ...]
    table: tuple[ClassScores, ...]
    confusion: Int[np.ndarray, "label label"]
    notes: tuple[str, ...]


def judged(records: Records, model: Mapping[str, object]) -> Judged | str:
    """A model's answers beside the truth, or why there is none."""
    name, task = str(model["name"]), str(model["task"])
    if task not in ONE_CLASS_TASKS:
        return f"{name} is a {task} model; these numbers are for one class an image"
    answers = records.answers.get(name)
    if answers is None:
        return f"{name} answered for no image"
    truth = truth_of(records.facts, answers.classes)
    if truth is None:
        return (
            "the run has no labels: name a manifest whose column "
            f"{', '.join(COLUMNS[:-1])} or {COLUMNS[-1]} says what is true"
        )
    found = Judged(model=name, task=task, classes=answers.classes, answers=answers, truth=truth)
    if not found.known.any():
        return f"no explained image has a {truth.column} that is a class of {name}"
    return found


def performance(one: Judged, records: Records, how: Bootstrap) -> Performance:
    """The tables of one model."""
    labels = one.classes
    true, said = (_labels(index, labels) for index in (one.truth.index, one.answers.predicted))
    both = grades(true, said, labels)
    return Performance(
        model=one.model,
        classes=labels,
        images=int(one.known.sum()),
        truth=one.truth.column,
        numbers=tuple(_numbers(one, both, records, how)),
        cuts=tuple(_cut(one, name, classes, records, how) for name, classes in _cuts(one).items()),
        table=class_table(both, records.units, how),
        confusion=confusion_matrix(both),
        notes=tuple(_notes(one)),
    )


def _numbers(one: Judged, both: Grades, records: Records, how: Bootstrap):
    units = records.units
    yield "Accuracy", "share of images with the true class", accuracy(both, units, how)
    if one.task == "ordinal":
        kappa = quadratic_kappa(both, units, how)
        yield "Quadratic weighted kappa", "agreement beyond chance; 0 is chance, 1 perfect", kappa
        error = grade_error(both, units, how)
        yield "Mean distance", "between the true and the predicted grade, in grades", error
    yield "Macro F1", "mean over the classes of each class's F1", macro_f1(both, units, how)
    if len(one.classes) > 2:
        rows = one.known
        area = MacroAuc(
            one.truth.index[rows].tolist(),
            one.answers.probability[rows],
            range(len(one.classes)),
        )
        found = interval(area, units.chosen(rows), how)
        yield "Macro AUC", "mean area of each class against the rest; 0.5 is chance", found


def _cuts(one: Judged) -> dict[str, list[int]]:
    """What counts as yes, by the numbers of the classes."""
    count = len(one.classes)
    if one.task == "multiclass":
        return {name: [number] for number, name in enumerate(one.classes)}
    if count == 2:
        return {one.classes[1]: [1]}
    return {
        f"{one.classes[first]} or worse": list(range(first, count)) for first in range(1, count)
    }


def _cut(one: Judged, name: str, yes: list[int], records: Records, how: Bootstrap) -> Cut:
    rows = one.known
    units = records.units.chosen(rows)
    true, said = (np.isin(index[rows], yes) for index in (one.truth.index, one.answers.predicted))
    return Cut(
        name=name,
        positives=int(true.sum()),
        auc=auc(true, one.answers.probability[rows][:, yes].sum(axis=1), units, level=how.level),
        rates=rates(true, said, units, how),
    )


def _notes(one: Judged):
    yield from one.truth.notes
    lacking = int((~one.known).sum())
    if lacking:
        yield f"{lacking} of {len(one.known)} images have no truth or no answer and do not count"
    there = set(one.truth.index[one.known].tolist())
    if len(there) == 1:
        (only,) = there
        yield (
            f"every image is of one class, {one.classes[only]}: areas, kappa and the rates of the "
            "other classes cannot be known"
        )


def _labels(index: Int[np.ndarray, " image"], labels: tuple[str, ...]) -> list[str | None]:
    return [None if place < 0 else labels[place] for place in index.tolist()]
