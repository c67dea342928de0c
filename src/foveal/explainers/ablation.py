"""Class activation maps whose weights say what the score loses without a channel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

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
from foveal.explainers.scorecam import liveliest, take
from foveal.explainers.settings import check_flag


@dataclass(frozen=True, kw_only=True)
class AblationCAM(AbstractExplainer):
    """How much does the score fall when a channel of the layer is silenced?

    sum_k w_k A_k with w_k = (y - y_k) / abs(y), where y is the score and y_k that with channel k
    set to zero everywhere. No gradient enters, so saturation does no harm; channels that stand in
    for each other, as networks have many for one lesion, all look unimportant. The paper divides
    by y, which turns the whole map over where the score is negative: here it is abs(y). A score
    of exactly zero leaves nothing to divide by, and the map is missing.

    On eyes, use it to confirm a Grad-CAM without gradients, for findings as large as a cell of the
    layer. Not for early retinopathy, where many channels answer to the same haemorrhages and each
    alone looks dispensable, nor for vessels or single OCT layers. It costs one forward pass a
    channel, from the layer on.

    Args:
        fill: What a channel is set to: `zero`, or its own `mean` over the positions.
        normalise: Divide by abs(y). Without it the weights are in units of the score.
        top: Only so many channels of each image, those that vary most over their positions; the
            others get weight zero. With few of them the whole map can come out with another sign.

    Raises:
        ValueError: An unknown fill, or no channels.

    Reference:
        Desai and Ramaswamy 2020, Ablation-CAM, equations 3 and 4.
    """

    fill: Literal["zero", "mean"] = "zero"
    normalise: bool = True
    top: int | None = None

    name: ClassVar[str] = "ablationcam"
    needs: ClassVar[tuple[Need, ...]] = ("activations", "scores")
    wants: ClassVar[Wants] = Wants(activation=True)
    compares: ClassVar[bool] = True
    card: ClassVar[MethodCard] = MethodCard(
        question="How much does the score fall when a channel of the layer is silenced?",
        sign="positive: active channels that raise the score; negative: that lower it",
        grid="the layer's",
        cost="1 F a channel",
        reference="Desai and Ramaswamy 2020, Ablation-CAM, eq. 3-4",
    )

    def __post_init__(self) -> None:
        if self.fill not in ("zero", "mean"):
            raise ValueError(f"fill must be zero or mean, but is {self.fill!r}")
        check_flag("normalise", self.normalise)
        if self.top is not None:
            check_count("top", self.top)

    def probes(self, clean: Seen, frame: Frame) -> Sequence[Probes]:
        images, activation = clean.images, clean.layer.activation
        channels = liveliest(activation, self.top)
        rows = torch.arange(len(images), device=images.device)
        places = (1,) * (activation.ndim - 2)

        def silenced(number: int, activation: Tensor) -> Tensor:
            own, changed = channels[:, number], activation.clone()
            mean = activation[rows, own].flatten(1).mean(dim=1).reshape(-1, *places)
            changed[rows, own] = mean if self.fill == "mean" else torch.zeros_like(mean)
            return changed

        return (Probes(count=channels.shape[1], build=lambda _: images, edit=silenced),)

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        activation = clean.layer.activation.float()
        channels = liveliest(activation, self.top)
        score = clean.scores.float().unsqueeze(1)
        weight = torch.cat([score - seen.scores.float().unsqueeze(1) for seen in answers[0]], dim=1)
        notes = ()
        if self.normalise:
            weight = weight / score.abs()
            if not bool(score.all()):
                notes = ("the score of an image is exactly zero; use normalise=False for its map",)
        return Fold(map=weighted_sum(weight, take(activation, channels)), notes=notes)
