"""Gradients over noisy copies of the image: their mean, their mean square, their variance."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from foveal.explainers.base import (
    AbstractExplainer,
    Draw,
    Fold,
    Frame,
    MethodCard,
    Need,
    Probes,
    Seen,
    Wants,
    check_count,
)
from foveal.explainers.gradients import INPUT, NEEDS, SIGN, input_gradient
from foveal.explainers.settings import check_number


@dataclass(frozen=True, kw_only=True)
class SmoothGrad(AbstractExplainer):
    """Saliency with its noise averaged out.

    The mean of the gradients over noisy copies of the image. The noise is Gaussian with a
    standard deviation of `noise` times the image's own range (largest minus smallest value), so
    it means the same for every image and in every unit.

    On eyes, use it for a cleaner view than a plain gradient of lesions a few pixels wide and more:
    exudates, haemorrhages, cysts in OCT. Microaneurysms and thin vessels are no stronger than the
    noise that is added, so it is not for these, and structure that the noise brings in is no
    finding. It costs 25 forward and backward passes.

    Args:
        samples: Noisy copies.
        noise: Standard deviation as a share of the image's range; the paper advises 0.1 to 0.2.

    Raises:
        ValueError: No samples, or noise that is not positive.

    Reference:
        Smilkov et al. 2017, SmoothGrad, the equation of section 2.
    """

    samples: int = 25
    noise: float = 0.15

    name: ClassVar[str] = "smoothgrad"
    needs: ClassVar[tuple[Need, ...]] = NEEDS
    card: ClassVar[MethodCard] = MethodCard(
        question="Which pixels would change the score most, beyond the gradient's noise?",
        sign=SIGN,
        grid="the input's, with channels",
        cost="25 F + 25 B",
        reference="Smilkov et al. 2017, SmoothGrad, sec. 2",
    )

    def __post_init__(self) -> None:
        check_noise(self.samples, self.noise, without="saliency")

    def probes(self, clean: Seen, frame: Frame) -> Sequence[Probes]:
        return noisy_copies(clean, frame.draw, self.samples, self.noise)

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        mean, _ = _moments(answers[0], clean)
        return Fold(map=mean)


@dataclass(frozen=True, kw_only=True)
class SquareGrad(AbstractExplainer):
    """Where is the gradient large over noisy copies, whatever its sign?

    The mean of the squared gradients: never negative, and sharper than SmoothGrad, since gradients
    of both signs do not cancel out.

    On eyes, use it to rank places for a removal test: it finds dark haemorrhages and bright
    exudates alike. Not to tell evidence from counter-evidence, and not for shares of the score in a
    region, since squares favour the few strongest pixels. It costs 25 forward and backward passes.

    Args:
        samples: Noisy copies.
        noise: Standard deviation as a share of the image's range.

    Raises:
        ValueError: No samples, or noise that is not positive.

    Reference:
        Hooker et al. 2019, A Benchmark for Interpretability Methods in Deep Neural Networks,
        SmoothGrad-Squared: the mean over i of g(x + e_i)^2 = (dS/dx at x + e_i)^2.
    """

    samples: int = 25
    noise: float = 0.15

    name: ClassVar[str] = "squaregrad"
    needs: ClassVar[tuple[Need, ...]] = NEEDS
    card: ClassVar[MethodCard] = MethodCard(
        question="Which pixels change the score much, in whichever direction?",
        sign="never negative: how strongly, not which way",
        grid="the input's, with channels",
        cost="25 F + 25 B",
        reference="Hooker et al. 2019, A Benchmark for Interpretability, mean of g(x + e)^2",
    )

    def __post_init__(self) -> None:
        check_noise(self.samples, self.noise, without="saliency")

    def probes(self, clean: Seen, frame: Frame) -> Sequence[Probes]:
        return noisy_copies(clean, frame.draw, self.samples, self.noise)

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        mean, variance = _moments(answers[0], clean)
        return Fold(map=mean**2 + variance)


@dataclass(frozen=True, kw_only=True)
class VarGrad(AbstractExplainer):
    """Where does the gradient change most over noisy copies?

    The population variance of the gradients. Where the model is linear it is zero, however much a
    pixel matters there.

    On eyes, use it to see where an explanation hangs on the camera's noise: edges of vessels, of
    the disc, of OCT layers. A lesion that always counts the same stays dark, so it is not a map of
    evidence. It costs 25 forward and backward passes.

    Args:
        samples: Noisy copies.
        noise: Standard deviation as a share of the image's range.

    Raises:
        ValueError: Fewer than two samples, or noise that is not positive.

    Reference:
        Adebayo et al. 2018, Local Explanation Methods for Deep Neural Networks Lack Sensitivity
        to Parameter Values, VarGrad: the variance over i of g(x + e_i) = dS/dx at x + e_i.
    """

    samples: int = 25
    noise: float = 0.15

    name: ClassVar[str] = "vargrad"
    needs: ClassVar[tuple[Need, ...]] = NEEDS
    card: ClassVar[MethodCard] = MethodCard(
        question="Where does the gradient depend on small changes of the image?",
        sign="never negative: how much the gradient varies",
        grid="the input's, with channels",
        cost="25 F + 25 B",
        reference="Adebayo et al. 2018, Local Explanation Methods: variance of g(x + e)",
    )

    def __post_init__(self) -> None:
        check_noise(self.samples, self.noise, without="saliency")
        if self.samples < 2:
            raise ValueError(f"samples must be at least 2 for a variance, but is {self.samples}")

    def probes(self, clean: Seen, frame: Frame) -> Sequence[Probes]:
        return noisy_copies(clean, frame.draw, self.samples, self.noise)

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        _, variance = _moments(answers[0], clean)
        return Fold(map=variance)


def check_noise(samples: object, noise: float, *, without: str) -> None:
    """Refuse no samples, and no noise: `without` names the method that has none."""
    check_count("samples", samples)
    check_number("noise", noise)
    if not noise > 0:
        raise ValueError(f"noise must be positive, but is {noise}; for none use {without}")


def noisy_copies(
    clean: Seen, draw: Draw, samples: int, noise: float, wants: Wants = INPUT
) -> Sequence[Probes]:
    """Copies with noise that is shared by the batch and scaled by each image's own range."""
    images = clean.images
    flat = images.flatten(1)
    spread = noise * (flat.amax(dim=1) - flat.amin(dim=1))
    spread = spread.reshape(-1, *[1] * (images.ndim - 1))

    def build(sample: int) -> Tensor:
        return images + spread * draw.normal(sample, images)

    return (Probes(count=samples, build=build, wants=wants),)


def _moments(answers: Iterator[Seen], clean: Seen) -> tuple[Tensor, Tensor]:
    """Mean and population variance of the gradients, in one go (Welford 1962)."""
    mean = torch.zeros_like(clean.images, dtype=torch.float32)
    squares, count = torch.zeros_like(mean), 0
    for count, seen in enumerate(answers, start=1):
        gradient = input_gradient(seen)
        before = gradient - mean
        mean += before / count
        squares += before * (gradient - mean)
    return mean, squares / count
