"""Which of several methods is better on the same images? The patient is the unit throughout."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import scipy
from jaxtyping import Bool, Float, Num
from scipy.special import fdtrc

from foveal.analysis.estimate import Comparison, Estimate
from foveal.analysis.multiplicity import holm
from foveal.analysis.shift import hodges_lehmann
from foveal.analysis.units import Units, unit_means

_EXACT_FLIPS = 16
"""Up to so many units all sign flips are counted instead of drawn."""
_CHUNK = 2**22


def compare_two(
    first: Num[np.ndarray, " row"],
    second: Num[np.ndarray, " row"],
    units: Units,
    *,
    names: tuple[str, str] = ("first", "second"),
    level: float = 0.95,
) -> Comparison:
    """Two numbers of the same rows, by Wilcoxon's signed ranks of the patients' mean differences.

    The difference is Hodges and Lehmann's: the median of all means of two patients' differences,
    with the interval that belongs to the test. Zeros keep their ranks (Pratt 1959), since leaving
    them out makes methods that mostly agree look different. Rows that lack one of the numbers do
    not count, and a note says how many. Up to 50 units without ties or zeros the test is exact.

    Raises:
        ValueError: Columns of different lengths.

    Reference:
        Wilcoxon 1945; Pratt 1959; Hodges & Lehmann 1963.
    """
    differences, used, notes = _differences(first, second, units)
    p = _wilcoxon(differences)
    return Comparison(
        first=names[0],
        second=names[1],
        difference=_shift(differences, used, notes, level),
        p=p,
        test=f"Wilcoxon signed-rank (Pratt) on means by {used.unit}",
    )


def sign_flip(
    first: Num[np.ndarray, " row"],
    second: Num[np.ndarray, " row"],
    units: Units,
    *,
    draws: int = 9999,
    seed: int = 0,
) -> float | None:
    """Two-sided p of the mean difference when each patient's sign is flipped at random.

    Exact under symmetry, for any number of patients; up to 16 all flips are counted. `None` when
    there is no patient with both numbers.

    Raises:
        ValueError: Columns of different lengths.

    Reference:
        Fisher 1935; Phipson & Smyth 2010 for the p-value of drawn flips.
    """
    differences, _, _ = _differences(first, second, units)
    if not differences.size:
        return None
    seen = abs(differences.sum()) * (1 - 1e-12)
    if differences.size <= _EXACT_FLIPS:
        bits = np.arange(2**differences.size)[:, None] >> np.arange(differences.size) & 1
        return float(np.mean(np.abs((1 - 2 * bits) @ differences) >= seen))
    random = np.random.default_rng(seed)
    size = max(1, _CHUNK // differences.size)
    extreme = 0
    for start in range(0, draws, size):
        flips = random.choice([-1.0, 1.0], size=(min(size, draws - start), differences.size))
        extreme += int(np.sum(np.abs(flips @ differences) >= seen))
    return (1 + extreme) / (1 + draws)


@dataclass(frozen=True, kw_only=True)
class Family:
    """Several methods on the same images: whether any differ, and which pairs do."""

    statistic: float | None
    """Iman and Davenport's F, from Friedman's ranks."""
    p: float | None
    n_units: int
    pairs: tuple[Comparison, ...]
    """Every pair, its p adjusted after Holm over all pairs."""
    test: str
    notes: tuple[str, ...] = ()
    reason: str | None = None
    """Why there is no overall test."""


def compare_many(
    values: Num[np.ndarray, "row method"],
    units: Units,
    *,
    names: Sequence[str],
    level: float = 0.95,
) -> Family:
    """Three or more methods: Friedman's test with Iman and Davenport's F, then all pairs with Holm.

    Pairs are compared on their own numbers, not by mean ranks, which would let a third method
    decide (Benavoli et al. 2016). Only rows with a number of every method count, so that all pairs
    speak of the same images; a note says how many were left out.

    Raises:
        ValueError: Fewer than three methods, or names that do not fit the columns.

    Reference:
        Friedman 1937; Iman & Davenport 1980; Demsar 2006; Holm 1979.
    """
    if values.shape[1] < 3 or values.shape[1] != len(names):
        raise ValueError(
            f"{values.shape[1]} columns and {len(names)} names; give three columns or more, each "
            "with its name (compare_two is for two)"
        )
    complete = np.all(np.isfinite(values), axis=1)
    used = units.chosen(complete)
    means = unit_means(values[complete], used)
    statistic, p, reason = _iman_davenport(means, used.counted)
    pairs = [
        compare_two(
            values[complete, one],
            values[complete, other],
            used,
            names=(names[one], names[other]),
            level=level,
        )
        for one, other in combinations(range(len(names)), 2)
    ]
    adjusted = holm([pair.p for pair in pairs])
    return Family(
        statistic=statistic,
        p=p,
        n_units=used.count,
        pairs=tuple(replace(c, p_adjusted=a) for c, a in zip(pairs, adjusted, strict=True)),
        test=f"Friedman (Iman-Davenport) on means by {used.unit}",
        notes=(*_left_out(complete), *used.remarks()),
        reason=reason,
    )


def _iman_davenport(
    means: Float[np.ndarray, "unit method"], counted: str
) -> tuple[float | None, float | None, str | None]:
    n_units, methods = means.shape
    means = _without_rounding(means)
    if n_units < 2:
        return None, None, f"{counted} with a number of every method; ranks need two or more"
    if (np.ptp(means, axis=1) == 0).all():
        return None, None, "the methods agree on every unit"
    chi, _ = scipy.stats.friedmanchisquare(*means.T)
    rest = n_units * (methods - 1) - chi
    if rest <= 1e-9 * n_units:
        # Every unit ranks the methods alike, and F is infinite; the permutation test's p is known.
        _, ties = np.unique(means[0], return_counts=True)
        rankings = scipy.special.factorial(methods) / scipy.special.factorial(ties).prod()
        return None, float(rankings) ** (1 - n_units), None
    statistic = (n_units - 1) * chi / rest
    freedom = methods - 1, (methods - 1) * (n_units - 1)
    return float(statistic), float(fdtrc(*freedom, statistic)), None


def _differences(
    first: Num[np.ndarray, " row"], second: Num[np.ndarray, " row"], units: Units
) -> tuple[Float[np.ndarray, " unit"], Units, tuple[str, ...]]:
    """Each unit's mean difference, and what was left out."""
    if len(first) != len(second):
        raise ValueError(f"the columns have {len(first)} and {len(second)} rows; give paired ones")
    both = np.isfinite(first) & np.isfinite(second)
    used = units.chosen(both)
    (means,) = unit_means((second - first)[both][:, None], used).T
    return means, used, (*_left_out(both), *used.remarks())


