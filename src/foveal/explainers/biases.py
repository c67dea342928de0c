"""What each bias of a model adds to the score, seen in the pass over the images themselves."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from jaxtyping import Float
from torch import Tensor, nn

from foveal.core import ModelError
from foveal.explainers.instruments import AbstractInstrument, Reading
from foveal.explainers.operations import AbstractRules, Operation, ruled

_PLAIN = ("input", "weight", "bias")
_CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
_TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
_BIASED = {
    **dict.fromkeys((*_CONVOLUTIONS, *_TRANSPOSED, "linear"), _PLAIN),
    "layer_norm": ("input", "normalized_shape", "weight", "bias"),
    "group_norm": ("input", "num_groups", "weight", "bias"),
    "instance_norm": ("input", "running_mean", "running_var", "weight", "bias"),
}
"""Operations with a bias, and the names of their arguments up to it."""
_ON_LAST_AXIS = ("linear", "layer_norm")
_BATCH_NORM = ("input", "running_mean", "running_var", "weight", "bias", "training")
_SHIFTS = ("add", "sub", "subtract", "rsub", "__rsub__")


@dataclass(frozen=True, kw_only=True)
class Term:
    """A tensor times its gradient, a part of the decomposition of the score; channels summed."""

    signed: Float[Tensor, "sample ..."]
    size: Float[Tensor, "sample ..."]
    """The sum of the absolute values."""
    smallest: Float[Tensor, " sample"]
    """The smallest absolute value in all channels."""
    largest: Float[Tensor, " sample"]
    channels: int

    @classmethod
    def of(cls, product: Float[Tensor, "sample ..."], axis: int = 1) -> "Term":
        """The term of a product whose channels lie along this axis."""
        size = product.abs()
        return cls(
            signed=product.sum(dim=axis),
            size=size.sum(dim=axis),
            smallest=size.flatten(1).amin(dim=1),
            largest=size.flatten(1).amax(dim=1),
            channels=product.shape[axis],
        )

    def of_rows(self, where: slice, enlarged: float) -> "Term":
        """The term of some of the samples, without the factor that enlarged its gradients."""
        return Term(
            signed=self.signed[where] / enlarged,
            size=self.size[where] / enlarged,
            smallest=self.smallest[where] / enlarged,
            largest=self.largest[where] / enlarged,
            channels=self.channels,
        )


@dataclass(frozen=True, kw_only=True)
class BiasTerms(AbstractInstrument):
    """Sees each bias of the model, times the gradient at the place where it is added.

    These are the biases of convolutions, linear layers and norms, the shift that batch norm makes
    with its recorded statistics, beta - mean gamma / sigma, and what is added to the images before
    the first layer, such as the mean that their normalisation subtracts. A number a channel that
    is added by hand, as Keras does, is a bias too. They are seen where the operations are called,
    so that modules, functions and parts used twice count alike.
    """

    @contextmanager
    def attached(self, module: nn.Module) -> Generator[Reading]:
        """The model, watched.

        Raises:
            ModelError: The model has biases, but its operations do not show them.
        """
        watching = _Watching()
        with ruled(module, watching):
            yield watching.seen
        if not watching.seen.terms and any("bias" in name for name, _ in module.named_parameters()):
            raise ModelError(
                f"{type(module).__name__} has biases, but its operations do not show them "
                "(scripted, traced and exported models), so a full gradient cannot be taken; load "
                "it as a plain torch module, or use integratedgradients"
            )


class _Terms(Reading):
    def __init__(self) -> None:
        self.terms: dict[int, Term] = {}
        """By the order of their operations."""
        self.images = 0
        """How many are in the pass."""
        self.sample: Tensor | None = None
        """A tensor of the graph, to learn how many times all gradients were enlarged."""
        self.enlarged_gradient = torch.zeros(())
        """Its largest gradient as the backward pass has it."""
        self.enlarged = 1.0

    def asked(self) -> Sequence[Tensor]:
        return () if self.sample is None else (self.sample,)

    def answered(self, gradients: Sequence[Tensor | None]) -> None:
        for gradient in gradients:
            if gradient is not None and (largest := _largest(gradient)) > 0:
                self.enlarged = float(self.enlarged_gradient / largest)

    def rows(self, where: slice) -> tuple[Term, ...]:
        # Windows and slices that were made a batch cannot be told apart by their image.
        whole = [term for term in self.terms.values() if len(term.signed) == self.images]
        return tuple(term.of_rows(where, self.enlarged) for term in whole)


class _Watching(AbstractRules):
    """Looks at each operation and changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = _Terms()
        self.running = True  # what is done to the images before they enter the module counts too
        self.preparing = True
        """Until the first layer."""
        self.watched = 0

    def entered(self, args: tuple[object, ...]) -> tuple[object, ...]:
        self.seen.images = len(args[0]) if args and isinstance(args[0], Tensor) else 0
        return args

    def apply(self, operation: Operation) -> object:
        found = self._bias(operation)
        result = operation.plainly()
        if found is None or not isinstance(result, Tensor) or not result.requires_grad:
            return result
        self._watch(result, *found)
        if self.seen.sample is not None or operation.in_place:
            return result
        self.seen.sample = result
        result.register_hook(self._compare)
        return result.clone()  # an in-place operation after this one must not change its gradient

    def _bias(self, operation: Operation) -> tuple[Tensor, int] | None:
        """What is added, shaped to fit the result, and the axis of the channels."""
        name, taken = operation.name, operation.taken
        if not isinstance(taken, Tensor):
            return None
        if operation.function is F.batch_norm:
            self.preparing = False
            return _batch_norm(operation, taken)
        if name in _BIASED:
            self.preparing = False
            bias = operation.named(*_BIASED[name]).get("bias")
            return _shaped(bias, taken, name) if isinstance(bias, Tensor) else None
        if name in _SHIFTS and taken.requires_grad:
            axis = 1 if self.preparing else _axis_of_channels(operation, taken)
            return None if axis is None else _shift(operation, taken, axis)
        return None

    def _watch(self, result: Tensor, bias: Tensor, axis: int) -> None:
        terms, number, self.watched = self.seen.terms, self.watched, self.watched + 1

        # The gradient of this version of the result, which may be changed in place later.
        def seen(gradient: Tensor) -> None:
            terms[number] = Term.of(bias * gradient.float(), axis)

        result.register_hook(seen)

    def _compare(self, gradient: Tensor) -> None:
        self.seen.enlarged_gradient = _largest(gradient)


