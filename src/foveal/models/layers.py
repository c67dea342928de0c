"""Which layer is watched: found by name, or chosen and the choice reported."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from math import prod

import torch
from torch import Tensor, nn

from foveal.core import ModelError

_PASSING = (
    nn.Dropout | nn.Dropout2d | nn.Dropout3d | nn.Identity
    | nn.MaxPool2d | nn.AvgPool2d | nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d
    | nn.MaxPool3d | nn.AvgPool3d | nn.AdaptiveAvgPool3d | nn.AdaptiveMaxPool3d
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LayerChoice:
    """The layer that is explained when none is named, and why."""

    name: str
    grid: tuple[int, ...]
    """Its rows and columns (slices first for a volume)."""
    channels: int
    why: str
    dense: bool
    """Whether the model gives one score a pixel, so that other layers answer other questions."""
    coarsest: str
    """The last layer on the coarsest grid: a U-Net's bottleneck."""


@dataclass(frozen=True, kw_only=True)
class LayerRun:
    """What one module did in one pass."""

    name: str
    module: nn.Module
    output: Tensor

    @property
    def grid(self) -> tuple[int, ...]:
        """Rows and columns, where there are any."""
        return tuple(self.output.shape[2:])


def name_of(module: nn.Module, layer: object) -> str:
    """The dotted name of a layer given by name or as the module itself.

    Raises:
        ValueError: A layer that the model does not have; the nearest names are offered.
        TypeError: Neither a name nor a module.
    """
    names = {name: part for name, part in module.named_modules() if name}
    if isinstance(layer, nn.Module):
        found = [name for name, part in names.items() if part is layer]
        if not found:
            raise ValueError(f"the layer {type(layer).__name__} given is no part of this model")
        return found[0]
    if not isinstance(layer, str):
        raise TypeError(f"a layer is a name or a module, but is {layer!r}")
    if layer not in names:
        near = get_close_matches(layer, names, n=3, cutoff=0.4) or list(names)[-3:]
        raise ValueError(
            f"the model has no layer {layer!r}; near names: {', '.join(near) or 'none'}"
        )
    return layer


def choose(
    module: nn.Module,
    images: Tensor,
    forward: Callable[[Tensor], object],
    score: Callable[[object], Tensor],
) -> LayerChoice:
    """The last layer whose output is spatial and feels the score: one forward, one backward.

    Pooling and dropout layers are passed over, as they add no features, and so is the layer that
    gives the output itself where the model scores every pixel.

    Args:
        module: The model.
        images: One image as a batch, in the units that `forward` takes.
        forward: From images to the raw output.
        score: From the raw output to one number per image.

    Raises:
        ModelError: No layer is spatial and connected to the score.
    """
    images = images.detach().clone().requires_grad_()
    with torch.enable_grad(), recorded(module) as runs:
        output = forward(images)
        total = score(output).sum()
    dense = isinstance(output, Tensor) and output.ndim == images.ndim
    spatial = [run for run in runs if _is_spatial(run, images.ndim)]
    if dense and isinstance(output, Tensor):
        spatial = _without_output(spatial, output)
    gradients: tuple[Tensor | None, ...] = ()
    if spatial and total.requires_grad:
        gradients = torch.autograd.grad(total, [run.output for run in spatial], allow_unused=True)
    connected = [(r, g) for r, g in zip(spatial, gradients, strict=False) if g is not None]
    felt = [run for run, gradient in connected if bool(gradient.any())]
    if not connected:
        raise ModelError(
            "no layer of this model has a grid and a gradient of this score, so none can be "
            "chosen; name one with layers=, or use a method that watches no layer"
        )
    return _report(felt or [run for run, _ in connected], dense)


@contextmanager
def recorded(module: nn.Module) -> Generator[list[LayerRun]]:
    """Every module's tensor output, in the order in which the modules finish."""
    runs: list[LayerRun] = []

    def hook(name: str) -> Callable[[nn.Module, object, object], Tensor | None]:
        def record(part: nn.Module, _: object, output: object) -> Tensor | None:
            if not isinstance(output, Tensor):
                return None
            runs.append(LayerRun(name=name, module=part, output=output))
            # An in-place layer after this one must not change what we saw.
            return output.clone()

        return record

    handles = []
    try:
        for name, part in module.named_modules():
            if name and not isinstance(part, _PASSING) and _hookable(part):
                handles.append(part.register_forward_hook(hook(name)))
        yield runs
    finally:
        for handle in handles:
            handle.remove()


def _hookable(part: nn.Module) -> bool:
    """Scripted modules refuse forward hooks."""
    return not isinstance(part, torch.jit.ScriptModule)


def _is_spatial(run: LayerRun, dimensions: int) -> bool:
    return run.output.ndim == dimensions and prod(run.grid) > 1 and run.output.requires_grad


def _without_output(runs: list[LayerRun], output: Tensor) -> list[LayerRun]:
    """Drop what already has the output's classes on the output's grid, from the end."""
    kept = list(runs)
    while kept and kept[-1].output.shape == output.shape:
        kept.pop()
    return kept


def _report(runs: list[LayerRun], dense: bool) -> LayerChoice:
    last = runs[-1]
    cells = min(prod(run.grid) for run in runs)
    coarsest = next(run for run in reversed(runs) if prod(run.grid) == cells)
    what = "before the output, " if dense else ""
    return LayerChoice(
        name=last.name,
        grid=last.grid,
        channels=last.output.shape[1],
        why=f"the last layer {what}with a grid and a gradient of the score",
        dense=dense,
        coarsest=coarsest.name,
    )
