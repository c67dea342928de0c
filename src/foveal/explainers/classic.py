"""Class activation maps of networks that end in a global mean and one linear layer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from foveal.core import ModelError
from foveal.explainers.base import (
    AbstractExplainer,
    Fold,
    Frame,
    MethodCard,
    Need,
    Probes,
    Seen,
    Wants,
)
from foveal.explainers.cam import NEEDS, POSITIVE_LAYER, weighted_sum

_TRIALS = 4
_TOLERANCE = 1e-4
"""Largest difference between gradients that count as equal, as a share of the largest of them."""


@dataclass(frozen=True, kw_only=True)
class CAM(AbstractExplainer):
    """Which cells of the last layer did the class score come from? Exact, for one kind of network.

    sum_k w_ck A_k with the weights w of the linear layer after a global mean. The map's mean is the
    logit without its bias, which is returned beside it as `bias`. On such networks Grad-CAM and
    HiResCAM are the same map divided by its number of cells, so CAM is the one to cite; any other
    head is refused.

    On eyes, use it where a grader ends in a global mean and one linear layer (ResNet, DenseNet,
    EfficientNet) and the map is to add up. Its cells are as coarse as Grad-CAM's: right for a
    plaque of exudates, a large haemorrhage or the disc, not for microaneurysms or vessels, and not
    for segmentation models, which have no such head. It costs one forward pass, and four more and
    the backward pass above the layer to test the head.

    The head is judged by what it does, so that modules and functions count alike: the gradient at
    the layer must be the same at all positions, and must stay the same when the activations are
    replaced by others. The weight is then that gradient times the number of cells.

    Raises:
        ModelError: The score is anything but a linear function of the mean of the layer: the layer
            is not the one right before the mean, or the head has another pooling, a norm or an
            activation function, or the score is a probability.

    Reference:
        Zhou et al. 2016, Learning Deep Features for Discriminative Localization, equation 2.
    """

    name: ClassVar[str] = "cam"
    needs: ClassVar[tuple[Need, ...]] = NEEDS
    wants: ClassVar[Wants] = POSITIVE_LAYER
    card: ClassVar[MethodCard] = MethodCard(
        question="Which cells of the last layer did the class score come from?",
        sign="positive: raises the score; negative: lowers it",
        grid="the layer's",
        cost="1 F, and 4 F + the B above the layer to test the head",
        reference="Zhou et al. 2016, Learning Deep Features for Discriminative Localization, eq. 2",
    )

    def probes(self, clean: Seen, frame: Frame) -> Sequence[Probes]:
        def replaced(trial: int, activation: Tensor) -> Tensor:
            drawn = frame.draw.normal(trial, activation.flatten(2)[:, :, 0])
            # Large and positive, each channel by its own size: the activation function that may
            # stand between the layer and what is watched lets such values pass unchanged.
            others = 20 * (2 * drawn.abs()).exp()
            change = others.reshape(1, -1, *[1] * (activation.ndim - 2)) - activation
            return activation + change.detach()

        images = clean.images
        return (Probes(count=_TRIALS, build=lambda _: images, wants=POSITIVE_LAYER, edit=replaced),)

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        activation, gradient = clean.layer.pair
        (layer,) = clean.layers
        mean = gradient.flatten(2).mean(dim=2)
        if not bool(mean.any(dim=1).all()):
            raise ModelError(_refusal(layer, "no position of it enters the score"))
        if not _equal(gradient.flatten(2), mean.unsqueeze(2)):
            raise ModelError(_refusal(layer, "its positions enter the score differently"))
        for seen in answers[0]:
            _, other = seen.layer.pair
            if not _equal(other.flatten(2), mean.unsqueeze(2)):
                raise ModelError(_refusal(layer, "the score is not linear in it"))
        cam = weighted_sum(mean * activation[0, 0].numel(), activation)
        return Fold(map=cam, parts={"bias": clean.scores - cam.flatten(1).mean(dim=1)})


def _equal(
    one: Float[Tensor, "sample channel place"], other: Float[Tensor, "sample channel 1"]
) -> bool:
    """Whether gradients are the same but for rounding, in every sample by its own size."""
    difference = (one - other).abs().flatten(1).amax(dim=1)
    return bool(torch.all(difference <= _TOLERANCE * other.abs().flatten(1).amax(dim=1)))


def _refusal(layer: str, why: str) -> str:
    return (
        f"cam needs a score that is one linear layer on the global mean of layer {layer!r}, but "
        f"{why}; name the layer right before the mean and explain a logit, or use gradcam or "
        "hirescam, which ask for no such head"
    )
