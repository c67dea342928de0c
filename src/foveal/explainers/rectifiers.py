"""Another derivative for the activation functions of a borrowed model, whatever calls them."""

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction, FunctionCtx
from torch.autograd.graph import Node

from foveal.core import ModelError
from foveal.explainers.instruments import AbstractInstrument, Reading
from foveal.explainers.operations import AbstractRules, Operation, mapped, overwritten, ruled

_ACTIVATIONS = frozenset(
    {
        "relu", "relu6", "hardtanh", "threshold", "_threshold", "leaky_relu", "prelu", "rrelu",
        "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish", "softplus", "softsign",
        "logsigmoid", "log_sigmoid", "tanhshrink", "softshrink", "hardshrink",
    }
)  # fmt: skip
"""Sigmoid, tanh and softmax are gates, outputs and attention: they keep their derivative."""
_CLAMPS = frozenset({"clamp", "clip", "clamp_min"})
"""Rectifiers where what they clamp at from below is zero."""
_PRODUCTS = frozenset({"mul", "multiply"})
_COMPARISONS = frozenset(
    {"gt", "ge", "lt", "le", "greater", "greater_equal", "less", "less_equal", "sign", "heaviside",
     "__gt__", "__ge__", "__lt__", "__le__"}
)  # fmt: skip
_CASTS = frozenset(
    {"to", "float", "double", "half", "type", "type_as", "logical_not", "bitwise_not", "__invert__"}
)
_CHOICES = _PRODUCTS | {"where", "masked_fill"}
"""With a comparison of one of their own tensors, they are an activation written out."""
_HIDDEN = (
    "Relu", "LeakyRelu", "Prelu", "Rrelu", "Elu", "Gelu", "Silu", "Mish", "Hardswish", "Softplus",
    "Threshold", "Hardtanh", "Erf", "DifferentiableGraph",
)  # fmt: skip
"""How torch names the derivatives of activation functions that no rule has replaced: in scripted
parts, in fused recurrent layers, written out."""
_ELEMENTWISE = (
    "Sigmoid", "Hardsigmoid", "Tanh", "Softplus", "Hardtanh", "Mul", "Div", "Add", "Sub", "Neg",
    "Pow", "Erf", "Clamp", "Clone", "_Rectified",
)  # fmt: skip
"""What a factor of an activation written out as x * g(x) may be made of."""

Edge = tuple[Node, int]


@dataclass(frozen=True)
class Rectifiers(AbstractInstrument):
    """ReLU(g) passes back through every activation function, g being what arrives from above.

    Its reading is the number of activation functions that this was done to.
    """

    forward_mask: bool
    """Multiply it with the activation's derivative, where its input is positive, and with zero
    where it is not."""

    def attached(self, module: nn.Module) -> AbstractContextManager[Reading]:
        """The model with these derivatives.

        Raises:
            ModelError: The model has no activation function, or some that cannot be reached.
        """
        return _attached(module, self.forward_mask)


class _Count(Reading):
    def __init__(self, rules: "_Rules") -> None:
        self.rules = rules

    def rows(self, where: slice) -> int:
        return self.rules.count


@contextmanager
def _attached(module: nn.Module, forward_mask: bool) -> Generator[Reading]:
    with ruled(module, _Rules(type(module).__name__, forward_mask)) as rules:
        yield _Count(rules)


