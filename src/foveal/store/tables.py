"""The tables of a shard: their columns, and rows to and from the nouns."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from foveal.core import Attribution, Evidence, Finding, Prediction, Score
from foveal.store.case import Case, Explained, MapName, Measured, View

SMALL_MAP = 64 * 64
"""Maps of at most so many values stand in the table; larger ones in the shard's Zarr arrays."""

_TEXT, _NUMBER, _COUNT = pa.string(), pa.float64(), pa.int64()

IMAGES = pa.schema(
    {
        "image": _TEXT,
        "patient": _TEXT,
        "eye": _TEXT,
        "visit": _TEXT,
        "laterality": _TEXT,
        "modality": _TEXT,
        "rows": _COUNT,
        "columns": _COUNT,
        "row_spacing_mm": _NUMBER,
        "column_spacing_mm": _NUMBER,
        "sha256": _TEXT,
        "facts": _TEXT,
        "labels": _TEXT,
        "picture": _TEXT,
        "regions": _TEXT,
        "failure": _TEXT,
    }
)
VIEWS = pa.schema(
    {
        "image": _TEXT,
        "model": _TEXT,
        "steps": _TEXT,
        "prediction": _TEXT,
        "predicted_index": _COUNT,
        "values": _TEXT,
        "unit": _TEXT,
        "calibrated": _TEXT,
        "regions": _TEXT,
        "losses": _TEXT,
        "stages": _TEXT,
        "pixels_array": _TEXT,
        "pixels_index": _COUNT,
        "field_array": _TEXT,
        "field_index": _COUNT,
        "regions_array": _TEXT,
        "regions_index": _COUNT,
    }
)
MAPS = pa.schema(
    {
        "image": _TEXT,
        "model": _TEXT,
        "key": _TEXT,
        "method": _TEXT,
        "settings": _TEXT,
        "layer": _TEXT,
        "target": _TEXT,
        "target_index": _COUNT,
        "score": _NUMBER,
        "score_mode": _TEXT,
        "seed": _COUNT,
        "reason": _TEXT,
        "notes": _TEXT,
        "cost": _TEXT,
        "parts": _TEXT,
        "fingerprint": _TEXT,
        "shape": pa.list_(_COUNT),
        "values": pa.list_(pa.float32()),
        "array": _TEXT,
        "index": _COUNT,
    }
)
SCORES = pa.schema(
    {
        "image": _TEXT,
        "model": _TEXT,
        "key": _TEXT,
        "target": _TEXT,
        "measure": _TEXT,
        "region": _TEXT,
        "value": _NUMBER,
        "reason": _TEXT,
        "reason_text": _TEXT,
        "direction": _TEXT,
        "low": _NUMBER,
        "high": _NUMBER,
        "chance": _NUMBER,
        "ceiling": _NUMBER,
        "null": pa.list_(_NUMBER),
        "params": _TEXT,
        "parts": _TEXT,
    }
)
FINDINGS = pa.schema(
    {
        "image": _TEXT,
        "model": _TEXT,
        "key": _TEXT,
        "target": _TEXT,
        "label": _TEXT,
        "cause": _TEXT,
        "evidence": _TEXT,
        "unchecked": _TEXT,
        "warnings": _TEXT,
        "next_step": _TEXT,
    }
)

SCHEMAS = {
    "images": IMAGES,
    "views": VIEWS,
    "maps": MAPS,
    "scores": SCORES,
    "findings": FINDINGS,
}
ARRAYS = "arrays.zarr"
PICTURES = "pictures"

Row = dict[str, Any]


def dumped(value: object) -> str:
    """Plain values as JSON text that is the same on every machine.

    Raises:
        TypeError: A value that is not plain.
        ValueError: A number that is not finite.
    """
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, default=_plain)


def image_row(case: Case, picture: str | None, regions: Sequence[Mapping[str, object]]) -> Row:
    """An image's row; a failed image has no grid, no picture and no regions."""
    rows, columns = case.grid or (None, None)
    row_mm, column_mm = case.spacing_mm or (None, None)
    return {
        "image": case.id,
        "patient": case.patient,
        "eye": case.eye,
        "visit": case.visit,
        "laterality": case.laterality,
        "modality": case.modality,
        "rows": rows,
        "columns": columns,
        "row_spacing_mm": row_mm,
        "column_spacing_mm": column_mm,
        "sha256": case.sha256,
        "facts": dumped(_nulled(case.facts)),
        "labels": dumped(dict(case.labels)),
        "picture": picture,
        "regions": dumped(regions),
        "failure": case.failure,
    }


