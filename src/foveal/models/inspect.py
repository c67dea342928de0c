"""What is inside a model: its layers, the one that would be explained and why."""

from dataclasses import dataclass

import torch
from torch import Tensor

from foveal.core import ModelError
from foveal.models.borrow import borrowed
from foveal.models.layers import LayerChoice, choose, recorded
from foveal.models.model import Model


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """One layer in the pass over one image."""

    name: str
    kind: str
    shape: tuple[int, ...]
    """Of its output, without the batch axis."""
    parameters: int
    output_bytes: int


@dataclass(frozen=True, kw_only=True)
class Description:
    """A model in numbers."""

    layers: tuple[LayerRow, ...]
    parameters: int
    parameter_bytes: int
    activation_bytes: int
    """Outputs of all leaf layers for one image: about what a backward pass keeps."""
    choice: LayerChoice | None
    why_none: str | None
    """Why no layer can be explained, where none can."""


def describe(model: Model) -> Description:
    """The layers of a model as they run on one grey image, and the choice among them."""
    images = torch.full((1, *model.card.input.shape), 0.5)
    images = images.to(model.device)
    with borrowed(model.module), torch.no_grad(), recorded(model.module) as runs:
        model.forward(images)
    rows = tuple(
        LayerRow(
            name=run.name,
            kind=getattr(run.module, "kind", type(run.module).__name__),
            shape=tuple(run.output.shape[1:]),
            parameters=sum(p.numel() for p in run.module.parameters()),
            output_bytes=run.output.nbytes,
        )
        for run in runs
    )
    leaves = [run for run in runs if not any(True for _ in run.module.children())]
    choice, why_none = _choice(model, images)
    parameters = list(model.module.parameters())
    return Description(
        layers=rows,
        parameters=sum(p.numel() for p in parameters),
        parameter_bytes=sum(p.nbytes for p in parameters),
        activation_bytes=sum(run.output.nbytes for run in leaves),
        choice=choice,
        why_none=why_none,
    )


def _choice(model: Model, images: Tensor) -> tuple[LayerChoice | None, str | None]:
    target = 0 if model.card.task in ("segmentation", "multilabel", "regression") else None
    try:
        return choose(model.module, images, model.forward, target, model.head), None
    except ModelError as problem:
        return None, str(problem)
