"""The scores of one image and target side by side: a row a measure and region, a column a map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from foveal.core import Score
from foveal.report.families import FIRST, by_family
from foveal.report.words import (
    DIRECTIONS,
    map_name,
    measure_name,
    range_in_words,
    region_in_words,
)
from foveal.store import Explained, Measured

Place = tuple[str, str | None]
"""A measure and a region."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measure on one region, for all maps; `None` where a map was not measured so."""

    region: str
    """In words; `whole field` where the measure needs none."""
    anatomy: bool
    """Whether the region is a structure every eye has, so that high is not simply better."""
    cells: tuple[Score | None, ...]

    @property
    def chances(self) -> frozenset[float]:
        """The chance levels of the row's numbers, as far as they are known."""
        return frozenset(c.chance for c in self.cells if c is not None and c.chance is not None)

    @property
    def ceilings(self) -> frozenset[float]:
        """The best possible values of the row's numbers, as far as they are known."""
        return frozenset(c.ceiling for c in self.cells if c is not None and c.ceiling is not None)

    @property
    def chance(self) -> float | None:
        """The chance level that all maps share."""
        return min(self.chances) if len(self.chances) == 1 else None

    @property
    def ceiling(self) -> float | None:
        """The best possible value that all maps share."""
        return min(self.ceilings) if len(self.ceilings) == 1 else None


@dataclass(frozen=True, kw_only=True)
class Group:
    """One measure with its rows."""

    measure: str
    name: str
    direction: str
    range: str
    on_regions: bool
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Family:
    """The measures that answer one question."""

    title: str
    first: bool
    """Whether it says if a map can be believed, and is shown without being asked for."""
    groups: tuple[Group, ...]


@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """All scores of some maps of one image."""

    maps: tuple[str, ...]
    families: tuple[Family, ...]


def score_table(maps: Sequence[Explained], anatomy: Sequence[str]) -> ScoreTable:
    """The scores of maps by the questions they answer, regions in the order of measuring."""
    found = [{place(measured): measured.score for measured in e.scores} for e in maps]
    places = list(dict.fromkeys(place for scores in found for place in scores))
    families = by_family(dict.fromkeys(measure for measure, _ in places))
    return ScoreTable(
        maps=tuple(map_name(e.key, e.attribution) for e in maps),
        families=tuple(
            Family(
                title=title,
                first=title in FIRST,
                groups=tuple(_group(name, places, found, anatomy) for name in names),
            )
            for title, names in families.items()
        ),
    )


def _group(
    measure: str,
    places: Sequence[Place],
    found: Sequence[Mapping[Place, Score]],
    anatomy: Sequence[str],
) -> Group:
    regions = [region for name, region in places if name == measure]
    rows = tuple(
        Row(
            region=region_in_words(region),
            anatomy=region in anatomy,
            cells=tuple(scores.get((measure, region)) for scores in found),
        )
        for region in regions
    )
    scores = [cell for row in rows for cell in row.cells if cell is not None]
    score = next((score for score in scores if score.value is not None), scores[0])
    return Group(
        measure=measure,
        name=measure_name(measure),
        direction=DIRECTIONS[score.direction],
        range=range_in_words(*score.range),
        on_regions=any(region is not None for region in regions),
        rows=rows,
    )


def place(measured: Measured) -> Place:
    """What tells the scores of one map apart."""
    return measured.score.name, measured.region
