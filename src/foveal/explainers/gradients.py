"""Gradients of the score with respect to the input."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
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
from foveal.explainers.reference import Reference, check_reference, reference

NEEDS: tuple[Need, ...] = ("input gradient",)
INPUT = Wants(input_gradient=True)
SIGN = "positive: brightening this channel here raises the score; negative: lowers it"


@dataclass(frozen=True, kw_only=True)
class Saliency(AbstractExplainer):
    """Which pixels would change the score most if they changed a little?

    The gradient of the score at the input, sign and channels kept (the paper shows the largest
    absolute value over the channels).

    On eyes, use it for a quick look at sensitivity at full resolution, and to find a model that is
    blind (zero everywhere) or nervous (noise everywhere). It is noisy and not what the score is
    made of: edges of vessels and OCT layers light up whatever the disease, and a haemorrhage that a
    sure model no longer needs stays dark. It costs one forward and one backward pass.

    Reference:
        Simonyan et al. 2014, Deep Inside Convolutional Networks, section 3.
    """

    name: ClassVar[str] = "saliency"
    needs: ClassVar[tuple[Need, ...]] = NEEDS
    wants: ClassVar[Wants] = INPUT
    card: ClassVar[MethodCard] = MethodCard(
        question="Which pixels would change the score most if they changed a little?",
        sign=SIGN,
        grid="the input's, with channels",
        cost="1 F + 1 B",
        reference="Simonyan et al. 2014, Deep Inside Convolutional Networks, sec. 3",
    )

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        return Fold(map=input_gradient(clean))


@dataclass(frozen=True, kw_only=True)
class InputXGradient(AbstractExplainer):
    """How much would the score lose, to first order, if each pixel went to zero?

    The gradient times the input, sign and channels kept. What is zero in the model's own units gets
    no attribution, so it depends on what zero means: black in display units, the training mean in
    normalised ones. For a network of ReLUs without biases the map sums to the score.

    On eyes, use it for bright lesions on images whose zero is black: exudates, drusen, bright OCT
    layers. Not for haemorrhages, fluid or the dark fovea: what is dark is multiplied by almost
    nothing. In normalised units it is the retina of average colour that vanishes. It costs one
    forward and one backward pass.

    Reference:
        Shrikumar et al. 2016, Not Just a Black Box: x_i dS/dx_i, as in table 1 of Ancona et al.
        2018, Towards Better Understanding of Gradient-based Attribution Methods.
    """

    name: ClassVar[str] = "inputxgradient"
    needs: ClassVar[tuple[Need, ...]] = NEEDS
    wants: ClassVar[Wants] = INPUT
    card: ClassVar[MethodCard] = MethodCard(
        question="How much does each pixel add to the score, to first order?",
        sign="positive: its value raises the score; negative: lowers it",
        grid="the input's, with channels",
        cost="1 F + 1 B",
        reference="Shrikumar et al. 2016, Not Just a Black Box: x dS/dx",
    )

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        return Fold(map=clean.images * input_gradient(clean))


@dataclass(frozen=True, kw_only=True)
class IntegratedGradients(AbstractExplainer):
    """How much did each pixel add to the score, compared with a baseline image?

    (x - x0) times the mean gradient on the straight path from the baseline x0 to the image x, by
    Gauss-Legendre quadrature, whose weights sum to one. The map sums to f(x) - f(x0) up to the
    quadrature's error, which is returned beside it as `completeness_error`.

    On eyes, use it to share a score out at full resolution: over lesions, quadrants, OCT layers,
    the pixels of small haemorrhages. Everything depends on the baseline: where the image equals it,
    the map is zero, so with a black baseline haemorrhages, fluid and vessels cannot be seen; `blur`
    keeps the eye and takes the lesions. Not for a quick look at an outline: single pixels are
    noisy, sums over regions are not. It costs 50 forward and backward passes, and one forward for
    the baseline.

    Args:
        steps: Points on the path.
        baseline: A number, a tensor that fits the images, or a name: `blur`; in display units
            also `black` and `field-mean`.

    Raises:
        ValueError: No steps, or an unknown baseline.
        TypeError: Steps that are no whole number.

    Reference:
        Sundararajan et al. 2017, Axiomatic Attribution for Deep Networks, equation 1.
    """

    steps: int = 50
    baseline: Reference = 0.0

    name: ClassVar[str] = "integratedgradients"
    needs: ClassVar[tuple[Need, ...]] = NEEDS
    card: ClassVar[MethodCard] = MethodCard(
        question="How much did each pixel add to the score, compared with a baseline image?",
        sign="positive: its difference from the baseline raised the score; negative: lowered it",
        grid="the input's, with channels",
        cost="50 F + 50 B, and 1 F for the baseline",
        reference="Sundararajan et al. 2017, Axiomatic Attribution for Deep Networks, eq. 1",
    )

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_reference("baseline", self.baseline)

    def probes(self, clean: Seen, frame: Frame) -> Sequence[Probes]:
        images = clean.images
        start = reference(self.baseline, images, frame)
        positions, _ = _quadrature(self.steps)

        def build(step: int) -> Tensor:
            return start + positions[step] * (images - start)

        path = Probes(count=self.steps, build=build, wants=INPUT)
        return path, Probes(count=1, build=lambda _: start)

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        path, at_baseline = answers
        _, weights = _quadrature(self.steps)
        total = torch.zeros_like(clean.images, dtype=torch.float32)
        for weight, seen in zip(weights, path, strict=True):
            total += weight * input_gradient(seen)
        start = next(at_baseline)
        attribution = total * (clean.images - start.images)
        change = clean.scores - start.scores
        error = attribution.flatten(1).sum(dim=1) - change
        return Fold(
            map=attribution,
            parts={"completeness_error": error, "score_change": change},
        )


def _quadrature(steps: int) -> tuple[list[float], list[float]]:
    """Positions in (0, 1) and weights that sum to one."""
    positions, weights = np.polynomial.legendre.leggauss(steps)
    return ((positions + 1) / 2).tolist(), (weights / 2).tolist()


def input_gradient(seen: Seen) -> Tensor:
    if seen.input_gradient is None:
        raise TypeError("this method folds input gradients, but its pass took none")
    return seen.input_gradient.float()
