"""The measures that explain an image again, or look at its gradients; shared passes once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from foveal.core import Attribution, PlanError, Score, Target
from foveal.explainers import AbstractExplainer, Frame
from foveal.explainers.engine import explain_batch
from foveal.explainers.registry import explainer_named
from foveal.explainers.request import Request, Task
from foveal.measures import (
    ClinicImages,
    PerturbedImages,
    PerturbedMaps,
    avg_sensitivity,
    clinic_images,
    first_layer_grad_rms,
    fmce,
    fmce_weighted,
    grad_sparsity,
    gsi,
    gss,
    hfpr,
    hoyer,
    intensity_cv,
    map_pearson,
    map_spearman,
    map_ssim,
    max_sensitivity,
    mprt,
    nuisance_stability,
    perturbed_images,
    perturbed_maps,
    random_logit,
    repeat_variance,
    topk_iou,
)
from foveal.measures.noise import REPEAT_SIGMA, REPEATS
from foveal.models.targets import TargetLike
from foveal.run.gradients import Gradients, LayerSight, gradients_of
from foveal.run.one_image import Look
from foveal.store import Measured

PERTURBATIONS = 50
"""Noisy copies of an image behind its stability, unless the plan says otherwise."""

MapsOf = Callable[[Float[Tensor, "probe channel row column"]], Float[Tensor, "probe ..."]]


class Again:
    """One target of one image, asked again: what all its maps share."""

    def __init__(
        self,
        seen: Look,
        target: TargetLike,
        *,
        seed: int,
        max_batch: int,
        perturbations: int,
        layers: Sequence[str],
    ) -> None:
        self.seen = seen
        self.target = target
        self.seed = seed
        self.max_batch = seen.bound(max_batch)
        self._perturbations = perturbations
        self._layers = list(dict.fromkeys(layers))

    @property
    def image(self) -> Float[Tensor, "channel row column"]:
        """In display units."""
        return self.seen.pixels[0]

    @cached_property
    def noisy(self) -> PerturbedImages:
        """Copies of the image with what the model predicts for them, where it names a class."""
        named = self.seen.prediction.index is not None
        return perturbed_images(
            self.image,
            field=self.seen.field.mask,
            predict=self._classes if named else None,
            n=self._perturbations,
            seed=self.seed,
            max_batch=self.max_batch,
        )

    @cached_property
    def noisier(self) -> PerturbedImages:
        """Copies with SmoothGrad's noise."""
        return perturbed_images(
            self.image,
            field=self.seen.field.mask,
            n=REPEATS,
            sigma=REPEAT_SIGMA,
            seed=self.seed,
            max_batch=self.max_batch,
        )

    @cached_property
    def clinic(self) -> ClinicImages:
        """The image in another light, colour and place, with what the model predicts then."""
        named = self.seen.prediction.index is not None
        return clinic_images(
            self.image,
            field=self.seen.field.mask,
            modality="oct" if self.seen.image.modality == "oct" else "fundus",
            predict=self._classes if named else None,
            seed=self.seed,
            max_batch=self.max_batch,
        )

    @cached_property
    def gradients(self) -> Gradients | None:
        """At the input, the first layer and all layers whose maps are measured."""
        return gradients_of(self.seen, self.target, self._layers)

    def explaining(self, task: Task, target: TargetLike) -> MapsOf:
        """From a batch to the maps of one method, the class fixed beforehand."""
        frame = self.seen.frame

        def explain(batch: Tensor) -> Tensor:
            inside = None if frame.field is None else frame.field.expand(len(batch), -1, -1)
            request = Request(
                target=target,
                head=self.seen.model.head,
                frame=Frame(display=True, field=inside),
                seed=self.seed,
                max_batch=self.max_batch,
            )
            maps = explain_batch(self.seen.network, batch, {"": task}, request)[""].maps
            if maps is None:
                raise PlanError(f"{task.explainer.name} gives no map that could be asked for again")
            return maps

        return explain

    def _classes(self, batch: Float[Tensor, "probe channel row column"]) -> np.ndarray:
        model = self.seen.model
        return np.array([model.read(one).index for one in model.output(batch).split(1)])


