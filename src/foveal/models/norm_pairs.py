"""Which convolution feeds which batch norm: seen in one pass, not read from names."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.conv import _ConvNd  # pyright: ignore[reportPrivateUsage]
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A convolution whose output goes into one batch norm and nowhere else, by their names."""

    convolution: str
    norm: str
    seen_as: frozenset[str]
    """Every module that gives the convolution's output as its own."""


def pairs_in(
    module: nn.Module, example: Tensor, forward: Callable[[Tensor], object]
) -> tuple[list[Pair], object]:
    """The pairs found in one pass over the example, and its output."""
    with _Recorder() as recorder, _recording_modules(module, recorder):
        output = forward(example)
    return recorder.pairs(module, output), output


@dataclass(kw_only=True, eq=False)
class _Output:
    """What happened to the output of one convolution."""

    weight: Tensor
    bias: Tensor | None
    uses: int = 0
    """How many operations took it."""
    norms: list[str] = field(default_factory=list)
    """The batch norms that took it as their input."""
    seen_as: set[str] = field(default_factory=set)


class _Recorder(TorchDispatchMode):
    """Follows the outputs of convolutions through the operations of one pass."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs = WeakTensorKeyDictionary()
        """Of convolutions, while they live: tensor to _Output."""
        self.seen: list[_Output] = []
        self.taken: dict[int, int] = {}
        """How often each parameter was taken, by its identity."""
        self.runs: dict[str, int] = {}

    def __torch_dispatch__(
        self,
        func: object,
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))  # type: ignore[operator]
        for tensor in tensors_in([*args, *(kwargs or {}).values()]):
            self.taken[id(tensor)] = self.taken.get(id(tensor), 0) + 1
            if tensor in self.outputs:
                self.outputs[tensor].uses += 1
        if func is torch.ops.aten.convolution.default:
            _, weight, bias, *_ = args
            self.seen.append(_Output(weight=weight, bias=bias))  # type: ignore[arg-type]
            self.outputs[result] = self.seen[-1]
        return result

    def module_ran(self, name: str, part: nn.Module, taken: object, given: object) -> None:
        self.runs[name] = self.runs.get(name, 0) + 1
        if isinstance(part, _BatchNorm) and isinstance(taken, Tensor) and taken in self.outputs:
            self.outputs[taken].norms.append(name)
        if isinstance(given, Tensor) and given in self.outputs:
            self.outputs[given].seen_as.add(name)

    def pairs(self, module: nn.Module, returned: object) -> list[Pair]:
        shown = {id(self.outputs[t]) for t in tensors_in(returned) if t in self.outputs}
        owners = {
            id(part.weight): name
            for name, part in module.named_modules()
            if isinstance(part, _ConvNd) and isinstance(part.weight, nn.Parameter)
        }
        found: list[Pair] = []
        for output in self.seen:
            name = owners.get(id(output.weight))
            once = output.uses == 1 == len(output.norms) == self.taken[id(output.weight)]
            if name is None or not once or id(output) in shown or self.runs[output.norms[0]] != 1:
                continue
            if module.get_submodule(name).bias is output.bias:
                seen_as = frozenset({name, *output.seen_as})
                found.append(Pair(convolution=name, norm=output.norms[0], seen_as=seen_as))
        return found


@contextmanager
def _recording_modules(module: nn.Module, recorder: _Recorder) -> Generator[None]:
    def hook(name: str) -> Callable[[nn.Module, tuple[object, ...], object], None]:
        def ran(part: nn.Module, taken: tuple[object, ...], given: object) -> None:
            recorder.module_ran(name, part, taken[0] if taken else None, given)

        return ran

    with ExitStack() as stack:
        for name, part in module.named_modules():
            if not isinstance(part, torch.jit.ScriptModule):
                stack.callback(part.register_forward_hook(hook(name)).remove)
        yield


def tensors_in(values: object) -> list[Tensor]:
    """The tensors in nested lists, tuples and dictionaries."""
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
