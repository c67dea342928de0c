"""One pass over an image for all that is asked of its gradients, whatever the methods."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from foveal.core import ModelError
from foveal.explainers.passes import Passes, Sight
from foveal.explainers.watching import Watch
from foveal.models.layouts import layout_of
from foveal.models.targets import TargetLike, fix
from foveal.run.one_image import Look


@dataclass(frozen=True, kw_only=True)
class LayerSight:
    """A layer's output, or what an activation right after it made of it, and its gradient."""

    activation: Float[Tensor, "channel ..."]
    gradient: Float[Tensor, "channel ..."]


@dataclass(frozen=True, kw_only=True)
class Gradients:
    """Of the explained number, in its own units, for one image."""

    input: Float[Tensor, "channel row column"]
    """In display units, since the model is asked in these."""
    layers: Mapping[str, LayerSight]
    first: Float[Tensor, "..."] | None
    """At the first layer with a matrix of weights; `None` where that did not run."""


def gradients_of(seen: Look, target: TargetLike, layers: Sequence[str]) -> Gradients | None:
    """One forward and one backward pass; `None` for a model that has no gradients to give."""
    module = seen.model.module
    if not any(True for _ in module.parameters()):
        return None
    first = _first_layer(module)
    stem = [] if first is None else [first]
    for watched in ([*layers, *stem], layers, stem, []):
        try:
            sight = _sight(seen, target, list(dict.fromkeys(watched)))
        except ModelError:  # a layer that did not run, or a model that cannot be differentiated
            continue
        at = [layer for layer in layers if layer in watched]
        return _gradients(seen, sight, at, first if first in watched else None)
    return None


def _sight(seen: Look, target: TargetLike, layers: Sequence[str]) -> Sight:
    fixed = fix(target, seen.output, count=1, head=seen.model.head)
    alone = torch.zeros(1, dtype=torch.long, device=seen.pixels.device)
    return Passes(seen.network).send(
        seen.pixels,
        lambda output: fixed.score(output, alone),
        watches=[Watch(layer, after_activation=True) for layer in layers],
        layer_gradients=bool(layers),
        input_gradient=True,
    )


def _gradients(seen: Look, sight: Sight, layers: Sequence[str], first: str | None) -> Gradients:
    parts = seen.network.parts()
    found: dict[str, LayerSight] = {}
    for layer in layers:
        watch = Watch(layer, after_activation=True)
        activation, gradient = sight.activations[watch], sight.gradients[watch]
        layout = layout_of(parts[layer], activation, seen.pixels)
        if layout is None:  # a layer without rows and columns, as some of attention
            continue
        found[layer] = LayerSight(
            activation=layout.to_grid(activation)[0].float(),
            gradient=layout.to_grid(gradient)[0].float(),
        )
    at_first = None if first is None else sight.gradients[Watch(first, after_activation=True)][0]
    at_input = cast(Tensor, sight.input_gradient)  # it was asked for
    return Gradients(input=at_input[0].float(), layers=found, first=at_first)


def _first_layer(module: nn.Module) -> str | None:
    """The first part with a matrix of weights of its own: usually the stem."""
    for name, part in module.named_modules():
        if name and any(weight.ndim > 1 for weight in part.parameters(recurse=False)):
            return name
    return None
