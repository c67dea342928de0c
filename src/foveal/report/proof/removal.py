"""Deletion and insertion over all images: each method's mean curve between its controls'."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from foveal.analysis.records import Records, pooled_target
from foveal.analysis.resampling import Bootstrap, mean_intervals
from foveal.store import Run
from foveal.store.columns import among, columns

MEASURES = ("deletion_auc", "insertion_auc")
RANDOM = "random orders"
MOST_IMAGES = 2000
"""Images whose curves are averaged; of larger runs so many are drawn."""
_POINTS = 41
_COLUMNS = ("image", "model", "target", "key", "measure", "parts")


@dataclass(frozen=True, kw_only=True, eq=False)
class MeanCurve:
    """One mean over images."""

    name: str
    """The map's name in the run, or the control's."""
    mean: Float[np.ndarray, " point"]
    low: Float[np.ndarray, " point"] | None
    high: Float[np.ndarray, " point"] | None
    """Of the interval at each point by itself; `None` for controls and where there is none."""
    images: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Removal:
    """One kind of curve for one model and target."""

    model: str
    target: str
    measure: str
    fractions: Float[np.ndarray, " point"]
    methods: tuple[MeanCurve, ...]
    controls: tuple[MeanCurve, ...]
    images: int


@dataclass
class _Heap:
    """The curves of one model, target and measure, by image and name."""

    methods: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)
    controls: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)


def removals(run: Run, records: Records, *, how: Bootstrap) -> tuple[Removal, ...]:
    """The mean curves of a run, from at most 2000 images drawn with the seed.

    Raises:
        StoreError: A damaged shard.
    """
    heaps: dict[tuple[str, str, str], _Heap] = {}
    for row, number in _rows(run, records, how.seed):
        parts = json.loads(row["parts"])
        if "fractions" in parts and "scores" in parts:
            asked = row["model"], pooled_target(row["target"]), row["measure"]
            _heap(heaps.setdefault(asked, _Heap()), row["key"], number, parts)
    return tuple(
        _removal(asked, heap, records, Bootstrap(resamples=500, seed=how.seed, kind="percentile"))
        for asked, heap in heaps.items()
    )


def _rows(run: Run, records: Records, seed: int) -> Iterator[tuple[Mapping[str, str], int]]:
    explained = np.flatnonzero(~records.failed)
    drawn = np.random.default_rng(seed).permutation(explained)[:MOST_IMAGES]
    wanted = {records.images[row]: int(row) for row in np.sort(drawn)}
    for table in columns(run, "scores", _COLUMNS):
        kept = among(table["measure"], MEASURES) & among(table["image"], wanted)
        for row in table.filter(pa.array(kept)).to_pylist():
            yield row, wanted[row["image"]]


def _heap(heap: _Heap, key: str, image: int, parts: Mapping[str, Any]) -> None:
    at = np.asarray(parts["fractions"], dtype=np.float64)

    def placed(scores: Sequence[float]) -> np.ndarray:
        return np.interp(np.linspace(0, 1, _POINTS), at, np.asarray(scores, dtype=np.float64))

    heap.methods.setdefault(key, {})[image] = placed(parts["scores"])
    random = [placed(scores) for scores in parts.get("null_scores", ())]
    if random:
        heap.controls.setdefault(RANDOM, {})[image] = np.mean(random, axis=0)
    for name, scores in parts.get("control_scores", {}).items():
        heap.controls.setdefault(name, {})[image] = placed(scores)


def _removal(asked: tuple[str, str, str], heap: _Heap, records: Records, how: Bootstrap) -> Removal:
    model, target, measure = asked
    return Removal(
        model=model,
        target=target,
        measure=measure,
        fractions=np.linspace(0, 1, _POINTS),
        methods=tuple(_mean(key, own, records, how) for key, own in heap.methods.items()),
        controls=tuple(_mean(name, own, records, None) for name, own in heap.controls.items()),
        images=len({image for own in heap.methods.values() for image in own}),
    )


def _mean(
    name: str, own: Mapping[int, np.ndarray], records: Records, how: Bootstrap | None
) -> MeanCurve:
    values = np.stack(list(own.values()))
    low = high = None
    if how is not None:
        rows = np.zeros(len(records.images), bool)
        rows[list(own)] = True
        order = np.argsort(list(own))
        found = mean_intervals(values[order], records.units.chosen(rows), how)
        if any(one.low is not None for one in found):
            low = np.array([one.low if one.low is not None else one.estimate for one in found])
            high = np.array([one.high if one.high is not None else one.estimate for one in found])
    return MeanCurve(name=name, mean=values.mean(axis=0), low=low, high=high, images=len(own))
