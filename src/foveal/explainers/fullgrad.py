"""The full-gradient decomposition of a score."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from jaxtyping import Float
from torch import Tensor

from foveal.explainers.base import AbstractExplainer, Fold, Frame, MethodCard, Need, Seen, Wants
from foveal.explainers.biases import BiasTerms, Term
from foveal.explainers.gradients import input_gradient
from foveal.explainers.grid import resize
from foveal.models.layouts import has_grid


@dataclass(frozen=True, kw_only=True)
class FullGrad(AbstractExplainer):
    """What is the score made of, pixel by pixel, when the biases of all layers are counted too?

    The image times its gradient plus, for each layer, the bias times the gradient where it is
    added, channels summed and spread over the image with its sum unchanged. For networks that are
    piecewise linear (convolutions, batch norm, ReLU or LeakyReLU, any pooling) this is exact:
    the map, plus `head_biases` of layers without rows and columns, sums to the score. Other
    functions, such as SiLU, GELU, layer norm or attention, leave a `remainder`; where it is not
    small beside the score, prefer integrated gradients.

    On eyes, use the signed map to share a score out among regions: how much lies in exudates, in
    the disc, along the arcades. It is fine-grained and noisy, so not for outlining a lesion by eye;
    the paper's `picture` is easier to look at, but it is never negative, follows vessels, and does
    not say which way anything counts. It costs one forward and one backward pass.

    `picture` is the paper's saliency: of the absolute terms, each rescaled per image from its
    smallest value in the layer at 0 to its largest at 1, resized and summed over channels and
    layers. It is another map than the signed one, and takes in convolutions and batch norms only
    where they have rows and columns.

    Raises:
        ModelError: A scripted, traced or exported model, which does not show its operations.

    Reference:
        Srinivas and Fleuret 2019, Full-Gradient Representation for Neural Network Visualization,
        proposition 1 and equations 3 and 4; appendix for the implicit bias of batch norm.
    """

    name: ClassVar[str] = "fullgrad"
    needs: ClassVar[tuple[Need, ...]] = ("input gradient",)
    wants: ClassVar[Wants] = Wants(
        input_gradient=True, instrument=BiasTerms(), instrument_gradient=True
    )
    card: ClassVar[MethodCard] = MethodCard(
        question="What is the score made of when the biases of all layers are counted too?",
        sign="positive: raises the score; negative: lowers it",
        grid="the input's",
        cost="1 F + 1 B",
        reference="Srinivas and Fleuret 2019, Full-Gradient Representation, prop. 1, eq. 3-4",
    )

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        images = clean.images.float()
        direct = Term.of(images * input_gradient(clean))
        biases = clean.reading if isinstance(clean.reading, tuple) else ()
        total, picture = direct.signed, _rescaled(direct)
        unplaced = torch.zeros_like(direct.largest, dtype=torch.float64)
        for term in biases:
            if _has_places(term, images):
                total = total + _spread(term.signed, images.shape[2:])
                picture = picture + resize(_rescaled(term), images.shape[2:])
            else:
                unplaced += term.signed.reshape(len(images), -1).double().sum(dim=1)
        remainder = clean.scores.double() - total.double().flatten(1).sum(dim=1) - unplaced
        return Fold(
            map=total,
            parts={
                "picture": picture,
                "head_biases": unplaced.float(),
                "remainder": remainder.float(),
            },
        )


def _has_places(term: Term, images: Tensor) -> bool:
    """Whether a term has rows and columns; a single cell is no place."""
    places = term.signed.unsqueeze(1)
    return has_grid(places, images) and places[0, 0].numel() > 1


def _rescaled(term: Term) -> Float[Tensor, "sample ..."]:
    """The absolute values of all channels, each from 0 to 1 over the layer, and then their sum."""
    shape = (-1, *[1] * (term.size.ndim - 1))
    smallest = term.smallest.reshape(shape)
    span = term.largest.reshape(shape) - smallest
    return torch.where(span > 0, (term.size - term.channels * smallest) / span, 0)


def _spread(
    values: Float[Tensor, "sample ..."], grid: Sequence[int]
) -> Float[Tensor, "sample ..."]:
    """On another grid, with its sum unchanged: bilinear, each cell giving away all it has."""
    for axis, side in enumerate(grid, start=1):
        if values.shape[axis] != side:
            shares = _shares(values.shape[axis], side).to(values)
            values = (values.movedim(axis, -1) @ shares).movedim(-1, axis)
    return values


def _shares(cells: int, side: int) -> Float[Tensor, "cell pixel"]:
    """Which share of each cell goes to which pixel of a line, by linear interpolation."""
    fine, coarse = max(cells, side), min(cells, side)
    weights = F.interpolate(torch.eye(coarse)[None], size=fine, mode="linear")[0]
    if cells > side:
        return weights.T  # each cell is a mean of pixels, and gives to them what they give to it
    return weights / weights.sum(dim=1, keepdim=True)
