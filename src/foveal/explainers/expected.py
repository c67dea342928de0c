"""Integrated gradients without a single baseline: averaged over a set of reference images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from foveal.explainers.base import (
    AbstractExplainer,
    Fold,
    Frame,
    MethodCard,
    Need,
    Probes,
    Seen,
    check_count,
)
from foveal.explainers.gradients import INPUT, NEEDS, input_gradient


@dataclass(frozen=True, kw_only=True)
class ExpectedGradients(AbstractExplainer):
    """How much did each pixel add to the score, compared with what such images usually look like?

    The mean of (x - x') times the gradient at x' + a (x - x'), over reference images x' drawn from
    the set and a drawn uniformly from (0, 1). The map sums to the score minus the mean score of the
    references, up to chance, which is returned beside it as `completeness_error`; it falls with
    the square root of the number of samples.

    On eyes, use it where a set of usual images is at hand, which decides what counts as usual:
    healthy eyes from the same camera, prepared like the image, make a good set, and a few dozen are
    enough. References whose field of view lies elsewhere put attribution on its edge. No single
    colour is declared to be nothing, so dark lesions (haemorrhages, fluid) can be seen, which a
    black baseline hides. Not for a handful of references, whose vessels would be seen as their
    negatives in the map, nor for eyes of another camera. It costs 200 forward and backward passes,
    and one forward a reference.

    Args:
        reference: The reference images, (reference, channel, row, column), a side of 1 standing for
            any: in the units of the images, which are display units where the model has a card.
        samples: Draws of a reference and a place on the path.

    Raises:
        TypeError: A reference that is no floating-point tensor, samples that are no whole number.
        ValueError: References of another shape than the images or outside display units, none at
            all, or numbers that are not finite; no samples.

    Reference:
        Erion et al. 2021, Improving performance of deep learning models with axiomatic attribution
        priors and expected gradients, equation 3.
    """

    reference: Float[Tensor, "reference channel ..."]
    samples: int = 200

    name: ClassVar[str] = "expectedgradients"
    needs: ClassVar[tuple[Need, ...]] = NEEDS
    card: ClassVar[MethodCard] = MethodCard(
        question="How much did each pixel add to the score, compared with a set of images?",
        sign="positive: its difference from the set raised the score; negative: lowered it",
        grid="the input's, with channels",
        cost="200 F + 200 B, and 1 F a reference",
        reference="Erion et al. 2021, Axiomatic attribution priors and expected gradients, eq. 3",
    )

    def __post_init__(self) -> None:
        check_count("samples", self.samples)
        given = self.reference
        if not isinstance(given, Tensor) or not given.is_floating_point():
            raise TypeError(
                "reference must be a floating-point tensor of images (reference, channel, row, "
                f"column), but is {_named(given)}"
            )
        if given.ndim < 4 or len(given) == 0 or not bool(given.isfinite().all()):
            raise ValueError(
                "reference must hold at least one image (reference, channel, row, column) of "
                f"finite numbers, but its shape is {tuple(given.shape)}"
            )

    def probes(self, clean: Seen, frame: Frame) -> Sequence[Probes]:
        images = clean.images
        references = self._fitted(images, frame)

        def on_the_way(sample: int) -> Tensor:
            start, share = self._drawn(sample, references, frame)
            return start + share * (images - start)

        def at(number: int) -> Tensor:
            return references[number].expand_as(images)

        return (
            Probes(count=self.samples, build=on_the_way, wants=INPUT),
            Probes(count=len(references), build=at),
        )

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        on_the_way, at_references = answers
        references = self._fitted(clean.images, frame)
        total = torch.zeros_like(clean.images, dtype=torch.float32)
        for sample, seen in enumerate(on_the_way):
            start, _ = self._drawn(sample, references, frame)
            total += (clean.images - start) * input_gradient(seen)
        attribution = total / self.samples
        scores = torch.stack([seen.scores.float() for seen in at_references])
        change = clean.scores.float() - scores.mean(dim=0)
        error = attribution.flatten(1).sum(dim=1) - change
        return Fold(map=attribution, parts={"completeness_error": error, "score_change": change})

    def _drawn(self, sample: int, references: Tensor, frame: Frame) -> tuple[Tensor, float]:
        """The reference of one sample, and how far on the way from it to the image it lies."""
        which, share = frame.draw.uniform(sample, (2,)).tolist()
        return references[int(which * len(references))], share

    def _fitted(self, images: Tensor, frame: Frame) -> Tensor:
        """The references in the images' own type and place."""
        given = self.reference
        sides = zip(given.shape[1:], images.shape[1:], strict=False)
        if given.ndim != images.ndim or any(own not in (1, side) for own, side in sides):
            raise ValueError(
                f"references of shape {tuple(given.shape[1:])} do not fit images of shape "
                f"{tuple(images.shape[1:])}; prepare them like the images"
            )
        if frame.display and not (float(given.min()) >= 0 and float(given.max()) <= 1):
            raise ValueError(
                "references must be in display units, 0 black and 1 white, as the images are, but "
                f"range from {float(given.min()):.3g} to {float(given.max()):.3g}; the model card "
                "normalises them"
            )
        return given.to(images.device, images.dtype)


def _named(given: object) -> str:
    return f"{given.dtype}" if isinstance(given, Tensor) else type(given).__name__