def _left_out(present: Bool[np.ndarray, " row"]) -> tuple[str, ...]:
    missing = int((~present).sum())
    return (f"{missing} of {present.size} rows lack a number and do not count",) * (missing > 0)


def _wilcoxon(differences: Float[np.ndarray, " unit"]) -> float | None:
    if differences.size < 2:
        return None
    differences = _without_rounding(differences)
    if not differences.any():
        return 1.0
    return float(scipy.stats.wilcoxon(differences, zero_method="pratt").pvalue)


def _without_rounding(values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """To twelve digits of the largest: numbers that rounding alone sets apart are ties."""
    largest = float(np.abs(values).max(initial=0.0))
    return values if largest == 0 else np.round(values, 11 - int(np.floor(np.log10(largest))))


def _shift(
    differences: Float[np.ndarray, " unit"], used: Units, notes: tuple[str, ...], level: float
) -> Estimate:
    estimate, low, high = hodges_lehmann(differences, level=level)
    reason = None
    if estimate is None:
        reason = "no row has both numbers"
    elif low is None:
        reason = f"too few for an interval at {100 * level:g} %: {used.counted}"
    return Estimate(
        estimate=estimate,
        low=low,
        high=high,
        level=level,
        n_units=used.count,
        unit=used.unit,
        method="Hodges-Lehmann, interval of the signed-rank test",
        notes=notes,
        reason=reason,
    )