def _batch_norm(operation: Operation, taken: Tensor) -> tuple[Tensor, int] | None:
    """What batch norm makes of zeros; nothing where it takes its statistics from the batch."""
    if operation.named(*_BATCH_NORM).get("training"):
        return None
    shift = operation.on(taken.new_zeros(1, taken.shape[1]))
    return shift.reshape(-1, *[1] * (taken.ndim - 2)), 1


def _shift(operation: Operation, taken: Tensor, axis: int) -> tuple[Tensor, int] | None:
    """What is added to a tensor; nothing where that depends on the images too."""
    shift = operation.on(torch.zeros_like(taken))
    return None if shift.requires_grad or shift.shape != taken.shape else (shift, axis)


def _axis_of_channels(operation: Operation, taken: Tensor) -> int | None:
    """The axis along which one number a channel is added, where that is what is added."""
    if len(operation.tensors) < 2:
        return None
    added = operation.tensors[1]
    sides = (*[1] * (taken.ndim - added.ndim), *added.shape)
    for axis, (side, own) in enumerate(zip(sides, taken.shape, strict=False)):
        if axis > 0 and side == own == added.numel():
            return axis
    return None


def _shaped(bias: Tensor, taken: Tensor, name: str) -> tuple[Tensor, int]:
    if name in _ON_LAST_AXIS:
        return bias, -1 if bias.ndim == 1 else 1
    return bias.reshape(-1, *[1] * (taken.ndim - 2)), 1


def _largest(gradient: Tensor) -> Tensor:
    # An image whose gradients are not finite says nothing of the factor that all images share.
    return gradient.float().nan_to_num(0, 0, 0).abs().max()
