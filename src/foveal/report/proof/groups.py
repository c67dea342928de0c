"""Is anything worse for some eyes? Accuracy and maps by device, side, sex, age, quality, grade."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from foveal.analysis.records import Place, Records
from foveal.analysis.resampling import Bootstrap
from foveal.analysis.statistic import AbstractStatistic, Mean
from foveal.analysis.subgroups import Subgroup, bands, subgroup_table
from foveal.report.proof.matches import headline_regions
from foveal.report.proof.performance import Judged

AGE = "age"
AGES = (40.0, 60.0, 75.0)
"""Edges of the age bands in years."""
MOST = 12
"""A column with more different values is an identifier or a number, and makes no table."""
LARGE = 5000
"""Images from which on fewer resamples are drawn."""
MAPPED = ("relevance_mass", "srg", "deletion_auc")
"""Measures of maps that are looked at in groups: the place, and the first of the other two."""


@dataclass(frozen=True, kw_only=True)
class GroupTable:
    """One number in the groups of one column."""

    column: str
    number: str
    """What is looked at: `accuracy`, or a measure."""
    method: str | None
    model: str
    target: str | None
    rows: tuple[Subgroup, ...]


@dataclass(frozen=True, kw_only=True)
class Groups:
    """All tables of a run."""

    tables: tuple[GroupTable, ...]
    skipped: Mapping[str, str]
    """Columns without a table, and why."""

    @property
    def by_column(self) -> Mapping[str, list[GroupTable]]:
        """The tables of each column."""
        found: dict[str, list[GroupTable]] = {}
        for table in self.tables:
            found.setdefault(table.column, []).append(table)
        return found

    @property
    def gaps(self) -> int:
        """Gaps that were tested."""
        return sum(row.gap is not None and row.gap.p is not None for row in self._rows)

    @property
    def found(self) -> list[tuple[GroupTable, Subgroup]]:
        """Gaps with an adjusted p below 0.05."""
        return [
            (table, row)
            for table in self.tables
            for row in table.rows
            if row.gap is not None and row.gap.p_adjusted is not None and row.gap.p_adjusted < 0.05
        ]

    @property
    def _rows(self) -> Iterator[Subgroup]:
        for table in self.tables:
            yield from table.rows


def groups(records: Records, models: Sequence[Judged], how: Bootstrap) -> Groups:
    """Every column of the manifest that makes groups, crossed with every number.

    There are many tables, so intervals are percentiles of 1000 resamples, in large runs of 200.
    """
    how = replace(how, resamples=1000 if len(records.images) <= LARGE else 200, kind="percentile")
    columns, skipped = {}, {}
    for name, told in records.facts.items():
        column = _banded(name, told)
        levels = {level for level in column if level is not None}
        if len(levels) > MOST:
            skipped[name] = f"{len(levels)} different values: too many for a table"
        elif len(levels) == 1 and name not in ("laterality", "modality"):
            skipped[name] = "one value only: nothing to compare"
        elif len(levels) > 1:
            columns[name] = column
    tables = [
        GroupTable(
            column=name,
            number=number,
            method=method,
            model=model,
            target=target,
            rows=_plain(name, subgroup_table(statistic, column, records.units, how=how)),
        )
        for model, target, method, number, statistic in _numbers(records, models)
        for name, column in columns.items()
    ]
    return Groups(tables=tuple(tables), skipped=skipped)


def _banded(name: str, told: Sequence[str | None]) -> Sequence[str | None]:
    """Ages in bands, when all that are there are numbers; else as it is."""
    if name.lower() != AGE:
        return told
    try:
        ages = np.array([np.nan if text is None else float(text) for text in told])
    except ValueError:
        return told
    return bands(ages, AGES)


def _plain(name: str, rows: Sequence[Subgroup]) -> tuple[Subgroup, ...]:
    """Ages without the numbers that bring their bands into order."""
    if name.lower() != AGE:
        return tuple(rows)
    return tuple(replace(row, name=row.name.rpartition(": ")[2]) for row in rows)


def _numbers(
    records: Records, models: Sequence[Judged]
) -> Iterator[tuple[str, str | None, str | None, str, AbstractStatistic]]:
    for one in models:
        right = np.where(one.known, one.right.astype(np.float64), np.nan)
        yield one.model, None, None, "accuracy", Mean(right)
    places = records.scores.places
    for model, target, key in dict.fromkeys((p.model, p.target, p.key) for p in places):
        own = [p for p in places if (p.model, p.target, p.key) == (model, target, key)]
        there = [name for name in MAPPED if any(p.measure == name for p in own)]
        for measure in there[:2]:
            regions = [p.region for p in own if p.measure == measure]
            region = headline_regions(regions)[0]
            column = records.scores.column(Place(model, target, key, measure, region))
            yield model, target, key, measure, Mean(column.value)
