"""Which layer is watched: found by name, or chosen and the choice reported."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from math import prod

import torch
from torch import Tensor, nn

from foveal.core import ModelError
from foveal.models.borrow import borrowed
from foveal.models.heads import Head
from foveal.models.layouts import Layout, has_grid, layout_of
from foveal.models.targets import TargetLike, everywhere, fix

_PASSING = (
    nn.Dropout | nn.Dropout2d | nn.Dropout3d | nn.Identity | nn.Softmax
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


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerRun:
    """What one module did in one pass."""

    name: str
    module: nn.Module
    output: Tensor
    """Its shape and type; the values are not kept."""
    differentiable: bool
    """Whether the output depends on the images in the autograd graph."""


@dataclass(kw_only=True, eq=False)
class _Candidate:
    """A layer with places, and whether the score feels anything there."""

    run: LayerRun
    layout: Layout
    felt: bool | None = None
    """`None` where the score does not depend on it."""

    def feels(self, gradient: Tensor) -> None:
        self.felt = bool(self.layout.to_grid(gradient).any())

    @property
    def cells(self) -> int:
        return prod(self.layout.grid)


def name_of(module: nn.Module, layer: object) -> str:
    """The dotted name of a layer given by name or as the module itself.

    Raises:
        ModelError: A model without parts, such as an ONNX file that runs as a black box.
        ValueError: A layer that the model does not have; the nearest names are offered.
        TypeError: Neither a name nor a module.
    """
    names = {name: part for name, part in module.named_modules(remove_duplicate=False) if name}
    if not names:
        raise ModelError(
            f"{type(module).__name__} is a black box: it has no layers inside, so it cannot be "
            f"explained at {layer!r}. Leave layers= out and use a method that watches no layer, "
            "such as occlusion or rise. An ONNX file gets its layers when it is exported so that "
            "it can be converted, with opset_version=17, dynamo=False"
        )
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
    target: TargetLike,
    head: Head,
) -> LayerChoice:
    """The layer to explain for a target when none is named; the model is borrowed.

    Where no pixel of a segmentation is predicted as the class, the class is asked for everywhere.

    Raises:
        ModelError: No layer can be chosen.
        ValueError: A target that does not fit the model.
    """
    sample = torch.zeros(1, dtype=torch.long, device=images.device)

    def score(output: object) -> Tensor:
        fixed = fix(target, output, count=1, head=head)
        if fixed.reasons[0]:
            fixed = fix(everywhere(target), output, count=1, head=head)
        return fixed.score(output, sample)

    with torch.inference_mode(False), borrowed(module):
        return _last_spatial(module, images[:1], forward, score)


def _last_spatial(
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
    found: list[_Candidate] = []

    def seen(run: LayerRun, output: Tensor) -> None:
        layout = layout_of(run.module, run.output, images)
        # A linear layer is a step inside a block, not its features.
        if run.differentiable and not isinstance(run.module, nn.Linear) and layout is not None:
            found.append(_Candidate(run=run, layout=layout))
            output.register_hook(found[-1].feels)

    with torch.enable_grad(), recorded(module, seen):
        output = forward(images)
        total = score(output).sum()
    outputs = [one for one in _tensors(output) if has_grid(one, images) and prod(one.shape[2:]) > 1]
    if total.requires_grad:
        torch.autograd.grad(total, images, allow_unused=True)
    candidates = [one for one in found if one.felt is not None and one.cells > 1]
    while candidates and any(candidates[-1].run.output.shape == o.shape for o in outputs):
        candidates.pop()  # it already has an output's classes on its grid
    if not candidates:
        raise ModelError(
            "no layer of this model has a grid and a gradient of this score, so none can be "
            "chosen; name one with layers=, or use a method that watches no layer"
        )
    return _report([one for one in candidates if one.felt] or candidates, dense=bool(outputs))


@contextmanager
def recorded(
    module: nn.Module, seen: Callable[[LayerRun, Tensor], None] | None = None
) -> Generator[list[LayerRun]]:
    """Every module that gives a tensor, in the order in which the modules finish.

    Args:
        module: The model.
        seen: Called with each of them and its output, which may be changed in place later.
    """
    runs: list[LayerRun] = []

    def hook(name: str) -> Callable[[nn.Module, object, object], None]:
        def record(part: nn.Module, _: object, output: object) -> None:
            if not isinstance(output, Tensor):
                return
            form = output.detach().to("meta")
            graded = output.requires_grad
            runs.append(LayerRun(name=name, module=part, output=form, differentiable=graded))
            if seen is not None:
                seen(runs[-1], output)

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


def _tensors(output: object) -> list[Tensor]:
    """The tensors in what a model returns."""
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, tuple | list):
        return [tensor for part in output for tensor in _tensors(part)]
    return []


def _report(candidates: list[_Candidate], *, dense: bool) -> LayerChoice:
    last = candidates[-1]
    cells = min(candidate.cells for candidate in candidates)
    coarsest = next(c for c in reversed(candidates) if c.cells == cells)
    what = "before the output, " if dense else ""
    kind = "a row of tokens read as a grid" if last.layout.prefix is not None else "a grid"
    return LayerChoice(
        name=last.run.name,
        grid=last.layout.grid,
        channels=last.layout.to_grid(last.run.output).shape[1],
        why=f"the last layer {what}with {kind} and a gradient of the score",
        dense=dense,
        coarsest=coarsest.run.name,
    )
