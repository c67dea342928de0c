"""Where do eyes that progress light up, compared with those that do not and with chance?"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import exp
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Num, Shaped
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from foveal.analysis.comparisons import sign_flip
from foveal.analysis.estimate import FEW_UNITS, Comparison, Estimate
from foveal.analysis.multiplicity import holm
from foveal.analysis.proportions import proportion
from foveal.analysis.resampling import Bootstrap, interval
from foveal.analysis.statistic import Mean
from foveal.analysis.units import Units
from foveal.core import FovealError

_LEAST, _MOST = 1e-9, 100.0
"""A standard error of a log odds ratio outside these is made of rounding."""


@dataclass(frozen=True, kw_only=True)
class Locus:
    """One locus of the eye, such as a layer segment."""

    name: str
    progressors: Estimate
    """Share of eyes that progressed with a hot region there, in [0, 1]."""
    others: Estimate
    """The same of those that did not."""
    chance: Comparison | None
    """Share of all eyes, less that of random placements; `None` where none were given."""
    odds_ratio: Estimate
    """Odds of progressors over those of the others; above 1: more often hot in progressors."""
    p: float | None
    p_adjusted: float | None
    """After Holm over the loci."""


def locus_frequency(
    hot: Mapping[str, Num[np.ndarray, " row"]],
    progressed: Shaped[np.ndarray, " row"],
    units: Units,
    *,
    chance: Mapping[str, Num[np.ndarray, " row"]] | None = None,
    how: Bootstrap | None = None,
) -> tuple[Locus, ...]:
    """Per locus, the share of eyes with a hot region: progressors, others, chance, odds ratio.

    One row is one eye. The odds ratio is that of a GEE with patients as clusters and independence
    as its working correlation, so that it equals the two-by-two table's also where the eyes of a
    patient differ in progression (Pepe & Anderson 1994); fewer than 30 patients have Mancl and
    DeRouen's errors and t limits. Chance matters since a thick layer is hit by anything. A map of
    stride 32 cannot tell layers apart: use a method that resolves them.

    Args:
        hot: Of each locus, 1 where the eye has a hot region there, 0 where not, NaN where the
            locus was not seen.
        progressed: 1 or 0; NaN is missing.
        units: The patient of each row.
        chance: Of each locus, the share of random placements in that eye that would hit it.
        how: The intervals' making.

    Raises:
        FovealError: statsmodels is not installed.
        ValueError: Columns of different lengths or other numbers, chance of other loci.

    Reference:
        Liang & Zeger 1986; Mancl & DeRouen 2001; Holm 1979.
    """
    how, truth = how or Bootstrap(), progressed.astype(np.float64)
    _check(hot, truth, units, chance or {})
    found = [
        _locus(name, column.astype(np.float64), truth, units, (chance or {}).get(name), how)
        for name, column in hot.items()
    ]
    adjusted = holm([locus.p for locus in found])
    against = holm([locus.chance.p if locus.chance else None for locus in found])
    return tuple(
        replace(
            locus,
            p_adjusted=p,
            chance=None if locus.chance is None else replace(locus.chance, p_adjusted=by_chance),
        )
        for locus, p, by_chance in zip(found, adjusted, against, strict=True)
    )


@dataclass(frozen=True, kw_only=True)
class Tertiles:
    """Cut-points of low, medium and high signal, frozen: eyes to come are named by the same ones.

    Raises:
        ValueError: Cut-points that are not two rising numbers.
    """

    low: float
    """Below this the signal is low."""
    high: float
    """From this on it is high."""
    n_units: int
    """Patients behind the cut-points."""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise ValueError(
                f"cut-points must be two rising numbers, but are {self.low} and {self.high}; "
                "where most eyes have one value, three groups cannot be made"
            )

    def names(self, values: Num[np.ndarray, " row"]) -> list[str | None]:
        """`low`, `medium` or `high` for each row; `None` for NaN."""
        places = np.searchsorted([self.low, self.high], values, side="right")
        return [
            ("low", "medium", "high")[place] if np.isfinite(value) else None
            for place, value in zip(places, values, strict=True)
        ]


def signal_tertiles(values: Num[np.ndarray, " row"], units: Units) -> Tertiles:
    """Cut-points at one and two thirds of a cohort's signal, such as the map's mean in a layer.

    Every eye counts alike; NaN does not count. Choose them before looking at the outcome, keep
    them, and name the eyes of other cohorts by them.

    Raises:
        ValueError: Fewer than three numbers, so many ties that two cut-points are one, or values
            of other rows than the units.
    """
    if len(values) != len(units.codes):
        raise ValueError(f"{len(values)} values, but {len(units.codes)} rows have a unit")
    present = np.isfinite(values)
    if present.sum() < 3:
        raise ValueError(f"three groups need three numbers or more, but got {present.sum()}")
    low, high = np.quantile(values[present].astype(np.float64), [1 / 3, 2 / 3])
    used = units.chosen(present)
    return Tertiles(low=float(low), high=float(high), n_units=used.count, notes=used.remarks())


def _check(
    hot: Mapping[str, Num[np.ndarray, " row"]],
    truth: Float[np.ndarray, " row"],
    units: Units,
    chance: Mapping[str, Num[np.ndarray, " row"]],
) -> None:
    columns = [*hot.values(), *chance.values(), truth]
    if not hot or any(len(column) != len(units.codes) for column in columns):
        raise ValueError(
            f"give loci, with as many rows as have a unit ({len(units.codes)}); these have "
            f"{ {name: len(column) for name, column in hot.items()} }"
        )
    if chance and set(chance) != set(hot):
        raise ValueError(f"chance is of {sorted(chance)}, but the loci are {sorted(hot)}")
    for name, column in (*hot.items(), ("progressed", truth)):
        if not np.isin(column[np.isfinite(column)], (0, 1)).all():
            raise ValueError(f"{name} must be 0 or 1 (NaN is missing)")
    for name, column in chance.items():
        told = column[np.isfinite(column)]
        if ((told < 0) | (told > 1)).any():
            raise ValueError(f"chance of {name} must be a share in [0, 1]")


def _locus(
    name: str,
    hits: Float[np.ndarray, " row"],
    truth: Float[np.ndarray, " row"],
    units: Units,
    chance: Num[np.ndarray, " row"] | None,
    how: Bootstrap,
) -> Locus:
    present = np.isfinite(hits) & np.isfinite(truth)
    ratio, p = _odds_ratio(hits[present], truth[present] == 1, units.chosen(present), how.level)
    sides = [proportion(np.where(truth == side, hits, np.nan), units, how) for side in (1, 0)]
    return Locus(
        name=name,
        progressors=sides[0],
        others=sides[1],
        chance=None if chance is None else _above(hits, chance, units, how),
        odds_ratio=ratio,
        p=p,
        p_adjusted=None,
    )


def _above(
    hits: Float[np.ndarray, " row"], chance: Num[np.ndarray, " row"], units: Units, how: Bootstrap
) -> Comparison:
    found = interval(Mean(hits - chance), units, how)
    p = sign_flip(chance, hits, units, seed=how.seed) if found.n_units > 1 else None
    return Comparison(
        first="random placements",
        second="maps",
        difference=found,
        p=p,
        test=f"sign flips by {found.unit}",
    )


def _odds_ratio(
    hits: Float[np.ndarray, " row"], progressed: Bool[np.ndarray, " row"], used: Units, level: float
) -> tuple[Estimate, float | None]:
    few, freedom, tail = used.count < FEW_UNITS, used.count - 1, (1 + level) / 2
    reason, ratio, limits, p = _no_ratio(hits, progressed, used), None, (None, None), None
    if reason is None:
        effect, error = _gee(hits, progressed, used, "bias_reduced" if few else "robust")
        ratio = exp(effect)
        if _LEAST < error < _MOST:
            half = error * float(stdtrit(freedom, tail) if few else ndtri(tail))
            far, limits = -abs(effect) / error, (exp(effect - half), exp(effect + half))
            p = float(2 * (stdtr(freedom, far) if few else ndtr(far)))
        else:
            reason = f"too few {used.unit}s for an error"
    estimate = Estimate(
        estimate=ratio,
        low=limits[0],
        high=limits[1],
        level=level,
        n_units=used.count,
        unit=used.unit,
        method=f"GEE by {used.unit}, independence" + ", Mancl-DeRouen, t" * few,
        notes=used.remarks(),
        reason=reason,
    )
    return estimate, p


def _no_ratio(
    hits: Float[np.ndarray, " row"], progressed: Bool[np.ndarray, " row"], used: Units
) -> str | None:
    if used.count < 2:
        return f"{used.counted}: nothing says how much {used.unit}s differ"
    for rows, name in ((progressed, "progressed"), (~progressed, "stayed as they were")):
        if not rows.any():
            return f"no eyes that {name}"
        if len(set(used.codes[rows].tolist())) == 1:
            return f"only one {used.unit} has eyes that {name}"
        if np.ptp(hits[rows]) == 0:
            share = "all" if hits[rows][0] else "none"
            return f"{share} of the eyes that {name} are hot there: the odds are not finite"
    return None


def _gee(
    hits: Float[np.ndarray, " row"], progressed: Bool[np.ndarray, " row"], used: Units, errors: str
) -> tuple[float, float]:
    """Log odds ratio and its standard error."""
    try:
        from statsmodels.genmod.families import Binomial
        from statsmodels.genmod.generalized_estimating_equations import GEE
    except ImportError as problem:
        raise FovealError("odds ratios need statsmodels: pip install 'foveal[stats]'") from problem
    table = np.column_stack([np.ones(len(hits)), progressed])
    with warnings.catch_warnings():
        # Of two patients an error may be a root of rounding; the caller looks at it.
        warnings.simplefilter("ignore", RuntimeWarning)
        model: Any = GEE(hits, table, groups=used.codes, family=Binomial())
        fit = model.fit(cov_type=errors)
        return float(fit.params[1]), float(fit.bse[1])
