"""One pass through a borrowed model: layers watched, gradients taken, everything given back."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from foveal.core import ModelError
from foveal.explainers.instruments import AbstractInstrument, Reading, attached
from foveal.explainers.watching import Network, Watch, Watcher, watching

_LAYOUT_WORDS = ("view size is not compatible", "contiguous")
"""What torch says when a model cannot take channels-last input."""
_HALF_FACTORS = (2.0**24, 2.0**16, 2.0**8, 1.0)
"""By how much a score is enlarged so that its gradients survive half precision."""


@dataclass(kw_only=True)
class Sight:
    """What was seen in one pass."""

    scores: Tensor
    activations: dict[Watch, Tensor] = field(default_factory=dict)
    gradients: dict[Watch, Tensor] = field(default_factory=dict)
    input_gradient: Tensor | None = None
    calls: dict[str, int] = field(default_factory=dict)
    """How often each watched layer ran; the last time is what was seen."""
    after_activation: frozenset[Watch] = frozenset()
    """The watches that saw what an activation function made of the layer's output."""
    readings: Mapping[AbstractInstrument, Reading] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _Order:
    """What is to be seen and done in one pass."""

    watches: Sequence[Watch] = ()
    layer_gradients: bool = False
    input_gradient: bool = False
    instruments: Sequence[AbstractInstrument] = ()
    instrument_gradients: bool = False
    edits: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    beside: Sequence[Tensor] = ()
    precision: str | None = None

    @property
    def backward(self) -> bool:
        return self.layer_gradients or self.input_gradient or self.instrument_gradients


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
        instruments: Sequence[AbstractInstrument] = (),
        instrument_gradients: bool = False,
        edits: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
        beside: Sequence[Tensor] = (),
        precision: str | None = None,
    ) -> Sight:
        """One forward, and one backward where gradients are wanted.

        When nobody wants the input gradient, autograd starts at the earliest watched layer: what
        lies below runs without gradients.

        Args:
            images: One pass.
            score: From the raw output to one number per image.
            watches: Layers to look at.
            layer_gradients: Take the gradient of the scores there.
            input_gradient: Take it at the images.
            instruments: What else is attached to the model.
            instrument_gradients: Whether they want gradients.
            edits: What is made of a layer's output before it goes on.
            beside: The model's other inputs.
            precision: Another one than that of all passes.

        Raises:
            ModelError: A watched layer that did not run, gave no tensor, or is not connected to
                the score; a model that cannot be differentiated, or lacks what an instrument needs.
        """
        order = _Order(
            watches=tuple(dict.fromkeys(watches)),
            layer_gradients=layer_gradients,
            input_gradient=input_gradient,
            instruments=tuple(dict.fromkeys(instruments)),
            instrument_gradients=instrument_gradients,
            edits=edits or {},
            beside=beside,
            precision=precision or self.precision,
        )
        try:
            return self._send(images, score, order)
        except RuntimeError as error:
            if self._layout is None or not any(word in str(error) for word in _LAYOUT_WORDS):
                raise
            self._layout = None  # this model wants contiguous input
            return self._send(images, score, order)

    def scores(
        self, images: Tensor, score: Callable[[object], Tensor], beside: Sequence[Tensor] = ()
    ) -> Tensor:
        """One forward by itself, with its graph where gradients are enabled."""
        bf16 = self.precision == "bf16"
        with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=bf16):
            output = self.network.forward(images.clone(), *(one.clone() for one in beside))
            self.forwards += len(images)
            scores = score(_full_precision(output))
        if scores.requires_grad:
            scores.register_hook(self._went_back)
        return scores

    def output(self, images: Tensor, *beside: Tensor) -> object:
        """One plain forward; nothing is watched."""
        self.forwards += len(images)
        return self.network.forward(self.arranged(images), *beside)

    def arranged(self, images: Tensor) -> Tensor:
        """A copy as it lies in memory when it is sent."""
        layout = torch.preserve_format
        if self._layout is not None and images.ndim == self._layout[0]:
            layout = self._layout[1]
        return images.detach().clone(memory_format=layout)

    def _went_back(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)

    def _send(self, images: Tensor, score: Callable[[object], Tensor], order: _Order) -> Sight:
        network = self.network
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            leaf = self._enter(images, order.input_gradient)
            stack.enter_context(torch.set_grad_enabled(order.backward))
            bf16 = order.precision == "bf16"
            stack.enter_context(
                torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=bf16)
            )
            readings = {
                instrument: stack.enter_context(attached(instrument, network.module, network.name))
                for instrument in order.instruments
            }
            watcher = stack.enter_context(
                watching(network, order.watches, order.layer_gradients, order.edits)
            )
            # A copy goes in: a model may change its input in place.
            given = leaf.clone() if order.input_gradient else leaf
            output = network.forward(given, *(one.clone() for one in order.beside))
            self.forwards += len(images)
            watcher.open = False
            scores = score(_full_precision(output))
            if order.backward:
                self._backward(scores, leaf, watcher, list(readings.values()), order)
        watcher.check_all_ran()
        watcher.settle(order.layer_gradients)
        return Sight(
            scores=scores.detach(),
            activations={w: a.detach() for w, a in watcher.values.items()},
            gradients=watcher.gradients,
            input_gradient=watcher.input_gradient,
            calls=watcher.calls,
            after_activation=frozenset(watcher.after),
            readings=readings,
        )

    def _backward(
        self,
        scores: Tensor,
        leaf: Tensor,
        watcher: Watcher,
        readings: Sequence[Reading],
        order: _Order,
    ) -> None:
        watcher.check_all_ran()
        tensors = dict(watcher.sources) if order.layer_gradients else {}
        others = [tuple(r.asked()) if order.instrument_gradients else () for r in readings]
        asked = [*([leaf] if order.input_gradient else []), *tensors.values()]
        if not scores.requires_grad:
            what = " or ".join(repr(w.layer) for w in tensors) or "the input"
            raise ModelError(
                f"the score of {self.network.name} does not depend on {what} in the autograd "
                "graph (another layer, a detached tensor or an operation without gradient); "
                "choose another layer, or a method that needs scores only, such as occlusion"
            )
        gradients = self._gradients(scores, [*asked, *(t for own in others for t in own)], watcher)
        if order.input_gradient:
            watcher.input_gradient = self._connected(gradients.pop(0), "the input")
        for watch in tensors:
            watcher.gradients[watch] = self._connected(gradients.pop(0), repr(watch.layer))
        for reading, own in zip(readings, others, strict=True):
            reading.answered([gradients.pop(0) for _ in own])

    def _gradients(
        self, scores: Tensor, asked: Sequence[Tensor], watcher: Watcher
    ) -> list[Tensor | None]:
        """The gradients of the scores; in float32 where the model is in half precision.

        Half precision loses small gradients, so the score is enlarged as far as nothing overflows,
        and the gradients are made smaller again.
        """
        total = scores.float().sum()
        if all(tensor.dtype != torch.float16 for tensor in asked):
            self.backwards += len(scores)
            return list(torch.autograd.grad(total, asked, allow_unused=True))
        factor, found = 1.0, ()
        for factor in _HALF_FACTORS:
            again = factor != _HALF_FACTORS[-1]
            found = torch.autograd.grad(
                total * factor, asked, retain_graph=again, allow_unused=True
            )
            self.backwards += len(scores)
            if all(g is None or bool(g.isfinite().all()) for g in found):
                break
        for seen in watcher.after.values():
            seen.gradient = None if seen.gradient is None else seen.gradient.float() / factor
        return [None if g is None else g.float() / factor for g in found]

    def _connected(self, gradient: Tensor | None, what: str) -> Tensor:
        if gradient is None:
            raise ModelError(
                f"the score of {self.network.name} does not depend on {what} in the autograd "
                "graph; choose a layer between the input and the score"
            )
        return gradient

    def _enter(self, images: Tensor, input_gradient: bool) -> Tensor:
        leaf = self.arranged(images)
        return leaf.requires_grad_() if input_gradient else leaf


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
