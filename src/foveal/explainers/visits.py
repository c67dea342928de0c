"""Which visit counted, for models that read a series of scans of one eye."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from foveal.core import ModelError
from foveal.explainers.base import (
    AbstractExplainer,
    Fold,
    Frame,
    MethodCard,
    Need,
    Seen,
    Wants,
)
from foveal.explainers.explicit_attention import ExplicitAttention
from foveal.explainers.gradients import input_gradient
from foveal.explainers.instruments import AbstractInstrument, Reading
from foveal.models.layers import name_of


@dataclass(frozen=True, kw_only=True)
class VisitAttention(AbstractExplainer):
    """Which visits of a series did the model rely on, and what in their images?

    For models that take a series of scans, (batch, visit, channel, row, column), by recurrence or
    attention. One number per visit stands in `parts["visits"]`, (batch, visit), and where it comes
    from in `parts["source"]`:

    - `attention`: the model's own weights, not negative and summing to one over the visits. Where
      it has several heads or queries, their mean; of a self-attention the mean of the rows that the
      score depends on; of several attentions the last. They say how much of a visit was taken, not
      whether it spoke for or against the score.
    - `gradient x input`: where the model has no weights, the sum of gradient times input over the
      visit's pixels, signed; it adds up to the map's sum, not to one. It depends on what zero means
      in the model's units.

    The map is gradient times input with the shape of the series; resizing to the input's size,
    which sums channels, has no meaning for it. A softmax over the visits is found by its shape. Use
    it to ask whether a progression model looks at the last visit only.

    Args:
        weights: The layer whose output is the weights, where they are no softmax, or not the one
            that is found: (batch, visit), (batch, visit, head) or (batch, head, query, visit).

    Raises:
        ValueError: A layer that the model does not have.
        ModelError: A layer that gives no weights of visits.

    Reference:
        Bahdanau et al. 2015, Neural Machine Translation by Jointly Learning to Align and Translate,
        equation 6; Choi et al. 2016, RETAIN, the visit-level alpha. Without weights Shrikumar et
        al. 2016, Not Just a Black Box, gradient times input.
    """

    weights: str | None = None

    name: ClassVar[str] = "visits"
    needs: ClassVar[tuple[Need, ...]] = ("input gradient",)
    card: ClassVar[MethodCard] = MethodCard(
        question="Which visits of a series did the model rely on, and what in their images?",
        sign="map: positive raises the score, negative lowers it; weights: see their source",
        grid="the series', with visits and channels",
        cost="1 F + 1 B",
        reference="Bahdanau et al. 2015, eq. 6, or Shrikumar et al. 2016, gradient times input",
    )

    @property
    def wants(self) -> Wants:  # pyright: ignore[reportIncompatibleVariableOverride]
        return Wants(
            input_gradient=True,
            instrument=VisitWeights(layer=self.weights),
            instrument_gradient=True,
        )

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        attribution = clean.images * input_gradient(clean)
        weights, source = clean.reading, "attention"
        if weights is None:
            weights, source = attribution.flatten(2).sum(dim=2), "gradient x input"
        return Fold(map=attribution, parts={"visits": weights, "source": source})


@dataclass(frozen=True, kw_only=True)
class VisitWeights(AbstractInstrument):
    """Looks at the weights that a model gives to the visits of a series."""

    layer: str | None = None
    """The part whose output they are; a softmax over the visits is looked for if not given."""

    @contextmanager
    def attached(self, module: nn.Module) -> Generator["VisitReading"]:
        reading = VisitReading(self.layer)
        with ExitStack() as stack:
            if any(isinstance(part, nn.RNNBase) for part in module.modules()):
                # cuDNN goes backward through recurrent layers in training mode only.
                stack.enter_context(torch.backends.cudnn.flags(enabled=False))
            handle = module.register_forward_pre_hook(reading.starts)
            stack.callback(handle.remove)
            if self.layer is None:
                seen = ExplicitAttention(saw=reading.saw, saw_softmax=reading.saw_softmax)
                stack.enter_context(seen)
            else:
                part = module.get_submodule(name_of(module, self.layer))
                stack.callback(part.register_forward_hook(reading.saw_layer).remove)
            yield reading


class VisitReading(Reading):
    """The weights of visits that were seen in one pass."""

    def __init__(self, layer: str | None) -> None:
        self.layer = layer
        self.series = (0, 0)
        """How many series and visits the pass is of."""
        self.open = True
        """Until the forward pass is over: checkpointed parts run again in the backward pass."""
        self.found: list[tuple[Tensor, int]] = []
        """What may be weights, and the axis of the visits."""
        self.weights: Float[Tensor, "series visit"] | None = None

    def starts(self, module: nn.Module, given: tuple[object, ...]) -> None:
        if given and isinstance(given[0], Tensor) and given[0].ndim > 1:
            self.series = (given[0].shape[0], given[0].shape[1])

    def saw(self, weights: Tensor) -> Tensor:
        return self.saw_softmax(weights, weights.ndim - 1)

    def saw_softmax(self, result: Tensor, axis: int) -> Tensor:
        if not self.open or _by_query(result, axis, self.series) is None:
            return result
        self.found.append((result, axis))
        return result.clone()  # a clone goes on: the model may change it in place

    def saw_layer(self, module: nn.Module, given: object, output: object) -> None:
        if not self.open:
            return
        outputs = output if isinstance(output, tuple | list) else (output,)
        tensors = [one for one in outputs if isinstance(one, Tensor)]
        for tensor in tensors:
            for axis in (tensor.ndim - 1, 1):
                if _by_query(tensor, axis, self.series) is not None:
                    self.found = [(tensor, axis)]
                    return
        shapes = [tuple(tensor.shape) for tensor in tensors]
        raise ModelError(
            f"layer {self.layer!r} gives {shapes}, which is no weight for each of "
            f"{self.series[1]} visits of {self.series[0]} series; name the layer that gives "
            "(batch, visit), (batch, visit, head) or (batch, head, query, visit)"
        )

    def asked(self) -> Sequence[Tensor]:
        """What may be weights.

        Raises:
            ModelError: The layer that was named did not run.
        """
        self.open = False
        if self.layer is not None and not self.found:
            raise ModelError(f"layer {self.layer!r} did not run in this pass; name another")
        self.found = [(tensor, axis) for tensor, axis in self.found if tensor.requires_grad]
        return [tensor for tensor, _ in self.found]

    def answered(self, gradients: Sequence[Tensor | None]) -> None:
        for (tensor, axis), gradient in zip(self.found, gradients, strict=True):
            if gradient is None or (self.layer is None and _is_the_score(gradient)):
                continue
            weights = _by_query(tensor.detach(), axis, self.series)
            felt = _by_query(gradient.abs(), axis, self.series)
            if weights is not None and felt is not None:
                read = felt.any(dim=2, keepdim=True)
                read = (read | ~read.any(dim=1, keepdim=True)).float()  # all where none is felt
                self.weights = (weights.float() * read).sum(dim=1) / read.sum(dim=1)
        self.found = []

    def rows(self, where: slice) -> Tensor | None:
        return None if self.weights is None else self.weights[where]


def _by_query(
    tensor: Tensor, axis: int, series: tuple[int, int]
) -> Float[Tensor, "series query visit"] | None:
    """Weights over the visits with the mean of their heads; `None` where the shape fits none."""
    count, visits = series
    if axis == 0 and 2 <= tensor.ndim <= 3:  # some models have the visits first
        tensor, axis = tensor.transpose(0, 1), 1
    if not 2 <= tensor.ndim <= 4 or tensor.shape[0] != count or tensor.shape[axis] != visits:
        return None
    if tensor.ndim == 2:
        return tensor[:, None]
    if tensor.ndim == 3:
        return tensor.transpose(1, 2) if axis == 1 else tensor
    return tensor.mean(dim=1) if axis == 3 else None


def _is_the_score(gradient: Tensor) -> bool:
    """Whether a softmax is the model's answer, of which the score is one class's probability."""
    felt = gradient.ne(0)
    return gradient.ndim == 2 and gradient.shape[1] > 1 and bool((felt.sum(dim=1) == 1).all())
