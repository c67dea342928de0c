"""One pass through a borrowed model: layers watched, gradients taken, everything given back."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from foveal.core import ModelError

ACTIVATION_FUNCTIONS = frozenset(
    {
        F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.relu6, F.hardtanh,
        F.leaky_relu, F.elu, F.selu, F.celu, F.gelu, F.silu, F.mish, F.hardswish, F.softplus,
    }
)  # fmt: skip


_LAYOUT_WORDS = ("view size is not compatible", "contiguous", "stride")
"""What torch says when a model cannot take channels-last input."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A model as the engine sees it: something to call, and the module whose layers it may watch.

    `module` is `None` for a plain callable, which can be asked for scores only.
    """

    forward: Callable[[Tensor], object]
    module: nn.Module | None
    name: str = "the model"


@dataclass(frozen=True)
class Watch:
    """A layer to look at, or the activation function right after it."""

    layer: str
    after_activation: bool = False


@dataclass(kw_only=True)
class Sight:
    """What was seen in one pass."""

    scores: Tensor
    activations: dict[Watch, Tensor] = field(default_factory=dict)
    gradients: dict[Watch, Tensor] = field(default_factory=dict)
    input_gradient: Tensor | None = None
    calls: dict[str, int] = field(default_factory=dict)
    """How often each watched layer ran; the last time is what was seen."""


class Passes:
    """Sends passes through one borrowed model and counts them."""

    def __init__(self, network: Network, *, precision: str | None = None) -> None:
        self.network = network
        self.precision = precision
        self.forwards = 0
        """Images sent forward."""
        self.backwards = 0
        """Images sent backward."""
        self._layout = _layout_for(network.module)

    def send(
        self,
        images: Tensor,
        score: Callable[[object], Tensor],
        *,
        watches: Sequence[Watch] = (),
        layer_gradients: bool = False,
        input_gradient: bool = False,
    ) -> Sight:
        """One forward, and one backward where gradients are wanted.

        When nobody wants the input gradient, autograd starts at the earliest watched layer: what
        lies below runs without gradients.

        Raises:
            ModelError: A watched layer that did not run, gave no tensor, or is not connected to
                the score; a model that cannot be differentiated.
        """
        try:
            return self._send(images, score, watches, layer_gradients, input_gradient)
        except RuntimeError as error:
            if self._layout is None or not any(word in str(error) for word in _LAYOUT_WORDS):
                raise
            self._layout = None  # this model wants contiguous input
            return self._send(images, score, watches, layer_gradients, input_gradient)

    def _send(
        self,
        images: Tensor,
        score: Callable[[object], Tensor],
        watches: Sequence[Watch],
        layer_gradients: bool,
        input_gradient: bool,
    ) -> Sight:
        wants_gradient = layer_gradients or input_gradient
        leaf = self._enter(images, input_gradient)
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.set_grad_enabled(wants_gradient))
            bf16 = self.precision == "bf16"
            stack.enter_context(
                torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=bf16)
            )
            watcher = stack.enter_context(
                _watching(self.network, tuple(dict.fromkeys(watches)), layer_gradients)
            )
            output = self.network.forward(leaf)
            self.forwards += len(images)
            scores = score(_full_precision(output))
            if wants_gradient:
                self._backward(scores, leaf, watcher, layer_gradients, input_gradient)
        watcher.check_all_ran()
        return Sight(
            scores=scores.detach(),
            activations={w: a.detach() for w, a in watcher.values.items()},
            gradients=watcher.gradients,
            input_gradient=watcher.input_gradient,
            calls=watcher.calls,
        )

    def _backward(
        self,
        scores: Tensor,
        leaf: Tensor,
        watcher: "_Watcher",
        layer_gradients: bool,
        input_gradient: bool,
    ) -> None:
        watcher.check_all_ran()
        tensors = dict(watcher.sources) if layer_gradients else {}
        asked = [*([leaf] if input_gradient else []), *tensors.values()]
        if not scores.requires_grad:
            what = " or ".join(repr(w.layer) for w in tensors) or "the input"
            raise ModelError(
                f"the score of {self.network.name} does not depend on {what} in the autograd "
                "graph (another layer, a detached tensor or an operation without gradient); "
                "choose another layer, or a method that needs scores only, such as occlusion"
            )
        gradients = list(torch.autograd.grad(scores.sum(), asked, allow_unused=True))
        self.backwards += len(leaf)
        if input_gradient:
            watcher.input_gradient = self._connected(gradients.pop(0), "the input")
        for watch, gradient in zip(tensors, gradients, strict=True):
            own = watcher.caught.get(watch, gradient)
            watcher.gradients[watch] = self._connected(own, repr(watch.layer))

    def _connected(self, gradient: Tensor | None, what: str) -> Tensor:
        if gradient is None:
            raise ModelError(
                f"the score of {self.network.name} does not depend on {what} in the autograd "
                "graph; choose a layer between the input and the score"
            )
        return gradient

    def _enter(self, images: Tensor, input_gradient: bool) -> Tensor:
        leaf = images.detach()
        if leaf.is_inference():
            leaf = leaf.clone()
        if self._layout is not None and leaf.ndim == self._layout[0]:
            leaf = leaf.contiguous(memory_format=self._layout[1])
        return leaf.requires_grad_() if input_gradient else leaf


class _Watcher:
    """Collects what the hooks of one pass see."""

    def __init__(self, watches: Sequence[Watch], layer_gradients: bool) -> None:
        self.wanted = watches
        self.layer_gradients = layer_gradients
        self.values: dict[Watch, Tensor] = {}
        self.sources: dict[Watch, Tensor] = {}
        """The tensors of the graph whose gradients are asked for."""
        self.gradients: dict[Watch, Tensor] = {}
        self.input_gradient: Tensor | None = None
        self.caught: dict[Watch, Tensor] = {}
        """Gradients after an activation function, caught on the way."""
        self.calls: dict[str, int] = {}
        self.awaiting: dict[int, tuple[str, Tensor]] = {}
        """Watched outputs that may go into an activation function next, by identity."""

    def saw(self, layer: str, output: object) -> Tensor:
        if not isinstance(output, Tensor):
            raise ModelError(
                f"layer {layer!r} gives {type(output).__name__}, not a tensor; watch a layer "
                "inside it"
            )
        self.calls[layer] = self.calls.get(layer, 0) + 1
        if self.layer_gradients and not output.requires_grad:
            # The cut: nothing below the earliest watched layer needs gradients.
            output = output.detach().requires_grad_()
        for watch in self.wanted:
            if watch.layer == layer:
                self.values[watch] = self.sources[watch] = output
        # A clone goes on: an in-place layer after this one must not change what we saw.
        passed_on = output.clone()
        if any(w.layer == layer and w.after_activation for w in self.wanted):
            self.awaiting[id(passed_on)] = layer, passed_on
        return passed_on

    def saw_activation(self, layer: str, result: Tensor) -> None:
        watch = Watch(layer, after_activation=True)
        # The result itself may be changed in place later: its value is copied, and its gradient
        # is caught by a hook on this version of it.
        self.values[watch] = result.detach().clone()
        if result.requires_grad:
            result.register_hook(lambda gradient: self.caught.update({watch: gradient}))

    def check_all_ran(self) -> None:
        missing = [w.layer for w in self.wanted if w not in self.values]
        if missing:
            raise ModelError(
                f"layer {missing[0]!r} did not run in this pass, or its hook did not fire (traced "
                "and exported models lose theirs); choose a layer that runs, or a method that "
                "needs scores only, such as occlusion"
            )


class _AfterActivation(TorchFunctionMode):
    """Notices when a watched output goes straight into an activation function."""

    def __init__(self, watcher: _Watcher) -> None:
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
        if func in ACTIVATION_FUNCTIONS and args:
            layer, tensor = self.watcher.awaiting.pop(id(args[0]), (None, None))
            if layer is not None and tensor is args[0] and isinstance(result, Tensor):
                self.watcher.saw_activation(layer, result)
        return result


@contextmanager
def _watching(
    network: Network, watches: Sequence[Watch], layer_gradients: bool
) -> Generator[_Watcher]:
    watcher = _Watcher(watches, layer_gradients)
    handles: list[RemovableHandle] = []
    with ExitStack() as stack:
        if any(w.after_activation for w in watches):
            stack.enter_context(_AfterActivation(watcher))
        try:
            for layer in dict.fromkeys(w.layer for w in watches):
                handles.append(_hook(network, layer, watcher))
            yield watcher
        finally:
            for handle in handles:
                handle.remove()


def _hook(network: Network, layer: str, watcher: _Watcher) -> RemovableHandle:
    if network.module is None:
        raise ModelError(
            f"{network.name} gives scores only, so no layer of it can be watched; use a method "
            "that needs scores only, such as occlusion"
        )
    part = dict(network.module.named_modules())[layer]

    def saw(module: nn.Module, _: object, output: object) -> Tensor:
        return watcher.saw(layer, output)

    try:
        return part.register_forward_hook(saw)
    except RuntimeError as error:
        raise ModelError(
            f"layer {layer!r} of {network.name} takes no hooks ({error}); load the model as a "
            "plain torch module, or use a method that needs scores only, such as occlusion"
        ) from error


def _layout_for(module: nn.Module | None) -> tuple[int, torch.memory_format] | None:
    """Channels-last input makes the convolutions of a convolutional net faster."""
    if module is None:
        return None
    if any(isinstance(part, nn.Conv2d) for part in module.modules()):
        return 4, torch.channels_last
    if any(isinstance(part, nn.Conv3d) for part in module.modules()):
        return 5, torch.channels_last_3d
    return None


def _full_precision(output: object) -> object:
    if isinstance(output, Tensor) and output.dtype in (torch.bfloat16, torch.float16):
        return output.float()
    return output
