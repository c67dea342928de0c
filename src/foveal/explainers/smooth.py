"""Class activation maps whose gradients are averaged over noisy copies of the image."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

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
)
from foveal.explainers.cam import NEEDS, POSITIVE_LAYER, over_space, signed_note, weighted_sum
from foveal.explainers.noisy import check_noise, noisy_copies


@dataclass(frozen=True, kw_only=True)
class SmoothGradCAMPlusPlus(AbstractExplainer):
    """Like Grad-CAM++, with the gradient's noise averaged out.

    w_k = sum_xy alpha_k ReLU(D1_k) with alpha_k = D2_k / (2 D2_k + D3_k sum_xy A_k), where D1, D2
    and D3 are the means of g, g^2 and g^3 over noisy copies of the image, and A the activations of
    the image itself. For a score that is linear in the layer it equals Grad-CAM++. The paper prints
    D1 in the numerator of alpha; D2 is the reading that agrees with Grad-CAM++ without noise.

    Where the mean of g^3 is so negative that the denominator is not positive, it counts as zero, as
    does a negative sum of activations: alpha would explode or change its sign. Like Grad-CAM++ it
    says little about what speaks against a class, and it sees no finer than the layer does.

    On eyes, use it where Grad-CAM++ jumps between two photographs of one visit. Camera noise is
    then averaged out, but so are findings near it: microaneurysms, faint drusen, thin vessels, so
    it is not for early disease, nor for speckled OCT unless `noise` is small. It costs one forward
    pass, and 25 forward passes with the backward passes above the layer.

    Args:
        samples: Noisy copies.
        noise: Standard deviation as a share of the image's range (largest minus smallest value).

    Raises:
        ValueError: No samples, or noise that is not positive.

    Reference:
        Omeiza et al. 2019, Smooth Grad-CAM++, equations 6 to 8.
    """

    samples: int = 25
    noise: float = 0.15

    name: ClassVar[str] = "smoothgradcam++"
    needs: ClassVar[tuple[Need, ...]] = NEEDS
    wants: ClassVar[Wants] = Wants(activation=True, after_activation=True)
    card: ClassVar[MethodCard] = MethodCard(
        question="Where are the places that raise the score, beyond the gradient's noise?",
        sign="positive: raises the score; negative only where activations are",
        grid="the layer's",
        cost="1 F, and 25 F + 25 times the B above the layer",
        reference="Omeiza et al. 2019, Smooth Grad-CAM++, eq. 6-8",
    )

    def __post_init__(self) -> None:
        check_noise(self.samples, self.noise, without="gradcam++")

    def probes(self, clean: Seen, frame: Frame) -> Sequence[Probes]:
        return noisy_copies(clean, frame.draw, self.samples, self.noise, POSITIVE_LAYER)

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        activation = clean.layer.activation.float()
        first, second, third = self._moments(answers[0], activation)
        total = over_space(activation).clamp(min=0)
        slope = third * total
        slope = torch.where(2 * second + slope > 0, slope, 0)
        alpha = torch.where(second > 0, second / (2 * second + slope), 0)
        weight = (alpha * first.clamp(min=0)).flatten(2).sum(dim=2).float()
        notes = signed_note(
            activation, what="a channel with a negative sum counts as zero in alpha"
        )
        return Fold(map=weighted_sum(weight, activation), notes=notes)

    def _moments(self, answers: Iterator[Seen], activation: Tensor) -> list[Tensor]:
        """The means of g, g^2 and g^3; in float64, since the cube of a small gradient vanishes."""
        sums = [torch.zeros_like(activation, dtype=torch.float64) for _ in range(3)]
        for seen in answers:
            gradient = seen.layer.pair[1].double()
            for power, total in enumerate(sums, start=1):
                total += gradient**power
        return [total / self.samples for total in sums]
