"""Rules of relevance for the operations of a borrowed model, whatever calls them.

What arrives at the output as a gradient is made relevance there, and every operation on the way
down has a rule in place of its derivative: linear layers zennit's; sums and means proportional
shares; activation functions let relevance through; what only moves numbers keeps its derivative,
which moves them back. An operation without a rule is refused.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from foveal.core import ModelError
from foveal.explainers.canonisation import LINEAR, Linear, Scaling, linear_of, scaling_of
from foveal.explainers.composites import Rulebook
from foveal.explainers.conservation import Ledger
from foveal.explainers.operations import AbstractRules, Operation, mapped, overwritten

_ACTIVATIONS = (
    "relu", "relu6", "hardtanh", "threshold", "_threshold", "clamp", "clip", "clamp_min",
    "leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish",
    "softplus", "logsigmoid", "log_softmax", "neg", "negative",
)  # fmt: skip
_GATES = ("sigmoid", "hardsigmoid", "tanh", "softmax")
"""Activation functions that, as a factor of a product, say how much of the other passes."""
_SHARES = (
    "mean", "sum", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d",
    "adaptive_avg_pool2d", "adaptive_avg_pool3d", "interpolate", "upsample",
)  # fmt: skip
_SUMS = ("add", "sub", "subtract", "rsub", "__rsub__")
_PRODUCTS = ("mul", "multiply", "div", "divide", "true_divide")
_MOVES = frozenset(
    {
        "view", "view_as", "reshape", "reshape_as", "flatten", "unflatten", "permute", "transpose",
        "swapaxes", "movedim", "moveaxis", "squeeze", "unsqueeze", "contiguous", "clone", "cat",
        "concat", "concatenate", "stack", "chunk", "split", "tensor_split", "unbind", "narrow",
        "select", "expand", "expand_as", "repeat", "to", "float", "double", "type", "type_as",
        "cpu", "cuda", "pad", "flip", "roll", "unfold", "pixel_shuffle", "channel_shuffle",
        "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout",
        "max_pool1d", "max_pool2d", "max_pool3d", "max_pool1d_with_indices",
        "max_pool2d_with_indices", "max_pool3d_with_indices", "adaptive_max_pool1d",
        "adaptive_max_pool2d", "adaptive_max_pool3d", "adaptive_max_pool1d_with_indices",
        "adaptive_max_pool2d_with_indices", "adaptive_max_pool3d_with_indices", "amax", "max",
        "maximum", "__getitem__", "__get__", "requires_grad",
    }
)  # fmt: skip
"""Numbers are moved, copied or chosen; the winner of a maximum takes all."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Made:
    """How a linear layer or a batch norm made a tensor, for what may be merged into it."""

    result: Tensor
    taken: Tensor
    name: str
    rule: Any
    linear: Linear | None = None
    norm: Scaling | None = None


