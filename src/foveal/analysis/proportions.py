from dataclasses import replace
from math import sqrt

import numpy as np
import scipy
from jaxtyping import Bool, Float
from scipy.special import chdtrc, ndtri

from foveal.analysis.estimate import Comparison, Estimate
from foveal.analysis.resampling import Bootstrap, interval
from foveal.analysis.statistic import Mean
from foveal.analysis.units import Units, unit_sums


def proportion(
    hits: Float[np.ndarray, " row"], units: Units, how: Bootstrap | None = None
) -> Estimate:
    """Share of ones among the rows that are 0 or 1 (NaN does not count), with its interval.

    Wilson's when every unit has one row; else the bootstrap by patient. Where all units agree, the
    bootstrap would give an interval of no width; the interval is then Wilson's for as many cases
    as there are units, which cannot be too narrow.

    Raises:
        ValueError: Rows other than those that have a unit.

    Reference:
        Wilson 1927.
    """
    how = how or Bootstrap()
    present = np.isfinite(hits)
    used = units.chosen(present)
    if used.count == present.sum() and used.count:
        low, high = wilson(float(np.sum(hits[present])), used.count, how.level)
        return Estimate(
            estimate=float(np.mean(hits[present])),
            low=low,
            high=high,
            level=how.level,
            n_units=used.count,
            unit=used.unit,
            method="Wilson",
            notes=used.remarks(),
        )
    found = interval(Mean(hits), units, how)
    if found.estimate is None or found.low is not None or found.n_units < 2:
        return found
    low, high = wilson(found.estimate * found.n_units, found.n_units, how.level)
    note = f"all {found.unit}s agree: Wilson's interval for {found.n_units} cases"
    return replace(
        found, low=low, high=high, method="Wilson", reason=None, notes=(*found.notes, note)
    )


def wilson(hits: float, cases: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of hits out of independent cases; within [0, 1], never of no width.

    Raises:
        ValueError: No cases, or more hits than cases.
    """
    if not 0 <= hits <= cases or cases <= 0:
        raise ValueError(f"hits must be between 0 and the cases, but are {hits} of {cases}")
    z, share = float(ndtri((1 + level) / 2)), hits / cases
    middle = (share + z**2 / (2 * cases)) / (1 + z**2 / cases)
    half = z / (1 + z**2 / cases) * sqrt(share * (1 - share) / cases + z**2 / (4 * cases**2))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return (0.0 if hits == 0 else low), (1.0 if hits == cases else high)


def mcnemar(
    first: Bool[np.ndarray, " row"],
    second: Bool[np.ndarray, " row"],
    units: Units,
    *,
    names: tuple[str, str] = ("first", "second"),
    how: Bootstrap | None = None,
) -> Comparison:
    """Two classifiers on the same rows, by which of them is right: the difference of their shares.

    Exact (binomial on the rows where they differ) when every unit has one row; else Obuchowski's
    test: chi^2 = (K - 1) / K (sum d)^2 / sum d^2 with d the difference of right rows in each of K
    units. To compare sensitivities give the positive rows only.

    Raises:
        ValueError: Columns of different lengths.

    Reference:
        McNemar 1947; Obuchowski 1998.
    """
    if len(first) != len(second):
        raise ValueError(f"the columns have {len(first)} and {len(second)} rows; give paired ones")
    change = second.astype(np.float64) - first
    (sums,), _ = (part.T for part in unit_sums(change[:, None], units))
    if units.count == len(change):
        p, test = _exact(change), "McNemar, exact"
    else:
        p, test = _clustered(sums), f"Obuchowski 1998 by {units.unit}"
    return Comparison(
        first=names[0],
        second=names[1],
        difference=interval(Mean(change), units, how),
        p=p,
        test=test,
    )


def _exact(change: Float[np.ndarray, " row"]) -> float | None:
    better, worse = int((change > 0).sum()), int((change < 0).sum())
    if not change.size:
        return None
    if not better + worse:
        return 1.0
    return float(scipy.stats.binomtest(better, better + worse).pvalue)


def _clustered(sums: Float[np.ndarray, " unit"]) -> float | None:
    if sums.size < 2:
        return None
    if not sums.any():
        return 1.0
    return float(chdtrc(1, (1 - 1 / sums.size) * sums.sum() ** 2 / (sums**2).sum()))
