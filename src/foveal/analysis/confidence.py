"""Is the model sure where its map is right? And what to do with an answer, given both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Num

from foveal.analysis.auc import auc
from foveal.analysis.estimate import Estimate
from foveal.analysis.proportions import proportion
from foveal.analysis.resampling import Bootstrap, interval
from foveal.analysis.statistic import AbstractStatistic, Spearman, Ties, Values, Weights
from foveal.analysis.units import Units

Decision = Literal["accept", "flag shortcut", "refer with map", "refer"]
DECISIONS: tuple[Decision, ...] = ("accept", "flag shortcut", "refer with map", "refer")
LEAST_AUC = 0.7
"""A proxy whose area is not above it with its whole interval is not trusted."""


@dataclass(frozen=True, kw_only=True)
class ConfidenceLocalisation:
    """Rank correlation of confidence and localisation over images with a mask."""

    all: Estimate
    when_right: Estimate | None
    when_wrong: Estimate | None
    """`None` where it was not said which answers are right."""
    partial: Estimate | None
    """What is left once the controls, such as lesion area and quality, are held still; `None`
    without controls. Large lesions raise confidence and localisation both."""


@dataclass(frozen=True, kw_only=True)
class ProxyCheck:
    """Can a number that needs no mask stand in for localisation by a mask?"""

    name: str
    auc: Estimate
    """How well it tells maps on the lesion from others, on the judged rows; 0.5 is not at all."""
    threshold: float | None
    """Chosen on the development rows (Youden); at least this counts as localised."""
    sensitivity: Estimate
    specificity: Estimate
    same_decision: Estimate
    """Share of judged rows that get the decision that the mask would give; like the two before it
    missing without a threshold."""
    trusted: bool
    """Whether there is a threshold, and the interval of the area lies above the least that was
    asked for."""


class PartialSpearman(AbstractStatistic):
    """Rank correlation of two columns with others held still, in [-1, 1].

    The partial correlation of the ranks. Missing when a column is constant, or is a sum of
    multiples of the others.
    """

    missing = "a column is constant, empty, or follows from the others"

    def __init__(
        self,
        first: Num[np.ndarray, " row"],
        second: Num[np.ndarray, " row"],
        controls: Sequence[Num[np.ndarray, " row"]],
    ) -> None:
        columns = [first, second, *controls]
        self.valid = np.all(np.isfinite(np.stack(columns)), axis=0)
        self._columns = [Ties(np.where(self.valid, c, 0.0)) for c in columns]

    def __call__(self, weights: Weights) -> Values:
        weights = weights * self.valid
        total = weights.sum(1)
        ranks = np.stack([column.below(weights) for column in self._columns], axis=1)
        mean = (weights[:, None] * ranks).sum(2) / np.maximum(total, 1)[:, None]
        ranks = ranks - mean[:, :, None]
        covariance = np.einsum("rn,rin,rjn->rij", weights, ranks, ranks)
        spread = np.sqrt(np.einsum("rii->ri", covariance))
        found = np.full(len(weights), np.nan)
        ok = (spread > 1e-9 * np.maximum(total, 1)[:, None] ** 1.5).all(axis=1)
        related = covariance[ok] / (spread[ok, :, None] * spread[ok, None, :])
        usable = np.linalg.det(related) > 1e-10
        inverse = np.linalg.inv(related[usable])
        partial = -inverse[:, 0, 1] / np.sqrt(inverse[:, 0, 0] * inverse[:, 1, 1])
        found[np.flatnonzero(ok)[usable]] = np.clip(partial, -1, 1)
        return found


def conf_loc_corr(
    confidence: Num[np.ndarray, " row"],
    localisation: Num[np.ndarray, " row"],
    units: Units,
    *,
    correct: Bool[np.ndarray, " row"] | None = None,
    controls: Sequence[Num[np.ndarray, " row"]] = (),
    how: Bootstrap | None = None,
) -> ConfidenceLocalisation:
    """Spearman's correlation of confidence and localisation, with intervals by patient.

    Args:
        confidence: More is surer; calibrated where there is a calibrator.
        localisation: `relevance_mass` or `iou` of images with a mask; NaN where there is none.
        units: Whose rows they are.
        correct: Whether the answer was right; then right and wrong ones are told apart.
        controls: Lesion area, image quality: what raises both.
        how: Of the intervals.

    Raises:
        ValueError: Columns of different lengths.
    """
    columns = [confidence, localisation, *controls, *([] if correct is None else [correct])]
    if len({len(column) for column in columns}) > 1:
        raise ValueError(f"columns have {[len(column) for column in columns]} rows; give all alike")

    def among(rows: Bool[np.ndarray, " row"]) -> Estimate:
        return interval(Spearman(np.where(rows, confidence, np.nan), localisation), units, how)

    partial = None
    if controls:
        partial = interval(PartialSpearman(confidence, localisation, controls), units, how)
    return ConfidenceLocalisation(
        all=among(np.ones(len(confidence), bool)),
        when_right=None if correct is None else among(correct),
        when_wrong=None if correct is None else among(~correct),
        partial=partial,
    )


def decide(
    confident: Bool[np.ndarray, " row"], localised: Bool[np.ndarray, " row"]
) -> tuple[Decision, ...]:
    """What to do with each answer.

    Sure and in the right place: accept. Sure for another place: flag as a possible shortcut.
    Unsure but in the right place: refer, with the map as a pointer. Neither: refer.

    Raises:
        ValueError: Columns of different lengths.
    """
    if len(confident) != len(localised):
        raise ValueError(f"{len(confident)} and {len(localised)} rows; give one of each an answer")
    return tuple(
        DECISIONS[2 * (not sure) + (not there)]
        for sure, there in zip(confident.tolist(), localised.tolist(), strict=True)
    )


def validate_proxy(
    name: str,
    proxy: Num[np.ndarray, " row"],
    localised: Bool[np.ndarray, " row"],
    confident: Bool[np.ndarray, " row"],
    units: Units,
    development: Bool[np.ndarray, " row"],
    *,
    higher_is_better: bool = True,
    least_auc: float = LEAST_AUC,
    how: Bootstrap | None = None,
) -> ProxyCheck:
    """Judge a number of the map alone by what masks say, before it is used where none are.

    Args:
        name: Of the proxy: `out_of_fov_mass`, the enrichment of a structure, `avg_sensitivity`.
        proxy: One number a map; rows without do not count.
        localised: What the mask says: for example `relevance_mass` above its chance.
        confident: Whether the answer was kept by its confidence.
        units: Whose rows they are.
        development: Rows for choosing the threshold, from `split_by_patient`.
        higher_is_better: False for numbers such as `out_of_fov_mass`, which are low on good maps.
        least_auc: What the lower limit of the area must exceed.
        how: Of the intervals.

    Raises:
        ValueError: Columns of different lengths, or a patient in both parts.
    """
    columns = (proxy, localised, confident, development, units.codes)
    if len({len(column) for column in columns}) > 1:
        raise ValueError(f"columns have {[len(column) for column in columns]} rows; give all alike")
    if np.intersect1d(units.codes[development], units.codes[~development]).size:
        raise ValueError(f"a {units.unit} is in both parts; split with split_by_patient")
    signed = np.where(np.isfinite(proxy), proxy if higher_is_better else -proxy, np.nan)
    rows = np.isfinite(signed)
    threshold = _youden(signed[rows & development], localised[rows & development])
    judged = rows & ~development
    good, truth = signed[judged], localised[judged]
    used = units.chosen(judged)
    says = good >= (np.inf if threshold is None else threshold)
    same = np.array(decide(confident[judged], says)) == np.array(decide(confident[judged], truth))
    area = auc(truth, good, used)

    def share(hits: np.ndarray, among: np.ndarray) -> Estimate:
        counts = among if threshold is not None else np.zeros(len(truth), bool)
        return proportion(np.where(counts, hits, np.nan), used, how)

    return ProxyCheck(
        name=name,
        auc=area,
        threshold=threshold if threshold is None or higher_is_better else -threshold,
        sensitivity=share(says, truth),
        specificity=share(~says, ~truth),
        same_decision=share(same, np.ones(len(truth), bool)),
        trusted=threshold is not None and area.low is not None and area.low > least_auc,
    )


def _youden(values: Float[np.ndarray, " row"], truth: Bool[np.ndarray, " row"]) -> float | None:
    """The threshold of the largest sensitivity + specificity; the highest of several."""
    if truth.all() or not truth.any():
        return None
    candidates = np.unique(values)[::-1]
    hits, alarms = (
        1 - np.searchsorted(np.sort(values[part]), candidates, "left") / part.sum()
        for part in (truth, ~truth)
    )
    return float(candidates[int(np.argmax(hits - alarms))])
