"""From one entry of the cohort to its case: read, prepared, explained and measured."""

import warnings
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from types import MappingProxyType

import numpy as np
from jaxtyping import UInt8

from foveal.core import FovealWarning, Grid, Image, ImageError, PlanError, Region
from foveal.images import Resize
from foveal.models import Model
from foveal.models.targets import TargetLike
from foveal.run.calibrating import calibrator_of
from foveal.run.cohort import Entry
from foveal.run.elsewhere import Elsewhere
from foveal.run.examining import judged, with_anatomy
from foveal.run.given import answers_given, check_asked, maps_of
from foveal.run.identity import Identity
from foveal.run.marked import regions_of, told_of_graders
from foveal.run.measuring import Yardstick, measuring
from foveal.run.one_image import Look, Question, explain, look
from foveal.run.placing import strangers, told_of
from foveal.run.plan import ModelTable, Plan
from foveal.run.reading import Reader
from foveal.store import Case, Explained, View

PICTURE_SIDE = 1600
"""Larger side of the display copy that a run keeps of each original, in pixels."""
_NO_MASK = (
    "there is no mask of this image: nothing is measured on lesions, and it counts as one on which "
    "none is marked"
)


class Casework:
    """Works through images one by one, and keeps the time of each stage.

    Raises:
        PlanError: A target that is asked for twice, or maps of a model or target that is not
            asked for.
        ModelError: A calibrator that is not the model's.
        ValueError: A target that a model does not have, said before any image is read.
    """

    def __init__(self, plan: Plan, models: Sequence[Model]) -> None:
        self.plan = plan
        self.questions = [
            (model, targets_of(model, table), _question(plan, table))
            for model, table in zip(models, plan.models, strict=True)
        ]
        check_asked(plan.maps, [(model, targets) for model, targets, _ in self.questions])
        self.calibrators = {model.card.name: calibrator_of(model) for model in models}
        self.yardstick = Yardstick(
            names=plan.measure_names,
            random_orders=plan.random_orders,
            random_regions=plan.random_regions,
            baseline=plan.measures.baseline,
            baselines=plan.measures.baselines,
            seed=plan.seed,
            max_batch=plan.max_batch,
            perturbations=plan.measures.perturbations,
            costly=plan.costly,
        )
        self._seconds: dict[str, float] = {}
        self._events: list[tuple[str, dict[str, object]]] = []
        self._reader = Reader()

    def case(self, entry: Entry, identity: Identity) -> Case:
        """The case of one image; a bad image gives a case with its failure."""
        name = identity.image(entry.name)
        labels = dict(entry.labels)
        try:
            with self._warnings_of(entry, identity):
                with self.stage("read"):
                    image = judged(self._reader.image(entry, identity), self.plan.quality)
                    regions, agreed = regions_of(entry, image)
                    for facts in told_of_graders(agreed):
                        self._events.append(("graders", {"image": name, **facts}))
                    if entry.regions is not None and not regions:
                        warnings.warn(_NO_MASK, FovealWarning, stacklevel=2)
                    if names := strangers(regions):
                        warnings.warn(told_of(names), FovealWarning, stacklevel=2)
                    image, regions = with_anatomy(image, regions, entry)
                    maps = maps_of(entry, self.plan.maps)
                views = tuple(
                    self._view(name, image, (regions, maps), model, targets, question)
                    for model, targets, question in self.questions
                )
            if entry.maps and not self.plan.methods and not any(v.explained for v in views):
                raise ImageError(
                    "none of its maps can be used, for reasons in the log, and the plan names no "
                    "method that would make one"
                )
        except ImageError as problem:
            return Case(
                id=name,
                patient=identity.patient(entry.patient),
                eye=identity.eye(entry.told_eye),
                visit=identity.visit(entry.visit),
                laterality=entry.laterality or "unknown",
                labels=labels,
                failure=identity.told(problem, entry.path, entry.name),
            )
        with self.stage("prepare"):
            return case_of(image, regions, views, identity, name=entry.name, labels=labels)

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        """Add the time spent inside to a stage."""
        started = perf_counter()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + perf_counter() - started

    def take_seconds(self) -> dict[str, float]:
        """The time of each stage since it was last taken."""
        seconds, self._seconds = self._seconds, {}
        return {name: round(value, 4) for name, value in seconds.items()}

    def take_events(self) -> list[tuple[str, dict[str, object]]]:
        """What the log should hold, since it was last taken."""
        events, self._events = self._events, []
        return events

    def _view(
        self,
        name: str,
        image: Image,
        beside: tuple[Sequence[Region], Sequence[Elsewhere]],
        model: Model,
        targets: Sequence[TargetLike],
        question: Question,
    ) -> View:
        regions, maps = beside
        with self.stage("prepare"):
            seen = look(model, image, regions, calibrator=self.calibrators[model.card.name])
        explained = [
            e for target in targets for e in self._explained(name, seen, target, question, maps)
        ]
        return view_of(seen, explained)

    def _explained(
        self,
        name: str,
        seen: Look,
        target: TargetLike,
        question: Question,
        maps: Sequence[Elsewhere],
    ) -> list[Explained]:
        with self.stage("explain"):
            answers = explain(seen, target, question) + answers_given(seen, target, maps)
        with self.stage("measure"):
            by = measuring(seen, target, self.yardstick, [a.attribution for a in answers])
            scores = [by.measure(answer.attribution, answer.explainer) for answer in answers]
        for answer in answers:
            made = answer.attribution
            facts = {"image": name, "model": made.model, "key": answer.key, "target": made.target}
            self._events.append(("cost", {**facts, "seconds": round(answer.seconds, 5)}))
        return [
            Explained(key=answer.key, attribution=answer.attribution, scores=own)
            for answer, own in zip(answers, scores, strict=True)
        ]

    @contextmanager
    def _warnings_of(self, entry: Entry, identity: Identity) -> Generator[None]:
        """Warnings go into the log, each once an image and without its name."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                yield
            finally:
                for text in dict.fromkeys(_told(warning) for warning in caught):
                    told = identity.clean(text, entry.path, entry.name)
                    facts: dict[str, object] = {"image": identity.image(entry.name), "text": told}
                    self._events.append(("warning", facts))


def _told(warning: warnings.WarningMessage) -> str:
    """What may be told of a warning: of other libraries' ones only which, and where it came from.

    Their words may repeat what a file says, such as a name or a birth date.
    """
    if issubclass(warning.category, FovealWarning):
        return str(warning.message)
    return f"{warning.category.__name__} in {Path(warning.filename).stem}"


def view_of(seen: Look, explained: Sequence[Explained]) -> View:
    """What a run keeps of one model's look at an image."""
    return View(
        model=seen.model.card.name,
        steps=tuple(dict(step.numbers()) for step in seen.image.steps),
        pixels=seen.image.pixels,
        field=seen.field.mask,
        prediction=seen.prediction,
        regions=seen.regions,
        losses=seen.losses,
        stages=seen.stages,
        explained=tuple(explained),
    )


