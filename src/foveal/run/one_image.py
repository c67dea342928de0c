"""One image on its way through one model: prepared, predicted and explained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from foveal.analysis import FittedCalibrator
from foveal.core import Attribution, Image, ImageError, Prediction, Region, Target
from foveal.explainers import AbstractExplainer, Frame
from foveal.explainers.base import Original
from foveal.explainers.engine import batch_bound, explain_batch
from foveal.explainers.plan import Layers, plan_tasks
from foveal.explainers.request import MAX_BATCH, Outcome, Progress, Request, Task
from foveal.explainers.watching import Network
from foveal.images import CarriedRegion, carry_region, points_to_original
from foveal.images.preparation.resample import bilinear
from foveal.models import Model
from foveal.models.targets import TargetLike
from foveal.run.calibrating import calibrated
from foveal.store import Loss

STAGE_SIDE = 200
"""Larger side of the picture that is kept of each step of preparation."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """One image as one model sees it, and what the model says."""

    model: Model
    image: Image
    """Prepared."""
    field: Region
    regions: tuple[Region, ...]
    """On the prepared grid."""
    losses: tuple[Loss, ...]
    pixels: Float[Tensor, "1 channel row column"]
    output: Tensor
    """Raw, for the unperturbed image: what targets are fixed on."""
    prediction: Prediction
    stages: tuple[UInt8[np.ndarray, "_ _ _"], ...] = ()
    """The picture after each step of preparation, small."""

    @property
    def frame(self) -> Frame:
        """What explainers may know of the pixels: display units, and where the eye is."""
        inside = torch.from_numpy(self.field.mask).to(self.pixels.device).unsqueeze(0)
        original = Original(grid=self.image.original_grid, carried=self._labels_carried)
        return Frame(display=True, field=inside, original=original)

    def _labels_carried(self, labels: Int[Tensor, "row column"]) -> Tensor:
        """What number each prepared pixel's centre has on the original grid; -1 outside of it."""
        centres = np.moveaxis(np.indices(self.image.grid), 0, -1).reshape(-1, 2) + 0.5
        places = np.floor(points_to_original(centres, self.image.steps)).astype(int)
        seen = np.all((places >= 0) & (places < labels.shape), axis=1)
        carried = np.full(len(places), -1)
        carried[seen] = labels.cpu().numpy()[tuple(places[seen].T)]
        return torch.from_numpy(carried.reshape(self.image.grid))

    @property
    def network(self) -> Network:
        """The model as the engine sees it, taking display units."""
        return network_of(self.model)

    def bound(self, max_batch: int) -> int:
        """Images in one pass; some models take only so many."""
        return self.model.batch or batch_bound(self.pixels, max_batch)


@dataclass(frozen=True, kw_only=True)
class Question:
    """How images are to be explained."""

    explainers: Mapping[str, AbstractExplainer]
    layers: Layers = None
    seed: int = 0
    precision: str = "float32"
    max_batch: int = MAX_BATCH
    progress: Progress | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """One map, under its name in the run."""

    key: str
    attribution: Attribution
    explainer: AbstractExplainer | None
    """`None` for a map that was made elsewhere."""
    seconds: float
    """Of the method alone, without the pass that all methods share."""


def network_of(model: Model) -> Network:
    """A model as the engine sees it, taking display units."""
    return Network(forward=model.forward, module=model.module, name=model.card.name)


def look(
    model: Model,
    image: Image,
    regions: Sequence[Region] = (),
    *,
    calibrator: FittedCalibrator | None = None,
) -> Look:
    """Prepare an image and its regions for a model, and ask what the model says.

    Raises:
        ImageError: An image without a field of view, regions of another grid, or an image for
            which the model gives numbers that are not finite.
    """
    stages: list[UInt8[np.ndarray, "_ _ _"]] = []
    prepared, inside = model.prepare(image, watch=lambda pixels: stages.append(small(pixels)))
    carried = [carry_region(region, prepared) for region in regions]
    pixels = model.tensor(prepared)
    output = model.output(pixels)
    if not output.isfinite().all():
        raise ImageError(
            "the model gives numbers that are not finite for this image; compare the image's "
            "brightness with the mean and std of the model's card, and have the model checked"
        )
    return Look(
        model=model,
        image=prepared,
        field=inside,
        regions=tuple(c.region for c in carried),
        losses=losses_of(carried),
        pixels=pixels,
        output=output,
        prediction=calibrated(model.read(output), calibrator),
        stages=tuple(stages),
    )