def view_row(case: Case, view: View) -> Row:
    """A view's row without the places of its arrays."""
    return {
        "image": case.id,
        "model": view.model,
        "steps": dumped([dict(step) for step in view.steps]),
        "prediction": view.prediction.label,
        "predicted_index": view.prediction.index,
        "values": dumped(list(view.prediction.values.items())),
        "unit": view.prediction.unit,
        "calibrated": dumped(list(view.prediction.calibrated.items())),
        "regions": dumped([{"name": r.name, "kind": r.kind} for r in view.regions]),
        "losses": dumped([loss.__dict__ for loss in view.losses]),
    }


def map_row(case: Case, view: View, explained: Explained) -> Row:
    """A map's row without its values."""
    made = explained.attribution
    return {
        "image": case.id,
        "model": view.model,
        "key": explained.key,
        "method": made.method,
        "settings": dumped(dict(made.settings)),
        "layer": made.layer,
        "target": made.target,
        "target_index": made.target_index,
        "score": made.score,
        "score_mode": made.score_mode,
        "seed": made.seed,
        "reason": made.reason,
        "notes": dumped(made.notes),
        "cost": dumped(dict(made.cost)),
        "parts": dumped(_nulled(made.parts)),
        "fingerprint": made.fingerprint,
        "shape": list(made.map.shape),
    }


def score_row(case: Case, view: View, explained: Explained, measured: Measured) -> Row:
    """A score's row."""
    score = measured.score
    return {
        "image": case.id,
        "model": view.model,
        "key": explained.key,
        "target": explained.attribution.target,
        "measure": score.name,
        "region": measured.region,
        "value": score.value,
        "reason": score.reason,
        "reason_text": score.reason_text,
        "direction": score.direction,
        "low": score.range[0],
        "high": score.range[1],
        "chance": score.chance,
        "ceiling": score.ceiling,
        "null": None if score.null is None else list(score.null),
        "params": dumped(_nulled(score.params)),
        "parts": dumped(_nulled(score.parts)),
    }


def finding_row(name: MapName, finding: Finding) -> Row:
    """A finding's row."""
    return {
        **name._asdict(),
        "label": finding.label,
        "cause": finding.cause,
        "evidence": dumped([asdict(one) for one in finding.evidence]),
        "unchecked": dumped(finding.unchecked),
        "warnings": dumped(finding.warnings),
        "next_step": finding.next_step,
    }


def prediction_from(row: Row) -> Prediction:
    """The prediction of a view's row."""
    return Prediction(
        label=row["prediction"],
        index=row["predicted_index"],
        values=dict(json.loads(row["values"])),
        unit=row["unit"],
        calibrated=dict(json.loads(row.get("calibrated", "[]"))),  # older runs have none
    )


def attribution_from(row: Row, values: np.ndarray) -> Attribution:
    """The attribution of a map's row and its values."""
    return Attribution(
        map=values,
        method=row["method"],
        settings=json.loads(row["settings"]),
        layer=row["layer"],
        target=row["target"],
        target_index=row["target_index"],
        score=row["score"],
        score_mode=row["score_mode"],
        model=row["model"],
        fingerprint=row["fingerprint"],
        seed=row["seed"],
        reason=row["reason"],
        notes=tuple(json.loads(row["notes"])),
        cost=json.loads(row["cost"]),
        parts=json.loads(row["parts"]),
    )


def measured_from(row: Row) -> Measured:
    """The score of a row."""
    score = Score(
        name=row["measure"],
        value=row["value"],
        reason=row["reason"],
        reason_text=row["reason_text"],
        direction=row["direction"],
        range=(row["low"], row["high"]),
        chance=row["chance"],
        ceiling=row["ceiling"],
        null=None if row["null"] is None else tuple(row["null"]),
        params=json.loads(row["params"]),
        parts=json.loads(row["parts"]),
    )
    return Measured(score=score, region=row["region"])


def finding_from(row: Row) -> Finding:
    """The finding of a row."""
    return Finding(
        label=row["label"],
        cause=row["cause"],
        evidence=tuple(Evidence(**one) for one in json.loads(row["evidence"])),
        unchecked=tuple(json.loads(row["unchecked"])),
        warnings=tuple(json.loads(row["warnings"])),
        next_step=row["next_step"],
    )


def _nulled(value: object) -> object:
    """What stands beside a result, with null where a number is not finite."""
    if isinstance(value, np.generic | np.ndarray):
        return _nulled(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _nulled(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_nulled(part) for part in value]
    return value


def _plain(value: object) -> object:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be kept in a run: {value!r}")
