"""The attention weights of one pass, and their gradients."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.graph import Node, get_gradient_edge

from foveal.core import ModelError
from foveal.explainers.explicit_attention import ExplicitAttention
from foveal.explainers.instruments import AbstractInstrument, Reading

_INSTEAD = "use a method that needs no attention, such as gradcam, integratedgradients or occlusion"


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """The self-attention of one transformer block."""

    weights: Float[Tensor, "image head token token"]
    """How much each token (row) takes from each token (column)."""
    gradient: Float[Tensor, "image head token token"]
    """The gradient of the score with respect to these weights."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Attended:
    """The attention on the way to the score, for some images of a pass."""

    blocks: tuple[Block, ...]
    """In the order in which they ran."""
    first_axes: frozenset[int]
    """How many images the attention of the whole pass was of: more than went in where it is taken
    in windows."""


@dataclass(frozen=True)
class AttentionWeights(AbstractInstrument):
    """Looks at every self-attention over tokens that the score depends on.

    Fused attention is computed in its explicit form while the instrument is attached. Needs the
    backward pass, which also tells which blocks and which tokens the score depends on.
    """

    @contextmanager
    def attached(self, module: nn.Module) -> Generator["AttentionReading"]:
        reading = AttentionReading()
        with ExplicitAttention(
            saw=reading.saw, saw_softmax=reading.saw_softmax, saw_places=reading.saw_places
        ):
            yield reading


class AttentionReading(Reading):
    """What was seen of the attention in one pass."""

    def __init__(self) -> None:
        self.open = True
        """Until the forward pass is over: checkpointed blocks run again in the backward pass."""
        self.matrices: list[Tensor] = []
        self.numbers_of_places: set[tuple[int, int]] = set()
        """First axis and number of places of what layers gave."""
        self.blocks: tuple[Block, ...] = ()

    def saw(self, weights: Tensor) -> Tensor:
        """Attention weights, kept; returns what the model is to go on with."""
        if torch.is_grad_enabled() and not weights.requires_grad:
            # The cut: nothing below the first attention needs gradients.
            weights = weights.detach().requires_grad_()
        if self.open:
            self.matrices.append(weights)
        return weights

    def saw_softmax(self, result: Tensor, axis: int) -> Tensor:
        """Attention in its explicit form: (image, head, token, token), each row summing to one."""
        if result.ndim < 4 or axis != result.ndim - 1:
            return result
        return self.saw(result).clone()  # a clone goes on: the model may change it in place

    def saw_places(self, first_axis: int, places: int) -> None:
        """How many places a layer's output has."""
        if self.open:
            # Some transformers keep the images second; one of the two readings is right.
            self.numbers_of_places |= {(first_axis, places), (places, first_axis)}

    def asked(self) -> Sequence[Tensor]:
        """All attention over tokens.

        Raises:
            ModelError: There is none, or one that these methods have no rule for.
        """
        self.open = False
        self.matrices = [matrix for matrix in self.matrices if self._is_over_tokens(matrix)]
        if not self.matrices:
            raise ModelError(
                "attention, rollout and chefer read a transformer's attention, but "
                "no attention over the tokens of the image was seen in this model (it is a "
                f"convolutional net, a black box, or compiled or traced); {_INSTEAD}"
            )
        for matrix in self.matrices:
            _check(matrix)
        return self.matrices

    def answered(self, gradients: Sequence[Tensor | None]) -> None:
        pairs = zip(self.matrices, gradients, strict=True)
        felt = [(matrix, gradient) for matrix, gradient in pairs if gradient is not None]
        for (earlier, _), (later, _) in pairwise(felt):
            if not _feeds(earlier, later):
                raise ModelError(
                    "this model has attention in branches side by side (several images, or parts "
                    f"joined later), which these methods have no rule for; {_INSTEAD}"
                )
        self.matrices = []
        self.blocks = tuple(
            Block(weights=_as_kept(matrix.detach()), gradient=_as_kept(gradient))
            for matrix, gradient in felt
        )

    def rows(self, where: slice) -> Attended:
        return Attended(
            blocks=tuple(
                Block(weights=block.weights[where], gradient=block.gradient[where])
                for block in self.blocks
            ),
            first_axes=frozenset(len(block.weights) for block in self.blocks),
        )

    def _is_over_tokens(self, matrix: Tensor) -> bool:
        """Attention between channels is square too, but no layer has as many places."""
        return (matrix.shape[0], matrix.shape[-1]) in self.numbers_of_places or matrix.ndim > 4


def _check(matrix: Tensor) -> None:
    queries, keys = matrix.shape[-2:]
    if matrix.ndim > 4:
        raise ModelError(
            f"the attention of this model is {tuple(matrix.shape)}, taken in windows, which these "
            f"methods have no rule for; {_INSTEAD}"
        )
    if queries != keys:
        raise ModelError(
            f"an attention of {queries} queries over {keys} tokens (class attention, attention "
            "pooling, a decoder, or keys that were pooled) has no rule in these methods; "
            f"{_INSTEAD}"
        )
    if not matrix.requires_grad:
        raise ModelError(
            "the attention of this model runs without gradients (under no_grad, or in a reentrant "
            "checkpoint), and its gradients are needed; switch that off, or use occlusion"
        )


def _feeds(earlier: Tensor, later: Tensor) -> bool:
    """Whether one tensor of the graph was computed from another."""
    wanted = get_gradient_edge(earlier).node
    waiting, known = [get_gradient_edge(later).node], set[Node]()
    while waiting:
        node = waiting.pop()
        if node is wanted:
            return True
        following = [n for n, _ in node.next_functions if n is not None and n not in known]
        known.update(following)
        waiting.extend(following)
    return False


def _as_kept(matrix: Tensor) -> Tensor:
    """With an axis for the heads, which a single head may lack, and in float32 at least."""
    matrix = matrix.unsqueeze(1) if matrix.ndim == 3 else matrix
    return matrix.to(torch.promote_types(matrix.dtype, torch.float32))