def small(
    pixels: Float[np.ndarray, "channel row column"],
) -> UInt8[np.ndarray, "row_out column_out channel"]:
    """A picture of at most 200 pixels a side, for the eye alone."""
    stride = -(-max(pixels.shape[1:]) // (2 * STAGE_SIDE))  # first rows and columns are left out
    thinned = pixels[:, ::stride, ::stride]
    share = min(1.0, STAGE_SIDE / max(thinned.shape[1:]))
    grid = tuple(max(1, round(side * share)) for side in thinned.shape[1:])
    shrunk = np.stack([bilinear(channel, (grid[0], grid[1])) for channel in thinned])
    return np.ascontiguousarray(
        np.rint(255 * shrunk.clip(0, 1)).astype(np.uint8).transpose(1, 2, 0)
    )


def losses_of(carried: Sequence[CarriedRegion]) -> tuple[Loss, ...]:
    """What regions lost on the way to the model's grid."""
    return tuple(
        Loss(
            region=c.region.name,
            lesions=c.lesions,
            lesions_lost=c.lesions_lost,
            area_kept=c.area_kept,
        )
        for c in carried
    )


def explain(seen: Look, target: TargetLike, question: Question) -> list[Answer]:
    """The maps of all methods for one target, from one shared pass.

    Raises:
        ModelError: The model cannot give what a method needs.
        ValueError: A layer, class or setting that does not fit.
    """
    if not question.explainers:
        return []
    request = Request(
        target=target,
        head=seen.model.head,
        frame=seen.frame,
        seed=question.seed,
        precision=question.precision,
        max_batch=seen.bound(question.max_batch),
        progress=question.progress,
    )
    named = list(seen.model.card.explain.layers) or None
    layers = named if question.layers is None else question.layers
    tasks, notes = plan_tasks(seen.network, seen.pixels, question.explainers, layers, request)
    outcomes = explain_batch(seen.network, seen.pixels, tasks, request)
    return [
        Answer(
            key=key,
            attribution=_attribution(seen, target, tasks[key], outcome, notes, question),
            explainer=tasks[key].explainer,
            seconds=outcome.cost["seconds"],
        )
        for key, outcome in outcomes.items()
    ]


def target_in_words(model: Model, target: TargetLike, index: int | None) -> str:
    """What a target is called in tables: with the class's name where the model chose it."""
    if not isinstance(target, Target):
        name = getattr(target, "__name__", None)
        return name or _class_name(model, index) or "predicted"
    if target.label == "predicted" and index is not None:
        return f"predicted: {_class_name(model, index)}"
    return target.label or _class_name(model, index) or "value"


def _class_name(model: Model, index: int | None) -> str | None:
    """A single logit speaks for the last class."""
    if index is None or not model.card.classes:
        return None
    return model.card.classes[-1 if model.card.outputs == 1 else index]


def _attribution(
    seen: Look,
    target: TargetLike,
    task: Task,
    outcome: Outcome,
    notes: tuple[str, ...],
    question: Question,
) -> Attribution:
    if outcome.maps is None:
        raise ValueError(
            f"{task.explainer.name} gives no map of an image; foveal.attribute returns its numbers"
        )
    (index,), (reason,), (mode,) = outcome.indices, outcome.reasons, outcome.modes
    score = float(outcome.scores[0])
    costs = {key: value for key, value in outcome.cost.items() if not key.endswith("seconds")}
    return Attribution(
        map=outcome.maps[0].cpu().numpy(),
        method=task.explainer.name,
        settings=settings_of(task.explainer),
        layer=" + ".join(task.layers) or None,
        target=target_in_words(seen.model, target, index),
        target_index=index,
        score=None if score != score else score,  # NaN stands for a sample without this number
        score_mode=mode,
        model=seen.model.card.name,
        fingerprint=seen.model.fingerprint,
        seed=question.seed,
        reason=reason,
        notes=(notes if task.layers else ()) + outcome.notes,
        cost=costs,
        parts={k: _plain(part) for k, part in outcome.parts.items() if not _is_picture(part)},
    )


def settings_of(explainer: AbstractExplainer) -> dict[str, object]:
    """An explainer's settings in plain values; a tensor stands as its shape."""
    return {
        name: f"tensor {tuple(value.shape)}" if isinstance(value, Tensor) else value
        for name, value in explainer.settings.items()
    }


def _is_picture(part: object) -> bool:
    """Whether a part is a map of its own, which a table of numbers does not hold."""
    return isinstance(part, Tensor) and part.ndim > 2


def _plain(part: object) -> object:
    """A part of a batch of one as a plain value, `None` where it is not a number."""
    if not isinstance(part, Tensor):
        return part
    if part.numel() > 1:
        return part[0].tolist()
    return part.item() if part.isfinite() else None
