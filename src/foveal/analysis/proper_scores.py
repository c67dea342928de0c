"""Scores that only the true probabilities make smallest, and what one of them is made of."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from foveal.analysis.calibration import check_truth
from foveal.analysis.statistic import Ties

_LEAST = 1e-12
"""A class that was held impossible and came true costs ln of this and not infinity."""


@dataclass(frozen=True, kw_only=True)
class Murphy:
    """The Brier score of one probability: reliability - resolution + uncertainty + within."""

    brier: float
    reliability: float
    """How far the groups' probabilities are from their frequencies; 0 is best."""
    resolution: float
    """How far the groups' frequencies are from the mean frequency; more is better."""
    uncertainty: float
    """Of the outcome itself, f (1 - f): nothing that a model could help."""
    within: float
    """What grouping unequal probabilities adds or takes (Stephenson et al. 2008); 0 without."""


def squared_errors(
    probabilities: Float[np.ndarray, "row label"], truth: Int[np.ndarray, " row"]
) -> Float[np.ndarray, " row"]:
    """Sum over the classes of (p - y)^2, in [0, 2]: its mean is the Brier score.

    Of two classes it is twice the (p - y)^2 that is also called so.

    Raises:
        ValueError: Other rows of truth, or a truth that is no column.

    Reference:
        Brier 1950.
    """
    check_truth(probabilities, truth)
    came_true = truth[:, None] == np.arange(probabilities.shape[1])
    return ((probabilities - came_true) ** 2).sum(axis=1)


def log_losses(
    probabilities: Float[np.ndarray, "row label"], truth: Int[np.ndarray, " row"]
) -> Float[np.ndarray, " row"]:
    """-ln of the true class's probability in nats; at most 27.6, where that was 0.

    Raises:
        ValueError: Other rows of truth, or a truth that is no column.
    """
    check_truth(probabilities, truth)
    return -np.log(np.maximum(probabilities[np.arange(len(truth)), truth], _LEAST))


def murphy(
    probability: Float[np.ndarray, " row"],
    came_true: Bool[np.ndarray, " row"],
    *,
    bins: int | None = None,
) -> Murphy:
    """What the Brier score, the mean of (p - y)^2, is made of.

    Rows of equal probability are taken together, where the decomposition is exact; with `bins`,
    rows of equal-mass bins, which is what a plot shows.

    Raises:
        ValueError: No rows, columns of different lengths, or numbers that are not finite.

    Reference:
        Murphy 1973; Stephenson et al. 2008.
    """
    if not len(probability) or len(probability) != len(came_true):
        raise ValueError(f"{len(probability)} probabilities and {len(came_true)} outcomes")
    if not np.isfinite(probability).all():
        raise ValueError("a probability is not a number; leave its row out")
    groups = _groups(probability, bins)
    count = np.bincount(groups)
    said = np.bincount(groups, probability) / count
    share = np.bincount(groups, came_true.astype(np.float64)) / count
    mean = float(came_true.mean())
    brier = float(((probability - came_true) ** 2).mean())
    reliability = float(np.average((said - share) ** 2, weights=count))
    resolution = float(np.average((share - mean) ** 2, weights=count))
    uncertainty = mean * (1 - mean)
    return Murphy(
        brier=brier,
        reliability=reliability,
        resolution=resolution,
        uncertainty=uncertainty,
        within=brier - reliability + resolution - uncertainty,
    )


def _groups(probability: Float[np.ndarray, " row"], bins: int | None) -> Int[np.ndarray, " row"]:
    if bins is not None:
        rank = Ties(probability).below(np.ones((1, len(probability))))[0]
        probability = np.minimum(rank / len(probability) * bins, bins - 1).astype(np.int64)
    return np.unique(probability, return_inverse=True)[1]
