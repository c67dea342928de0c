"""Several methods on the same images, measure by measure: how good is each, and which differ?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy
from jaxtyping import Float

from foveal.analysis.comparisons import Family, compare_many, compare_two
from foveal.analysis.estimate import Comparison, Estimate
from foveal.analysis.multiplicity import holm
from foveal.analysis.resampling import Bootstrap, mean_intervals
from foveal.analysis.units import Units, unit_means


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One method under one measure."""

    method: str
    mean: Estimate
    """With its interval by patient; every image counts alike."""
    median: float | None
    valid: int
    """Images that have a number."""
    rank: float | None
    """Mean over the patients of the method's rank among the methods that are tested, 1 the best;
    `None` where neither way is better, the method is left out, or fewer than two patients have a
    number of all."""


@dataclass(frozen=True, kw_only=True)
class Contest:
    """All methods under one measure."""

    standings: tuple[Standing, ...]
    pairs: tuple[Comparison, ...]
    """Second less first; p-values adjusted after Holm over the pairs of this measure."""
    p: float | None
    """Do any of the methods differ? Friedman's test of three or more, Wilcoxon's of two."""
    p_adjusted: float | None
    """After Holm over all measures that were compared together."""
    test: str
    n_units: int
    """Patients with a number of every method that was not left out."""
    notes: tuple[str, ...] = ()
    reason: str | None = None
    """Why there is no test."""


def compare_measures(
    tables: Mapping[str, Float[np.ndarray, "row method"]],
    units: Units,
    *,
    names: Sequence[str],
    higher: Mapping[str, bool] | None = None,
    how: Bootstrap | None = None,
) -> dict[str, Contest]:
    """Compare methods under several measures at once.

    All means share their resamples. Two families are declared: the overall tests of all measures
    together, and within each measure the pairs of methods. A method with numbers for fewer than two
    patients under a measure, or for less than half as many as the method with most, is left out of
    its tests, and a note names it.

    Args:
        tables: By measure, a row an image and a column a method; NaN where there is no number.
        units: Whose rows they are.
        names: Of the methods.
        higher: Whether more is better, for measures where one way is.
        how: Of the intervals of the means.

    Raises:
        ValueError: Names that do not fit the columns, or rows that lack a unit.
    """
    how = how or Bootstrap()
    if not tables:
        return {}
    if any(table.shape[1] != len(names) for table in tables.values()):
        raise ValueError(f"every table needs a column for each of the methods {list(names)}")
    means = mean_intervals(np.concatenate(list(tables.values()), axis=1), units, how)
    found = {}
    for number, (measure, table) in enumerate(tables.items()):
        own = means[number * len(names) : (number + 1) * len(names)]
        there = _covered([mean.n_units for mean in own])
        ranks = _ranks(table, units, there, (higher or {}).get(measure))
        standings = [
            Standing(
                method=name,
                mean=mean,
                median=_median(column),
                valid=int(np.isfinite(column).sum()),
                rank=rank,
            )
            for name, mean, column, rank in zip(names, own, table.T, ranks, strict=True)
        ]
        found[measure] = _tested(table, units, how.level, tuple(standings), there)
    adjusted = holm([contest.p for contest in found.values()])
    return {
        measure: replace(contest, p_adjusted=p)
        for (measure, contest), p in zip(found.items(), adjusted, strict=True)
    }


def _tested(
    table: Float[np.ndarray, "row method"],
    units: Units,
    level: float,
    standings: tuple[Standing, ...],
    there: list[int],
) -> Contest:
    """The tests among the methods that have enough numbers."""
    names = [standings[place].method for place in there]
    if len(names) == 1:
        found = _alone(standings[there[0]])
    elif len(names) == 2:
        found = _of_two(table[:, there], units, names, level)
    else:
        found = _of_many(table[:, there], units, names, level)
    gone = [one for place, one in enumerate(standings) if place not in there]
    absent = ", ".join(one.method for one in gone if not one.valid)
    few = ", ".join(f"{one.method} ({one.mean.n_units})" for one in gone if one.valid)
    notes = (f"without a number, and left out: {absent}",) * bool(absent)
    notes += (f"with a number for too few {units.unit}s, and left out: {few}",) * bool(few)
    return replace(found, standings=standings, notes=(*found.notes, *notes))


def _covered(patients: Sequence[int]) -> list[int]:
    """Places of the methods that are tested, by how many patients each has a number for.

    Only patients with a number of all methods are tested, so a method with hardly any, such as a
    map made elsewhere under a measure that asks the method again, would take the tests from all.
    """
    most = max(patients, default=0)
    least = min(most, max(2, most / 2))
    return [place for place, count in enumerate(patients) if count >= least]


def _alone(only: Standing) -> Contest:
    return Contest(
        standings=(only,), pairs=(), p=None, p_adjusted=None, test="none",
        n_units=only.mean.n_units, reason="one method only: nothing to compare",
    )  # fmt: skip


def _of_two(
    table: Float[np.ndarray, "row 2"], units: Units, names: Sequence[str], level: float
) -> Contest:
    first, second = table.T
    pair = compare_two(first, second, units, names=(names[0], names[1]), level=level)
    return Contest(
        standings=(),
        pairs=(replace(pair, p_adjusted=pair.p),),
        p=pair.p,
        p_adjusted=None,
        test=pair.test,
        n_units=pair.difference.n_units,
        notes=pair.difference.notes,
        reason=None if pair.p is not None else pair.difference.reason,
    )


def _of_many(
    table: Float[np.ndarray, "row method"], units: Units, names: Sequence[str], level: float
) -> Contest:
    family: Family = compare_many(table, units, names=names, level=level)
    return Contest(
        standings=(),
        pairs=family.pairs,
        p=family.p,
        p_adjusted=None,
        test=family.test,
        n_units=family.n_units,
        notes=family.notes,
        reason=family.reason,
    )


def _ranks(
    table: Float[np.ndarray, "row method"], units: Units, there: list[int], higher: bool | None
) -> list[float | None]:
    complete = np.all(np.isfinite(table[:, there]), axis=1)
    used = units.chosen(complete)
    if higher is None or used.count < 2:
        return [None] * table.shape[1]
    means = unit_means(table[complete][:, there], used)
    ranks = np.full(table.shape[1], np.nan)
    ranks[there] = scipy.stats.rankdata(-means if higher else means, axis=1).mean(axis=0)
    return [rank if np.isfinite(rank) else None for rank in ranks.tolist()]


def _median(column: Float[np.ndarray, " row"]) -> float | None:
    present = column[np.isfinite(column)]
    return float(np.median(present)) if present.size else None
