"""The headline of faithfulness of a run's maps, without the baselines that judge none of them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from foveal.analysis.faithfulness import informative_gain, uninformative
from foveal.analysis.records import Place, Records, pooled_target
from foveal.core import Score
from foveal.store import Run
from foveal.store.columns import among, columns

GAIN = "srg"
_COLUMNS = ("image", "model", "target", "key", "measure", "value", "null", "parts")
_WIDE = (-np.inf, np.inf)

Blind = Mapping[tuple[str, str], tuple[str, ...]]
"""The uninformative baselines by model and target."""


def with_informative_gains(run: Run, records: Records) -> Records:
    """The records, in which `srg` is the median over the informative baselines alone.

    Raises:
        StoreError: A damaged shard.
    """
    scores = records.scores
    number = {place: n for n, place in enumerate(scores.places) if place.measure == GAIN}
    blind = _blind(run) if number else {}
    if not any(blind.values()):
        return records
    value, chance, reason = scores.value.copy(), scores.chance.copy(), scores.reason.copy()
    reasons = (*scores.reasons, "uninformative")
    image = {name: n for n, name in enumerate(records.images)}
    row_of = {
        (place, int(scores.image[row])): row
        for place, n in number.items()
        for row in range(*scores.starts[n : n + 2].tolist())
    }
    for row in _rows(run):
        left_out = blind.get((row["model"], pooled_target(row["target"])))
        if left_out and row["value"] is not None:
            gain = informative_gain(_score(row), left_out)
            place = Place(row["model"], pooled_target(row["target"]), row["key"], GAIN, None)
            at = row_of[place, image[row["image"]]]
            value[at] = np.nan if gain.value is None else gain.value
            chance[at] = np.nan if gain.chance is None else gain.chance
            reason[at] = len(scores.reasons) if gain.value is None else -1
    judged = replace(scores, value=value, chance=chance, reason=reason, reasons=reasons)
    return replace(records, scores=judged)


def _blind(run: Run) -> Blind:
    """Any map's scores tell, since the model's own order depends on no map: one for an image."""
    first: dict[tuple[str, str], dict[str, Score]] = {}
    for row in _rows(run):
        known = first.setdefault((row["model"], pooled_target(row["target"])), {})
        if row["value"] is not None and row["image"] not in known:
            known[row["image"]] = _score(row)
    return {asked: uninformative(list(own.values())) for asked, own in first.items()}


def _rows(run: Run) -> Iterator[Mapping[str, Any]]:
    for table in columns(run, "scores", _COLUMNS):
        yield from table.filter(pa.array(among(table["measure"], (GAIN,)))).to_pylist()


def _score(row: Mapping[str, Any]) -> Score:
    return Score(
        name=GAIN,
        value=row["value"],
        direction="higher",
        range=_WIDE,
        null=tuple(row["null"] or ()) or None,
        parts=json.loads(row["parts"] or "{}"),
    )
