"""A finished run as columns: what each image is, what was said of it, and what was measured."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from foveal.analysis.units import Units, units_of
from foveal.core import Direction, StoreError
from foveal.store import Run
from foveal.store.columns import columns

PREDICTED = "predicted"
_IMAGES = ("image", "patient", "eye", "laterality", "modality", "labels", "failure")
_VIEWS = ("image", "model", "predicted_index", "values", "calibrated")
_NAMES = ("image", "model", "target", "key", "measure", "region", "reason", "direction")
_SCORES = (*_NAMES, "value", "chance")


class Place(NamedTuple):
    """What numbers are taken together: one measure of one method's maps, on one region."""

    model: str
    target: str
    key: str
    measure: str
    region: str | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Column:
    """One number an image; NaN where it is missing or was not measured."""

    value: Float[np.ndarray, " image"]
    chance: Float[np.ndarray, " image"]
    missing: Mapping[str, int]
    """How many are missing, by reason code; images that were not measured have no reason."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """All scores of a run, sorted by their place."""

    images: int
    places: tuple[Place, ...]
    directions: Mapping[str, Direction]
    """By measure."""
    reasons: tuple[str, ...] = ()
    image: Int[np.ndarray, " score"] = field(default_factory=lambda: np.empty(0, np.int64))
    value: Float[np.ndarray, " score"] = field(default_factory=lambda: np.empty(0))
    chance: Float[np.ndarray, " score"] = field(default_factory=lambda: np.empty(0))
    reason: Int[np.ndarray, " score"] = field(default_factory=lambda: np.empty(0, np.int64))
    """The number of its reason; -1 where it has a value."""
    starts: Int[np.ndarray, " bound"] = field(default_factory=lambda: np.zeros(1, np.int64))

    @cached_property
    def _number(self) -> Mapping[Place, int]:
        return {place: number for number, place in enumerate(self.places)}

    def column(self, place: Place) -> Column:
        """The numbers of one place, an entry an image; all missing where it was never measured."""
        number = self._number.get(place)
        rows = slice(0, 0) if number is None else slice(*self.starts[number : number + 2].tolist())
        value, chance = np.full((2, self.images), np.nan)
        value[self.image[rows]] = self.value[rows]
        chance[self.image[rows]] = self.chance[rows]
        said = Counter(self.reason[rows][self.reason[rows] >= 0].tolist())
        missing = {self.reasons[code]: count for code, count in said.items()}
        return Column(value=value, chance=chance, missing=dict(sorted(missing.items())))


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What one model said of every image."""

    classes: tuple[str, ...]
    """Names of the outputs."""
    predicted: Int[np.ndarray, " image"]
    """The number of the predicted class; -1 where there is none."""
    probability: Float[np.ndarray, "image label"]
    """The model's own; NaN where it said nothing."""
    calibrated: Float[np.ndarray, "image label"] | None = None
    """`None` where its card names no calibrator."""

    @property
    def shown(self) -> Float[np.ndarray, "image label"]:
        """The calibrated probabilities where there are some."""
        return self.probability if self.calibrated is None else self.calibrated


@dataclass(frozen=True, kw_only=True, eq=False)
class Records:
    """A run's tables; every column has one entry an image, in the order of the run."""

    images: tuple[str, ...]
    failed: Bool[np.ndarray, " image"]
    units: Units
    explained: Units
    """The same of the images that could be explained alone, for the words that a reader sees."""
    facts: Mapping[str, tuple[str | None, ...]]
    """Laterality, modality, and the labels that the manifest gave."""
    answers: Mapping[str, Answers]
    """By model."""
    scores: Scores


def read_records(run: Run) -> Records:
    """The tables of a run; no map and no picture is read, and torch is not needed.

    Raises:
        StoreError: A damaged shard, or an image that is there twice.
    """
    rows = [row for table in columns(run, "images", _IMAGES) for row in table.to_pylist()]
    names = [row["image"] for row in rows]
    index = {name: number for number, name in enumerate(names)}
    if len(index) < len(names):
        (twice, _), *_ = Counter(names).most_common(1)
        raise StoreError(
            f"the run holds the image {twice} twice, so its numbers cannot be told apart; remove "
            "one of its shards and run the same plan again"
        )
    patients, eyes = ([row[name] for row in rows] for name in ("patient", "eye"))
    kept = [row for row in rows if row["failure"] is None]
    return Records(
        images=tuple(names),
        failed=np.array([row["failure"] is not None for row in rows], dtype=bool),
        units=units_of(patients, eyes, names),
        explained=units_of(*([row[name] for row in kept] for name in ("patient", "eye", "image"))),
        facts=_facts(rows),
        answers=_answers(run, index),
        scores=_scores(run, index),
    )


def pooled_target(target: str) -> str:
    """`predicted: Severe` and `predicted: Mild` answer one question: why this prediction?"""
    return PREDICTED if target.startswith(f"{PREDICTED}: ") else target


