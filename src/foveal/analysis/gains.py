"""The headline of faithfulness of a run's maps, without the baselines that judge none of them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from foveal.analysis.faithfulness import informative_gain, uninformative
from foveal.analysis.records import Place, Records, pooled_target
from foveal.core import Score
from foveal.store import Run
from foveal.store.columns import among, columns

GAIN = "srg"
_COLUMNS = ("image", "model", "target", "key", "measure", "value", "null", "params", "parts")
_WIDE = (-np.inf, np.inf)

Blind = Mapping[tuple[str, str], tuple[str, ...]]
"""The uninformative baselines by model and target, pooled as `pooled_target` does."""
Gains = Mapping[tuple[str, str, str, str], Score]
"""By image, model, key and target."""


def with_informative_gains(run: Run, records: Records) -> Records:
    """The records, in which `srg` is the median over the informative baselines alone.

    Raises:
        StoreError: A damaged shard.
    """
    scores = records.scores
    number = {place: n for n, place in enumerate(scores.places) if place.measure == GAIN}
    blind = blind_baselines(run) if number else {}
    if not any(blind.values()):
        return records
    value, chance, reason = scores.value.copy(), scores.chance.copy(), scores.reason.copy()
    reasons = tuple(dict.fromkeys((*scores.reasons, "uninformative", "no_score_range")))
    image = {name: n for n, name in enumerate(records.images)}
    row_of = {
        (place, int(scores.image[row])): row
        for place, n in number.items()
        for row in range(*scores.starts[n : n + 2].tolist())
    }
    for gains in judged_gains(run, blind):
        for (name, model, key, target), gain in gains.items():
            at = row_of[Place(model, pooled_target(target), key, GAIN, None), image[name]]
            value[at] = np.nan if gain.value is None else gain.value
            chance[at] = np.nan if gain.chance is None else gain.chance
            reason[at] = -1 if gain.reason is None else reasons.index(gain.reason)
    judged = replace(scores, value=value, chance=chance, reason=reason, reasons=reasons)
    return replace(records, scores=judged)


def blind_baselines(run: Run) -> Blind:
    """The baselines under which removal judges no map, over all images of a run together.

    Any map's scores tell, since the model's own order depends on no map: one for an image.

    Raises:
        StoreError: A damaged shard.
    """
    first: dict[tuple[str, str], dict[str, Score]] = {}
    for row in chain.from_iterable(_rows(run)):
        known = first.setdefault((row["model"], pooled_target(row["target"])), {})
        if row["value"] is not None and row["image"] not in known:
            known[row["image"]] = _score(row)
    return {asked: uninformative(list(own.values())) for asked, own in first.items()}


def judged_gains(run: Run, blind: Blind) -> Iterator[Gains]:
    """Each `srg` without its uninformative baselines, one mapping a finished shard.

    Scores that are missing, and those that keep all their baselines, are not there.

    Raises:
        StoreError: A damaged shard.
    """
    for rows in _rows(run) if any(blind.values()) else ([] for _ in run.numbers()):
        yield {
            (row["image"], row["model"], row["key"], row["target"]): informative_gain(
                _score(row), left_out
            )
            for row in rows
            for left_out in [blind.get((row["model"], pooled_target(row["target"])))]
            if left_out and row["value"] is not None
        }


def _rows(run: Run) -> Iterator[list[Mapping[str, Any]]]:
    """The rows of `srg`, shard by shard."""
    for table in columns(run, "scores", _COLUMNS):
        yield table.filter(pa.array(among(table["measure"], (GAIN,)))).to_pylist()


def _score(row: Mapping[str, Any]) -> Score:
    return Score(
        name=GAIN,
        value=row["value"],
        direction="higher",
        range=_WIDE,
        null=tuple(row["null"] or ()) or None,
        params=json.loads(row["params"] or "{}"),
        parts=json.loads(row["parts"] or "{}"),
    )
