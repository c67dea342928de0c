"""Lesion by lesion: how many does the map find, and how much does it find where none is?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypedDict, Unpack

import numpy as np
from jaxtyping import Bool, Int, Shaped
from scipy.ndimage import label

from foveal.core import Score
from foveal.measures.base import Array, Ground, MeasureCard, ground
from foveal.measures.thresholds import Hot, Mode, Rule, Threshold, activated
from foveal.measures.tolerance import Pair, Tolerance, tolerance_of
from foveal.measures.turning import DRAWS, turns

CORNERS = np.ones((3, 3), bool)
"""Pixels that touch at a corner belong together."""

LESION_HIT_RATE = MeasureCard(
    name="lesion_hit_rate",
    question="How many of the lesions hold an activated pixel?",
    direction="higher",
    range=(0, 1),
    needs=("mask",),
    chance="the mean over the same lesions turned at random about the field's centre",
    missing="there is no lesion, or the map is constant",
    cost="none",
    reference="lesion-level sensitivity, as in FROC; read beside false_highlight_rate",
)
FALSE_HIGHLIGHT_RATE = MeasureCard(
    name="false_highlight_rate",
    question="How many of the map's highlighted spots touch no lesion?",
    direction="lower",
    range=(0, 1),
    needs=("mask",),
    chance="the mean over the same spots turned at random about the field's centre",
    missing="there is no lesion, or no spot is highlighted, or the map is constant",
    cost="none",
    reference="share of false findings, as in FROC",
)


class HitKeywords(TypedDict, total=False):
    """The settings of both functions, by keyword."""

    rule: Rule
    quantile: float
    fraction: float
    k: float
    mode: Mode
    seed: int
    tolerance_px: float | None
    tolerance_um: float | Pair | None
    spacing_um: Pair | None
    draws: int


@dataclass(frozen=True, kw_only=True)
class HitSettings:
    """What counts as highlighted, and how near; part of every number's name.

    Raises:
        ValueError: A setting of `Threshold` out of range.
    """

    rule: Rule = "quantile"
    """Which pixels are activated, see `Threshold`; of them the positive ones."""
    quantile: float = 0.1
    fraction: float = 0.5
    k: float = 2.0
    mode: Mode = "histogram"
    seed: int = 0
    tolerance_px: float | None = None
    """1.5 % of the field's diameter by default, as for `pointing_game`."""
    tolerance_um: float | Pair | None = None
    spacing_um: Pair | None = None
    draws: int = DRAWS
    """Random turns behind the null."""

    @property
    def threshold(self) -> Threshold:
        """The rule for the activated pixels."""
        return Threshold(
            rule=self.rule,
            quantile=self.quantile,
            fraction=self.fraction,
            k=self.k,
            mode=self.mode,
            seed=self.seed,
        )

    def tolerance(self, field: Bool[np.ndarray, "row column"]) -> Tolerance:
        """How near counts on this field."""
        return tolerance_of(
            field,
            tolerance_px=self.tolerance_px,
            tolerance_um=self.tolerance_um,
            spacing_um=self.spacing_um,
        )


def lesion_hit_rate(
    map: Shaped[Array, "row column"],
    mask: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    **settings: Unpack[HitKeywords],
) -> Score:
    """Share of the lesions that are highlighted: an activated pixel within the tolerance.

    A lesion is a connected part of the mask, corners included. A map that lights up everything
    finds every lesion: read it beside `false_highlight_rate`.

    Args:
        map: Signed values.
        mask: Lesions, of one type or of all.
        field: The field of view; the whole image by default.
        **settings: Those of `HitSettings`: `rule`, `quantile`, `fraction`, `k`, `mode`, `seed`,
            `tolerance_px`, `tolerance_um`, `spacing_um`, `draws`.

    Returns:
        A share in [0, 1]; higher is better, 0 for a map without evidence. `parts` says how many
        `lesions` there are, how many `hits`, whether `any_hit`, and the median diameter of a
        circle of a lesion's area (`median_diameter_px`, on the map's `grid`). Chance is the mean
        of the null: the lesions turned at random against the same map. Missing (`empty_mask`,
        `constant_map`, `nan_map`) without a lesion, or where ranking a constant map means nothing.

    Raises:
        ValueError: Shapes that differ, masks that are not binary, or a setting out of range.
    """
    found = _spots(LESION_HIT_RATE, ground(map, mask, field), HitSettings(**settings))
    if isinstance(found, Score):
        return found
    parts = _Parts.of(found.on.mask)
    near = found.tolerance.near(found.hot.mask)
    null = tuple(found.turned(parts, near))
    hits = int(parts.touching(near).sum())
    return LESION_HIT_RATE.score(
        hits / parts.count,
        chance=float(np.mean(null)) if null else None,
        ceiling=1,
        null=null or None,
        params={**found.params, "grid": list(found.on.mask.shape)},
        parts={
            "lesions": parts.count,
            "hits": hits,
            "any_hit": hits > 0,
            "median_diameter_px": parts.median_diameter,
            **found.hot.parts(),
        },
    )