def _facts(rows: Sequence[Mapping[str, str | None]]) -> dict[str, tuple[str | None, ...]]:
    labels = [json.loads(row["labels"] or "{}") for row in rows]
    told = {"laterality": [_known(row["laterality"]) for row in rows]}
    told["modality"] = [_known(row["modality"]) for row in rows]
    for name in dict.fromkeys(name for own in labels for name in own):
        told[name] = [_known(own.get(name)) for own in labels]
    return {name: tuple(column) for name, column in told.items()}


def _known(text: object) -> str | None:
    """What a table's cell says; `unknown`, NaN and empty text say nothing."""
    said = "" if text is None else str(text).strip()
    return None if said.lower() in ("", "nan", "unknown") else said


def _answers(run: Run, index: Mapping[str, int]) -> dict[str, Answers]:
    found: dict[str, list[Mapping[str, object]]] = {}
    for table in columns(run, "views", _VIEWS):
        for row in table.to_pylist():
            found.setdefault(row["model"], []).append(row)
    return {model: _answers_of(rows, index) for model, rows in found.items()}


def _answers_of(rows: Sequence[Mapping[str, object]], index: Mapping[str, int]) -> Answers:
    own, calibrated = (
        [dict(json.loads(str(row[name] or "[]"))) for row in rows]
        for name in ("values", "calibrated")
    )
    classes = tuple(dict.fromkeys(name for values in own for name in values))
    at = np.array([index[str(row["image"])] for row in rows], dtype=np.int64)
    predicted = np.full(len(index), -1)
    said = [row["predicted_index"] for row in rows]
    predicted[at] = [one if isinstance(one, int) else -1 for one in said]

    def table(values: Sequence[Mapping[str, float]]) -> Float[np.ndarray, "image label"]:
        whole = np.full((len(index), len(classes)), np.nan)
        whole[at] = [[one.get(name, np.nan) for name in classes] for one in values]
        return whole

    return Answers(
        classes=classes,
        predicted=predicted,
        probability=table(own),
        calibrated=table(calibrated) if any(calibrated) else None,
    )


def _scores(run: Run, index: Mapping[str, int]) -> Scores:
    tables = [table for table in columns(run, "scores", _SCORES) if len(table)]
    if not tables:
        return Scores(images=len(index), places=(), directions={})
    whole = pa.concat_tables(tables)
    codes = {name: _coded(whole[name]) for name in _NAMES}
    image = np.array([index[name] for name in codes["image"].names])[codes["image"].codes]
    place, places, firsts = _placed(codes)
    order = np.argsort(place, kind="stable")
    ways = [codes["direction"].names[code] for code in codes["direction"].codes[firsts].tolist()]
    return Scores(
        images=len(index),
        places=tuple(places),
        directions={place.measure: way for place, way in zip(places, ways, strict=True)},
        reasons=tuple(codes["reason"].names),
        image=image[order],
        value=_numbers(whole["value"])[order],
        chance=_numbers(whole["chance"])[order],
        reason=codes["reason"].codes[order],
        starts=np.r_[0, np.cumsum(np.bincount(place, minlength=len(places)))],
    )


class _Coded(NamedTuple):
    """A column of texts as numbers; -1 where there is none."""

    codes: Int[np.ndarray, " row"]
    names: list[str]


def _coded(column: pa.ChunkedArray) -> _Coded:
    whole = column.unify_dictionaries().combine_chunks()
    names = whole.dictionary.to_pylist()
    return _Coded(whole.indices.fill_null(-1).to_numpy(zero_copy_only=False), names)


def _numbers(column: pa.ChunkedArray) -> Float[np.ndarray, " row"]:
    return column.to_numpy()


def _placed(
    codes: Mapping[str, _Coded],
) -> tuple[Int[np.ndarray, " row"], list[Place], Int[np.ndarray, " place"]]:
    """The number of each row's place, the places as they are met, and where each is met first."""
    targets = [pooled_target(name) for name in codes["target"].names]
    pooled = list(dict.fromkeys(targets))
    target = np.array([pooled.index(name) for name in targets])[codes["target"].codes]
    regions: list[str | None] = [*codes["region"].names, None]
    named = [codes["model"].names, pooled, codes["key"].names, codes["measure"].names]
    parts = [codes["model"].codes, target, codes["key"].codes, codes["measure"].codes]
    # Without a region the code is -1, which is the last of them.
    parts.append(codes["region"].codes % len(regions))
    sizes = [*map(len, named), len(regions)]
    flat = np.ravel_multi_index([part.astype(np.int64) for part in parts], sizes)
    first = np.full(int(np.prod(sizes)), len(flat))
    first[flat[::-1]] = np.arange(len(flat))[::-1]
    met = np.flatnonzero(first < len(flat))
    met = met[np.argsort(first[met])]
    number = np.empty(len(first), np.int32)
    number[met] = np.arange(len(met))
    return number[flat], list(_named(met, sizes, named, regions)), first[met]


def _named(
    met: Int[np.ndarray, " place"],
    sizes: Sequence[int],
    named: Sequence[Sequence[str]],
    regions: Sequence[str | None],
) -> Iterator[Place]:
    for *codes, region in np.transpose(np.unravel_index(met, sizes)).tolist():
        model, target, key, measure = [own[c] for own, c in zip(named, codes, strict=True)]
        yield Place(str(model), str(target), str(key), str(measure), regions[region])
