"""Chance for the likeness of maps: how alike a run found those of different patients."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from foveal.analysis.records import Place, Records, pooled_target
from foveal.store import Case, Explained, Measured

Shuffled = dict[Place, tuple[float, ...]]
"""What a measure of likeness says of pairs of maps of different patients, pair by pair."""


def shuffled_facts(shuffled: Shuffled) -> list[dict[str, object]]:
    """In plain values, as `run.json` keeps them."""
    return [
        {
            "model": place.model,
            "target": place.target,
            "key": place.key,
            "measure": place.measure,
            "mean": fmean(values),
            "values": list(values),
        }
        for place, values in shuffled.items()
    ]


def shuffled_kept(header: Mapping[str, Any]) -> Shuffled:
    """Those of a run's header; none where no stability was measured, or of one patient alone."""
    kept: Sequence[Mapping[str, Any]] = header.get("shuffled", ())
    return {
        Place(one["model"], one["target"], one["key"], one["measure"], None): tuple(one["values"])
        for one in kept
    }


def against_shuffled(case: Case, shuffled: Shuffled) -> Case:
    """The case with the mean of shuffled pairs as the chance of its scores, where there is one."""
    if not shuffled:
        return case
    views = tuple(
        replace(view, explained=tuple(_against(view.model, e, shuffled) for e in view.explained))
        for view in case.views
    )
    return replace(case, views=views)


def with_shuffled_chance(records: Records, shuffled: Shuffled) -> Records:
    """The records with that mean as the chance of these numbers."""
    scores = records.scores
    chance = scores.chance.copy()
    for number, place in enumerate(scores.places):
        if place in shuffled:
            chance[slice(*scores.starts[number : number + 2].tolist())] = fmean(shuffled[place])
    return replace(records, scores=replace(scores, chance=chance))


def _against(model: str, explained: Explained, shuffled: Shuffled) -> Explained:
    target = pooled_target(explained.attribution.target)

    def judged(measured: Measured) -> Measured:
        score = measured.score
        values = shuffled.get(Place(model, target, explained.key, score.name, measured.region))
        if values is None or score.value is None:
            return measured
        return replace(measured, score=replace(score, chance=fmean(values)))

    return replace(explained, scores=tuple(map(judged, explained.scores)))
