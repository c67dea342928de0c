"""Layer-wise relevance propagation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
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
from foveal.explainers.composites import BOX, COMPOSITES, Composite
from foveal.explainers.conservation import Propagated
from foveal.explainers.propagation import STARTS, Bounds, FirstConvolution, Relevance
from foveal.explainers.settings import check_number

Bound = float | int | Sequence[float] | Tensor | None


@dataclass(frozen=True, kw_only=True)
class LRP(AbstractExplainer):
    """What share of the score does each pixel hold, layer by layer?

    The score is passed down from layer to layer, each unit handing on to its inputs what they
    contributed to it, so that nothing is lost but what biases, constants and stabilisers keep.
    The epsilon rule: R_j = a_j sum_k w_jk R_k / (z_k + epsilon sign z_k), with z_k = sum_j a_j
    w_jk + b_k.

    On eyes, use it for convolutional graders and small lesions (haemorrhages, exudates, cysts in
    OCT), which it draws more cleanly than a gradient does; with the epsilon rule alone it is noisy
    in deep networks, and the composites are calmer. `epsilon_plus`, `epsilon_alpha2_beta1` and
    their kin resemble an edge detector that follows vessels and, like guided backpropagation,
    change little when upper layers are replaced by random ones (Sixt et al. 2020, When Explanations
    Lie): look at randomisation scores before trusting them. Not for transformers, nor for more than
    a first look at segmentation models. It costs one forward and one backward pass, each about
    twice as long, and two forward passes more for a box.

    Before the rules, the network is brought into a form in which they hold: batch norm is merged
    into the linear layer right before or after it, else it is a linear map of its own with the
    epsilon rule; the summands of a residual sum, and the members
    of an average pool or a mean, get shares in proportion to their values; the winner of a
    maximum takes all; gates, as in squeeze and excitation, get nothing; activation functions let
    relevance through. Nothing of the model itself is changed. Transformers, and any operation
    without a rule, are refused; for transformers there is `chefer`.

    Beside the map: `relevance_at_output`, `relevance_at_input` and their difference `absorbed`;
    and for each layer what arrived at it and what it passed down, in `layers`, `layer_arrived`
    and `layer_passed`. For a logit and `start="logit"`, relevance at the output is the score.

    LRP is patented in some countries (the family of WO 2016/150472, with EP 3271863 and US
    12,061,966): see whether that concerns you. Its rules come from zennit, which is licensed
    under the LGPL and is not installed unless asked for: `pip install 'foveal[lrp]'`.

    Args:
        composite: Which layers have which rule, under zennit's names. `epsilon_plus`,
            `epsilon_alpha2_beta1` (convolutions z+ or alpha-beta, fully connected layers
            epsilon), the same with `_flat` (the first layer flat), `epsilon_gamma_box` (the first
            convolution zB, the others gamma). `epsilon`, `gamma`, `zplus` and `alpha2_beta1` are
            that rule on every layer.
        epsilon: Stabiliser of the epsilon rule.
        gamma: How much more positive weights count under the gamma rule.
        low: The lowest value that the images can have, for the box: a number, one a channel, or a
            tensor that fits the images. In display units it is 0, and what the model makes of it
            on the way to its first convolution is followed; at the tensor door it must be given,
            in the units of the tensor.
        high: The highest; in display units 1.
        start: Relevance at the outputs that the score is made of: each one's own value times the
            derivative of the score (`logit`), or the derivative alone (`one`).

    Raises:
        ValueError: An unknown composite or start, an epsilon or gamma that is not positive, a box
            without its sides, or sides without a box.
        TypeError: A setting of the wrong kind.
        ModelError: zennit is missing, or the model has an operation without a rule.

    Reference:
        Bach et al. 2015, On Pixel-Wise Explanations by Layer-Wise Relevance Propagation,
        equations 56 and 60; Montavon et al. 2019, Layer-Wise Relevance Propagation: An Overview.
    """

    composite: str = "epsilon"
    epsilon: float = 1e-6
    gamma: float = 0.25
    low: Bound = None
    high: Bound = None
    start: str = "logit"

    name: ClassVar[str] = "lrp"
    needs: ClassVar[tuple[Need, ...]] = ("modified backward",)
    card: ClassVar[MethodCard] = MethodCard(
        question="What share of the score does each pixel hold, layer by layer?",
        sign="positive: its value speaks for the score; negative: against it",
        grid="the input's, with channels",
        cost="1 F + 1 B, each about twice as long; 2 F more for a box",
        reference="Bach et al. 2015, On Pixel-Wise Explanations, eq. 56 and 60",
    )

    def __post_init__(self) -> None:
        if self.composite not in COMPOSITES:
            raise ValueError(f"composite must be one of {COMPOSITES}, but is {self.composite!r}")
        if self.start not in STARTS:
            raise ValueError(f"start must be 'logit' or 'one', but is {self.start!r}")
        for name in ("epsilon", "gamma"):
            check_number(name, getattr(self, name))
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, but is {getattr(self, name)}")
        if self.composite != BOX and not (self.low is None and self.high is None):
            raise ValueError(f"low and high are the sides of a box; use composite={BOX!r}")
        for name, side in (("low", self.low), ("high", self.high)):
            _check_side(name, side)
            if isinstance(side, Sequence):
                object.__setattr__(self, name, tuple(side))

    def probes(self, clean: Seen, frame: Frame) -> Sequence[Probes]:
        composite = Composite(name=self.composite, epsilon=self.epsilon, gamma=self.gamma)
        seen: list[Tensor] = []
        bounds = partial(_sides, seen) if self.composite == BOX else None
        wants = Wants(instrument=Relevance(composite, self.start, bounds), instrument_gradient=True)
        relevance = Probes(count=1, build=lambda _: clean.images, wants=wants)
        if bounds is None:
            return (relevance,)
        sides = self._box(clean.images, frame)
        first = Wants(instrument=FirstConvolution(seen))
        return Probes(count=2, build=lambda number: sides[number], wants=first), relevance

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        *boxes, relevance = answers
        for box in boxes:
            list(box)  # the sides of the box are seen before relevance is propagated
        found = next(relevance).reading
        if not isinstance(found, Propagated):
            raise TypeError("this method folds relevance, but its pass propagated none")
        at_input = found.at_input.float().flatten(1).sum(dim=1)
        return Fold(
            map=found.at_input,
            parts={
                "relevance_at_output": found.at_output,
                "relevance_at_input": at_input,
                "absorbed": found.at_output - at_input,
                "layers": found.layers,
                "layer_arrived": found.arrived,
                "layer_passed": found.passed,
            },
        )

    def _box(self, images: Tensor, frame: Frame) -> Bounds:
        """The darkest and the brightest image that there could be."""
        low, high = self.low, self.high
        if frame.display:
            low, high = 0 if low is None else low, 1 if high is None else high
        if low is None or high is None:
            raise ValueError(
                "a bare tensor does not say what is black and white in it, and the box needs to "
                "know: give low= and high= in the units of the tensor, one number or one a channel"
            )
        return _filled("low", low, images), _filled("high", high, images)


def _check_side(name: str, side: object) -> None:
    if side is None or isinstance(side, Tensor):
        return
    if isinstance(side, str) or not isinstance(side, int | float | Sequence):
        raise TypeError(f"{name} must be a number, one a channel or a tensor, but is {side!r}")
    for number in side if isinstance(side, Sequence) else (side,):
        check_number(name, number)


def _filled(name: str, bound: Bound, images: Tensor) -> Tensor:
    """One image of bounds for each image."""
    values = torch.as_tensor(bound).to(images)
    if values.ndim == 1:
        values = values.reshape(-1, *[1] * (images.ndim - 2))
    try:
        return values.expand_as(images)
    except RuntimeError as error:
        raise ValueError(
            f"{name} of shape {tuple(torch.as_tensor(bound).shape)} does not fit images of shape "
            f"{tuple(images.shape[1:])}; give one number, or one a channel"
        ) from error


def _sides(seen: Sequence[Tensor]) -> Bounds:
    """What the first convolution saw of the darkest and of the brightest images, in this order."""
    low, high = torch.cat(list(seen)).chunk(2)
    return torch.minimum(low, high), torch.maximum(low, high)
