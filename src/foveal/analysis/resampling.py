"""The cluster bootstrap: patients are drawn with all their rows, and nothing is copied.

A statistic is a function of how often each unit was drawn, so a resample is a row of counts, and
thousands of them are one matrix.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Num
from scipy.special import ndtr, ndtri, stdtrit

from foveal.analysis.estimate import FEW_UNITS, Estimate
from foveal.analysis.statistic import AbstractStatistic, Mean
from foveal.analysis.units import Units, unit_sums

_CHUNK = 2**22
"""Numbers in memory at once for each matrix of weights: 32 MB."""
_BLOCKS = 1000
"""Groups of units left out in turn for the acceleration; one unit each in smaller cohorts."""
_UNDEFINED = 0.5
"""Share of resamples without a value beyond which there is no interval."""

UnitStatistic = Callable[[Float[np.ndarray, "replicate unit"]], Float[np.ndarray, "replicate k"]]


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """How intervals are made.

    Raises:
        ValueError: Fewer than 100 resamples, or a level that is not between 0 and 1.
    """

    resamples: int = 2000
    level: float = 0.95
    seed: int = 0
    kind: Literal["bca", "percentile"] = "bca"
    """`bca` corrects for bias and skewness (Efron 1987); `percentile` does not."""

    def __post_init__(self) -> None:
        if self.resamples < 100:
            raise ValueError(f"resamples must be 100 or more, but is {self.resamples}")
        if not 0 < self.level < 1:
            raise ValueError(f"level must lie between 0 and 1, but is {self.level}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Resampled:
    """One statistic of the cohort, of its resamples, and of it without each block of units."""

    estimate: float
    replicates: Float[np.ndarray, " replicate"]
    left_out: Float[np.ndarray, " block"]

    @property
    def error(self) -> float:
        """Standard error: the spread of the resamples that have a value."""
        defined = self.replicates[np.isfinite(self.replicates)]
        return float(defined.std(ddof=1)) if defined.size > 1 else float("nan")


_NONE = Resampled(estimate=float("nan"), replicates=np.empty(0), left_out=np.empty(0))


def interval(statistic: AbstractStatistic, units: Units, how: Bootstrap | None = None) -> Estimate:
    """A statistic of the cohort with its interval; units are drawn with all their rows.

    With fewer than 30 units the tails are widened as a t distribution's (Hesterberg 2015, section
    4.3), and a note says so. There is no interval for one unit, nor where all resamples agree.

    Raises:
        ValueError: Units of other rows than the statistic's.

    Reference:
        Field & Welsh 2007 (cluster bootstrap); Efron 1987 (BCa).
    """
    how = how or Bootstrap()
    return concluded(resampled(statistic, units, how), statistic, units, how)


def concluded(
    made: Resampled, statistic: AbstractStatistic, units: Units, how: Bootstrap
) -> Estimate:
    """The interval from resamples that were made."""
    return _estimate(made, units.chosen(statistic.valid), how, statistic.missing)


def resampled(statistic: AbstractStatistic, units: Units, how: Bootstrap) -> Resampled:
    """The resamples behind an interval, for those who need more than its limits.

    Raises:
        ValueError: Units of other rows than the statistic's.
    """
    valid = statistic.valid
    if len(valid) != len(units.codes):
        raise ValueError(
            f"the statistic has {len(valid)} rows, but {len(units.codes)} rows have a unit"
        )
    used = units.chosen(valid)
    codes = np.zeros(len(valid), np.int64)
    codes[valid] = used.codes

    if not used.count:
        return _NONE
    by_unit = statistic.by_unit(codes, valid)

    def of_units(weights: Float[np.ndarray, "replicate unit"]) -> Float[np.ndarray, "replicate 1"]:
        return by_unit(weights)[:, None]

    (made,) = _resampled(of_units, used.count, len(valid), how)
    return made


def mean_intervals(
    values: Num[np.ndarray, "row column"], units: Units, how: Bootstrap | None = None
) -> tuple[Estimate, ...]:
    """The mean of each column of a table with its interval, as `interval` of `Mean` gives it.

    Every row counts alike; give `unit_means` instead where every patient shall. NaN rows do not
    count in their column. All columns share their resamples, so a whole table of methods and
    measures costs two matrix products: 100,000 rows of 120 columns take seconds.

    Raises:
        ValueError: Values of other rows than those that have a unit.
    """
    how = how or Bootstrap()
    sums, counts = unit_sums(values, units)

    def of_units(weights: Float[np.ndarray, "replicate unit"]) -> Float[np.ndarray, "replicate k"]:
        drawn = weights @ counts
        return np.divide(weights @ sums, drawn, out=np.full_like(drawn, np.nan), where=drawn > 0)

    if not units.count:
        made = [_NONE] * values.shape[1]
    else:
        made = _resampled(of_units, units.count, units.count, how)
    return tuple(
        _column(one, column, units, how) for one, column in zip(made, values.T, strict=True)
    )


def _column(
    made: Resampled, column: Num[np.ndarray, " row"], units: Units, how: Bootstrap
) -> Estimate:
    present = np.isfinite(column)
    found = _estimate(made, units.chosen(present), how, Mean.missing)
    missing = int((~present).sum())
    note = f"{missing} of {present.size} rows have no number and do not count"
    return replace(found, notes=(*found.notes, note)) if missing else found


def _estimate(made: Resampled, used: Units, how: Bootstrap, missing: str) -> Estimate:
    """An interval, or the reason why there is none."""
    defined = made.replicates[np.isfinite(made.replicates)]
    notes = used.remarks()
    undefined = len(made.replicates) - len(defined)
    if not np.isfinite(made.estimate):
        reason = missing
    elif used.count < 2:
        reason = f"one {used.unit} only: nothing says how much {used.unit}s differ"
    elif undefined > _UNDEFINED * len(made.replicates):
        reason = f"{undefined} of {len(made.replicates)} resamples have no value ({missing})"
    elif np.ptp(defined) <= 1e-12 * max(1.0, abs(made.estimate)):
        reason = f"all {used.unit}s agree, so resampling cannot say how sure the number is"
    else:
        reason = None
    if undefined and reason is None:
        notes = (*notes, f"{undefined} of {len(made.replicates)} resamples had no value")
    low, high = (None, None) if reason else _limits(made, defined, used.count, how)
    return Estimate(
        estimate=made.estimate if np.isfinite(made.estimate) else None,
        low=low,
        high=high,
        level=how.level,
        n_units=used.count,
        unit=used.unit,
        method=_name(used, how),
        notes=notes,
        reason=reason,
    )


def _name(used: Units, how: Bootstrap) -> str:
    kind = {"bca": "BCa", "percentile": "percentile"}[how.kind]
    few = ", t-expanded" if used.count < FEW_UNITS else ""
    return f"bootstrap by {used.unit}, {kind}{few}, B={how.resamples}, seed {how.seed}"


def _limits(
    made: Resampled, defined: Float[np.ndarray, " replicate"], n_units: int, how: Bootstrap
) -> tuple[float, float]:
    tails = np.array([(1 - how.level) / 2, (1 + how.level) / 2])
    normal = ndtri(tails)
    if n_units < FEW_UNITS:
        normal = np.sqrt(n_units / (n_units - 1)) * stdtrit(n_units - 1, tails)
    if how.kind == "bca":
        bias = _bias(made.estimate, defined)
        shifted = bias + normal
        # The divisor can only vanish with a handful of units; the outermost resample is meant then.
        normal = bias + shifted / np.maximum(1 - _acceleration(made.left_out) * shifted, 1e-6)
    low, high = np.quantile(defined, ndtr(normal))
    return float(low), float(high)


def _bias(estimate: float, defined: Float[np.ndarray, " replicate"]) -> float:
    """Efron's z0; resamples that equal the estimate count half."""
    slack = 1e-12 * max(1.0, abs(estimate))
    below = np.mean(defined < estimate - slack) + np.mean(defined <= estimate + slack)
    half_of_one = 0.5 / len(defined)
    return float(ndtri(np.clip(below / 2, half_of_one, 1 - half_of_one)))


