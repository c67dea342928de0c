"""Which structures of the eye does a map light up, and how much more than it would by chance?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Unpack

import numpy as np
from jaxtyping import Bool, Int, Shaped

from foveal.core import Score
from foveal.images.anatomy import is_grid_field
from foveal.measures.base import Array, Ground, MeasureCard, ground
from foveal.measures.thresholds import Hot, Rule, Threshold, ThresholdKeywords, activated
from foveal.measures.turning import DRAWS, turns

BACKGROUND = "background"
PRECEDENCE = (
    ("optic cup", "cup"),
    ("neuroretinal rim",),
    ("optic disc", "disc"),
    ("foveal avascular zone",),
    ("fovea",),
    ("macula",),
    ("vessels",),
    # Sections by OCT.
    ("retinal pigment epithelium", "rpe"),
    ("ellipsoid zone", "ez", "outer nuclear layer", "onl"),
    ("outer plexiform layer", "opl", "inner nuclear layer", "inl"),
    ("retinal nerve fibre layer", "rnfl"),
    ("choroid",),
    ("vitreous",),
    # The front of the eye, from what lies within to what lies around.
    ("lens nucleus", "lens cortex", "posterior capsule"),
    ("lens",),
    ("pupil",),
    ("limbus",),
    ("cornea",),
    ("conjunctiva",),
)
"""Which structure owns a pixel that several hold; lesions and all other names come before, fields
of a grid after."""
_NOTHING = "nothing in the field is positive"
_NONE_OWN = "no pixel inside the field belongs to it alone"

PAP = MeasureCard(
    name="pap",
    question="What percentage of the activated pixels lies in the region?",
    direction="context",
    range=(0, 100),
    needs=("mask",),
    chance="the region's percentage of the field",
    missing=f"the region is empty, or {_NOTHING}",
    cost="none",
    reference="percentage of activated pixels, a precision; read beside region_coverage",
)
REGION_COVERAGE = MeasureCard(
    name="region_coverage",
    question="What percentage of the region is activated?",
    direction="context",
    range=(0, 100),
    needs=("mask",),
    chance="the activated percentage of the field",
    missing=f"the region is empty, or {_NOTHING}",
    cost="none",
    reference="the recall beside the percentage of activated pixels",
)
REGION_SHARES = MeasureCard(
    name="region_shares",
    question="What percentage of the activated pixels belongs to each structure and lesion?",
    direction="context",
    range=(0, 100),
    needs=("mask",),
    chance="the structure's percentage of the field; null: the activated pixels turned at random",
    missing=f"the structure has no pixel of its own in the field, or {_NOTHING}",
    cost="none",
    reference="a partition of the field: lesion > structures from what lies within to what lies "
    "around > background; fields of a grid (ETDRS, quadrants, clock hours) take no part in a run",
)


def pap(
    map: Shaped[Array, "row column"],
    mask: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    rule: Rule = "quantile",
    **settings: Unpack[ThresholdKeywords],
) -> Score:
    """Percentage of activated pixels that lie in the region.

    Args:
        map: Signed values.
        mask: The region.
        field: The field of view; the whole image by default.
        rule: Which pixels are activated, see `Threshold`: by default the positive ones of the
            strongest tenth of the field. `topk_area` is refused: it depends on the region, and a
            region within another could then hold more than the other.
        **settings: Those of `Threshold`.

    Returns:
        0 to 100; neither way is better by itself, since few pixels on a structure give 100. Chance
        is the region's percentage of the field. Missing (`empty_mask`, `zero_map`, `nan_map`)
        without a region or without an activated pixel.

    Raises:
        ValueError: Shapes that differ, masks that are not binary, or a setting out of range.
    """
    found = _found(PAP, map, mask, field, _threshold(rule, settings))
    if isinstance(found, Score):
        return found
    return PAP.score(
        100 * found.both / found.hot.area,
        chance=100 * found.on.prevalence,
        ceiling=100 * found.most / found.hot.area,
        params=found.params,
        parts=found.hot.parts(),
    )


def region_coverage(
    map: Shaped[Array, "row column"],
    mask: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    rule: Rule = "quantile",
    **settings: Unpack[ThresholdKeywords],
) -> Score:
    """Percentage of the region that is activated: `pap` alone is gamed by a tiny map.

    Returns:
        0 to 100; neither way is better by itself. Chance is the activated percentage of the field.
        Missing as `pap` is.

    Raises:
        ValueError: Shapes that differ, masks that are not binary, or a setting out of range.
    """
    found = _found(REGION_COVERAGE, map, mask, field, _threshold(rule, settings))
    if isinstance(found, Score):
        return found
    return REGION_COVERAGE.score(
        100 * found.both / found.on.mask_area,
        chance=100 * found.hot.area / found.on.area,
        ceiling=100 * found.most / found.on.mask_area,
        params=found.params,
        parts=found.hot.parts(),
    )


@dataclass(frozen=True, kw_only=True)
class RegionShares:
    """Percentages by structure, background included."""

    shares: Mapping[str, float]
    """Of the activated pixels."""
    field_shares: Mapping[str, float]
    """Of the field."""
    null: Mapping[str, tuple[float, ...]]
    """Of the activated pixels turned at random."""
    params: Mapping[str, object]


def region_shares(
    map: Shaped[Array, "row column"],
    regions: Mapping[str, Shaped[Array, "row column"]],
    *,
    of: str | None = None,
    field: Shaped[Array, "row column"] | None = None,
    shares: RegionShares | str | None = None,
    rule: Rule = "quantile",
    overlapping: bool = False,
    draws: int = DRAWS,
    **settings: Unpack[ThresholdKeywords],
) -> Score:
    """Percentage of the activated pixels that belongs to one structure, and to each.

    Every pixel of the field belongs to one structure: the first that holds it, in the order
    lesion, cup, disc, macula, vessels; in sections by OCT lesion, pigment epithelium, outer layers,
    inner layers, choroid, vitreous; of the front of the eye lesion, lens, pupil, limbus, cornea,
    conjunctiva; else to the background. Lesions, and names that are not known, keep the order in
    which they are given. Fields of a grid lie over the structures and hold what these leave.

    Args:
        map: Signed values.
        regions: Masks by name.
        of: The structure whose percentage is the value, `background` included; the first by
            default.
        field: The field of view; the whole image by default.
        shares: The percentages, where `shares_of` worked them out before.
        rule: Which pixels are activated, as for `pap`.
        overlapping: Let structures share pixels; the percentages then do not add up, which
            `params["additive"]` says.
        draws: Random turns behind the null.
        **settings: Those of `Threshold`; the seed is also that of the turns.

    Returns:
        0 to 100; `parts["shares"]` holds all, which add up to 100. Chance is the structure's
        percentage of the field, `parts["enrichment"]` the value by it, and the null the
        percentages after turning the activated pixels about the field's centre. Missing
        (`zero_map`, `nan_map`) without an activated pixel, and (`empty_mask`) where no pixel of
        the field is the structure's own.

    Raises:
        ValueError: Shapes that differ, masks that are not binary, an unknown structure, a region
            called `background`, or a setting out of range.
    """
    names = [*_ordered(regions), BACKGROUND]
    chosen = names[0] if of is None else of
    if chosen not in names:
        raise ValueError(f"of must be one of {', '.join(names)}, but is {of!r}")
    found = shares or shares_of(
        map, regions, field=field, rule=rule, overlapping=overlapping, draws=draws, **settings
    )
    if isinstance(found, str):
        return REGION_SHARES.none(found)
    chance, null = found.field_shares[chosen], found.null[chosen]
    value = found.shares[chosen]
    if chance == 0:
        parts = {"of": chosen, "shares": dict(found.shares)}
        return REGION_SHARES.none("empty_mask", text=_NONE_OWN, params=found.params, parts=parts)
    return REGION_SHARES.score(
        value,
        chance=chance,
        null=null or None,
        params=found.params,
        parts={
            "of": chosen,
            "shares": dict(found.shares),
            "enrichment": value / chance,
            "percentile": float(np.mean(np.array(null) < value)) if null else None,
        },
    )


def shares_of(
    map: Shaped[Array, "row column"],
    regions: Mapping[str, Shaped[Array, "row column"]],
    *,
    field: Shaped[Array, "row column"] | None = None,
    rule: Rule = "quantile",
    overlapping: bool = False,
    draws: int = DRAWS,
    **settings: Unpack[ThresholdKeywords],
) -> RegionShares | str:
    """The percentages of all structures at once, or the reason why there are none."""
    threshold = _threshold(rule, settings)
    on = ground(map, None, field, needs_mask=False)
    labels = partition(on, regions, overlapping=overlapping)
    if on.problem in ("nan_map", "zero_map"):
        return on.problem
    points = np.argwhere(activated(on, threshold).mask)
    turned = turns(points, on.field, draws=draws, seed=threshold.seed)
    moved = [_percentages(labels, at[kept]) for at, kept in turned if kept.any()]
    return RegionShares(
        shares=_percentages(labels, points),
        field_shares=_percentages(labels, np.argwhere(on.field)),
        null={name: tuple(one[name] for one in moved) for name in labels},
        params={**threshold.params(), "draws": draws, "additive": not overlapping},
    )


def partition(
    on: Ground,
    regions: Mapping[str, Shaped[Array, "row column"]],
    *,
    overlapping: bool = False,
) -> dict[str, Bool[np.ndarray, "row column"]]:
    """Masks that fill the field, the background last; disjoint unless they may overlap.

    Raises:
        ValueError: Shapes that differ, masks that are not binary, or a region of that name.
    """
    left, labels = on.field.copy(), {}
    for name in _ordered(regions):
        mask = ground(on.map, regions[name], on.field).mask
        labels[name] = mask if overlapping else mask & left
        left &= ~mask
    return {**labels, BACKGROUND: left}


def _percentages(
    labels: Mapping[str, Bool[np.ndarray, "row column"]], points: Int[np.ndarray, "point 2"]
) -> dict[str, float]:
    return {name: 100 * float(mask[tuple(points.T)].mean()) for name, mask in labels.items()}


def _ordered(regions: Mapping[str, object]) -> list[str]:
    """Names by precedence, what is unknown first and fields of a grid last."""
    if BACKGROUND in regions:
        raise ValueError(f"a region cannot be called {BACKGROUND!r}: that is what is left over")
    rank = {name: rank for rank, names in enumerate(PRECEDENCE) for name in names}
    last = len(PRECEDENCE)
    return sorted(
        regions, key=lambda name: last if is_grid_field(name) else rank.get(name.lower(), -1)
    )


@dataclass(frozen=True, kw_only=True)
class _Found:
    on: Ground
    hot: Hot
    params: dict[str, object]

    @property
    def both(self) -> int:
        return int((self.hot.mask & self.on.mask).sum())

    @property
    def most(self) -> int:
        return min(self.hot.area, self.on.mask_area)


def _found(
    card: MeasureCard,
    map: Array,
    mask: Array,
    field: Array | None,
    threshold: Threshold,
) -> _Found | Score:
    on, params = ground(map, mask, field), threshold.params()
    if on.problem not in (None, "constant_map"):
        return card.none(on.problem, params=params)
    return _Found(on=on, hot=activated(on, threshold), params=params)


def _threshold(rule: Rule, settings: ThresholdKeywords) -> Threshold:
    if rule == "topk_area":
        raise ValueError("rule must not be topk_area here: what is activated depends on no region")
    return Threshold(rule=rule, **settings)
