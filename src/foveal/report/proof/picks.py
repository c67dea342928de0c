"""Which images the failure gallery shows: by rules and a seed, never by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int

from foveal.analysis.records import Place, Records
from foveal.report.families import HEADLINE
from foveal.report.proof.matches import headline_regions
from foveal.report.proof.performance import Judged
from foveal.report.words import measure_name

SHOWN = 4
"""Images of each rule."""


@dataclass(frozen=True, kw_only=True)
class Pick:
    """One rule and the images it gave."""

    title: str
    rule: str
    images: tuple[str, ...]
    reason: str | None = None
    """Why there are none."""


def picks(records: Records, models: Sequence[Judged], *, seed: int) -> tuple[Pick, ...]:
    """The images of the gallery, rule by rule.

    Args:
        records: The run.
        models: Those whose answers can be judged.
        seed: Of the draws: the run's own.
    """
    explained = np.flatnonzero(~records.failed)
    random = np.random.default_rng(seed)
    drawn = np.sort(random.permutation(explained)[:SHOWN])
    return (
        Pick(
            title="Drawn at random",
            rule=f"up to {SHOWN} of all explained images, drawn with seed {seed}",
            images=_named(records, drawn),
            reason=None if len(drawn) else "no image could be explained",
        ),
        _worst(records, random, seed),
        *(_wrong_and_sure(records, one) for one in models),
    )


def _worst(records: Records, random: np.random.Generator, seed: int) -> Pick:
    measure = _judging(records)
    if measure is None:
        return Pick(
            title="Worst tenth",
            rule="images whose maps are among the worst tenth",
            images=(),
            reason="no measure with a better and a worse end has a number",
        )
    mean = _mean_rank(records, measure)
    known = np.flatnonzero(np.isfinite(mean))
    limit = np.quantile(mean[known], 0.1)
    tenth = known[mean[known] <= limit]
    drawn = f", drawn with seed {seed}" if len(tenth) > SHOWN else ""
    return Pick(
        title="Worst tenth",
        rule=(
            f"{_up_to(len(tenth))} in the worst tenth by {measure_name(measure).lower()}, its "
            f"ranks averaged over the methods{drawn}"
        ),
        images=_named(records, np.sort(random.permutation(tenth)[:SHOWN])),
    )


def _wrong_and_sure(records: Records, one: Judged) -> Pick:
    wrong = np.flatnonzero(one.known & ~one.right)
    sure = one.answers.shown[wrong, one.answers.predicted[wrong]]
    order = np.argsort(-sure, kind="stable")
    return Pick(
        title="Wrong and confident",
        rule=(
            f"the wrong answers of {one.model} with the highest probability, at most {SHOWN} of "
            f"{len(wrong)}"
        ),
        images=_named(records, wrong[order][:SHOWN]),
        reason=None if len(wrong) else f"no labelled answer of {one.model} is wrong",
    )


def _up_to(count: int) -> str:
    if count == 1:
        return "the image"
    return f"up to {SHOWN} of the {count} images" if count > SHOWN else f"the {count} images"


def _judging(records: Records) -> str | None:
    """The first headline measure with a better end and a number."""
    ways = records.scores.directions
    there = [p.measure for p in records.scores.places if ways[p.measure] != "context"]
    for measure in (*HEADLINE, *dict.fromkeys(there)):
        if measure in there and np.isfinite(_mean_rank(records, measure)).any():
            return measure
    return None


def _mean_rank(records: Records, measure: str) -> Float[np.ndarray, " image"]:
    """Of each image its rank from the worst, 0 to 1, averaged over methods; NaN without."""
    places = [p for p in records.scores.places if p.measure == measure]
    sign = -1 if records.scores.directions[measure] == "lower" else 1
    by_map: dict[tuple[str, str, str], list[Place]] = {}
    for place in places:
        by_map.setdefault((place.model, place.target, place.key), []).append(place)
    ranks = []
    for own in by_map.values():
        region = headline_regions([place.region for place in own])[0]
        place = next(p for p in own if p.region == region)
        ranks.append(_ranked(sign * records.scores.column(place).value))
    known: Int[np.ndarray, " image"] = np.isfinite(ranks).sum(axis=0)
    total = np.nansum(ranks, axis=0)
    return np.where(known > 0, total / np.maximum(known, 1), np.nan)


def _ranked(values: Float[np.ndarray, " image"]) -> Float[np.ndarray, " image"]:
    known: Bool[np.ndarray, " image"] = np.isfinite(values)
    found = np.full(len(values), np.nan)
    found[known] = scipy.stats.rankdata(values[known]) / max(1, known.sum())
    return found


def _named(records: Records, rows: Int[np.ndarray, " row"]) -> tuple[str, ...]:
    return tuple(records.images[row] for row in rows.tolist())


def chosen(found: Sequence[Pick]) -> Mapping[str, None]:
    """All images of the gallery, each once."""
    return dict.fromkeys(name for pick in found for name in pick.images)