class RelevanceRules(AbstractRules):
    """One pass under the rules; `images` are where relevance ends up."""

    def __init__(self, module: nn.Module, book: Rulebook, *, start: str) -> None:
        super().__init__()
        self.model = type(module).__name__
        self.book = book
        self.start = start
        self.ledger = Ledger()
        self.images: Tensor | None = None
        self._names = _names(module)
        self._kept: list[Any] = []
        """Zennit's hooks, which nothing else keeps alive."""
        self._made: dict[int, _Made] = {}
        """By the identity of their results."""
        self._gates: dict[int, Tensor] = {}
        """What came out of sigmoids and their like, by identity."""

    def entered(self, args: tuple[object, ...]) -> tuple[object, ...]:
        given = args[0] if args else None
        if not isinstance(given, Tensor):
            raise ModelError(f"LRP needs {self.model} to take the images as its first argument")
        if given.dtype == torch.float16:
            raise ModelError(
                "the stabilisers of LRP vanish in half precision; explain the model in float32"
            )
        self.images = given.detach().requires_grad_()
        self.ledger = Ledger(images=len(given))
        return self.images.clone(), *args[1:]

    def left(self, output: object) -> object:
        self._made.clear()
        self._gates.clear()
        return mapped(output, self._started)

    def forget(self) -> None:
        """Let go of what only the backward pass needed."""
        for hook in self._kept:
            hook.remove()
        self._kept.clear()

    def apply(self, operation: Operation) -> object:
        if not operation.differentiated:
            return operation.plainly()
        rule = _RULES.get(operation.name)
        if rule is not None:
            result = rule(self, operation)
            return self._overwritten(operation, result) if operation.in_place else result
        result = operation.plainly()
        if operation.name == "__setitem__":
            self._forget_making(operation.taken)
        elif _needs(result):
            if operation.name not in _MOVES:
                raise self._refusal(operation)
            self._keep_gate(operation.taken, result)
        return result

    def linear(self, operation: Operation) -> Tensor:
        """Convolutions and fully connected layers, with a batch norm before them merged in."""
        linear, taken = linear_of(operation), cast(Tensor, operation.taken)
        if linear.weight.requires_grad:
            raise self._refusal(operation)
        name = self._names.get(id(linear.weight), operation.name)
        before, boxed = self._made.get(id(taken)), self.book.awaits_box
        rule = self.book.rule(linear.layer())
        if before is not None and before.norm and not boxed and _by_channel(linear, taken):
            linear, taken = linear.preceded_by(before.norm, taken.shape[2:]), before.taken
        return self._linear(name, linear, rule, taken)

    def matrix_product(self, operation: Operation) -> Tensor:
        """Times a constant matrix, which is a fully connected layer."""
        taken, matrix = _operands(operation)
        if not isinstance(matrix, Tensor) or matrix.requires_grad or matrix.ndim != 2:
            raise self._refusal(operation)
        linear = Linear(kind=nn.Linear, weight=matrix.T, bias=None, settings={})
        rule = self.book.rule(linear.layer())
        return self._linear(operation.name, linear, rule, cast(Tensor, taken))

    def batch_norm(self, operation: Operation) -> Tensor:
        """Merged into the linear layer before it; else an affine map, with the epsilon rule."""
        norm, taken = scaling_of(operation), cast(Tensor, operation.taken)
        if norm is None:
            raise self._refusal(operation)
        before = self._made.get(id(taken))
        if before is not None and before.linear and _by_channel(before.linear, taken):
            layer = before.linear.followed_by(norm).layer()
            return self._ruled(before.name, layer, before.rule, before.taken)
        name = next((self._names[id(one)] for one in operation.tensors if id(one) in self._names),
                    operation.name)  # fmt: skip
        rule = self.book.epsilon
        result = self._ruled(name, _Affine(norm, taken.ndim), rule, taken)
        self._made[id(result)] = _Made(result=result, taken=taken, name=name, rule=rule, norm=norm)
        return result

    def shared(self, operation: Operation) -> Tensor:
        """Sums and means over places or channels: to each its share."""
        function = _Function(operation.on)
        return self._ruled(operation.name, function, self.book.norm, cast(Tensor, operation.taken))

    def added(self, operation: Operation) -> Tensor:
        """Two summands: to each its share, and a constant's share stays with it."""
        first, second = _operands(operation)
        if operation.name in ("rsub", "__rsub__"):
            first, second = second, first
        factor = cast(float, operation.kwargs.get("alpha", 1))
        factor = factor if operation.name == "add" else -factor
        total = cast(Tensor, _plain(first) + factor * _plain(second))
        parts = [
            _passed(one, cast(Tensor, _plain(one) * times + torch.zeros_like(total)))
            for one, times in ((first, 1), (second, factor))
        ]
        both = _Function(lambda stacked: stacked.sum(dim=-1))
        return self._ruled("sum", both, self.book.norm, *parts)

    def multiplied(self, operation: Operation) -> Tensor:
        """A signal times, or divided by, a constant or a gate: the signal gets all."""
        first, second = _operands(operation)
        signals = [one for one in (first, second) if _needs(one)]
        if len(signals) == 2:
            signals = [one for one in signals if id(one) not in self._gates]
        divided = operation.name.endswith(("div", "divide"))
        if len(signals) != 1 or (divided and _needs(second)) or "rounding_mode" in operation.kwargs:
            raise self._refusal(operation)
        one, other = _plain(first), _plain(second)
        result = _passed(signals[0], cast(Tensor, one / other if divided else one * other))
        self._keep_gate(signals[0], result)
        return result

    def activated(self, operation: Operation) -> Tensor:
        """Activation functions let relevance through."""
        taken = operation.taken
        if not _needs(taken) or sum(one.requires_grad for one in operation.tensors) > 1:
            raise self._refusal(operation)
        taken = cast(Tensor, taken)
        return _passed(taken, operation.on(taken.detach().clone()))

    def gated(self, operation: Operation) -> Tensor:
        """The same; but as a factor of a product they get none."""
        result = self.activated(operation)
        self._gates[id(result)] = result
        return result

    def _linear(self, name: str, linear: Linear, rule: Any, taken: Tensor) -> Tensor:
        result = self._ruled(name, linear.layer(), rule, taken)
        made = _Made(result=result, taken=taken, name=name, rule=rule, linear=linear)
        self._made[id(result)] = made
        return result

    def _ruled(self, name: str, layer: nn.Module, rule: Any, *parts: Tensor) -> Tensor:
        """What a layer makes of a tensor, or of summands side by side, under a rule of zennit's."""
        taken = [part.view_as(part) for part in parts]
        hook = rule.copy()
        hook.register(layer)
        self._kept.append(hook)
        result = layer(taken[0] if len(taken) == 1 else torch.stack(taken, dim=-1))
        self.ledger.stop(name, taken, result)
        return result

    def _overwritten(self, operation: Operation, result: Tensor) -> Tensor:
        taken = cast(Tensor, operation.taken)
        self._forget_making(taken)
        self._keep_gate(result, taken)
        return overwritten(taken, result)

    def _forget_making(self, tensor: object) -> None:
        """A tensor that is changed is no longer what an operation gave."""
        self._made.pop(id(tensor), None)
        self._gates.pop(id(tensor), None)

    def _started(self, output: Tensor) -> Tensor:
        if not output.requires_grad:
            return output
        output.register_hook(self.ledger.output)
        return cast(Tensor, _Started.apply(output, self.start == "logit"))

    def _keep_gate(self, taken: object, result: object) -> None:
        if id(taken) in self._gates and isinstance(result, Tensor):
            self._gates[id(result)] = result

    def _refusal(self, operation: Operation) -> ModelError:
        return ModelError(
            f"LRP has no rule for {operation.name!r} as {self.model} uses it; for a transformer "
            "use chefer, for another network a gradient method such as integratedgradients"
        )


