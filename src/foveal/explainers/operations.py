"""Other rules for the operations of a borrowed model, however it calls them.

Modules, functions and methods of tensors, in place or not, all come to the same operations, so
rules are looked up where these are called and the model's own parts are never touched.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import CheckpointError

from foveal.core import ModelError


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One call of a torch function."""

    function: Callable[..., object]
    args: tuple[object, ...]
    kwargs: Mapping[str, object]

    @property
    def full_name(self) -> str:
        """The function's name, as in `add_`."""
        return getattr(self.function, "__name__", "")

    @property
    def name(self) -> str:
        """The function's name, the same in place or not."""
        name = self.full_name
        return name if name.endswith("__") else name.rstrip("_")

    @property
    def in_place(self) -> bool:
        """Whether its result is written over its first tensor."""
        return self.full_name != self.name or bool(self.kwargs.get("inplace"))

    @property
    def taken(self) -> object:
        """What it works on: a tensor, for all operations with rules of their own."""
        return self.args[0] if self.args else self.kwargs.get("input")

    @property
    def differentiated(self) -> bool:
        """Whether its result may depend on what gradients are taken of."""
        # Inside a derivative of the model's own, gradients are off and tensors still ask for them.
        return torch.is_grad_enabled() and any(one.requires_grad for one in self.tensors)

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors among its arguments, also those in lists."""
        given = [*self.args, *self.kwargs.values()]
        listed = [one for many in given if isinstance(many, tuple | list) for one in many]
        return [one for one in (*given, *listed) if isinstance(one, Tensor)]

    def on(self, tensor: Tensor) -> Tensor:
        """Its result for another tensor, which it may change."""
        if self.args:
            return cast(Tensor, self.function(tensor, *self.args[1:], **self.kwargs))
        return cast(Tensor, self.function(**{**self.kwargs, "input": tensor}))

    def named(self, *names: str) -> dict[str, object]:
        """Its arguments by name, for a function whose arguments have these names."""
        return {**dict(zip(names, self.args, strict=False)), **self.kwargs}

    def plainly(self) -> object:
        """What the function itself gives."""
        return self.function(*self.args, **self.kwargs)


class AbstractRules(TorchFunctionMode, ABC):
    """What becomes of the operations of a model while it runs.

    Torch calls it for every operation, with itself switched off.
    """

    def __init__(self) -> None:
        super().__init__()
        self.running = False
        """Whether the model runs now: what is made of its output has no rules."""

    @abstractmethod
    def apply(self, operation: Operation) -> object:
        """The operation's result."""

    def entered(self, args: tuple[object, ...]) -> tuple[object, ...]:
        """What the model gets in place of its arguments."""
        return args

    def left(self, output: object) -> object:
        """What the model gives in place of its output."""
        return output

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        operation = Operation(function=func, args=args, kwargs=kwargs or {})
        return self.apply(operation) if self.running else operation.plainly()


Rules = TypeVar("Rules", bound=AbstractRules)


@contextmanager
def ruled(module: nn.Module, rules: Rules) -> Generator[Rules]:
    """The model under other rules, from its input to its output.

    Raises:
        ModelError: The model does not let itself be looked into, did not run, or is checkpointed.
    """
    ran = False

    def entered(_: nn.Module, args: tuple[object, ...]) -> tuple[object, ...]:
        args = rules.entered(args)
        rules.running = True
        return args

    def left(_: nn.Module, __: object, output: object) -> object:
        nonlocal ran
        rules.running, ran = False, True
        return rules.left(output)

    try:
        handles = [module.register_forward_pre_hook(entered), module.register_forward_hook(left)]
    except RuntimeError as error:
        raise ModelError(_closed(module)) from error
    try:
        with rules:
            yield rules
    except CheckpointError as error:
        raise ModelError(
            f"{type(module).__name__} computes parts of itself again in the backward pass "
            "(checkpointing), where its operations have their own rules; switch that off in the "
            "model"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    if not ran:
        raise ModelError(_closed(module))


def _closed(module: nn.Module) -> str:
    return (
        f"{type(module).__name__} takes no hooks, or they do not fire (scripted, traced and "
        "exported models), so the rules of its operations cannot be changed; load it as a plain "
        "torch module, or use a method that needs scores only, such as occlusion"
    )


class _Overwritten(torch.autograd.Function):
    """Writes a result over the tensor that an operation works on in place."""

    @staticmethod
    def forward(ctx: FunctionCtx, tensor: Tensor, result: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.mark_dirty(tensor)
        return tensor.copy_(result)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, gradients[0]


def overwritten(tensor: Tensor, result: Tensor) -> Tensor:
    """The tensor with the result in it: whoever else holds it sees the change, as in place."""
    return cast(Tensor, _Overwritten.apply(tensor, result))


def mapped(output: object, change: Callable[[Tensor], Tensor]) -> object:
    """A model's output with each of its tensors changed; they may lie in tuples and mappings."""
    if isinstance(output, Tensor):
        return change(output)
    if isinstance(output, MutableMapping):
        changed = copy.copy(output)
        for key, value in output.items():
            changed[key] = mapped(value, change)
        return changed
    if isinstance(output, list | tuple):
        parts = [mapped(one, change) for one in output]
        make = cast(Callable[..., object], getattr(output, "_make", type(output)))  # named tuples
        return make(parts)
    return output
