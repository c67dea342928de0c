"""Can removal curves judge maps of this model, and do baselines agree on which method is best?"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from types import MappingProxyType
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from foveal.core import Score

INFORMATIVE = 0.7
"""AUROC of the model's own order of patches against random ones from which curves say something."""
AGREEING = 0.7
"""Kendall's W from which baselines rank methods alike; three of them then have a mean rank
correlation of 0.55."""


@dataclass(frozen=True, kw_only=True)
class Separation:
    """Whether removal under one baseline tells the model's own order from random ones."""

    baseline: str
    auroc: float
    """Mean over the images of the share of random orders whose gain is lower, ties by half."""
    images: int

    @property
    def verdict(self) -> Literal["informative", "uninformative"]:
        """Where even the model's own order looks random, no map can be judged."""
        return "informative" if self.auroc >= INFORMATIVE else "uninformative"


@dataclass(frozen=True, kw_only=True)
class RankAgreement:
    """Whether baselines rank methods alike by symmetric relevance gain."""

    images: int
    """Those with a gain of every method."""
    w: float | None = None
    """Kendall's W, 0 to 1, of the methods' mean gains over the images."""
    best: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The method with the highest mean gain under each baseline."""
    reason: str | None = None
    """Why there is no W."""

    @property
    def verdict(self) -> Literal["agreeing", "inconclusive"] | None:
        """Inconclusive where W is below 0.7, or another method comes first under some baseline."""
        if self.w is None:
            return None
        alike = self.w >= AGREEING and len(set(self.best.values())) == 1
        return "agreeing" if alike else "inconclusive"


def separations(scores: Sequence[Score]) -> tuple[Separation, ...]:
    """One for each baseline, from the `srg` of one method's maps, an image each.

    The model's own order depends on no map, so any method's scores give the same. Images whose
    `srg` lacks the model's own or random orders do not count.

    Returns:
        In the order of the baselines; none where no image counts. 0.5 is chance.
    """
    found: dict[str, list[float]] = {}
    for score in scores:
        pairs = zip(_listed(score, "baselines"), _listed(score, "own_order_auroc"), strict=False)
        for baseline, auroc in pairs:
            if isinstance(auroc, int | float):
                found.setdefault(str(baseline), []).append(float(auroc))
    return tuple(
        Separation(baseline=name, auroc=fmean(own), images=len(own)) for name, own in found.items()
    )


def uninformative(scores: Sequence[Score]) -> tuple[str, ...]:
    """The baselines that `separations` finds to judge no map."""
    return tuple(one.baseline for one in separations(scores) if one.verdict == "uninformative")


def informative_gain(score: Score, left_out: Collection[str]) -> Score:
    """An `srg` without the baselines under which removal judges no map.

    Args:
        score: One map's, with the gain, the normalised gain and the random gains of each baseline
            in `parts`.
        left_out: What `uninformative` says of all images together.

    Returns:
        The median over the other baselines, of normalised gains where the score is normalised;
        chance, `null` and the part `normalised` likewise. The reason is `uninformative` where none
        is left, and `no_score_range` where a normalised score lacks the gain of one that is left.
        A score that is missing, or none of whose baselines is left out, is itself.
    """
    names = [str(name) for name in _listed(score, "baselines")]
    kept = [n for n, name in enumerate(names) if name not in left_out]
    if score.value is None or len(kept) == len(names):
        return score
    params = {**score.params, "baseline": [names[n] for n in kept]}
    normal = _kept_median(score, "normalised_by_baseline", kept)
    why = "no_score_range" if kept else "uninformative"
    told = {"normalised": normal, "normalised_reason": why if normal is None else None}
    judged = replace(score, params=params, parts={**score.parts, **told})
    value = normal if params.get("normalised") else _kept_median(score, "by_baseline", kept)
    if value is None:
        return replace(judged, value=None, reason=why, chance=None, null=None)
    random = [np.array(_listed(score, "random")[n], float) for n in kept if score.null]
    null = tuple(np.median(random, axis=0).tolist()) if random else None
    return replace(judged, value=value, chance=fmean(null) if null else None, null=null)


def rank_agreement(
    scores: Mapping[str, Sequence[Score]], *, left_out: Collection[str] = ()
) -> RankAgreement:
    """Whether the baselines of `srg` rank methods alike, over all images together.

    Args:
        scores: The `srg` of each method's maps, for the same images in the same order.
        left_out: Baselines that do not count, such as those that are `uninformative`.

    Returns:
        W is missing with fewer than two methods or baselines, without an image that has a gain of
        every method, and where all methods are tied.

    Raises:
        ValueError: Methods with different numbers of images.

    Reference:
        Kendall & Babington Smith 1939.
    """
    if len({len(own) for own in scores.values()}) > 1:
        raise ValueError("give every method's scores for the same images, in the same order")
    rows = [
        row for row in zip(*scores.values(), strict=True) if all(s.value is not None for s in row)
    ]
    if len(scores) < 2 or not rows:
        return RankAgreement(images=len(rows), reason="no image with numbers of two methods")
    names = [str(name) for name in _listed(rows[0][0], "baselines")]
    kept = [n for n, name in enumerate(names) if name not in left_out]
    if len(kept) < 2:
        return RankAgreement(images=len(rows), reason="fewer than two baselines")
    gains = np.array([[_listed(score, "by_baseline") for score in row] for row in rows], float)
    baselines, means = [names[n] for n in kept], gains.mean(axis=0).T[kept]
    methods, agreement = list(scores), kendall_w(means)
    return RankAgreement(
        images=len(rows),
        w=agreement,
        best={name: methods[int(own.argmax())] for name, own in zip(baselines, means, strict=True)},
        reason="all methods are tied" if agreement is None else None,
    )


def kendall_w(values: Float[np.ndarray, "rater item"]) -> float | None:
    """Agreement of raters on the order of items, 0 to 1; ties share their rank.

    `None` where every rater ties all items.

    Reference:
        Kendall & Babington Smith 1939, with the correction for ties.
    """
    raters, items = values.shape
    ranks = rankdata(values, axis=1)
    spread = float(((ranks.sum(axis=0) - raters * (items + 1) / 2) ** 2).sum())
    tied = [np.unique(row, return_counts=True)[1] for row in ranks]
    ties = sum(float((counts**3 - counts).sum()) for counts in tied)
    most = raters**2 * (items**3 - items) - raters * ties
    return 12 * spread / most if most > 0 else None


def _kept_median(score: Score, part: str, kept: Sequence[int]) -> float | None:
    """Of a number a baseline, over some of them; `None` where one of these has none."""
    own = _listed(score, part)
    gains = [own[n] for n in kept if n < len(own)]
    if not gains or None in gains:
        return None
    return float(np.median(np.array(gains, float)))


def _listed(score: Score, part: str) -> Sequence[object]:
    """A part that is a list; none where the score has it not."""
    found = score.parts.get(part)
    return found if isinstance(found, Sequence) and not isinstance(found, str) else ()
