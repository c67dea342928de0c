"""Every number of a run in one flat table, and a dictionary that says what each column is."""

import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foveal.analysis.gains import GAIN, Gains, blind_baselines, judged_gains
from foveal.analysis.records import Place, pooled_target
from foveal.analysis.shuffled import Shuffled, shuffled_chance, shuffled_kept
from foveal.core import FINDINGS as LABELS
from foveal.core import REASONS, StoreError
from foveal.store import Run
from foveal.store.tables import FINDINGS

TABLE, DICTIONARY = "results.parquet", "results-dictionary.csv"


class Column(NamedTuple):
    """One column of the table."""

    name: str
    kind: pa.DataType
    source: str
    """The shard's table that it comes from."""
    meaning: str
    unit: str = ""
    range: str = ""


_TEXT, _NUMBER, _COUNT = pa.string(), pa.float64(), pa.int64()

COLUMNS = (
    Column("image", _TEXT, "images", "Pseudonym of the image, or its name where identity is kept"),
    Column("patient", _TEXT, "images", "Pseudonym of the patient; the unit of every statistic"),
    Column("eye", _TEXT, "images", "Pseudonym of the eye"),
    Column("visit", _TEXT, "images", "Pseudonym of the visit"),
    Column("laterality", _TEXT, "images", "Side of the eye", range="right, left, both, unknown"),
    Column("modality", _TEXT, "images", "Kind of picture",
           range="fundus, oct, slit-lamp, unknown"),
    Column("rows", _COUNT, "images", "Rows of the original", "pixel", "1 or more"),
    Column("columns", _COUNT, "images", "Columns of the original", "pixel", "1 or more"),
    Column("row_spacing_mm", _NUMBER, "images", "Distance of two rows on the eye, where known",
           "mm", "more than 0"),
    Column("column_spacing_mm", _NUMBER, "images", "Distance of two columns on the eye, where "
           "known", "mm", "more than 0"),
    Column("labels", _TEXT, "images", "Further columns of the manifest, such as grade, as JSON"),
    Column("failure", _TEXT, "images", "Why the image could not be explained; then all after is "
           "missing"),
    Column("model", _TEXT, "views", "Name of the model"),
    Column("prediction", _TEXT, "views", "What the model said"),
    Column("predicted_index", _COUNT, "views", "Its place among the classes", range="0 or more"),
    Column("key", _TEXT, "maps", "Name of the map in the run, with its layer where there are "
           "several"),
    Column("method", _TEXT, "maps", "Method that made the map"),
    Column("layer", _TEXT, "maps", "Layer that was watched; missing for methods that watch none"),
    Column("target", _TEXT, "maps", "What was explained, in words"),
    Column("target_index", _COUNT, "maps", "Its place among the outputs", range="0 or more"),
    Column("score", _NUMBER, "maps", "The number of the model that was explained",
           "as score_mode says", "any number"),
    Column("score_mode", _TEXT, "maps", "What that number is",
           range="logit, log-odds, probability, value"),
    Column("seed", _COUNT, "maps", "Seed of everything that was drawn", range="0 or more"),
    Column("map_reason", _TEXT, "maps", "Why the map is empty, by code; missing where it is not"),
    Column("finding", _TEXT, "findings", "What the diagnosis says of the map, by label"),
    Column("finding_cause", _TEXT, "findings", "Why, in words, where the scores tell"),
    Column("measure", _TEXT, "scores", "Measure; missing where the map was not measured"),
    Column("region", _TEXT, "scores", "Lesion or structure that was measured on; missing where the "
           "measure needs none"),
    Column("value", _NUMBER, "scores", "The number; missing with a reason", "as the measure says",
           "from low to high"),
    Column("reason", _TEXT, "scores", "Why the number is missing, by code"),
    Column("reason_text", _TEXT, "scores", "The same in words"),
    Column("direction", _TEXT, "scores", "Which way is better", range="higher, lower, context"),
    Column("low", _NUMBER, "scores", "Smallest value that can occur; missing where unbounded"),
    Column("high", _NUMBER, "scores", "Largest value that can occur; missing where unbounded"),
    Column("chance", _NUMBER, "scores", "What a map without information would reach, where known",
           "as the measure says", "from low to high"),
    Column("ceiling", _NUMBER, "scores", "The best that any map could reach here, where known",
           "as the measure says", "from low to high"),
    Column("judged_value", _NUMBER, "judged", "The number that tables of all images and the proof "
           "take: of srg the median over the informative baselines alone, missing where none is "
           "left; of every other measure the same as value", "as the measure says",
           "from low to high"),
    Column("judged_chance", _NUMBER, "judged", "Chance of judged_value, where known",
           "as the measure says", "from low to high"),
    Column("params", _TEXT, "scores", "Settings the number depends on, such as baseline, scale, "
           "patches and seed, as JSON"),
)  # fmt: skip
"""A row is one score; a map without scores and an image that failed have one row each."""