def case_of(
    image: Image,
    regions: Sequence[Region],
    views: Sequence[View],
    identity: Identity,
    *,
    name: str,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> Case:
    """What a run keeps of one image."""
    shrink = shrinking(image.grid)
    return Case(
        id=identity.image(name),
        patient=identity.patient(image.patient),
        eye=identity.eye(image.eye),
        visit=identity.visit(image.visit),
        laterality=image.laterality,
        modality=image.modality,
        grid=image.grid,
        spacing_mm=image.spacing_mm,
        sha256=image.sha256,
        facts=dict(image.facts),
        labels=dict(labels),
        picture=display_copy(image, shrink),
        regions=tuple(
            Region(name=r.name, kind=r.kind, mask=shrink.mask_forward(r.mask)) for r in regions
        ),
        views=tuple(views),
    )


def targets_of(model: Model, table: ModelTable) -> list[TargetLike]:
    """The targets asked for, by name; else the prediction, or each class of a segmentation.

    Raises:
        PlanError: A target that is asked for twice.
        ValueError: A target that the model does not have.
    """
    if table.targets is not None:
        targets = [model.target(name) for name in table.targets]
        label, times = Counter(target.label for target in targets).most_common(1)[0]
        if times > 1:
            raise PlanError(f"the target {label!r} is asked for twice; leave one out")
        return list(targets)
    if model.card.task in ("segmentation", "multilabel"):
        classes = [name for name in model.card.classes if name.lower() != "background"]
        return [model.target(name) for name in classes]
    return [model.target("predicted")]


def shrinking(grid: Grid) -> Resize:
    """The step from an original's grid to its display copy's."""
    rows, columns = grid
    share = min(1.0, PICTURE_SIDE / max(rows, columns))
    size = max(1, round(rows * share)), max(1, round(columns * share))
    return Resize(
        source=grid,
        target=size,
        source_box=(0, 0, rows, columns),
        target_box=(0, 0, *size),
        aspect="stretch",
    )


def display_copy(image: Image, shrink: Resize) -> UInt8[np.ndarray, "row column channel"]:
    """The original at display size, as bytes."""
    small = shrink.pixels_forward(image.pixels)
    return np.ascontiguousarray(np.rint(small * 255).astype(np.uint8).transpose(1, 2, 0))


def _question(plan: Plan, table: ModelTable) -> Question:
    return Question(
        explainers=plan.explainers(),
        layers=None if table.layers is None else list(table.layers),
        seed=plan.seed,
        precision=plan.precision,
        max_batch=plan.max_batch,
    )
