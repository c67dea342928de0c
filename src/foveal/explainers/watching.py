"""Looks at layers of a borrowed model while a pass goes through it."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from foveal.core import ModelError

ACTIVATION_FUNCTIONS = frozenset(
    {
        F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.relu6, F.hardtanh,
        F.leaky_relu, F.prelu, torch.prelu, F.rrelu, F.elu, F.selu, F.celu, F.gelu, F.silu, F.mish,
        F.hardswish, F.softplus,
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Network:
    """A model as the engine sees it: something to call, and the module whose layers it may watch.

    `module` is `None` for a plain callable, which can be asked for scores only.
    """

    forward: Callable[..., object]
    """From a batch of images, and of the other inputs where there are any, to the output."""
    module: nn.Module | None
    name: str = "the model"
    explained: str = ""
    """Which input the images are, where the model takes several."""

    def parts(self) -> dict[str, nn.Module]:
        """All parts of the module by their dotted names; none of a callable."""
        return (
            {} if self.module is None else dict(self.module.named_modules(remove_duplicate=False))
        )


@dataclass(frozen=True)
class Watch:
    """A layer to look at, or the activation function right after it."""

    layer: str
    after_activation: bool = False


@dataclass(kw_only=True)
class _After:
    """What an activation function made of a watched output."""

    value: Tensor
    gradient: Tensor | None = None


@dataclass(kw_only=True)
class _Awaiting:
    """A watched output that may go into an activation function next."""

    tensor: Tensor
    layers: list[str]
    uses: int = 0
    """How many operations took it."""


class Watcher:
    """Collects what the hooks of one pass see."""

    def __init__(
        self,
        watches: Sequence[Watch],
        layer_gradients: bool,
        edits: Mapping[str, Callable[[Tensor], Tensor]],
    ) -> None:
        self.wanted = watches
        self.edits = edits
        """What is made of a layer's output before it goes on."""
        self.layer_gradients = layer_gradients
        self.open = True
        """Until the forward pass is over: checkpointed layers run again in the backward pass."""
        self.values: dict[Watch, Tensor] = {}
        self.sources: dict[Watch, Tensor] = {}
        """The tensors of the graph whose gradients are asked for."""
        self.gradients: dict[Watch, Tensor] = {}
        self.input_gradient: Tensor | None = None
        self.after: dict[Watch, _After] = {}
        self.calls: dict[str, int] = {}
        self.awaiting: dict[int, _Awaiting] = {}
        """By the identity of their tensors."""

    def saw(self, layer: str, output: object) -> Tensor | None:
        if not self.open:
            return None
        if not isinstance(output, Tensor):
            raise ModelError(
                f"layer {layer!r} gives {type(output).__name__}, not a tensor; watch a layer "
                "inside it"
            )
        self.calls[layer] = self.calls.get(layer, 0) + 1
        inner = self.awaiting.pop(id(output), None)  # the output of a layer inside this one
        if self.layer_gradients and not output.requires_grad:
            # The cut: nothing below the earliest watched layer needs gradients.
            output = output.detach().requires_grad_()
        for watch in self.wanted:
            if watch.layer == layer:
                self.values[watch] = self.sources[watch] = output
        if layer in self.edits:
            return self.edits[layer](output)
        # A clone goes on: an in-place layer after this one must not change what we saw.
        passed_on = output.clone()
        layers = [] if inner is None else list(inner.layers)
        if any(w.layer == layer and w.after_activation for w in self.wanted):
            layers.append(layer)
        if layers:
            self.awaiting[id(passed_on)] = _Awaiting(tensor=passed_on, layers=layers)
        return passed_on

    def saw_operation(self, func: object, taken: Sequence[Tensor], result: object) -> None:
        """Notice a watched output that goes into an activation function, and nowhere else."""
        for tensor in taken:
            found = self.awaiting.get(id(tensor))
            if found is None or found.tensor is not tensor or not _carries_on(tensor, result):
                continue
            found.uses += 1
            if found.uses > 1:
                for layer in found.layers:
                    self.after.pop(Watch(layer, after_activation=True), None)
            elif func in ACTIVATION_FUNCTIONS and isinstance(result, Tensor):
                for layer in found.layers:
                    self._saw_activation(Watch(layer, after_activation=True), result)
                if result is tensor:  # in place: whatever comes next takes the result
                    del self.awaiting[id(tensor)]

    def _saw_activation(self, watch: Watch, result: Tensor) -> None:
        # The result itself may be changed in place later: its value is copied, and its gradient
        # is caught by a hook on this version of it.
        self.after[watch] = after = _After(value=result.detach().clone())
        if result.requires_grad:
            result.register_hook(lambda gradient: setattr(after, "gradient", gradient))

    def settle(self, layer_gradients: bool) -> None:
        """Take what an activation function gave for the layer's output, where one did."""
        if layer_gradients:
            self.after = {w: a for w, a in self.after.items() if a.gradient is not None}
        for watch, after in self.after.items():
            self.values[watch] = after.value
            if after.gradient is not None:
                self.gradients[watch] = after.gradient

    def check_all_ran(self) -> None:
        missing = [w.layer for w in self.wanted if w not in self.values]
        if missing:
            raise ModelError(
                f"layer {missing[0]!r} did not run in this pass, or its hook did not fire (traced "
                "and exported models lose theirs); choose a layer that runs, or a method that "
                "needs scores only, such as occlusion"
            )


def _carries_on(tensor: Tensor, result: object) -> bool:
    """Whether an operation's result can bring the tensor's values to the score."""
    results = result if isinstance(result, tuple | list) else (result,)
    return any(isinstance(r, Tensor) and r.requires_grad >= tensor.requires_grad for r in results)


class _AfterActivation(TorchFunctionMode):
    """Tells the watcher which operations its tensors go into."""

    def __init__(self, watcher: Watcher) -> None:
        super().__init__()
        self.watcher = watcher

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))
        if self.watcher.awaiting:
            given = [*args, *(kwargs or {}).values()]
            listed = [one for many in given if isinstance(many, tuple | list) for one in many]
            taken = [one for one in (*given, *listed) if isinstance(one, Tensor)]
            self.watcher.saw_operation(func, taken, result)
        return result


@contextmanager
def watching(
    network: Network,
    watches: Sequence[Watch],
    layer_gradients: bool,
    edits: Mapping[str, Callable[[Tensor], Tensor]],
) -> Generator[Watcher]:
    watcher = Watcher(watches, layer_gradients, edits)
    handles: list[RemovableHandle] = []
    with ExitStack() as stack:
        if any(w.after_activation for w in watches):
            stack.enter_context(_AfterActivation(watcher))
        try:
            for layer in dict.fromkeys([*(w.layer for w in watches), *edits]):
                handles.append(_hook(network, layer, watcher))
            yield watcher
        finally:
            for handle in handles:
                handle.remove()


def _hook(network: Network, layer: str, watcher: Watcher) -> RemovableHandle:
    if network.module is None:
        raise ModelError(
            f"{network.name} gives scores only, so no layer of it can be watched; use a method "
            "that needs scores only, such as occlusion"
        )
    part = network.parts()[layer]

    def saw(module: nn.Module, _: object, output: object) -> Tensor | None:
        return watcher.saw(layer, output)

    try:
        return part.register_forward_hook(saw)
    except RuntimeError as error:
        raise ModelError(
            f"layer {layer!r} of {network.name} takes no hooks ({error}); load the model as a "
            "plain torch module, or use a method that needs scores only, such as occlusion"
        ) from error
