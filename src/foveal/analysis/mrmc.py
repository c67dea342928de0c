"""Studies of several readers and several cases: in which arm do readers do better?"""

from dataclasses import dataclass, replace
from itertools import combinations
from math import inf, isfinite

from scipy.special import chdtrc, fdtrc

from foveal.analysis.anova import mean_squares
from foveal.analysis.delong import NOTHING
from foveal.analysis.estimate import Comparison, Estimate
from foveal.analysis.multiplicity import holm
from foveal.analysis.obuchowski_rockette import (
    Over,
    Term,
    VarianceComponents,
    components_of,
    of_arm,
    pooled,
)
from foveal.analysis.reader_figures import ReaderFigures

_FEW_READERS = 5
_OVER = {
    "both": "readers and patients random",
    "patients": "readers fixed, patients random",
    "readers": "readers random, patients fixed",
}


@dataclass(frozen=True, kw_only=True)
class NonInferiority:
    """Whether an arm is worse than another by less than a margin that was set beforehand."""

    first: str
    second: str
    margin: float
    p: float | None
    """One-sided; `None` where no test is possible."""
    shown: bool
    """The interval of second less first lies above minus the margin."""


@dataclass(frozen=True, kw_only=True)
class Mrmc:
    """The arms of a study, compared over its readers."""

    arms: tuple[Estimate, ...]
    """Mean figure over the readers; each interval is made of that arm's numbers alone."""
    pairs: tuple[Comparison, ...]
    """Every pair of arms; p adjusted after Holm over all pairs."""
    statistic: float | None
    """F of the arms being alike."""
    freedom: tuple[float, float]
    """Degrees of freedom of F; the second is infinite where readers are fixed."""
    p: float | None
    components: VarianceComponents
    noninferiority: tuple[NonInferiority, ...] = ()
    """One a pair, where a margin was given."""
    reason: str | None = None
    """Why there is no test."""


def mrmc(
    figures: ReaderFigures,
    *,
    over: Over = "both",
    margin: float | None = None,
    level: float = 0.95,
) -> Mrmc:
    """Do readers do better in one arm than in another? Obuchowski and Rockette's analysis.

    F = MS(arm) / [MS(arm x reader) + r max(Cov2 - Cov3, 0)] for r readers who all read all images
    in all arms, on Hillis's degrees of freedom; intervals of differences have the same error.

    Args:
        figures: What `reader_aucs`, `reader_rates` or `reader_figures` give.
        over: Whom the conclusion is about: other readers and other patients (`both`), other
            patients read by these very readers (`patients`), or other readers of these very
            images (`readers`).
        margin: How much worse the second arm of a pair may be and still pass, in units of the
            figure. Write it down before the study.
        level: Of the intervals; a margin is tested one-sided at half of what is left of 1.

    Raises:
        ValueError: A margin that is not positive, or another word for `over`.

    Reference:
        Obuchowski & Rockette 1995; Hillis 2007; the fixed variants as in Hillis 2014.
    """
    if over not in _OVER:
        raise ValueError(f"over must be one of {', '.join(_OVER)}, but is {over!r}")
    if margin is not None and not 0 < margin < inf:
        raise ValueError(f"margin is the largest loss that passes, above 0, but is {margin}")
    found = mean_squares(figures.values.T)
    parts = components_of(figures, found)
    whole = pooled(found, parts, over)
    of_pair = Term(variance=2 * whole.variance / found.shape[0], freedom=whole.freedom)
    pairs = [
        _pair(figures, at, of_pair, over, level) for at in combinations(range(len(figures.arms)), 2)
    ]
    adjusted = holm([pair.p for pair in pairs])
    reason = pairs[0].difference.reason
    statistic = None if reason else found.columns / whole.variance
    freedom = (len(figures.arms) - 1.0, whole.freedom)
    return Mrmc(
        arms=tuple(_arm(figures, arm, over, level) for arm in range(len(figures.arms))),
        pairs=tuple(replace(o, p_adjusted=p) for o, p in zip(pairs, adjusted, strict=True)),
        statistic=statistic,
        freedom=freedom,
        p=None if statistic is None else _p(statistic, freedom),
        components=parts,
        noninferiority=()
        if margin is None
        else tuple(_noninferior(pair, margin, of_pair, level) for pair in pairs),
        reason=reason,
    )


def _pair(
    figures: ReaderFigures, at: tuple[int, int], term: Term, over: Over, level: float
) -> Comparison:
    first, second = (figures.arms[arm] for arm in at)
    means = figures.values.mean(axis=1)
    difference = float(means[at[1]] - means[at[0]])
    low, high = figures.bounds
    found = _estimate(figures, difference, term, over, level, (low - high, high - low))
    return Comparison(
        first=first,
        second=second,
        difference=found,
        p=None if found.reason else min(1.0, 2 * term.below(-abs(difference))),
        test=found.method,
    )


def _arm(figures: ReaderFigures, arm: int, over: Over, level: float) -> Estimate:
    mean = float(figures.values[arm].mean())
    return _estimate(figures, mean, of_arm(figures, arm, over), over, level, figures.bounds)


def _estimate(
    figures: ReaderFigures,
    value: float,
    term: Term,
    over: Over,
    level: float,
    bounds: tuple[float, float],
) -> Estimate:
    readers = figures.values.shape[1]
    few = f"only {readers} readers: fewer than {_FEW_READERS}, so be wary of speaking of others"
    told = (few,) * (readers < _FEW_READERS and over != "patients")
    reason, limits = _problem(value, term, figures), (None, None)
    if reason is None:
        half = term.half(level)
        limits = max(bounds[0], value - half), min(bounds[1], value + half)
    return Estimate(
        estimate=value if isfinite(value) else None,
        low=limits[0],
        high=limits[1],
        level=level,
        n_units=figures.n_units,
        unit=figures.unit,
        method=f"Obuchowski-Rockette, {readers} {_OVER[over]}, "
        f"{term.freedom:.2f} degrees of freedom; {figures.method}",
        notes=(*figures.notes, *told),
        reason=reason,
    )


def _problem(value: float, term: Term, figures: ReaderFigures) -> str | None:
    if not isfinite(value):
        return "a reader has no figure in an arm"
    if not isfinite(term.variance):
        return f"too few {figures.unit}s to say how the figures vary with them"
    if term.variance <= NOTHING**2:
        return f"no spread between readers or {figures.unit}s"
    return None


def _noninferior(pair: Comparison, margin: float, term: Term, level: float) -> NonInferiority:
    value = None if pair.difference.reason else pair.difference.estimate
    p = None if value is None else term.below(-(value + margin))
    return NonInferiority(
        first=pair.first,
        second=pair.second,
        margin=margin,
        p=p,
        shown=p is not None and p < (1 - level) / 2,
    )


def _p(statistic: float, freedom: tuple[float, float]) -> float:
    arms, error = freedom
    if isfinite(error):
        return float(fdtrc(arms, error, statistic))
    return float(chdtrc(arms, arms * statistic))
