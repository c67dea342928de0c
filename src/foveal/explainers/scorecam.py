"""Class activation maps whose weights come from scores instead of gradients."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from foveal.core import ScoreMode
from foveal.explainers.base import (
    AbstractExplainer,
    Fold,
    Frame,
    MethodCard,
    Need,
    Probes,
    Seen,
    Wants,
    check_count,
)
from foveal.explainers.cam import weighted_sum
from foveal.explainers.grid import resize


@dataclass(frozen=True, kw_only=True)
class ScoreCAM(AbstractExplainer):
    """Which channels of the layer show enough of the image to keep the class probable?

    Each channel, enlarged to the input and scaled to [0, 1], masks the image; what the model then
    says of the class is the channel's weight, sum_k w_k A_k. No gradient enters. A channel that is
    constant shows nothing and has weight zero. Masking means multiplying, so what is hidden is zero
    in the units of the images: black in display units.

    On eyes, use it where gradients are not to be trusted or saturate (a grader that is sure), for
    findings as large as a cell: haemorrhages, atrophy, fluid. Blackening retina makes a photograph
    that no camera takes, and a model may read it as a dark lesion; not for scattered small lesions,
    which no single channel shows enough of, nor for volumes, where it is slow. It costs one forward
    pass a channel: 512 to 2048 for common networks, fewer with `top`.

    Args:
        weighting: `post-softmax` weighs by the class probability, as sections 3.2 and 4 of the
            paper and its authors' code do; `algorithm1` by the softmax over the channels of how
            much the logit rises above that of an all-zero image, as its algorithm 1 prints. For a
            callable target its value takes the place of probability and logit.
        top: Only so many channels of each image, those that vary most over their positions.

    Raises:
        ValueError: An unknown weighting, or no channels.

    Reference:
        Wang et al. 2020, Score-CAM, equations 7 to 9 and algorithm 1.
    """

    weighting: Literal["post-softmax", "algorithm1"] = "post-softmax"
    top: int | None = None

    name: ClassVar[str] = "scorecam"
    needs: ClassVar[tuple[Need, ...]] = ("activations", "scores")
    wants: ClassVar[Wants] = Wants(activation=True)
    card: ClassVar[MethodCard] = MethodCard(
        question="Which parts of the layer show enough of the image to keep the class probable?",
        sign="positive: active channels that keep the class; negative only where activations are",
        grid="the layer's",
        cost="1 F a channel",
        reference="Wang et al. 2020, Score-CAM, eq. 7-9",
    )

    def __post_init__(self) -> None:
        if self.weighting not in ("post-softmax", "algorithm1"):
            raise ValueError(
                f"weighting must be post-softmax or algorithm1, but is {self.weighting!r}"
            )
        if self.top is not None:
            check_count("top", self.top)

    @property
    def weighs_by(self) -> ScoreMode:
        return "probability" if self.weighting == "post-softmax" else "logit"

    def probes(self, clean: Seen, frame: Frame) -> Sequence[Probes]:
        images, activation = clean.images, clean.layer.activation.float()
        channels = liveliest(activation, self.top)

        def build(number: int) -> Tensor:
            shown = take(activation, channels[:, number : number + 1])[:, 0]
            mask = _to_unit(resize(shown, images.shape[2:]))
            return images * mask.unsqueeze(1).to(images.dtype)

        nothing = Probes(count=1, build=lambda _: torch.zeros_like(images))
        masked = Probes(count=channels.shape[1], build=build)
        return (masked, nothing) if self.weighting == "algorithm1" else (masked,)

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        activation = clean.layer.activation.float()
        channels = liveliest(activation, self.top)
        weight = torch.stack([seen.scores.float() for seen in answers[0]], dim=1)
        if self.weighting == "algorithm1":
            (nothing,) = answers[1]
            weight = (weight - nothing.scores.float().unsqueeze(1)).softmax(dim=1)
        chosen = take(activation, channels)
        flat = chosen.flatten(2)
        varies = flat.amax(dim=2) > flat.amin(dim=2)
        return Fold(map=weighted_sum(weight * varies, chosen))


def liveliest(
    activation: Float[Tensor, "sample channel ..."], top: int | None
) -> Int[Tensor, "sample chosen"]:
    """The channels of each image that vary most over their positions; all of them for `None`."""
    count = activation.shape[1]
    if top is None or top >= count:
        return torch.arange(count, device=activation.device).expand(len(activation), -1)
    spread = activation.flatten(2).std(dim=2)
    return spread.argsort(dim=1, descending=True, stable=True)[:, :top]


def take(
    activation: Float[Tensor, "sample channel ..."], channels: Int[Tensor, "sample chosen"]
) -> Float[Tensor, "sample chosen ..."]:
    """Each image's own channels."""
    rows = torch.arange(len(activation), device=activation.device).unsqueeze(1)
    return activation[rows, channels]


def _to_unit(maps: Tensor) -> Tensor:
    """Each map from its smallest value at 0 to its largest at 1; all zero where it is constant."""
    flat = maps.flatten(1)
    low, high = flat.amin(dim=1), flat.amax(dim=1)
    span = torch.where(high > low, high - low, torch.inf)
    shape = (-1, *[1] * (maps.ndim - 1))
    return (maps - low.reshape(shape)) / span.reshape(shape)