_RULES: Mapping[str, Callable[[RelevanceRules, Operation], Tensor]] = {
    **dict.fromkeys(LINEAR, RelevanceRules.linear),
    **dict.fromkeys(_ACTIVATIONS, RelevanceRules.activated),
    **dict.fromkeys(_GATES, RelevanceRules.gated),
    **dict.fromkeys(_SHARES, RelevanceRules.shared),
    **dict.fromkeys(_SUMS, RelevanceRules.added),
    **dict.fromkeys(_PRODUCTS, RelevanceRules.multiplied),
    "batch_norm": RelevanceRules.batch_norm,
    "matmul": RelevanceRules.matrix_product,
}


class _Passed(torch.autograd.Function):
    """A result whose relevance is that of one tensor, unchanged."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: FunctionCtx, taken: Tensor, given: Callable[[], Tensor]
    ) -> Tensor:
        return given()

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class _Started(torch.autograd.Function):
    """The output, at which a gradient becomes relevance: times the output itself, or as it is."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, weighed: bool) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(*([output] if weighed else []))
        return output.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        relevance = gradients[0]
        for output in ctx.saved_tensors:
            relevance = relevance * output
        return relevance, None


class _Function(nn.Module):
    """A sum of its inputs as a layer, for a rule."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, taken: Tensor) -> Tensor:
        return self.function(taken)


class _Affine(nn.Module):
    """A batch norm on its own: a layer that is linear in each channel."""

    def __init__(self, norm: Scaling, axes: int) -> None:
        super().__init__()
        shape = (1, -1, *[1] * (axes - 2))
        self.weight = nn.Parameter(norm.scale.reshape(shape), requires_grad=False)
        self.bias = nn.Parameter(norm.shift.reshape(shape), requires_grad=False)

    def forward(self, taken: Tensor) -> Tensor:
        return taken * self.weight + self.bias


def _passed(taken: object, result: Tensor) -> Tensor:
    """A result whose relevance goes to one tensor, or nowhere where that is a constant."""
    if not _needs(taken):
        return result
    return cast(Tensor, _Passed.apply(cast(Tensor, taken).expand_as(result), lambda: result))


def _operands(operation: Operation) -> tuple[object, object]:
    given = operation.named("input", "other")
    return given["input"], given["other"]


def _needs(value: object) -> bool:
    """Whether relevance can reach it."""
    if isinstance(value, tuple | list):
        return any(_needs(one) for one in value)
    return isinstance(value, Tensor) and value.requires_grad


def _plain(value: object) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def _by_channel(linear: Linear, tensor: Tensor) -> bool:
    """Whether a layer's channels are those of a batch norm beside it: both on the second axis."""
    return linear.kind is not nn.Linear or tensor.ndim == 2


def _names(module: nn.Module) -> dict[int, str]:
    """The parts of a model by the identity of their parameters and buffers."""
    tensors: Sequence[tuple[str, Tensor]] = [*module.named_parameters(), *module.named_buffers()]
    return {id(tensor): name.rpartition(".")[0] for name, tensor in tensors}
