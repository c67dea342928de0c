"""Is anything worse for some eyes? By device, side, sex, age, quality, grade."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from scipy.special import ndtr

from foveal.analysis.estimate import Comparison, Estimate
from foveal.analysis.multiplicity import holm
from foveal.analysis.resampling import Bootstrap, concluded, interval, resampled
from foveal.analysis.statistic import AbstractStatistic, Values, Weights
from foveal.analysis.units import Ids, Units, is_missing

LEAST_UNITS = 10
"""Groups of fewer patients get no interval and no gap, only their number."""
UNKNOWN = "not recorded"


@dataclass(frozen=True, kw_only=True)
class Subgroup:
    """One row of a subgroup table."""

    name: str
    images: int
    eyes: int | None
    """`None` where some images have no eye id."""
    patients: int | None
    """`None` where patients are not known."""
    estimate: Estimate
    gap: Comparison | None
    """The group less all other groups together; `None` for images whose group is not recorded."""


def subgroup_table(
    statistic: AbstractStatistic,
    groups: Ids,
    units: Units,
    *,
    how: Bootstrap | None = None,
    least: int = LEAST_UNITS,
) -> tuple[Subgroup, ...]:
    """A number in each group, and how far the group lies from all others.

    Patients are drawn with all their images, so groups that share patients (the two eyes, grades)
    are compared as well as those that do not (sex, device). p-values are z-tests with the
    bootstrap's standard error, adjusted after Holm over the groups of this table; two groups make
    one comparison. Groups of fewer than `least` patients say "too few". Groups come sorted by
    name; images without a group (`None`, NaN, empty) come last, on a row of their own.

    Raises:
        ValueError: Groups for other rows than the statistic's.
    """
    how = how or Bootstrap()
    if len(groups) != len(statistic.valid):
        raise ValueError(f"{len(groups)} rows have a group, but the number {len(statistic.valid)}")
    names = [UNKNOWN if is_missing(group) else str(group) for group in groups]
    members = {
        name: np.array([other == name for other in names])
        for name in sorted(set(names) - {UNKNOWN}) + [UNKNOWN] * (UNKNOWN in names)
    }
    rows = [
        _row(name, Within(statistic, rows), units, how, least) for name, rows in members.items()
    ]
    known = np.array([name != UNKNOWN for name in names])
    gaps = [
        None if name == UNKNOWN else _gap(statistic, name, members[name], known, units, how, least)
        for name in members
    ]
    p = [None if gap is None else gap.p for gap in gaps]
    # Of two groups each gap is the other's, so there is one comparison and nothing to adjust.
    adjusted = p if sum(gap is not None for gap in gaps) == 2 else holm(p)
    return tuple(
        replace(row, gap=None if gap is None else replace(gap, p_adjusted=p))
        for row, gap, p in zip(rows, gaps, adjusted, strict=True)
    )


def bands(values: Num[np.ndarray, " row"], edges: Sequence[float]) -> list[str | None]:
    """Names of the bands that numbers fall into, such as ages; NaN has none.

    Edges 40 and 60 give "1: below 40", "2: 40 to below 60" and "3: 60 and above", so that names
    sort as numbers do.

    Raises:
        ValueError: Edges that do not rise.
    """
    if not edges or any(low >= high for low, high in pairwise(edges)):
        raise ValueError(f"edges must rise, but are {list(edges)}")
    inner = [f"{low:g} to below {high:g}" for low, high in pairwise(edges)]
    names = [f"below {edges[0]:g}", *inner, f"{edges[-1]:g} and above"]
    digits = len(str(len(names)))
    numbered = [f"{place:0{digits}d}: {name}" for place, name in enumerate(names, start=1)]
    places = np.searchsorted(edges, values, side="right")
    return [
        numbered[place] if np.isfinite(value) else None
        for place, value in zip(places, values, strict=True)
    ]


class Within(AbstractStatistic):
    """A statistic of some rows only."""

    def __init__(self, statistic: AbstractStatistic, rows: Bool[np.ndarray, " row"]) -> None:
        self.valid = statistic.valid & rows
        self.missing = statistic.missing
        self._statistic = statistic

    def __call__(self, weights: Weights) -> Values:
        return self._statistic(weights * self.valid)

    def by_unit(
        self, codes: Int[np.ndarray, " row"], counted: Bool[np.ndarray, " row"]
    ) -> Callable[[Float[np.ndarray, "replicate unit"]], Values]:
        """The whole statistic's, of these rows."""
        return self._statistic.by_unit(codes, counted & self.valid)


class Gap(AbstractStatistic):
    """A statistic of some rows less that of others."""

    def __init__(
        self,
        statistic: AbstractStatistic,
        rows: Bool[np.ndarray, " row"],
        others: Bool[np.ndarray, " row"],
    ) -> None:
        self.valid = statistic.valid & (rows | others)
        self.missing = statistic.missing
        self._sides = Within(statistic, rows), Within(statistic, others)

    def __call__(self, weights: Weights) -> Values:
        group, rest = self._sides
        return group(weights) - rest(weights)

    def by_unit(
        self, codes: Int[np.ndarray, " row"], counted: Bool[np.ndarray, " row"]
    ) -> Callable[[Float[np.ndarray, "replicate unit"]], Values]:
        """The difference of both sides'."""
        group, rest = (side.by_unit(codes, counted) for side in self._sides)
        return lambda weights: group(weights) - rest(weights)


def _row(name: str, within: Within, units: Units, how: Bootstrap, least: int) -> Subgroup:
    used = units.chosen(within.valid)
    estimate = interval(within, units, how)
    if used.count < least:
        estimate = _without_interval(estimate, _too_few(used, least))
    return Subgroup(
        name=name,
        images=len(used.codes),
        eyes=None if used.eyes is None else len(set(used.eyes.tolist())),
        patients=used.count if used.unit == "patient" else None,
        estimate=estimate,
        gap=None,
    )


def _gap(
    statistic: AbstractStatistic,
    name: str,
    rows: Bool[np.ndarray, " row"],
    known: Bool[np.ndarray, " row"],
    units: Units,
    how: Bootstrap,
    least: int,
) -> Comparison:
    gap = Gap(statistic, rows, known & ~rows)
    made = resampled(gap, units, how)
    estimate, p = concluded(made, gap, units, how), None
    sides = [units.chosen(statistic.valid & side) for side in (rows, known & ~rows)]
    scarce = next((side for side in sides if side.count < least), None)
    if scarce is not None:
        estimate = _without_interval(estimate, _too_few(scarce, least))
    elif estimate.low is not None and made.error > 0:
        p = float(2 * ndtr(-abs(made.estimate) / made.error))
    return Comparison(
        first="all others", second=name, difference=estimate, p=p, test="z-test, bootstrap error"
    )


def _too_few(used: Units, least: int) -> str:
    return f"too few: {used.counted}, fewer than {least}"


def _without_interval(estimate: Estimate, reason: str) -> Estimate:
    return replace(estimate, low=None, high=None, reason=reason)
