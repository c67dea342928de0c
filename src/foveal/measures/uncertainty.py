"""How sure is the model, and would it say the same if it had been trained a little differently?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from foveal.core import ModelError, Score
from foveal.measures.base import Array, MeasureCard, as_numpy
from foveal.measures.prefix import replayed, shared_prefix
from foveal.models import Model
from foveal.models.borrow import borrowed
from foveal.models.heads import Head, probabilities

ENTROPY = MeasureCard(
    name="entropy",
    question="How undecided is the model between its classes?",
    direction="context",
    range=(0, 1),
    needs=("model",),
    chance="1 when all classes are equally likely",
    missing="the probabilities are not numbers",
    cost="none",
    reference="Shannon 1948; divided by ln C, so that models of any number of classes compare",
)
MARGIN = MeasureCard(
    name="margin",
    question="How far is the likeliest class ahead of the next?",
    direction="context",
    range=(0, 1),
    needs=("model",),
    chance="0 when the two are equally likely",
    missing="the probabilities are not numbers",
    cost="none",
    reference="difference of the two highest probabilities",
)
MSP = MeasureCard(
    name="msp",
    question="How likely does the model hold its own answer to be?",
    direction="context",
    range=(0, 1),
    needs=("model",),
    chance="1 / C when all classes are equally likely",
    missing="the probabilities are not numbers",
    cost="none",
    reference="maximum softmax probability; Hendrycks & Gimpel 2017",
)
MI = MeasureCard(
    name="mi",
    question="How much do several versions of the model disagree?",
    direction="context",
    range=(0, np.inf),
    needs=("model",),
    chance="0 when all versions agree, at most ln C nats",
    missing="fewer than two versions, or probabilities that are not numbers",
    cost="one forward a version; with dropout only what follows the first dropout",
    reference="Gal & Ghahramani 2016; Lakshminarayanan et al. 2017; Leibig et al. 2017",
)

_SLACK = 1e-3
"""How far probabilities may sum from 1: half precision rounds."""
PASSES = 30
"""Passes with dropout, unless asked otherwise."""
_DROPOUT = (
    nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Members:
    """What several versions of a model say about the same images."""

    probabilities: Float[np.ndarray, "member image class"]
    """Of each class; of the positive class alone where the model has a single logit."""
    computed_once: tuple[str, ...] = ()
    """Modules that ran once an image and not once a pass."""


def entropy(probabilities: Shaped[Array, " class"]) -> Score:
    """-sum p ln p / ln C, in [0, 1]: 0 is sure of one class, 1 is undecided between all.

    A single probability is that of the positive class of two. `parts` holds the entropy in nats.

    Raises:
        ValueError: Not one number a class, or numbers that are no distribution.
    """
    chances = _distribution(probabilities)
    if chances is None:
        return ENTROPY.none("nan_map", text="the probabilities are not numbers")
    nats = _nats(chances)
    return ENTROPY.score(
        nats / log(len(chances)), chance=1.0, params=_classes(chances), parts={"nats": nats}
    )


def margin(probabilities: Shaped[Array, " class"]) -> Score:
    """Highest probability less the second, in [0, 1].

    Raises:
        ValueError: As `entropy`.
    """
    chances = _distribution(probabilities)
    if chances is None:
        return MARGIN.none("nan_map", text="the probabilities are not numbers")
    second, first = np.sort(chances)[-2:]
    return MARGIN.score(first - second, chance=0.0, params=_classes(chances))


def msp(probabilities: Shaped[Array, " class"]) -> Score:
    """Highest probability, in [1 / C, 1]: the confidence of reliability and deferral.

    Raises:
        ValueError: As `entropy`.
    """
    chances = _distribution(probabilities)
    if chances is None:
        return MSP.none("nan_map", text="the probabilities are not numbers")
    return MSP.score(chances.max(), chance=1 / len(chances), params=_classes(chances))


def mi(probabilities: Shaped[Array, "member class"]) -> Score:
    """Mutual information between answer and version in nats, the epistemic part, in [0, ln C].

    H(mean p) - mean H(p), which is 0 when all versions agree. `parts` holds `total`, the entropy
    of the mean, `aleatoric`, the mean entropy, both in nats; `mean` and `variance` (population) of
    each class's probability.

    Raises:
        ValueError: Not (member, class), or numbers that are no distribution.
    """
    given = as_numpy(probabilities).astype(np.float64)
    if given.ndim != 2:
        raise ValueError(f"probabilities must be (member, class), but their shape is {given.shape}")
    rows = [chances for chances in map(_distribution, given) if chances is not None]
    if len(rows) < len(given):
        return MI.none("nan_map", text="the probabilities of a version are not numbers")
    if len(rows) < 2:
        return MI.none("too_few", text="one version of a model cannot disagree with itself")
    members = np.array(rows)
    mean = members.mean(axis=0)
    total, aleatoric = _nats(mean), float(np.mean([_nats(row) for row in members]))
    return MI.score(
        max(0.0, total - aleatoric),
        chance=0.0,
        range=(0, log(len(mean))),
        params={"members": len(members), **_classes(mean)},
        parts={
            "total": total,
            "aleatoric": aleatoric,
            "mean": mean.tolist(),
            "variance": members.var(axis=0).tolist(),
        },
    )


def mc_dropout(
    model: Model | nn.Module,
    images: Float[Tensor, "image ..."],
    *,
    head: Head | None = None,
    passes: int = PASSES,
    seed: int = 0,
    max_batch: int = PASSES,
) -> Members:
    """Several passes with dropout at work and everything else as in use.

    Only dropout layers train; batch norm keeps its statistics. What comes before the first dropout
    runs once an image. Each image is sent by itself, with the same seed, so its numbers do not
    depend on the others; another `max_batch` draws other masks. The model is given back untouched.

    Args:
        model: From `foveal.load_model`, which takes display units, or any torch module.
        images: A batch.
        head: How outputs become probabilities; the card's, else "softmax".
        passes: Passes an image.
        seed: Of the masks.
        max_batch: Copies of an image in one pass.

    Raises:
        ModelError: No dropout layer (a `torch.nn.Dropout` or its kind with p > 0) runs; dropout
            that is called as a function cannot be seen.
        ValueError: Fewer than two passes, or a batch below 1.

    Reference:
        Gal & Ghahramani 2016.
    """
    if passes < 2 or max_batch < 1:
        raise ValueError(f"passes must be 2 or more and max_batch 1 or more: {passes}, {max_batch}")
    module = model.module if isinstance(model, Model) else model
    dropouts = [part for part in module.modules() if isinstance(part, _DROPOUT) and part.p > 0]
    names = {part: name for name, part in module.named_modules()}
    batch = min(max_batch, model.batch or max_batch) if isinstance(model, Model) else max_batch
    found, once = [], ()
    for image in images.split(1):
        with borrowed(module, seed), torch.inference_mode(False), torch.no_grad():
            for part in dropouts:
                part.training = True
            calls = shared_prefix(_forward(model), module, dropouts, image) if dropouts else None
            if calls is None:
                raise ModelError(
                    "no dropout layer runs in this model (a torch.nn.Dropout or its kind with "
                    "p > 0), so passes would not differ; compare several trained models instead"
                )
            once = tuple(names[call.module] for call in calls)
            outputs = []
            for size in _sizes(passes, batch):
                with replayed(calls, size):
                    outputs.append(_chances(model, image.expand(size, *image.shape[1:]), head))
        found.append(np.concatenate(outputs))
    return Members(probabilities=np.stack(found, axis=1), computed_once=once)


def deep_ensemble(
    models: Sequence[Model | nn.Module],
    images: Float[Tensor, "image ..."],
    *,
    head: Head | None = None,
) -> Members:
    """Several models trained apart, each asked once; all given back untouched.

    Raises:
        ValueError: Fewer than two models, or models of other classes.

    Reference:
        Lakshminarayanan et al. 2017, with five models.
    """
    if len(models) < 2:
        raise ValueError(f"an ensemble needs two models or more, but got {len(models)}")
    found = []
    for model in models:
        module = model.module if isinstance(model, Model) else model
        with borrowed(module), torch.inference_mode(False), torch.no_grad():
            found.append(_chances(model, images, head))
    shapes = {one.shape for one in found}
    if len(shapes) > 1:
        raise ValueError(f"the models give probabilities of different shapes: {sorted(shapes)}")
    return Members(probabilities=np.stack(found))


def _chances(
    model: Model | nn.Module, images: Tensor, head: Head | None
) -> Float[np.ndarray, "image class"]:
    """Probabilities in double precision: in single a sure class has no logarithm of its odds."""
    output = _forward(model)(images)
    if not isinstance(output, Tensor) or output.ndim not in (1, 2):
        got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ModelError(f"the model must give one row of classes an image, but gave {got}")
    meant: Head = head or (model.head if isinstance(model, Model) else "softmax")
    found = probabilities(output.double().reshape(len(images), -1), meant)
    if meant in ("cumulative", "coral"):  # grades that contradict each other sum to more than 1
        found = found / found.sum(dim=1, keepdim=True)
    return found.cpu().numpy()


def _forward(model: Model | nn.Module) -> Callable[[Tensor], object]:
    return model.forward if isinstance(model, Model) else model


def _sizes(total: int, most: int) -> list[int]:
    return [min(most, total - start) for start in range(0, total, most)]


def _distribution(given: Shaped[Array, " class"]) -> Float[np.ndarray, " class"] | None:
    """The probabilities of all classes; `None` where one is not a number."""
    chances = as_numpy(given).astype(np.float64)
    if chances.ndim != 1 or not chances.size:
        raise ValueError(f"probabilities must be one a class, but their shape is {chances.shape}")
    if not np.isfinite(chances).all():
        return None
    if chances.size == 1:
        chances = np.array([1 - chances[0], chances[0]])
    if chances.min() < -1e-9 or abs(chances.sum() - 1) > _SLACK:
        raise ValueError(
            f"probabilities must be 0 or more and sum to 1, but are {chances.tolist()}; give the "
            "labels of a multilabel model one by one, as a single probability each"
        )
    chances = chances.clip(min=0)
    return chances / chances.sum()


def _nats(chances: Float[np.ndarray, " class"]) -> float:
    positive = chances[chances > 0]
    return float(max(0.0, -(positive * np.log(positive)).sum()))


def _classes(chances: Float[np.ndarray, " class"]) -> dict[str, int]:
    return {"classes": len(chances)}
