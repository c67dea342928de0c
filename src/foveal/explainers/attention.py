"""What a transformer's attention shows: raw, rolled out, and weighed by its gradient."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from foveal.core import ModelError
from foveal.explainers.attention_weights import Attended, AttentionWeights, Block
from foveal.explainers.base import (
    AbstractExplainer,
    Fold,
    Frame,
    MethodCard,
    Need,
    Seen,
    Wants,
)
from foveal.models.layouts import Layout, token_layout

_NEEDS: tuple[Need, ...] = ("attention",)
_WANTS = Wants(instrument=AttentionWeights(), instrument_gradient=True)
_GRID, _COST = "the model's patches", "1 F + 1 B, shared by the attention methods"


@dataclass(frozen=True, kw_only=True)
class Attention(AbstractExplainer):
    """Where does one block look from the tokens that the score is read from?

    The attention weights themselves, softmax(q k^T / sqrt(d)), of the row that the model reads its
    score from: the class token's; where it reads several tokens (two class tokens, the mean of all
    patches) the mean of their rows. The weights say nothing about the class, nor whether what was
    looked at raised or lowered the score, and later blocks look at tokens that have long mixed.

    On eyes, use it to see whether a head follows the disc or the vessels, not as evidence for a
    grade. A patch of 16 pixels is larger than most single lesions. It costs one forward and one
    backward pass, which all attention methods share.

    Args:
        block: Which block, from 0 on; from -1 down it counts from the last.
        head: Which head; the mean of all if not given.

    Raises:
        TypeError: A block or head that is no whole number.
        ValueError: A block or head that the model does not have.
        ModelError: A model without attention over the tokens of its image, or with another kind:
            in windows, by a class attention or attention pooling, in branches side by side.

    Reference:
        Vaswani et al. 2017, Attention Is All You Need, equation 1.
    """

    block: int = -1
    head: int | None = None

    name: ClassVar[str] = "attention"
    needs: ClassVar[tuple[Need, ...]] = _NEEDS
    wants: ClassVar[Wants] = _WANTS
    card: ClassVar[MethodCard] = MethodCard(
        question="Where does a block look from the tokens that the score is read from?",
        sign="never negative; larger: looked at more, for or against the class",
        grid=_GRID,
        cost=_COST,
        reference="Vaswani et al. 2017, Attention Is All You Need, eq. 1",
    )

    def __post_init__(self) -> None:
        for what, value in (("block", self.block), ("head", self.head)):
            if isinstance(value, bool) or not isinstance(value, int | None):
                raise TypeError(f"{what} must be a whole number, but is {value!r}")

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        chain = _chain(clean)
        _check_in_range("block", self.block, len(chain.blocks))
        weights = chain.blocks[self.block].weights
        if weights.shape[-1] != chain.read.shape[-1]:
            raise ModelError(
                f"block {self.block} has {weights.shape[-1]} tokens, but the score is read from "
                f"the last block's {chain.read.shape[-1]}; choose a later block"
            )
        if self.head is None:
            matrix = weights.mean(dim=1)
        else:
            _check_in_range("head", self.head, weights.shape[1])
            matrix = weights[:, self.head]
        return chain.fold((chain.read[:, None] @ matrix)[:, 0])


@dataclass(frozen=True, kw_only=True)
class AttentionRollout(AbstractExplainer):
    """From where can information have flowed through all blocks to the tokens of the score?

    Half of each token is taken to pass a block unchanged and half to be mixed by its attention:
    A = (W + I) / 2 with W the mean of the heads, rows summing to one, and the blocks multiplied,
    A_B ... A_1. The map is the row that the score is read from, as in `Attention`. It is the same
    for every class, knows neither values nor the layers between, and soon grows even.

    On eyes, use it to see whether a region (the macula, the periphery, the frame) was reached at
    all, not what spoke for a grade, and not for lesions smaller than a patch. It costs one forward
    and one backward pass, which all attention methods share.

    Args:
        discard: The share of each block's smallest weights that is set to zero first, as public
            code does to make maps look cleaner; not in the paper, 0 by default.

    Raises:
        TypeError: A share that is no number.
        ValueError: A share outside [0, 1).
        ModelError: As for `Attention`, or a number of tokens that changes between blocks.

    Reference:
        Abnar and Zuidema 2020, Quantifying Attention Flow in Transformers, equation 1.
    """

    discard: float = 0.0

    name: ClassVar[str] = "rollout"
    needs: ClassVar[tuple[Need, ...]] = _NEEDS
    wants: ClassVar[Wants] = _WANTS
    card: ClassVar[MethodCard] = MethodCard(
        question="Whence can information have flowed to the tokens that the score is read from?",
        sign="never negative; larger: a larger share could flow from here, whatever the class",
        grid=_GRID,
        cost=_COST,
        reference="Abnar and Zuidema 2020, Quantifying Attention Flow in Transformers, eq. 1",
    )

    def __post_init__(self) -> None:
        if isinstance(self.discard, bool) or not isinstance(self.discard, int | float):
            raise TypeError(f"discard must be a number, but is {self.discard!r}")
        if not 0 <= self.discard < 1:
            raise ValueError(f"discard must be in [0, 1), but is {self.discard}")

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        chain = _chain(clean)
        chain.check_one_size(self.name)
        row = chain.read[:, None]
        for block in reversed(chain.blocks):
            mixed = _without_smallest(block.weights.mean(dim=1), self.discard)
            mixed = mixed + torch.eye(mixed.shape[-1], device=mixed.device, dtype=mixed.dtype)
            row = row @ (mixed / mixed.sum(dim=-1, keepdim=True))
        return chain.fold(row[:, 0])


@dataclass(frozen=True, kw_only=True)
class Chefer(AbstractExplainer):
    """Which patches did the model look at, through all its blocks, in favour of this score?

    Each block's attention is weighed by its gradient, negative products are left out, and what a
    block mixes is added to what came before: R <- R + E_h[(dS/dA * A)+] R, from R = I on. The map
    is the row of R - I that the score is read from, as in `Attention`: without I, as in the paper's
    equation 8, since a row that is a mean of patches would else carry the same constant everywhere.
    For a class token this is the paper's map.

    On eyes, use it to ask a transformer for evidence for one grade: which patches hold the
    haemorrhages, drusen or fluid that count. What speaks against the grade is not shown, and
    patches of 16 pixels hide microaneurysms and single vessels. It costs one forward and one
    backward pass, which all attention methods share.

    Raises:
        ModelError: As for `Attention`, or a number of tokens that changes between blocks.

    Reference:
        Chefer et al. 2021, Generic Attention-model Explainability (ICCV), equations 5 and 6.
    """

    name: ClassVar[str] = "chefer"
    needs: ClassVar[tuple[Need, ...]] = _NEEDS
    wants: ClassVar[Wants] = _WANTS
    card: ClassVar[MethodCard] = MethodCard(
        question="Which patches did the model look at, through all blocks, in favour of the score?",
        sign="never negative; larger: attended to in favour of the score",
        grid=_GRID,
        cost=_COST,
        reference="Chefer et al. 2021, Generic Attention-model Explainability, eq. 5-6",
    )

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        chain = _chain(clean)
        chain.check_one_size(self.name)
        read = chain.read[:, None]
        gained = torch.zeros_like(read)  # the row of R - I: what is gained may be small beside I
        for block in reversed(chain.blocks):
            relevance = (block.gradient * block.weights).clamp(min=0).mean(dim=1)
            gained = gained + (read + gained) @ relevance
        return chain.fold(gained[:, 0])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Chain:
    """The blocks that lead to the score, and where it is read."""

    blocks: tuple[Block, ...]
    read: Float[Tensor, "image token"]
    """What share of the score's reading falls on each token: equal for all tokens that it feels
    after the last block. Where it feels none, as with a head of zeros, the first leading token is
    taken, or all where no token leads."""
    felt: Bool[Tensor, "image token"]
    """Whether the gradient of the score at the last block's output of a token is not zero."""
    layout: Layout

    def check_one_size(self, name: str) -> None:
        sizes = list(dict.fromkeys(block.weights.shape[-1] for block in self.blocks))
        if len(sizes) > 1:
            raise ModelError(
                f"{name} follows the same tokens through all blocks, but this model has "
                f"{' and then '.join(map(str, sizes))} of them; use attention of its last block, "
                "or gradcam"
            )

    def fold(self, row: Float[Tensor, "image token"]) -> Fold:
        """The map of one row of tokens; tokens that stand for no place are left out."""
        return Fold(
            map=self.layout.to_grid(row[..., None])[:, 0],
            parts={
                "blocks": len(self.blocks),
                "tokens_read": self.felt.sum(dim=1),
                "tokens_without_place": self.layout.prefix or 0,
            },
        )


