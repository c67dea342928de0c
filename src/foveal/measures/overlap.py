"""How far the map's strongest pixels and a region cover each other: IoU and Dice."""

from dataclasses import dataclass
from typing import Unpack

from jaxtyping import Shaped

from foveal.core import Score
from foveal.measures.base import Array, Ground, MeasureCard, ground, tie_fraction
from foveal.measures.thresholds import Hot, Rule, Threshold, ThresholdKeywords, hot_pixels

_MISSING = "the region is empty; with the size-matched rule also where nothing is positive"

IOU = MeasureCard(
    name="iou",
    question="How far do the map's strongest pixels and the region cover each other?",
    direction="higher",
    range=(0, 1),
    needs=("mask",),
    chance="q p / (q + p - q p) for the shares q of the map's pixels and p of the region",
    missing=_MISSING,
    cost="none",
    reference="Jaccard 1912; size-matched threshold as in Arras et al. 2022",
)
DICE = MeasureCard(
    name="dice",
    question="How much of the map's strongest pixels and the region do they share?",
    direction="higher",
    range=(0, 1),
    needs=("mask",),
    chance="2 q p / (q + p) for the shares q of the map's pixels and p of the region",
    missing=_MISSING,
    cost="none",
    reference="Dice 1945; twice the IoU over one plus the IoU",
)
DICE_OVER_MAX = MeasureCard(
    name="dice_over_max",
    question="How near does the Dice coefficient come to what so many pixels could reach?",
    direction="higher",
    range=(0, 1),
    needs=("mask",),
    chance="the larger of the shares q of the map's pixels and p of the region",
    missing="the region is empty, or no pixel of the map is chosen",
    cost="none",
    reference="Dice 1945, divided by its ceiling 2 min(q, p) / (q + p)",
)


@dataclass(frozen=True, kw_only=True)
class _Overlap:
    on: Ground
    hot: Hot
    params: dict[str, object]

    @property
    def both(self) -> int:
        return int((self.hot.mask & self.on.mask).sum())

    @property
    def q(self) -> float:
        return self.hot.area / self.on.area

    @property
    def p(self) -> float:
        return self.on.prevalence

    @property
    def parts(self) -> dict[str, object]:
        return {
            "map_share": self.q,
            "mask_share": self.p,
            "tie_fraction": tie_fraction(self.on.positive[self.on.field]),
            **self.hot.parts(),
        }

    @property
    def dice(self) -> float:
        return 2 * self.both / (self.hot.area + self.on.mask_area)

    @property
    def most(self) -> float:
        """The largest Dice coefficient of so many pixels."""
        return 2 * min(self.q, self.p) / (self.q + self.p)


def iou(
    map: Shaped[Array, "row column"],
    mask: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    rule: Rule = "topk_area",
    **settings: Unpack[ThresholdKeywords],
) -> Score:
    """Intersection over union of the map's strongest pixels A and the region G, in the field.

    Args:
        map: Signed values.
        mask: The region.
        field: The field of view; the whole image by default.
        rule: Which pixels are A, see `Threshold`. By default as many as the region has, which
            removes the choice of a threshold.
        **settings: Those of `Threshold`: `quantile`, `fraction`, `k`, `mode`, `seed`.

    Returns:
        Pixels of both by pixels of either, in [0, 1]; higher is better. For the shares q of A and
        p of G in the field, chance is q p / (q + p - q p) and the ceiling min(q, p) / max(q, p): a
        tenth of the field against a lesion of 1 % can reach no more than 0.1. Missing
        (`empty_mask`, `nan_map`) without a region; a map without positive values is `zero_map`
        under `topk_area` and 0 otherwise.

    Raises:
        ValueError: Shapes that differ, masks that are not binary, or a setting out of range.

    Reference:
        Jaccard 1912, The Distribution of the Flora in the Alpine Zone.
    """
    found = _overlap(IOU, ground(map, mask, field), Threshold(rule=rule, **settings))
    if isinstance(found, Score):
        return found
    q, p = found.q, found.p
    return IOU.score(
        found.both / int((found.hot.mask | found.on.mask).sum()),
        chance=q * p / (q + p - q * p),
        ceiling=min(q, p) / max(q, p),
        params=found.params,
        parts={"dice": found.dice, **found.parts},
    )


def dice(
    map: Shaped[Array, "row column"],
    mask: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    rule: Rule = "topk_area",
    **settings: Unpack[ThresholdKeywords],
) -> Score:
    """Dice coefficient of the map's strongest pixels A and the region G, in the field.

    For one image it says the same as the IoU J, since Dice = 2 J / (1 + J); for means it does
    not. With the share P of A in the region it cannot exceed 2 P / (1 + P).

    Args:
        map: Signed values.
        mask: The region.
        field: The field of view; the whole image by default.
        rule: Which pixels are A, as for `iou`.
        **settings: Those of `Threshold`.

    Returns:
        Twice the pixels of both by the sum of the pixels of each, in [0, 1]; higher is better. For
        the shares q of A and p of G, chance is 2 q p / (q + p) and the ceiling
        2 min(q, p) / (q + p). Missing as the IoU is.

    Raises:
        ValueError: Shapes that differ, masks that are not binary, or a setting out of range.

    Reference:
        Dice 1945, Measures of the amount of ecologic association between species.
    """
    found = _overlap(DICE, ground(map, mask, field), Threshold(rule=rule, **settings))
    if isinstance(found, Score):
        return found
    return DICE.score(
        found.dice,
        chance=2 * found.q * found.p / (found.q + found.p),
        ceiling=found.most,
        params=found.params,
        parts=found.parts,
    )


def dice_over_max(
    map: Shaped[Array, "row column"],
    mask: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    rule: Rule = "topk_area",
    **settings: Unpack[ThresholdKeywords],
) -> Score:
    """Dice coefficient as a share of the largest that so many pixels could reach.

    A tenth of the field against a lesion of 1 % cannot exceed a Dice coefficient of 0.18, however
    good the map is; this takes that away. Under `topk_area` it is the Dice coefficient.

    Returns:
        A share in [0, 1]; higher is better. It is the overlap by the smaller of both areas, so
        chance is the larger of the shares q and p. Missing as `dice` is, and (`zero_map`) where
        no pixel of the map is chosen.

    Raises:
        ValueError: Shapes that differ, masks that are not binary, or a setting out of range.
    """
    found = _overlap(DICE_OVER_MAX, ground(map, mask, field), Threshold(rule=rule, **settings))
    if isinstance(found, Score):
        return found
    if not found.hot.area:
        return DICE_OVER_MAX.none("zero_map", params=found.params)
    return DICE_OVER_MAX.score(
        found.dice / found.most,
        chance=max(found.q, found.p),
        ceiling=1,
        params=found.params,
        parts={"dice": found.dice, "max": found.most, **found.parts},
    )


def _overlap(card: MeasureCard, on: Ground, threshold: Threshold) -> _Overlap | Score:
    params = threshold.params()
    matched = threshold.rule == "topk_area"
    if on.problem in ("nan_map", "empty_mask") or (on.problem == "zero_map" and matched):
        return card.none(on.problem, params=params)
    return _Overlap(on=on, hot=hot_pixels(on, threshold), params=params)