Key = tuple[object, ...]
_MAP = ("image", "model", "key", "target")
_KEYS = {"images": _MAP[:1], "views": _MAP[:2], "maps": _MAP, "findings": _MAP}
_NAMED_OTHERWISE = {"map_reason": "reason", "finding": "label", "finding_cause": "cause"}
_HEADINGS = ("what", "name", "meaning", "unit", "range", "direction", "missing when")


def write_results(run: Run) -> tuple[Path, Path]:
    """Write `results.parquet` and `results-dictionary.csv` into a run's folder.

    The table's columns say in their own metadata what they mean. One shard is in memory at a time;
    the same run gives the same bytes.

    Raises:
        StoreError: A damaged shard, or a folder that cannot be written.
    """
    paths = run.folder / TABLE, run.folder / DICTIONARY
    hidden = [path.with_name(f".{path.name}.{os.getpid()}") for path in paths]
    try:
        _write_table(run, hidden[0])
        with hidden[1].open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([_HEADINGS, *_dictionary(run)])
        for made, path in zip(hidden, paths, strict=True):
            made.replace(path)
    except OSError as problem:
        raise StoreError(f"cannot write the results: {problem.strerror or problem}") from problem
    finally:
        for made in hidden:
            made.unlink(missing_ok=True)
    return paths


def _write_table(run: Run, path: Path) -> None:
    shards = zip(run.numbers(), judged_gains(run, blind_baselines(run)), strict=True)
    with pq.ParquetWriter(path, _schema(), compression="zstd") as writer:
        for number, gains in shards:
            writer.write_table(_joined(run, number, gains))


def _schema() -> pa.Schema:
    return pa.schema(
        [
            pa.field(
                column.name,
                column.kind,
                metadata={"meaning": column.meaning, "unit": column.unit, "range": column.range},
            )
            for column in COLUMNS
        ]
    )


def _joined(run: Run, number: int, gains: Gains) -> pa.Table:
    """The scores of a shard with what is known of their map, view and image."""
    tables = {name: _read(run, number, name) for name in (*_KEYS, "scores")}
    tables["scores"] = _against(shuffled_kept(run.header), tables["scores"])
    rows = dict(_rows({name: _keys(name, table) for name, table in tables.items()}))
    tables["judged"], rows["judged"] = _judged(tables["scores"], gains), rows["scores"]
    columns = [_column(column, tables[column.source], rows[column.source]) for column in COLUMNS]
    return pa.Table.from_arrays(columns, schema=_schema())


def _against(shuffled: Shuffled, scores: pa.Table) -> pa.Table:
    """The scores with the chance level that the report holds them against."""
    if not shuffled:
        return scores
    names = ("model", "target", "key", "measure", "region", "value", "chance")
    chance = [
        own if found is None else found
        for model, target, *place, value, own in zip(
            *(scores[name].to_pylist() for name in names), strict=True
        )
        for found in [shuffled_chance(shuffled, Place(model, pooled_target(target), *place), value)]
    ]
    at = scores.schema.get_field_index("chance")
    return scores.set_column(at, "chance", pa.array(chance, _NUMBER))