def _chain(clean: Seen) -> _Chain:
    """What was seen of the attention, checked.

    Raises:
        ModelError: Attention in windows, or over tokens that are no patches of the image.
    """
    attended, images = clean.reading, clean.images
    if not isinstance(attended, Attended):
        raise TypeError("this method folds attention weights, but its pass saw none")
    if not attended.blocks:
        raise ModelError(
            "the score does not depend on any attention of this model; use gradcam or occlusion"
        )
    if attended.first_axes != {len(images)}:
        raise ModelError(
            f"the attention of this model is taken in windows or over several images at once "
            f"({max(attended.first_axes)} at a time for {len(images)} images), which attention, "
            "rollout and chefer have no rule for; use gradcam or integratedgradients"
        )
    last = attended.blocks[-1]
    count, sides = last.weights.shape[-1], tuple(images.shape[2:])
    layout = token_layout(count, sides)
    if layout is None:
        raise ModelError(
            f"the last attention is over {count} tokens, which are no grid of patches of images of "
            f"{sides}; use gradcam or integratedgradients"
        )
    felt = last.gradient.ne(0).any(dim=3).any(dim=1)
    read = _shares(felt, layout.prefix or 0, last.weights.dtype)
    return _Chain(blocks=attended.blocks, read=read, felt=felt, layout=layout)


def _shares(
    felt: Bool[Tensor, "image token"], prefix: int, dtype: torch.dtype
) -> Float[Tensor, "image token"]:
    """Equal shares of the tokens that the score feels."""
    assumed = torch.zeros_like(felt[:1])
    assumed[:, : 1 if prefix else None] = True
    read = felt.where(felt.any(dim=1, keepdim=True), assumed)
    return read / read.sum(dim=1, keepdim=True, dtype=dtype)


def _without_smallest(
    weights: Float[Tensor, "image token token"], share: float
) -> Float[Tensor, "image token token"]:
    """A share of each image's weights, the smallest, set to zero; equal ones are kept."""
    flat = weights.flatten(1)
    threshold = flat.kthvalue(int(share * flat.shape[1]) + 1, dim=1).values
    return weights.where(weights >= threshold[:, None, None], 0)


def _check_in_range(what: str, index: int, count: int) -> None:
    if not -count <= index < count:
        raise ValueError(f"there is no {what} {index}: there are {count}, from 0 to {count - 1}")
