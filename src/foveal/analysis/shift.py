from math import sqrt

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

_EXACT_RANKS = 50
"""Up to so many differences the null distribution of the signed ranks is counted."""


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
    middle = [_pair_mean(ordered, rank) for rank in {(pairs + 1) // 2, pairs // 2 + 1}]
    estimate = float(np.mean(middle))
    rank = _tail_rank(n, 1 - level)
    if rank < 1:
        return estimate, None, None
    return estimate, _pair_mean(ordered, rank), _pair_mean(ordered, pairs + 1 - rank)


def _tail_rank(n: int, alpha: float) -> int:
    """Largest k for which the signed-rank sum is below k with probability alpha / 2 or less."""
    if n > _EXACT_RANKS:
        middle, spread = n * (n + 1) / 4, sqrt(n * (n + 1) * (2 * n + 1) / 24)
        return int(middle + ndtri(alpha / 2) * spread)
    ways = np.ones(1)
    for rank in range(1, n + 1):
        ways = np.pad(ways, (0, rank)) + np.pad(ways, (rank, 0))
    return int(np.searchsorted(np.cumsum(ways) / 2.0**n, alpha / 2, side="right"))


def _pair_mean(ordered: Float[np.ndarray, " unit"], rank: int) -> float:
    """The rank-th smallest pair mean: there are too many pairs to sort them all.

    The number of pair means up to a limit is known in one pass, so the limit is looked for, by
    interpolation and halving in turn, until it has `rank` of them or cannot move.
    """
    below, high = float(np.nextafter(ordered[0], -np.inf)), float(ordered[-1])
    fewer, more = 0, ordered.size * (ordered.size + 1) // 2
    slack = np.finfo(np.float64).eps * max(-below, high)
    halve = False
    while more > rank and high - below > slack:
        share = 0.5 if halve else (rank - fewer - 0.5) / (more - fewer)
        middle = below + share * (high - below)
        halve = not halve
        if not below < middle < high:
            if halve:
                continue
            break
        count = _at_most(ordered, middle)
        if count >= rank:
            high, more = middle, count
        else:
            below, fewer = middle, count
    partners = np.searchsorted(ordered, 2 * high - ordered, side="right")
    reached = (ordered + ordered[partners - 1])[partners > 0] / 2
    return float(reached.max())


def _at_most(ordered: Float[np.ndarray, " unit"], limit: float) -> int:
    """Pairs (i <= j) whose mean is at most the limit."""
    # Rising values are found faster, and only their number matters.
    partners = np.searchsorted(ordered, 2 * limit - ordered[::-1], side="right")
    both_orders = int(partners.sum())
    own = int((ordered <= limit).sum())
    return (both_orders + own) // 2
