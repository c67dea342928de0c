"""Everything that a finished run says of the whole cohort, from its tables alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from foveal.analysis.deferral import Deferral
from foveal.analysis.estimate import Estimate, Unit
from foveal.analysis.gains import with_informative_gains
from foveal.analysis.records import Place, Records, read_records
from foveal.analysis.resampling import Bootstrap, mean_intervals
from foveal.analysis.shuffled import shuffled_kept, with_shuffled_chance
from foveal.analysis.units import Units
from foveal.report.proof.groups import LARGE, Groups, groups
from foveal.report.proof.matches import Match, matches
from foveal.report.proof.performance import Judged, Performance, judged, performance
from foveal.report.proof.picks import Pick, picks
from foveal.report.proof.removal import Removal, removals
from foveal.report.proof.trust import Trust, trust
from foveal.report.words import counted
from foveal.store import Run

_AT_ONCE = 120
"""Columns whose means are resampled together; more would not fit into memory in a large run."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Proof:
    """The cohort's numbers."""

    unit: Unit
    units: str
    """What counts as one, why, and how many there are, in words."""
    notes: tuple[str, ...]
    """What must be said beside every interval."""
    how: str
    """How intervals were made."""
    intervals: Mapping[Place, Estimate]
    """The mean of every measure on every region."""
    matches: tuple[Match, ...]
    removals: tuple[Removal, ...]
    performances: tuple[Performance, ...]
    trusts: tuple[Trust, ...]
    unjudged: Mapping[str, str]
    """Models whose answers could not be judged, and why."""
    groups: Groups
    picks: tuple[Pick, ...]


def proof_of(run: Run, header: Mapping[str, Any] | None = None) -> Proof:
    """Read a run's tables and conclude. No map and no picture is read.

    Args:
        run: Finished, or as far as it is.
        header: Its `run.json`, where that was checked before.

    Raises:
        StoreError: A damaged shard, or an image that is there twice.
    """
    header = run.header if header is None else header
    records = with_informative_gains(run, read_records(run))
    records = with_shuffled_chance(records, shuffled_kept(header))
    seed = header.get("seed")
    how = bootstrap(len(records.images), seed if isinstance(seed, int) else 0)
    models = [(model, judged(records, model)) for model in header["models"]]
    known = [(model, one) for model, one in models if isinstance(one, Judged)]
    compared = matches(records, how)
    return Proof(
        unit=records.units.unit,
        units=unit_in_words(records.explained),
        notes=records.explained.remarks(),
        how=_how_in_words(how),
        intervals=_intervals(records, compared, how),
        matches=compared,
        removals=removals(run, records, how=how),
        performances=tuple(performance(one, records, how) for _, one in known),
        trusts=tuple(
            trust(one, records, how, chosen_deferral(model), _fitted_on(model))
            for model, one in known
        ),
        unjudged={model["name"]: one for model, one in models if isinstance(one, str)},
        groups=groups(records, [one for _, one in known], how),
        picks=picks(records, [one for _, one in known], seed=how.seed),
    )


def bootstrap(images: int, seed: int) -> Bootstrap:
    """How intervals are made in a run of so many images.

    In large runs 2000 resamples of every number would take minutes, and hardly move a limit.
    """
    if images > LARGE:
        return Bootstrap(resamples=500, seed=seed, kind="percentile")
    return Bootstrap(seed=seed)


def unit_in_words(units: Units) -> str:
    """What counts as one."""
    count = counted(units.count, "unit" if units.mixed else units.unit)
    if units.mixed:
        return (
            f"The {units.unit} is the unit, and where no {units.unit} is named each "
            f"{'eye or image' if units.unit == 'patient' else 'image'} counts as one: {count}, "
            "each drawn with all its images."
        )
    if units.unit == "patient":
        return f"The patient is the unit: {count}, each drawn with all images."
    why = "no patient is named" if units.unit == "eye" else "neither patients nor eyes are named"
    return f"The {units.unit} is the unit, since {why}: {count}."


def chosen_deferral(model: Mapping[str, Any]) -> Deferral | None:
    """The threshold in a header's facts of the model's calibrator."""
    told = (model.get("calibrator") or {}).get("deferral")
    if told is None:
        return None
    known = {one.name for one in fields(Deferral)}
    return Deferral(**{**{k: v for k, v in told.items() if k in known}, "notes": ()})


def _fitted_on(model: Mapping[str, Any]) -> str | None:
    told = model.get("calibrator")
    return None if told is None else f"{counted(told['units'], told['unit'])} ({told['split']})"


def _how_in_words(how: Bootstrap) -> str:
    kind = {"bca": "bias-corrected and accelerated (BCa)", "percentile": "percentiles"}[how.kind]
    return f"{how.level:.0%} intervals, {kind}, {how.resamples} resamples, seed {how.seed}"


def _intervals(
    records: Records, compared: Sequence[Match], how: Bootstrap
) -> dict[Place, Estimate]:
    """Those of the comparisons, and of all other regions."""
    found = {
        Place(match.model, match.target, one.method, row.measure, row.region): one.mean
        for match in compared
        for row in match.rows
        for one in row.contest.standings
    }
    for places in _chunks([place for place in records.scores.places if place not in found]):
        values = np.stack([records.scores.column(place).value for place in places], axis=1)
        found |= dict(zip(places, mean_intervals(values, records.units, how), strict=True))
    return found


def _chunks(places: Sequence[Place]) -> Iterator[Sequence[Place]]:
    for start in range(0, len(places), _AT_ONCE):
        yield places[start : start + _AT_ONCE]
