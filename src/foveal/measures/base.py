"""What a measure is, in words, and what every measure does first."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from foveal.core import Direction, Score

Need = Literal["mask", "field", "scores", "explainer", "gradients", "model"]
Array = np.ndarray | Tensor


@dataclass(frozen=True, kw_only=True)
class MeasureCard:
    """A measure in words and bounds: for tables, the report and the store."""

    name: str
    question: str
    direction: Direction
    range: tuple[float, float]
    needs: tuple[Need, ...]
    chance: str
    """What a map without information reaches."""
    missing: str
    """When there is no number."""
    cost: str
    """Passes for one map, where it sends any."""
    reference: str

    def score(
        self,
        value: float,
        *,
        chance: float | None = None,
        ceiling: float | None = None,
        null: tuple[float, ...] | None = None,
        params: Mapping[str, object] | None = None,
        parts: Mapping[str, object] | None = None,
        range: tuple[float, float] | None = None,
    ) -> Score:
        """A number of this measure."""
        return Score(
            name=self.name,
            value=float(value),
            direction=self.direction,
            range=range or self.range,
            chance=chance,
            ceiling=ceiling,
            null=null,
            params=params or {},
            parts=parts or {},
        )

    def none(
        self,
        reason: str,
        *,
        text: str | None = None,
        params: Mapping[str, object] | None = None,
        parts: Mapping[str, object] | None = None,
    ) -> Score:
        """The reason why there is no number."""
        return Score(
            name=self.name,
            reason=reason,
            reason_text=text,
            direction=self.direction,
            range=self.range,
            params=params or {},
            parts=parts or {},
        )


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A map and the masks it is measured on, all on one grid."""

    map: Float[np.ndarray, "row column"]
    """Signed values."""
    field: Bool[np.ndarray, "row column"]
    mask: Bool[np.ndarray, "row column"]
    """Inside the field; empty where no mask was given."""
    problem: str | None
    """Why nothing can be measured with this map or mask, a reason code."""

    @cached_property
    def positive(self) -> Float[np.ndarray, "row column"]:
        """What raises the score, inside the field."""
        return np.where(self.field, np.maximum(self.map, 0), 0)

    @property
    def area(self) -> int:
        """Pixels of the field."""
        return int(self.field.sum())

    @property
    def mask_area(self) -> int:
        """Pixels of the mask."""
        return int(self.mask.sum())

    @property
    def prevalence(self) -> float:
        """The mask's share of the field."""
        return self.mask_area / self.area


def ground(
    map: Shaped[Array, "row column"],
    mask: Shaped[Array, "row column"] | None = None,
    field: Shaped[Array, "row column"] | None = None,
    *,
    needs_mask: bool = True,
) -> Ground:
    """Check a map and its masks once, for every measure alike.

    Raises:
        ValueError: Shapes that differ or are not (row, column), a mask that is not binary, or a
            field without a pixel.
    """
    values = as_numpy(map).astype(np.float64)
    if values.ndim != 2:
        raise ValueError(f"map must be (row, column), but its shape is {values.shape}")
    inside = np.ones(values.shape, bool) if field is None else _binary("field", field, values.shape)
    if not inside.any():
        raise ValueError("the field has no pixel; leave it out to measure over the whole image")
    region = np.zeros(values.shape, bool) if mask is None else _binary("mask", mask, values.shape)
    region = region & inside
    problem = _problem(values, inside, region, needs_mask)
    return Ground(map=values, field=inside, mask=region, problem=problem)


def as_numpy(values: Array) -> Shaped[np.ndarray, "..."]:
    """The numbers of an array or a tensor, whatever its device, its gradients and its precision."""
    if not isinstance(values, Tensor):
        return np.asarray(values)
    plain = values.detach().cpu()
    return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()


def sides(field: Bool[np.ndarray, "row column"]) -> tuple[int, int]:
    """Rows and columns of the box around the field, in pixels."""
    spans = [np.flatnonzero(field.any(axis=axis)) for axis in (1, 0)]
    rows, columns = (int(span[-1] - span[0] + 1) for span in spans)
    return rows, columns


def diameter(field: Bool[np.ndarray, "row column"]) -> int:
    """The larger side of the box around the field, in pixels."""
    return max(sides(field))


def ranked(
    values: Float[np.ndarray, " unit"], signed: Float[np.ndarray, " unit"], seed: int
) -> Int[np.ndarray, " unit"]:
    """Units from the most to the least relevant.

    Made once: by the positive value, ties by the signed value, what is still tied by a seeded
    draw. Rectified maps can be more than 90 % exact zeros, so ties are the rule.
    """
    chance = np.random.default_rng(seed).random(len(values))
    return np.lexsort((chance, -signed, -values))


def top(ground: Ground, count: int, seed: int) -> Bool[np.ndarray, "row column"]:
    """Exactly `count` pixels of the field, the most relevant ones in the order of `ranked`.

    Only the pixels that are tied at the edge need an order, so nothing is sorted as a whole.
    """
    inside = np.flatnonzero(ground.field)
    values, signed = ground.positive.ravel()[inside], ground.map.ravel()[inside]
    edge = np.partition(values, len(values) - count)[len(values) - count]
    surely, tied = values > edge, np.flatnonzero(values == edge)
    order = ranked(np.zeros(len(tied)), signed[tied], seed)
    chosen = np.zeros(ground.map.size, bool)
    chosen[inside[surely]] = True
    chosen[inside[tied[order[: count - int(surely.sum())]]]] = True
    return chosen.reshape(ground.map.shape)


def tie_fraction(values: Float[np.ndarray, " unit"]) -> float:
    """The share of values that some other one equals."""
    ordered = np.sort(values)
    same = ordered[1:] == ordered[:-1]
    either = np.zeros(len(values), bool)
    either[1:] |= same
    either[:-1] |= same
    return float(either.mean())


def _binary(name: str, values: Array, shape: tuple[int, ...]) -> Bool[np.ndarray, "row column"]:
    array = as_numpy(values)
    if array.shape != shape:
        raise ValueError(f"{name} is {array.shape}, but the map is {shape}; bring both to one grid")
    if array.dtype == bool:
        return array
    if not np.isin(array, (0, 1)).all():
        raise ValueError(f"{name} must be binary (bool, or 0 and 1), but holds other values")
    return array.astype(bool)


def _problem(
    values: np.ndarray, field: np.ndarray, mask: np.ndarray, needs_mask: bool
) -> str | None:
    inside = values[field]
    if not np.isfinite(values).all():
        return "nan_map"
    if needs_mask and not mask.any():
        return "empty_mask"
    if not (inside > 0).any():
        return "zero_map"
    return "constant_map" if inside.min() == inside.max() else None