class _Rules(AbstractRules):
    def __init__(self, model: str, forward_mask: bool) -> None:
        super().__init__()
        self.model = model
        self.forward_mask = forward_mask
        self.count = 0
        self.given: tuple[object, ...] = ()
        """What the model was given: a threshold on the images is a mask, and no activation."""
        self.compared: list[tuple[Tensor, Tensor]] = []
        """What comparisons gave, and the tensors that they looked at."""

    def entered(self, args: tuple[object, ...]) -> tuple[object, ...]:
        self.given = args
        return args

    def apply(self, operation: Operation) -> object:
        taken = operation.taken
        if operation.name in _CHOICES:
            self._check_chosen_by_itself(operation)
        if operation.name in _COMPARISONS | _CASTS and isinstance(taken, Tensor):
            return self._compared(operation, taken)
        if not (operation.differentiated and isinstance(taken, Tensor) and taken.requires_grad):
            return operation.plainly()
        if _is_activation(operation):
            result = self._rectified(taken, operation.on)
        elif operation.name in _PRODUCTS and (gated := self._self_gated(operation)) is not None:
            taken, result = gated
        else:
            return operation.plainly()
        return overwritten(cast(Tensor, operation.taken), result) if operation.in_place else result

    def left(self, output: object) -> object:
        if self.count == 0:
            raise ModelError(
                f"{self.model} has no activation function whose derivative could be replaced "
                "(ReLU, GELU, SiLU and their like), so this would be its plain gradient; use "
                "saliency for that"
            )
        mapped(output, self._check_nothing_is_hidden)
        return output

    def _rectified(self, taken: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        self.count += 1
        if not self.forward_mask:
            return _rectified(taken, function(taken.detach().clone()), None)
        with torch.enable_grad():
            leaf = taken.detach().requires_grad_()
            result = function(leaf.clone())
        (slope,) = torch.autograd.grad(result.sum(), leaf)
        return _rectified(taken, result.detach(), slope * (taken > 0))

    def _self_gated(self, operation: Operation) -> tuple[Tensor, Tensor] | None:
        """The input and the output of an activation written out as x * g(x), such as SiLU.

        Raises:
            ModelError: An activation written out in another way.
        """
        first, second = [*operation.args, *operation.kwargs.values()][:2]
        if not isinstance(second, Tensor) or not second.requires_grad or first is second:
            return None
        first = cast(Tensor, first)
        edges = [list(_elementwise(factor)) for factor in (first, second)]
        if edges[0][0] in edges[1]:
            taken = first
        elif edges[1][0] in edges[0]:
            taken = second
        elif _all_elementwise(first) & _all_elementwise(second):
            raise ModelError(
                f"{self.model} writes an activation function out as a product of two functions of "
                "one tensor, whose derivative cannot be replaced; let it call torch's own "
                "(torch.nn.functional.gelu, silu, mish), or use another method"
            )
        else:
            return None
        self.count += 1
        result = first * second
        if not self.forward_mask:
            return taken, _rectified(taken, result.detach(), None)
        (slope,) = torch.autograd.grad(result.sum(), taken, retain_graph=True)
        return taken, _rectified(taken, result.detach(), slope * (taken > 0))

    def _compared(self, operation: Operation, taken: Tensor) -> object:
        result = operation.plainly()
        source = next((tensor for made, tensor in self.compared if made is taken), taken)
        if isinstance(result, Tensor) and (source is not taken or operation.name in _COMPARISONS):
            self.compared.append((result, source))
        return result

    def _check_chosen_by_itself(self, operation: Operation) -> None:
        given = {one.data_ptr() for one in self.given if isinstance(one, Tensor)}
        chosen = {one.data_ptr() for one in operation.tensors if one.requires_grad} - given
        for made, source in self.compared:
            if source.data_ptr() in chosen and any(made is one for one in operation.tensors):
                raise ModelError(
                    f"{self.model} writes an activation function out by a comparison "
                    f"({operation.name!r}), whose derivative cannot be replaced; let it call "
                    "torch's own (torch.relu), or use another method"
                )

    def _check_nothing_is_hidden(self, output: Tensor) -> Tensor:
        for node in _graph(output):
            name = type(node).__name__
            own = isinstance(node, BackwardCFunction) and not name.startswith(_OURS)
            rectifier = name.startswith("Maximum") and _takes_a_constant(node)
            if own or rectifier or name.startswith(_HIDDEN) or "DifferentiableGraph" in name:
                raise ModelError(
                    f"{self.model} computes {name.removesuffix('0').removesuffix('Backward')!r} "
                    "where the derivative of an activation function cannot be replaced (scripted, "
                    "compiled, checkpointed, written out by hand or with a derivative of its own); "
                    "switch that off in "
                    "the model, or use another method"
                )
        return output


class _Rectified(torch.autograd.Function):
    """An activation's result, with the slope that its gradient shall have."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: FunctionCtx, taken: Tensor, given: Callable[[], Tensor], slope: Tensor | None
    ) -> Tensor:
        ctx.save_for_backward(*([] if slope is None else [slope]))
        return given()  # a result that came in as a tensor could not be changed in place later

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None, None]:
        passed = gradients[0].clamp(min=0)
        for slope in cast(tuple[Tensor, ...], ctx.saved_tensors):  # type: ignore[attr-defined]
            passed = passed * slope
        return passed, None, None


def _rectified(taken: Tensor, result: Tensor, slope: Tensor | None) -> Tensor:
    return cast(Tensor, _Rectified.apply(taken, lambda: result, slope))


_OURS = ("_Rectified", "_Overwritten")


def _is_activation(operation: Operation) -> bool:
    if operation.name in _CLAMPS:
        return operation.named("input", "min", "max").get("min") == 0
    return operation.name in _ACTIVATIONS


def _elementwise(tensor: Tensor) -> Iterator[Edge]:
    """The tensor's place in the graph, and of the tensors it is a function of, cell by cell."""
    node, number = tensor.grad_fn, tensor.output_nr
    while node is not None:
        yield node, number
        before = [edge for edge in node.next_functions if edge[0] is not None]
        if len(before) != 1 or not type(node).__name__.startswith(_ELEMENTWISE):
            return
        ((node, number),) = before


def _all_elementwise(tensor: Tensor) -> set[Edge]:
    """The same, also where several tensors come together, as in x + x ** 3."""
    found, waiting = set[Edge](), [(tensor.grad_fn, tensor.output_nr)]
    while waiting:
        node, number = waiting.pop()
        if node is None or (node, number) in found:
            continue
        found.add((node, number))
        if type(node).__name__.startswith(_ELEMENTWISE):
            waiting += node.next_functions
    return found


def _takes_a_constant(node: Node) -> bool:
    return any(before is None for before, _ in node.next_functions)


def _graph(output: Tensor) -> Iterator[Node]:
    """Everything that the output was computed by."""
    seen: set[Node] = set()
    waiting = [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            waiting += [before for before, _ in node.next_functions]