def _judged(scores: pa.Table, gains: Gains) -> pa.Table:
    """What tables of all images take of each score, and its chance."""
    names = (*_MAP, "measure", "value", "chance")
    judged = [
        (value, chance) if gain is None else (gain.value, gain.chance)
        for image, model, key, target, measure, value, chance in zip(
            *(scores[name].to_pylist() for name in names), strict=True
        )
        for gain in [gains.get((image, model, key, target)) if measure == GAIN else None]
    ]
    columns = [pa.array([one[n] for one in judged], _NUMBER) for n in (0, 1)]
    return pa.table(columns, names=["judged_value", "judged_chance"])


def _column(column: Column, table: pa.Table, rows: Sequence[int | None]) -> pa.ChunkedArray:
    name = _NAMED_OTHERWISE.get(column.name, column.name)
    taken = table[name].take(pa.array(rows, pa.int64()))
    if column.name in ("low", "high"):  # an infinite bound is none
        values = taken.to_numpy(zero_copy_only=False)
        return pa.chunked_array([pa.array(values, column.kind, mask=~np.isfinite(values))])
    return taken.cast(column.kind)


def _rows(keys: Mapping[str, Sequence[Key]]) -> Mapping[str, Sequence[int | None]]:
    """Which row of each table stands in each row of the result: all scores, then what has none."""
    places = {name: {key: row for row, key in enumerate(keys[name])} for name in _KEYS}
    joined: dict[str, list[int | None]] = {name: [] for name in keys}

    def join(key: Key, score: int | None = None) -> None:
        joined["scores"].append(score)
        for name, own in places.items():
            joined[name].append(own.get(key[: len(_KEYS[name])]))

    for row, key in enumerate(keys["scores"]):
        join(key, row)
    for name in reversed(_KEYS):
        used = set(joined[name])
        for key, row in places[name].items():
            if row not in used:
                join(key)
    return joined


def _keys(name: str, table: pa.Table) -> Sequence[Key]:
    """What tells the rows of a table apart; scores by the map they belong to."""
    return list(zip(*(table[key].to_pylist() for key in _KEYS.get(name, _MAP)), strict=True))


def _read(run: Run, number: int, name: str) -> pa.Table:
    columns = [
        _NAMED_OTHERWISE.get(column.name, column.name)
        for column in COLUMNS
        if column.source == name
    ]
    keys = [key for key in _KEYS.get(name, _MAP) if key not in columns]
    path = run.shard(number) / f"{name}.parquet"
    if name == "findings" and not path.exists():  # older runs have none
        return FINDINGS.empty_table().select([*keys, *columns])
    try:
        return pq.read_table(path, columns=[*keys, *columns])
    except (OSError, ValueError) as problem:
        raise StoreError(f"shard {number} of the run is damaged: {name} ({problem})") from problem


def _dictionary(run: Run) -> Iterator[Sequence[str]]:
    """Columns, the measures of this run, the reasons why a number can be missing, the findings."""
    for column in COLUMNS:
        yield "column", column.name, column.meaning, column.unit, column.range, "", ""
    measures: Sequence[Mapping[str, Any]] = run.header.get("measures", ())  # type: ignore[assignment]
    for card in measures:
        bounds = json.dumps(card["range"]).replace("null", "unbounded")
        yield (
            "measure",
            card["name"],
            f"{card['question']} Chance: {card['chance']}",
            card.get("unit", ""),
            bounds,
            card["direction"],
            card["missing"],
        )
    for code, text in REASONS.items():
        yield "reason", code, text, "", "", "", ""
    for label, text in LABELS.items():
        yield "finding", label, text, "", "", "", ""
