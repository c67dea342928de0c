from math import sqrt

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

_EXACT_RANKS = 50
"""Up to so many differences the null distribution of the signed ranks is counted."""
_LISTED = 2**18
"""Pair means that are sorted rather than counted."""
_SAMPLE, _MARGIN = 256, 0.008
"""Differences whose pair means say where to look, and how far off they may be, as a share."""

Bounds = Float[np.ndarray, " pair"]


def hodges_lehmann(
    differences: Float[np.ndarray, " unit"], *, level: float = 0.95
) -> tuple[float | None, float | None, float | None]:
    """Median of the means of all pairs of differences (each with itself too), with its interval.

    The interval holds the shifts that the signed-rank test does not reject: it reaches from the
    k-th smallest pair mean to the k-th largest. The estimate is `None` without differences, the
    limits are where so few differences cannot reach the level (5 or fewer at 95 %).

    Reference:
        Hodges & Lehmann 1963; Hollander, Wolfe & Chicken 2014, section 3.3.
    """
    ordered = np.sort(differences)
    n = ordered.size
    if not n:
        return None, None, None
    pairs = n * (n + 1) // 2
    around = _bounds(ordered)
    middle = [_pair_mean(ordered, rank, around) for rank in {(pairs + 1) // 2, pairs // 2 + 1}]
    estimate = float(np.mean(middle))
    rank = _tail_rank(n, 1 - level)
    if rank < 1:
        return estimate, None, None
    low, high = (_pair_mean(ordered, one, around) for one in (rank, pairs + 1 - rank))
    return estimate, low, high


def _tail_rank(n: int, alpha: float) -> int:
    """Largest k for which the signed-rank sum is below k with probability alpha / 2 or less."""
    if n > _EXACT_RANKS:
        middle, spread = n * (n + 1) / 4, sqrt(n * (n + 1) * (2 * n + 1) / 24)
        return int(middle + ndtri(alpha / 2) * spread)
    ways = np.ones(1)
    for rank in range(1, n + 1):
        ways = np.pad(ways, (0, rank)) + np.pad(ways, (rank, 0))
    return int(np.searchsorted(np.cumsum(ways) / 2.0**n, alpha / 2, side="right"))


def _pair_mean(ordered: Float[np.ndarray, " unit"], rank: int, around: Bounds) -> float:
    """The rank-th smallest pair mean: there are too many pairs to sort them all.

    The number of pair means up to a limit is known in one pass. So two limits are moved together,
    by interpolation with a halving now and then, until few enough lie between them to be listed;
    where the limits cannot move any more, all that lie between them are the same number.
    """
    below, fewer, high, more = _bracket(ordered, rank, around)
    slack = np.finfo(np.float64).eps * max(-below, high)
    step, aim = 0, _LISTED // 4
    while more - fewer > _LISTED and high - below > slack:
        step, aim = step + 1, -aim
        share = (rank - fewer + aim) / (more - fewer) if step % 3 else 0.5
        middle = below + min(max(share, 0.0), 1.0) * (high - below)
        if not below < middle < high:
            if step % 3:
                continue
            break
        count = _at_most(ordered, middle)
        if count >= rank:
            high, more = middle, count
        else:
            below, fewer = middle, count
    if more - fewer <= _LISTED:
        return _listed(ordered, below, high, rank - fewer)
    partners = np.searchsorted(ordered, 2 * high - ordered, side="right")
    reached = (ordered + ordered[partners - 1])[partners > 0] / 2
    return float(reached.max())


def _bounds(ordered: Float[np.ndarray, " unit"]) -> Bounds:
    """All pair means of an even sample of the differences, in order: where to look first."""
    sample = ordered[np.linspace(0, ordered.size - 1, min(_SAMPLE, ordered.size)).astype(int)]
    first, second = np.triu_indices(sample.size)
    return np.sort((sample[first] + sample[second]) / 2)


def _bracket(
    ordered: Float[np.ndarray, " unit"], rank: int, around: Bounds
) -> tuple[float, int, float, int]:
    """Two limits around the rank-th pair mean, each with the number of pair means up to it."""
    pairs = ordered.size * (ordered.size + 1) // 2
    below, fewer = float(np.nextafter(ordered[0], -np.inf)), 0
    high, more = float(ordered[-1]), pairs
    if pairs <= _LISTED:
        return below, fewer, high, more
    for share in (rank / pairs - _MARGIN, rank / pairs + _MARGIN):
        if 0 < share < 1:
            limit = float(around[int(share * around.size)])
            count = _at_most(ordered, limit)
            if count >= rank and limit < high:
                high, more = limit, count
            elif count < rank and limit > below:
                below, fewer = limit, count
    return below, fewer, high, more


def _listed(ordered: Float[np.ndarray, " unit"], below: float, high: float, place: int) -> float:
    """One of the pair means above the one limit and up to the other, by its place among them."""
    own = np.arange(ordered.size)
    starts = np.maximum(np.searchsorted(ordered, 2 * below - ordered, side="right"), own)
    counts = np.maximum(np.searchsorted(ordered, 2 * high - ordered, side="right") - starts, 0)
    ends = np.cumsum(counts)
    second = np.arange(ends[-1]) + np.repeat(starts - ends + counts, counts)
    means = (np.repeat(ordered, counts) + ordered[second]) / 2
    # Rounding may move a pair across a limit.
    place = min(max(place, 1), means.size)
    return float(np.partition(means, place - 1)[place - 1])


def _at_most(ordered: Float[np.ndarray, " unit"], limit: float) -> int:
    """Pairs (i <= j) whose mean is at most the limit."""
    # Rising values are found faster, and only their number matters.
    partners = np.searchsorted(ordered, 2 * limit - ordered[::-1], side="right")
    both_orders = int(partners.sum())
    own = int((ordered <= limit).sum())
    return (both_orders + own) // 2