class AgainMap:
    """One map whose method is asked again."""

    def __init__(
        self,
        again: Again,
        attribution: Attribution,
        explainer: AbstractExplainer | None,
        *,
        costly: bool,
    ) -> None:
        self.again = again
        self.made = attribution
        self._explainer = explainer
        self._asked = costly or not attribution.cost.get("forward", 0)

    @cached_property
    def perturbed(self) -> PerturbedMaps:
        """Of the noisy copies."""
        field = self.again.seen.field.mask
        return perturbed_maps(self._explain, self.again.image, field=field, images=self.again.noisy)

    def stable(self, measure: Callable[..., Score]) -> Iterator[Measured]:
        """Of methods whose maps cost one pass; of all where that is asked for."""
        if self._asked:
            score = measure(self._explain, self.again.image, perturbed=self.perturbed)
            yield Measured(score=score)

    def repeats(self) -> Iterator[Measured]:
        """As `stable`."""
        if self._asked:
            again = self.again
            field, noisier = again.seen.field.mask, again.noisier
            runs = perturbed_maps(self._explain, again.image, field=field, images=noisier)
            yield Measured(score=repeat_variance(self._explain, again.image, repeats=runs))

    def in_clinic(self) -> Iterator[Measured]:
        """As `stable`."""
        if self._asked:
            again = self.again
            score = nuisance_stability(self._explain, again.image, images=again.clinic)
            yield Measured(score=score)

    def at_layer(self, measure: Callable[[LayerSight], Score]) -> Iterator[Measured]:
        """Of methods that watch one layer of a model with gradients."""
        found = self.again.gradients
        seen = None if found is None else found.layers.get(self.made.layer or "")
        if seen is not None:
            yield Measured(score=measure(seen))

    def at_input(self, measure: Callable[..., Score]) -> Iterator[Measured]:
        """Of models with gradients."""
        found = self.again.gradients
        if found is not None:
            yield Measured(score=measure(found.input, field=self.again.seen.field.mask))

    def at_first_layer(self) -> Iterator[Measured]:
        """Of models with gradients, where the first layer ran."""
        found = self.again.gradients
        if found is not None and found.first is not None:
            yield Measured(score=first_layer_grad_rms(found.first))

    def of_image(self) -> Iterator[Measured]:
        """How even the image is."""
        score = intensity_cv(self.again.image, field=self.again.seen.field.mask)
        yield Measured(score=score)

    def ruined(self) -> Iterator[Measured]:
        """Under random weights, one image at a time: the verdict needs several."""
        score = mprt(
            self._explain,
            self.again.image,
            model=self.again.seen.model.module,
            field=self.again.seen.field.mask,
            seed=self.again.seed,
        )
        yield Measured(score=score)

    def other_class(self) -> Iterator[Measured]:
        """Beside the map of the likeliest other class of several."""
        other = _runner_up(self.again.seen, self.made.target_index)
        if other is not None:
            again = self.again
            score = random_logit(
                lambda batch: torch.from_numpy(self.made.map).unsqueeze(0),
                again.image,
                other=again.explaining(self._task, Target(index=other)),
                field=again.seen.field.mask,
            )
            yield Measured(score=score)

    @cached_property
    def _task(self) -> Task:
        """The method at its layers; built again from the map's settings where it is not at hand."""
        explainer = self._explainer or explainer_again(self.made)
        layers = tuple(self.made.layer.split(" + ")) if self.made.layer else ()
        bare = ("",) if explainer.watches_layer else ()
        return Task(explainer=explainer, layers=layers or bare)

    @cached_property
    def _explain(self) -> MapsOf:
        target = self.again.target
        index = self.made.target_index
        if target is None or (isinstance(target, Target) and _open(target)):
            target = replace(target or Target(), index=index)
        return self.again.explaining(self._task, target)


AGAIN: Mapping[str, Callable[[AgainMap], Iterator[Measured]]] = {
    "max_sensitivity": lambda made: made.stable(max_sensitivity),
    "avg_sensitivity": lambda made: made.stable(avg_sensitivity),
    "map_ssim": lambda made: made.stable(map_ssim),
    "map_pearson": lambda made: made.stable(map_pearson),
    "map_spearman": lambda made: made.stable(map_spearman),
    "topk_iou": lambda made: made.stable(topk_iou),
    "gss": lambda made: made.at_layer(lambda seen: gss(seen.activation, seen.gradient)),
    "gsi": lambda made: made.at_layer(lambda seen: gsi(seen.gradient)),
    "fmce": lambda made: made.at_layer(lambda seen: fmce(seen.gradient)),
    "fmce_weighted": lambda made: made.at_layer(
        lambda seen: fmce_weighted(seen.activation, seen.gradient)
    ),
    "first_layer_grad_rms": lambda made: made.at_first_layer(),
    "grad_sparsity": lambda made: made.at_input(grad_sparsity),
    "hoyer": lambda made: made.at_input(hoyer),
    "intensity_cv": lambda made: made.of_image(),
    "repeat_variance": lambda made: made.repeats(),
    "mprt": lambda made: made.ruined(),
    "random_logit": lambda made: made.other_class(),
    "nuisance_stability": lambda made: made.in_clinic(),
}
"""By name, in the order of a run."""
STABILITY = tuple(AGAIN)[:6]
GRADIENTS = tuple(AGAIN)[6:13]
OF_THE_MODEL = frozenset(tuple(AGAIN)[6:14])
"""Those that say nothing of the map, so that an empty map does not take their number away."""


def native_grain(attribution: Attribution) -> Iterator[Measured]:
    """`hfpr` on the map's own grid, channels summed."""
    map = attribution.map.sum(axis=0) if attribution.map.ndim == 3 else attribution.map
    yield Measured(score=hfpr(map))


def explainer_again(attribution: Attribution) -> AbstractExplainer:
    """The method that made a map, from what the run kept of it.

    Raises:
        PlanError: A setting that is more than a plain value.
    """
    settings = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in attribution.settings.items()
    }
    try:
        return explainer_named(attribution.method, **settings)
    except (TypeError, ValueError) as problem:
        raise PlanError(
            f"{attribution.method} cannot be asked again from what the run kept of its settings "
            f"({problem}); leave the measures of stability out"
        ) from problem


def _open(target: Target) -> bool:
    """Whether the target is whatever the model predicts."""
    return target.index is None and target.at_least is None


def _runner_up(seen: Look, index: int | None) -> int | None:
    """The likeliest class but the explained one, of a model that chooses one of several."""
    if seen.model.card.task != "multiclass" or index is None or seen.output.shape[1] < 2:
        return None
    scores = seen.output[0].clone()
    scores[index] = -torch.inf
    return int(scores.argmax())
