"""What each preparation step does to a model's gradients and maps, image by image.

The source's table of the impact of preprocessing on gradient stability, as an experiment: every
image goes through the card's preparation with and without one step, everything else the same.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from foveal.analysis import compare_two, units_of
from foveal.analysis.estimate import Comparison
from foveal.analysis.multiplicity import holm
from foveal.core import Attribution, Image, ImageError, Region, Score
from foveal.explainers.plan import MethodLike, named_explainers
from foveal.models import Model
from foveal.models.targets import TargetLike
from foveal.run.measuring import Yardstick, measuring
from foveal.run.one_image import Look, Question, explain, look
from foveal.store import ALL_LESIONS

MEASURED = ("intensity_cv", "first_layer_grad_rms", "out_of_fov_mass", "hfpr", "map_ssim")
"""Of the image, of the gradients at the first layer, and of the map."""
_ON_LESIONS = ("relevance_mass", "mass_lift")
"""Where the images have masks."""
_PERTURBATIONS = 5
_NORMALISATION = "normalisation"
Step = Mapping[str, object]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class StudyVariant:
    """The card's preparation without one step, and with it."""

    name: str
    before: Model
    after: Model


@dataclass(frozen=True, kw_only=True)
class StudyRow:
    """One measure of one image, before and after a step."""

    variant: str
    image: str
    patient: str | None
    measure: str
    before: float | None
    after: float | None
    reason: str | None
    """Why a number is missing."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What one step does to one measure, over all images."""

    variant: str
    measure: str
    direction: str
    """Which way is better: `higher`, `lower`, or `context` where neither is."""
    images: int
    """With both numbers."""
    before: tuple[float, float, float] | None
    """Median and quartiles (25 %, 50 %, 75 %); `None` without any number."""
    after: tuple[float, float, float] | None
    compared: Comparison
    """After less before, by patient."""


@dataclass(frozen=True, kw_only=True)
class PreparationStudy:
    """The table of an experiment."""

    model: str
    method: str
    target: str
    rows: tuple[StudyRow, ...]
    changes: tuple[Change, ...]
    changed_answers: Mapping[str, int]
    """Images whose predicted class changes, by variant; 0 where the model gives a value."""
    failures: Mapping[str, str]
    """Images that could not be asked, with the reason."""
    notes: tuple[str, ...] = field(default=())


def variants_of(model: Model, steps: Sequence[Step] = ()) -> list[StudyVariant]:
    """The experiments on a model: each step of its card left out, and each given step put in.

    A given step goes before the card's resize, so that it sees the image at its own size, or to
    the end where nothing is resized. The step `normalisation` compares the card's mean and
    standard deviation (z-score) with values scaled to [0, 1].

    Raises:
        ValueError: Nothing to compare: no steps, and a card without a step that can be left out, or
            the step `normalisation` and a card that takes values in [0, 1] as they are.
    """
    found = list(_variants(model, steps))
    if not found:
        raise ValueError(
            f"the card of {model.card.name} has no step that can be left out; name the steps to "
            "be tried"
        )
    return found


