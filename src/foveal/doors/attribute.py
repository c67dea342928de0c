"""The tensor door: maps for people who have their own pipeline."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import torch
from torch import Tensor, nn

from foveal.core import FovealWarning
from foveal.explainers.engine import batch_bound, explain_batch
from foveal.explainers.grid import at_input_size
from foveal.explainers.plan import Layers, MethodLike, named_explainers, plan_tasks
from foveal.explainers.request import MAX_BATCH, Outcome, Progress, Request, Task
from foveal.explainers.watching import Network
from foveal.models.targets import TargetLike, as_sequence


@dataclass(frozen=True, kw_only=True, eq=False)
class Info(Mapping[str, object]):
    """What belongs to one map of a batch; reads by attribute or by key."""

    method: str
    layer: str | None
    """The watched layer; several joined by " + " where they were fused."""
    targets: tuple[int | str, ...]
    """Per sample the class that was explained, or the target's name where it is no class."""
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


def attribute(
    model: nn.Module | Callable[[Tensor], object],
    batch: Tensor,
    methods: MethodLike | Sequence[MethodLike] | Mapping[str, MethodLike],
    *,
    target: TargetLike | Sequence[TargetLike] | Tensor = None,
    layers: Layers = None,
    size: Literal["input"] | None = None,
    seed: int = 0,
    precision: Literal["float32", "bf16"] | None = None,
    max_batch: int = MAX_BATCH,
    progress: Progress | None = None,
) -> Maps:
    """Explain what a model says about a batch of tensors, by one or many methods in one go.

    All methods that look at the images themselves share one forward and at most one backward
    pass. The model is borrowed in eval mode and given back exactly as it was.

    Args:
        model: Any torch module. A plain callable works for methods that need scores only.
        batch: Images (batch, channel, row, column) or volumes (batch, channel, slice, row,
            column), as the model takes them.
        methods: Names or explainers, one, several, or a mapping from names of your own.
        target: `None` for each sample's own argmax, a class, a `foveal.Target`, a callable from
            the output, for however many images, to one number per image, or one of these for
            each sample.
        layers: The layer of the methods that watch one, by name or module. Several give one map
            each, named `method@layer`. `None` chooses one and reports it in `info`.
        size: `"input"` resizes every map to the input's rows and columns, channels summed.
        seed: Where a method draws by chance.
        precision: `"bf16"` runs the model under bfloat16 autocast.
        max_batch: Images in one pass at most; a CPU takes fewer if they are large, and the bound
            is halved when memory runs out.
        progress: Called with the probes done and planned of each method that sends probes.

    Returns:
        A mapping from name to a detached float32 tensor on the batch's device: raw signed maps on
        their native grid, `(batch, row, column)`, with a channel axis for gradient methods. TCAV
        gives no map: its scores are in `info["tcav"].parts["concepts"]`.

    Raises:
        ValueError: A class, layer, method or target that does not exist or does not fit.
        TypeError: A batch that is no floating-point tensor, or a model that cannot be called.
        ModelError: The model cannot give what a method needs; the message says what can be done.
    """
    _check_batch(batch)
    _check_settings(layers, size, precision, max_batch)
    as_sequence(target)
    explainers = named_explainers(methods)
    network, device = _network(model)
    images = batch.detach() if device is None else batch.detach().to(device)
    request = Request(
        target=target,
        seed=seed,
        precision=precision,
        max_batch=batch_bound(images, max_batch),
        progress=progress,
    )
    try:
        tasks, notes = plan_tasks(network, images, explainers, layers, request)
        outcomes = explain_batch(network, images, tasks, request)
    except RuntimeError as error:
        why = _why_refused(images, network.module)
        if why is None:
            raise
        raise ValueError(f"{why} ({error})") from error
    maps, info = {}, {}
    for key, outcome in outcomes.items():
        if outcome.maps is not None:
            values = at_input_size(outcome.maps, images) if size == "input" else outcome.maps
            maps[key] = values.to(batch.device)
        info[key] = _info(tasks[key], outcome, notes, request, batch.device)
        for note in outcome.notes:
            warnings.warn(f"{key}: {note}", FovealWarning, stacklevel=2)
    return Maps(maps, info)


def _why_refused(images: Tensor, module: nn.Module | None) -> str | None:
    """What is most likely wrong with a batch on which the model failed."""
    types = {p.dtype for p in module.parameters() if p.is_floating_point()} if module else set()
    if types and images.dtype not in types:
        (wanted, *_) = types
        return f"batch is {images.dtype}, but the model's weights are {wanted}; convert the batch"
    if images.ndim > 3 and images.shape[-1] in (1, 3) and images.shape[1] not in (1, 3):
        return (
            f"batch is {tuple(images.shape)}, which looks like channels last; the model takes "
            "(batch, channel, row, column), so give batch.movedim(-1, 1)"
        )
    return None


def _network(model: object) -> tuple[Network, torch.device | None]:
    if isinstance(model, nn.Module):
        tensors = [*model.parameters(), *model.buffers()]
        device = tensors[0].device if tensors else None
        return Network(forward=model, module=model, name=type(model).__name__), device
    if callable(model):
        return Network(forward=model, module=None, name="this callable"), None
    raise TypeError(f"model must be a torch module or a callable, but is {type(model).__name__}")


def _info(
    task: Task, outcome: Outcome, notes: tuple[str, ...], request: Request, device: torch.device
) -> Info:
    targets = tuple(
        label if index is None else index
        for label, index in zip(outcome.labels, outcome.indices, strict=True)
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


def _check_batch(batch: object) -> None:
    if not isinstance(batch, Tensor):
        raise TypeError(f"batch must be a torch tensor, but is {type(batch).__name__}")
    if not batch.is_floating_point():
        raise TypeError(
            f"batch must hold floating-point numbers as the model takes them, but is {batch.dtype}"
        )
    if batch.ndim < 4 or batch.shape[0] == 0:
        raise ValueError(
            "batch must be (batch, channel, row, column) or (batch, channel, slice, row, column) "
            f"with at least one image, but its shape is {tuple(batch.shape)}"
        )
    if not bool(batch.isfinite().all()):
        raise ValueError("batch holds values that are not finite (NaN or infinity)")


def _check_settings(layers: object, size: object, precision: object, max_batch: object) -> None:
    if not isinstance(layers, None | str | nn.Module | Sequence):
        raise TypeError(f"layers must be a name, a module or a list of these, but is {layers!r}")
    if size not in (None, "input"):
        raise ValueError(f'size must be None (native grids) or "input", but is {size!r}')
    if precision not in (None, "float32", "bf16"):
        raise ValueError(f'precision must be "float32" or "bf16", but is {precision!r}')
    if not isinstance(max_batch, int) or max_batch < 1:
        raise ValueError(f"max_batch must be a number from 1 on, but is {max_batch!r}")
