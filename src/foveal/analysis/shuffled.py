"""Chance for the likeness of maps: how alike a run found those of different patients."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan
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


def shuffled_chance(shuffled: Shuffled, place: Place, value: float | None) -> float | None:
    """The mean of shuffled pairs, as the chance of a number; `None` where its own chance stands.

    Its own stands where there are no pairs of its place, and where the number is missing (`None` or
    NaN): what is missing has no chance to be held against.
    """
    pairs = shuffled.get(place)
    return None if pairs is None or value is None or isnan(value) else fmean(pairs)


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
    judged = [(number, place) for number, place in enumerate(scores.places) if place in shuffled]
    for number, place in judged:
        for row in range(*scores.starts[number : number + 2].tolist()):
            found = shuffled_chance(shuffled, place, float(scores.value[row]))
            chance[row] = chance[row] if found is None else found
    return replace(records, scores=replace(scores, chance=chance))


def _against(model: str, explained: Explained, shuffled: Shuffled) -> Explained:
    target = pooled_target(explained.attribution.target)

    def judged(measured: Measured) -> Measured:
        score = measured.score
        place = Place(model, target, explained.key, score.name, measured.region)
        chance = shuffled_chance(shuffled, place, score.value)
        if chance is None:
            return measured
        return replace(measured, score=replace(score, chance=chance))

    return replace(explained, scores=tuple(map(judged, explained.scores)))
