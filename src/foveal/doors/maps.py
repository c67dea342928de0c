"""Maps of a batch, and what belongs to each."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from foveal.core import FovealWarning, ModelError
from foveal.explainers.base import AbstractExplainer
from foveal.explainers.engine import explain_batch
from foveal.explainers.grid import at_input_size
from foveal.explainers.plan import Layers, plan_tasks
from foveal.explainers.request import Outcome, Request, Task
from foveal.explainers.watching import Network
from foveal.models.targets import as_sequence
from foveal.run.together import warn_of_several_targets


@dataclass(frozen=True, kw_only=True, eq=False)
class Info(Mapping[str, object]):
    """What belongs to one map of a batch; reads by attribute or by key."""

    method: str
    layer: str | None
    """The watched layer; several joined by " + " where they were fused."""
    targets: tuple[int | str, ...]
    """Per sample the class that was explained; the target's name where it is no class, or a class
    of one output among several, such as `grade: class 2`."""
    scores: Tensor
    """Per sample the value of the explained number; NaN where the sample has none."""
    settings: Mapping[str, object]
    cost: Mapping[str, float]
    """Passes of its own and shared ones, in images, and seconds."""
    reasons: tuple[str | None, ...]
    """Per sample why the map is empty, a code of `foveal.core.REASONS`; else `None`."""
    notes: tuple[str, ...]
    """Deviations from the paper, and how the layer was chosen."""
    parts: Mapping[str, object]
    """What the method promises beside its map, such as `completeness_error`."""
    score_modes: tuple[str, ...]
    seed: int

    def __getitem__(self, key: str) -> object:
        if key not in self._names():
            raise KeyError(f"{key!r}; there is {', '.join(self._names())}")
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def _names(self) -> list[str]:
        return [field.name for field in fields(self)]


class Maps(Mapping[str, Tensor]):
    """Raw signed maps by name, with what belongs to each in `info`.

    A method that gives numbers and no map is in `info` only.
    """

    def __init__(self, maps: Mapping[str, Tensor], info: Mapping[str, Info]) -> None:
        self._maps = dict(maps)
        self.info = dict(info)

    def __getitem__(self, key: str) -> Tensor:
        return self._maps[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._maps)

    def __len__(self) -> int:
        return len(self._maps)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{key}: {tuple(value.shape)}" for key, value in self._maps.items())
        return f"Maps({shapes})"


def explained(
    network: Network,
    images: Tensor,
    explainers: Mapping[str, AbstractExplainer],
    layers: Layers,
    request: Request,
    *,
    size: str | None = None,
    device: torch.device | None = None,
) -> Maps:
    """The maps of a batch that lies where the model does, moved to where its owner keeps it.

    Raises:
        ValueError: A layer or target that does not exist or does not fit.
        ModelError: The model cannot give what a method needs.
    """
    try:
        tasks, notes = plan_tasks(network, images, explainers, layers, request)
        outcomes = explain_batch(network, images, tasks, request)
    except RuntimeError as error:
        if "Inference tensors cannot be saved" in str(error):
            raise ModelError(
                f"{network.name} was made or loaded under torch.inference_mode, so no gradient can "
                "be taken in it; make it outside (calling foveal inside is fine), or use a "
                "method that needs scores only, such as occlusion"
            ) from error
        why = _why_refused(images, network.module, str(error))
        if why is None:
            raise
        raise ValueError(f"{why} ({error})") from error
    maps, info = {}, {}
    for key, outcome in outcomes.items():
        if outcome.maps is not None:
            values = at_input_size(outcome.maps, images) if size == "input" else outcome.maps
            maps[key] = values.to(device or images.device)
        else:
            warn_of_several_targets(key, outcome.indices)
        info[key] = _info(tasks[key], outcome, notes, request, device or images.device)
        for note in outcome.notes:
            warnings.warn(f"{key}: {note}", FovealWarning, stacklevel=3)
    return Maps(maps, info)


def _why_refused(images: Tensor, module: nn.Module | None, error: str) -> str | None:
    """What is most likely wrong with a batch on which the model failed."""
    parts = [] if module is None else list(module.modules())
    types = {p.dtype for p in module.parameters() if p.is_floating_point()} if module else set()
    if types and images.dtype not in types:
        (wanted, *_) = types
        return f"batch is {images.dtype}, but the model's weights are {wanted}; convert the batch"
    if images.ndim > 3 and images.shape[-1] in (1, 3) and images.shape[1] not in (1, 3):
        return (
            f"batch is {tuple(images.shape)}, which looks like channels last; the model takes "
            "(batch, channel, row, column), so give batch.movedim(-1, 1)"
        )
    wanted = next((p.in_channels for p in parts if isinstance(p, nn.Conv2d | nn.Conv3d)), None)
    if "channels" in error and wanted not in (None, images.shape[1]):
        return (
            f"batch is {tuple(images.shape)}, but the model's first convolution takes {wanted} "
            "channels"
        )
    return None


def _info(
    task: Task, outcome: Outcome, notes: tuple[str, ...], request: Request, device: torch.device
) -> Info:
    each = as_sequence(request.target) or [request.target] * len(outcome.labels)
    targets = tuple(
        label if index is None or getattr(target, "output", None) is not None else index
        for target, label, index in zip(each, outcome.labels, outcome.indices, strict=True)
    )
    return Info(
        method=task.explainer.name,
        layer=" + ".join(task.layers) or None,
        targets=targets,
        scores=outcome.scores.to(device),
        settings=task.explainer.settings,
        cost=outcome.cost,
        reasons=outcome.reasons,
        notes=(notes if task.layers else ()) + outcome.notes,
        parts=outcome.parts,
        score_modes=outcome.modes,
        seed=request.seed,
    )