def prepare_study(
    variants: Sequence[StudyVariant],
    images: Iterable[tuple[str, Image | ImageError, Sequence[Region]]],
    *,
    method: MethodLike = "gradcam",
    target: TargetLike = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> PreparationStudy:
    """Measure every image before and after every step.

    The explained class is fixed by the prediction before the step, so that both maps answer one
    question; where an answer names several findings, it is the most probable one. Differences are
    tested by patient with Wilcoxon's signed ranks and adjusted after Holm over all steps and
    measures.

    Args:
        variants: From `variants_of`.
        images: A name for each image, the image or why there is none, and its regions on the
            original grid.
        method: What explains.
        target: As for `foveal.explain`; the class predicted before the step by default.
        seed: For the noisy copies behind `map_ssim`.
        progress: Called with the images done and the variants of each.

    Raises:
        ModelError: The model cannot give what the method needs.
        ValueError: An unknown method, or no image at all.
    """
    explainers = named_explainers(method)
    if len(explainers) != 1:
        raise ValueError("one method is compared at a time; name one")
    asking = _Asking(Question(explainers=explainers, seed=seed), target, seed)
    rows: list[StudyRow] = []
    answers: dict[str, int] = dict.fromkeys((variant.name for variant in variants), 0)
    failures: dict[str, str] = {}
    count = 0
    patients: dict[str, str] = {}
    for count, (name, image, regions) in enumerate(images, start=1):
        if isinstance(image, ImageError):
            failures[name] = str(image)
            continue
        if image.patient is not None:  # told apart, and not named
            patients.setdefault(image.patient, f"patient {len(patients) + 1}")
        for variant in variants:
            try:
                person = patients.get(image.patient or "")
                made, changed = asking.pair(variant, replace(image, patient=person), regions, name)
            except ImageError as problem:
                failures[f"{name}, {variant.name}"] = str(problem)
                continue
            rows += made
            answers[variant.name] += changed
        if progress is not None:
            progress(count, len(variants))
    if not count:
        raise ValueError("there is no image to study")
    if not rows:
        raise ImageError(f"no image could be studied: {next(iter(failures.values()))}")
    return PreparationStudy(
        model=variants[0].before.card.name,
        method=next(iter(explainers)),
        target=asking.target_name or "predicted",
        rows=tuple(rows),
        changes=tuple(_changes(rows, asking.directions)),
        changed_answers=answers,
        failures=failures,
    )


def _variants(model: Model, steps: Sequence[Step]) -> Iterator[StudyVariant]:
    own = [dict(step) for step in model.card.input.prepare]
    for place, step in enumerate(own):
        if step["step"] not in ("resize", "spacing", "field-size"):  # the model needs its size
            without = own[:place] + own[place + 1 :]
            yield StudyVariant(
                name=f"{_words(step)} (in the card)", before=_with(model, without), after=model
            )
    for step in steps:
        if step.get("step") == _NORMALISATION:
            if not _standardises(model):
                raise ValueError(
                    f"the card of {model.card.name} takes values in [0, 1] as they are, so there "
                    "is no z-score to compare them with; leave the step normalisation out"
                )
            plain = _unscaled(model)
            yield StudyVariant(name="z-score instead of [0, 1]", before=plain, after=model)
            continue
        resize = next((n for n, one in enumerate(own) if one["step"] == "resize"), len(own))
        yield StudyVariant(
            name=_words(step),
            before=model,
            after=_with(model, [*own[:resize], dict(step), *own[resize:]]),
        )


def _with(model: Model, steps: Sequence[Step]) -> Model:
    table = model.card.input.model_copy(update={"prepare": tuple(dict(step) for step in steps)})
    return replace(model, card=model.card.model_copy(update={"input": table}))


def _standardises(model: Model) -> bool:
    table = model.card.input
    return table.scale == "image" or set(table.mean) != {0.0} or set(table.std) != {1.0}


def _unscaled(model: Model) -> Model:
    """The model given values in [0, 1] as they are."""
    table = model.card.input.model_copy(update={"mean": (0.0,), "std": (1.0,), "scale": "card"})
    return replace(model, card=model.card.model_copy(update={"input": table}))


def _words(step: Step) -> str:
    settings = [f"{name} {value}" for name, value in step.items() if name != "step"]
    return " ".join([str(step["step"]), *settings])


class _Asking:
    """Asks both sides of a variant about an image."""

    def __init__(self, question: Question, target: TargetLike, seed: int) -> None:
        self.question = question
        self.target = target
        self.seed = seed
        self.target_name: str | None = None
        self.directions: dict[str, str] = {}

    def pair(
        self, variant: StudyVariant, image: Image, regions: Sequence[Region], name: str
    ) -> tuple[list[StudyRow], bool]:
        before, after = (look(model, image, regions) for model in (variant.before, variant.after))
        target = _likeliest(before) if self.target is None else self.target
        first, second = self._scores(before, target), self._scores(after, target)
        rows = [
            StudyRow(
                variant=variant.name,
                image=name,
                patient=image.patient,
                measure=measure,
                before=score.value,
                after=second[measure].value,
                reason=score.reason or second[measure].reason,
            )
            for measure, score in first.items()
            if measure in second
        ]
        named = before.model.card.task != "regression"  # there the label is the number itself
        return rows, named and before.prediction.label != after.prediction.label

    def _scores(self, seen: Look, target: TargetLike) -> dict[str, Score]:
        (answer,) = explain(seen, target, self.question)
        self._remember(answer.attribution)
        lesions = any(region.kind == "lesion" and region.mask.any() for region in seen.regions)
        names = (*MEASURED, *(_ON_LESIONS if lesions else ()))
        yardstick = Yardstick(names=names, seed=self.seed, perturbations=_PERTURBATIONS)
        by = measuring(seen, target, yardstick, [answer.attribution])
        found = {}
        for measured in by.measure(answer.attribution, answer.explainer):
            if measured.region in (None, ALL_LESIONS):
                found[measured.score.name] = measured.score
                self.directions[measured.score.name] = measured.score.direction
        return found

    def _remember(self, made: Attribution) -> None:
        known = self.target_name in (None, made.target)
        self.target_name = made.target if known else "each image's own prediction"


def _likeliest(seen: Look) -> int | None:
    """The class that is explained; `None` for a value."""
    if seen.model.card.task != "multilabel":
        return seen.prediction.index
    values = list(seen.prediction.values.values())
    return values.index(max(values))


def _changes(rows: Sequence[StudyRow], directions: Mapping[str, str]) -> list[Change]:
    pairs = dict.fromkeys((row.variant, row.measure) for row in rows)
    made = []
    for variant, measure in pairs:
        own = [row for row in rows if (row.variant, row.measure) == (variant, measure)]
        before, after = (
            np.array([_number(value) for value in column], dtype=np.float64)
            for column in ([row.before for row in own], [row.after for row in own])
        )
        both = np.isfinite(before) & np.isfinite(after)
        units = units_of([row.patient for row in own], images=[row.image for row in own])
        made.append(
            Change(
                variant=variant,
                measure=measure,
                direction=directions[measure],
                images=int(both.sum()),
                before=_quartiles(before[both]),
                after=_quartiles(after[both]),
                compared=compare_two(before, after, units, names=("before", "after")),
            )
        )
    return _adjusted(made)


def _adjusted(changes: Sequence[Change]) -> list[Change]:
    adjusted = holm([change.compared.p for change in changes])
    return [
        replace(change, compared=replace(change.compared, p_adjusted=p))
        for change, p in zip(changes, adjusted, strict=True)
    ]


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _quartiles(values: Float[np.ndarray, " image"]) -> tuple[float, float, float] | None:
    if not len(values):
        return None
    low, middle, high = np.percentile(values, [25, 50, 75]).tolist()
    return low, middle, high
