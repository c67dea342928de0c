"""Methods side by side on the images of a run: each measure's numbers, ranks and tests."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from foveal.analysis.contest import Contest, compare_measures
from foveal.analysis.records import Column, Place, Records
from foveal.analysis.resampling import Bootstrap
from foveal.analysis.units import unit_means
from foveal.core import Direction
from foveal.report.families import by_family
from foveal.store import ALL_LESIONS

SANITY = ("mprt", "data_randomisation", "random_logit")
"""Measures that ask whether a method notices a ruined model, or another class."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MatchRow:
    """One measure on one region."""

    measure: str
    region: str | None
    direction: Direction
    contest: Contest
    missing: tuple[Mapping[str, int], ...]
    """Of each method, by reason code."""
    unmeasured: tuple[int, ...]
    """Of each method the explained images that were not measured: without its map, or without the
    region."""
    shared: tuple[float | None, ...]
    """Of each method the mean over the images that have a number of every method that has any;
    `None` for a method without."""
    shared_images: int
    chance: tuple[float | None, ...]
    """Of each method the mean chance level, where it is known."""
    means: Float[np.ndarray, "unit method"]
    """Of each patient with a number of every method that has any; NaN for a method without."""

    @property
    def uneven(self) -> bool:
        """Whether the methods' own means are over different numbers of images."""
        return len({standing.valid for standing in self.contest.standings}) > 1

    def missing_by_method(self, methods: Sequence[str]) -> list[tuple[str, Mapping[str, int], int]]:
        """The methods that lack numbers: the reasons, and how many images were not measured.

        What was not measured under any method, such as a region that is not there, is no lack.
        """
        least = min(self.unmeasured)
        found = zip(methods, self.missing, self.unmeasured, strict=True)
        return [
            (key, missing, count - least)
            for key, missing, count in found
            if missing or count > least
        ]


@dataclass(frozen=True, kw_only=True, eq=False)
class Match:
    """All methods that answered one question: why this model gave that answer."""

    model: str
    target: str
    methods: tuple[str, ...]
    """The maps' names in the run."""
    families: tuple[tuple[str, tuple[MatchRow, ...]], ...]
    """Questions that measures answer, with the measures."""
    unit: str

    @property
    def rows(self) -> Iterator[MatchRow]:
        """All measures."""
        for _, rows in self.families:
            yield from rows

    @property
    def sanity(self) -> tuple[MatchRow, ...]:
        """What was measured of `SANITY`."""
        return tuple(row for row in self.rows if row.measure in SANITY)


def matches(records: Records, how: Bootstrap) -> tuple[Match, ...]:
    """One comparison for each model and target.

    A measure counts once an image: without a region, or on all lesions together; where no lesion
    was outlined, on each region that was.
    """
    asked = dict.fromkeys((place.model, place.target) for place in records.scores.places)
    return tuple(_match(records, model, target, how) for model, target in asked)


def headline_regions(regions: Sequence[str | None]) -> list[str | None]:
    """The regions on which a measure is compared."""
    for whole in (None, ALL_LESIONS):
        if whole in regions:
            return [whole]
    return list(regions)


def _match(records: Records, model: str, target: str, how: Bootstrap) -> Match:
    own = [p for p in records.scores.places if (p.model, p.target) == (model, target)]
    methods = tuple(dict.fromkeys(place.key for place in own))
    families = by_family(dict.fromkeys(place.measure for place in own))
    spots = {
        (measure, region): [Place(model, target, key, measure, region) for key in methods]
        for measures in families.values()
        for measure in measures
        for region in headline_regions(
            list(dict.fromkeys(p.region for p in own if p.measure == measure))
        )
    }
    columns = {spot: [records.scores.column(p) for p in places] for spot, places in spots.items()}
    directions = records.scores.directions
    tables = {
        _label(*spot): np.stack([column.value for column in own], axis=1)
        for spot, own in columns.items()
    }
    contests = compare_measures(
        tables,
        records.units,
        names=methods,
        higher={
            _label(*spot): directions[spot[0]] == "higher"
            for spot in columns
            if directions[spot[0]] != "context"
        },
        how=how,
    )
    rows = {
        spot: _row(
            spot, own, tables[_label(*spot)], directions[spot[0]], contests[_label(*spot)], records
        )
        for spot, own in columns.items()
    }
    return Match(
        model=model,
        target=target,
        methods=methods,
        families=tuple(
            (title, tuple(row for spot, row in rows.items() if spot[0] in measures))
            for title, measures in families.items()
        ),
        unit=records.units.unit,
    )


def _row(
    spot: tuple[str, str | None],
    own: Sequence[Column],
    table: Float[np.ndarray, "image method"],
    direction: Direction,
    contest: Contest,
    records: Records,
) -> MatchRow:
    known = np.isfinite(table)
    complete = known.any(axis=1) & np.all(known | ~known.any(axis=0), axis=1)
    explained = int((~records.failed).sum())
    return MatchRow(
        measure=spot[0],
        region=spot[1],
        direction=direction,
        contest=contest,
        missing=tuple(column.missing for column in own),
        unmeasured=tuple(
            explained - int(np.isfinite(column.value).sum()) - sum(column.missing.values())
            for column in own
        ),
        shared=tuple(map(_mean, table[complete].T)),
        shared_images=int(complete.sum()),
        chance=tuple(_mean(column.chance) for column in own),
        means=unit_means(table[complete], records.units.chosen(complete)),
    )


def _label(measure: str, region: str | None) -> str:
    return measure if region is None else f"{measure} on {region}"


def _mean(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None
