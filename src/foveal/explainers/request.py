"""What is asked of the engine, and what it gives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from foveal.explainers.base import AbstractExplainer, Frame
from foveal.explainers.watching import Watch
from foveal.models.heads import Head
from foveal.models.targets import TargetLike

MAX_BATCH = 16
"""Images in one pass, unless the caller says otherwise."""

Progress = Callable[[int, int], None]
"""Called with the passes done and the passes planned."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One explainer at its layers (none for methods that watch no layer)."""

    explainer: AbstractExplainer
    layers: tuple[str, ...] = ()

    def watches(self) -> tuple[Watch, ...]:
        """What its clean pass looks at."""
        after = self.explainer.wants.after_activation
        return tuple(Watch(layer, after_activation=after) for layer in self.layers)


@dataclass(frozen=True, kw_only=True)
class Request:
    """How a batch is to be explained."""

    target: TargetLike | Sequence[TargetLike] | Tensor = None
    head: Head = "softmax"
    frame: Frame = field(default_factory=Frame)
    seed: int = 0
    precision: str | None = None
    max_batch: int = MAX_BATCH
    progress: Progress | None = None
    beside: tuple[Tensor, ...] = ()
    """The model's other inputs, one row an image, in the order in which it takes them."""


@dataclass(kw_only=True)
class Outcome:
    """The maps of one task for the whole batch, and what belongs beside them."""

    maps: Tensor | None
    """`None` for a method that gives numbers only."""
    scores: Tensor
    labels: tuple[str, ...]
    indices: tuple[int | None, ...]
    modes: tuple[str, ...]
    reasons: tuple[str | None, ...]
    """Per sample, why its map is empty, a code of `foveal.core.REASONS`."""
    parts: Mapping[str, object]
    notes: tuple[str, ...]
    cost: Mapping[str, float]


def joined(chunks: Sequence[Outcome], task: Task) -> Outcome:
    parts = {name: _joined_part([c.parts[name] for c in chunks]) for name in chunks[0].parts}
    maps = [chunk.maps for chunk in chunks if chunk.maps is not None]
    cost = {key: sum(chunk.cost[key] for chunk in chunks) for key in chunks[0].cost}
    return Outcome(
        maps=torch.cat(maps) if maps else None,
        scores=torch.cat([chunk.scores for chunk in chunks]),
        labels=tuple(x for chunk in chunks for x in chunk.labels),
        indices=tuple(x for chunk in chunks for x in chunk.indices),
        modes=tuple(x for chunk in chunks for x in chunk.modes),
        reasons=tuple(x for chunk in chunks for x in chunk.reasons),
        parts=task.explainer.conclude(parts),
        notes=tuple(dict.fromkeys(note for chunk in chunks for note in chunk.notes)),
        cost=cost,
    )


def _joined_part(parts: Sequence[object]) -> object:
    tensors = [part for part in parts if isinstance(part, Tensor)]
    return torch.cat(tensors) if len(tensors) == len(parts) else parts[0]


def undefined_as_nan(scores: Tensor, reasons: Sequence[str | None]) -> Tensor:
    """A table of scores, in which a sample without the explained number has none."""
    missing = torch.tensor([reason is not None for reason in reasons], device=scores.device)
    return scores.masked_fill(missing, torch.nan)


def checked(maps: Tensor, reasons: Sequence[str | None]) -> tuple[Tensor, tuple[str | None, ...]]:
    """Maps without a single NaN, and per sample the reason where the map says nothing."""
    flat = maps.flatten(1)
    finite = flat.isfinite().all(dim=1)
    zero = ~flat.any(dim=1)
    constant = (flat == flat[:, :1]).all(dim=1) & (flat.shape[1] > 1)
    codes = [
        reason or (not f and "nan_map") or (z and "zero_map") or (c and "constant_map") or None
        for reason, f, z, c in zip(
            reasons, finite.tolist(), zero.tolist(), constant.tolist(), strict=True
        )
    ]
    usable = finite.reshape(-1, *[1] * (maps.ndim - 1))
    return torch.where(usable, maps, 0), tuple(codes)