def false_highlight_rate(
    map: Shaped[Array, "row column"],
    mask: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    **settings: Unpack[HitKeywords],
) -> Score:
    """Share of the highlighted spots that lie within the tolerance of no lesion.

    A spot is a connected part of the activated pixels, corners included. Give all lesions
    together: a spot on a haemorrhage is no false finding because it touches no microaneurysm.

    Args:
        map: Signed values.
        mask: All lesions.
        field: The field of view; the whole image by default.
        **settings: Those of `lesion_hit_rate`.

    Returns:
        A share in [0, 1]; lower is better. `parts` says how many `spots` there are and how many
        are `false_spots`. Chance is the mean of the null: the spots turned at random. Missing
        (`empty_mask`, `zero_map`, `constant_map`, `nan_map`) without a lesion or a spot.

    Raises:
        ValueError: Shapes that differ, masks that are not binary, or a setting out of range.
    """
    found = _spots(FALSE_HIGHLIGHT_RATE, ground(map, mask, field), HitSettings(**settings))
    if isinstance(found, Score):
        return found
    if not found.hot.area:
        return FALSE_HIGHLIGHT_RATE.none("zero_map", params=found.params)
    parts = _Parts.of(found.hot.mask)
    near = found.tolerance.near(found.on.mask)
    null = tuple(1 - share for share in found.turned(parts, near))
    alone = parts.count - int(parts.touching(near).sum())
    return FALSE_HIGHLIGHT_RATE.score(
        alone / parts.count,
        chance=float(np.mean(null)) if null else None,
        ceiling=0,
        null=null or None,
        params=found.params,
        parts={"spots": parts.count, "false_spots": alone, **found.hot.parts()},
    )


def spots(mask: Bool[np.ndarray, "row column"]) -> int:
    """How many connected parts a mask has, corners included."""
    return _Parts.of(mask).count


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """The connected parts of a mask, as pixels and whose they are."""

    points: Int[np.ndarray, "point 2"]
    owner: Int[np.ndarray, " point"]
    count: int

    @classmethod
    def of(cls, mask: Bool[np.ndarray, "row column"]) -> "_Parts":
        numbered = np.zeros(mask.shape, np.int32)
        label(mask, structure=CORNERS, output=numbered)
        points = np.argwhere(mask)
        owner = numbered[tuple(points.T)] - 1
        return cls(points=points, owner=owner, count=int(numbered.max()))

    @property
    def median_diameter(self) -> float:
        """Of circles of the parts' areas, in pixels."""
        areas = np.bincount(self.owner, minlength=self.count)
        return float(np.median(2 * np.sqrt(areas / np.pi)))

    def touching(self, mask: Bool[np.ndarray, "row column"]) -> Bool[np.ndarray, " part"]:
        return self.seen(mask[tuple(self.points.T)])

    def seen(self, chosen: Bool[np.ndarray, " point"]) -> Bool[np.ndarray, " part"]:
        """The parts with a chosen pixel."""
        return np.bincount(self.owner[chosen], minlength=self.count) > 0


@dataclass(frozen=True, kw_only=True)
class _Spots:
    on: Ground
    hot: Hot
    tolerance: Tolerance
    settings: HitSettings
    params: dict[str, object]

    def turned(self, parts: _Parts, near: Bool[np.ndarray, "row column"]) -> Iterator[float]:
        """The share of parts that touch after each turn, of those that are still in the field."""
        chosen = self.settings
        for at, kept in turns(parts.points, self.on.field, draws=chosen.draws, seed=chosen.seed):
            there = parts.seen(kept)
            if there.any():
                yield float(parts.seen(kept & near[tuple(at.T)]).sum() / there.sum())


def _spots(card: MeasureCard, on: Ground, settings: HitSettings) -> _Spots | Score:
    threshold, tolerance = settings.threshold, settings.tolerance(on.field)
    params = {**threshold.params(), **tolerance.params(), "draws": settings.draws}
    if on.problem in ("nan_map", "empty_mask"):
        return card.none(on.problem, params=params)
    if on.problem == "constant_map" and threshold.ranked:
        return card.none("constant_map", params=params)
    hot = activated(on, threshold)
    return _Spots(on=on, hot=hot, tolerance=tolerance, settings=settings, params=params)