def _acceleration(left_out: Float[np.ndarray, " block"]) -> float:
    defined = left_out[np.isfinite(left_out)]
    if not defined.size:  # too few units to leave one out
        return 0.0
    influence = defined.mean() - defined
    spread = float(np.sum(influence**2))
    return float(np.sum(influence**3)) / (6 * spread**1.5) if spread > 0 else 0.0


def _resampled(
    statistic: UnitStatistic, n_units: int, width: int, how: Bootstrap
) -> list[Resampled]:
    """One entry a column of the statistic."""
    (estimate,) = statistic(np.ones((1, n_units)))
    replicates = np.concatenate([statistic(w) for w in _drawn(n_units, width, how)])
    left_out = np.empty((0, len(estimate)))
    if how.kind == "bca":
        left_out = np.concatenate([statistic(w) for w in _leaving_out(n_units, width, how)])
    return [
        Resampled(estimate=float(one), replicates=drawn, left_out=without)
        for one, drawn, without in zip(estimate, replicates.T, left_out.T, strict=True)
    ]


def _drawn(n_units: int, width: int, how: Bootstrap) -> Iterator[np.ndarray]:
    """How often each unit was drawn, so many resamples at a time as memory allows."""
    random = np.random.default_rng(how.seed)
    for size in _chunks(how.resamples, width):
        picks = random.integers(n_units, size=(size, n_units))
        picks += np.arange(size)[:, None] * n_units
        counts = np.bincount(picks.ravel(), minlength=size * n_units)
        yield counts.reshape(size, n_units).astype(np.float64)


def _leaving_out(n_units: int, width: int, how: Bootstrap) -> Iterator[np.ndarray]:
    """All units but one block at a time; blocks are drawn, in case rows are sorted."""
    blocks = min(n_units, _BLOCKS)
    block = np.random.default_rng(how.seed).permutation(n_units) % blocks
    start = 0
    for size in _chunks(blocks, width):
        yield (block != np.arange(start, start + size)[:, None]).astype(np.float64)
        start += size


def _chunks(total: int, width: int) -> Iterator[int]:
    size = max(1, _CHUNK // width)
    for start in range(0, total, size):
        yield min(size, total - start)
