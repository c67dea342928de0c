"""How much does the score fall when the highlighted region is taken away, against chance?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypedDict, Unpack

import numpy as np
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from foveal.core import Score
from foveal.explainers.request import MAX_BATCH
from foveal.measures.base import Array, MeasureCard, ground, top
from foveal.measures.baselines import Baseline
from foveal.measures.moved import faded, moved_regions, signed_distance
from foveal.measures.perturbation import Scale, ScoreOf, Subject, make_subject

_SMALLEST_SCORE = 1e-6
_TIED = 1e-6
"""Drops that differ by less than this share of the score are equal: float32 resolves no more."""

MASKED_ROI_DROP = MeasureCard(
    name="masked_roi_drop",
    question="How far does the score fall when the map's strongest region is taken away?",
    direction="higher",
    range=(-np.inf, np.inf),
    needs=("scores",),
    chance="the mean drop under the same region moved at random inside the field",
    missing="the map is constant or nothing in the field is positive, or the mask is empty or full",
    cost="1 F, and 20 F for the random regions, shared with excess_drop; the image's own F once",
    reference="occlusion drop, with a control of equal area and shape",
)
EXCESS_DROP = MeasureCard(
    name="excess_drop",
    question="Does taking away the map's strongest region hurt more than any region like it?",
    direction="higher",
    range=(-np.inf, np.inf),
    needs=("scores",),
    chance="0",
    missing="the map is constant or nothing in the field is positive, or the mask is empty or full",
    cost="none beside masked_roi_drop",
    reference="drop minus the mean drop of area- and shape-matched random regions",
)


class DropKeywords(TypedDict, total=False):
    """The settings of drops, by keyword."""

    area: float
    baseline: Baseline
    feather_px: float
    random: int
    scale: Scale
    either_way: bool
    seed: int
    max_batch: int


@dataclass(frozen=True, kw_only=True)
class DropSettings:
    """How drops are made; part of every number's name.

    Raises:
        ValueError: An area outside (0, 1], or a negative number of random regions.
    """

    area: float = 0.05
    """Share of the field that is taken away, where no mask sets the size."""
    baseline: Baseline = "blur"
    feather_px: float = 0.0
    """Width over which the edge of the region fades; the area stays what it is."""
    random: int = 20
    """Random regions for the control."""
    scale: Scale = "given"
    either_way: bool = False
    """Whether a rise counts as a fall does: the value of a regression may move either way."""
    seed: int = 0
    max_batch: int = MAX_BATCH

    def __post_init__(self) -> None:
        if not 0 < self.area <= 1:
            raise ValueError(f"area must be in (0, 1], but is {self.area}")
        if self.random < 0:
            raise ValueError(f"random must not be negative, but is {self.random}")


@dataclass(frozen=True, kw_only=True)
class RoiDrops:
    """Scores of the image, of the image without the region, and without the moved regions."""

    whole: float
    masked: float
    moved: tuple[float, ...]
    raw_whole: float
    raw_masked: float
    raw_moved: tuple[float, ...]
    area: float
    """The region's share of the field."""
    removed: float
    """The share of the field that was taken away, its faded edge counted in part."""
    either_way: bool = False

    @property
    def drop(self) -> float:
        """By how much the score fell; by how much it changed, where either way counts."""
        return self._change(self.masked)

    @property
    def null(self) -> tuple[float, ...]:
        """The same for the moved regions."""
        return tuple(map(self._change, self.moved))

    def _change(self, score: float) -> float:
        fall = self.whole - score
        return abs(fall) if self.either_way else fall


def roi_drops(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    mask: Shaped[Array, "row column"] | None = None,
    field: Shaped[Array, "row column"] | None = None,
    subject: Subject | None = None,
    **settings: Unpack[DropKeywords],
) -> RoiDrops | str:
    """The passes behind both drops, or the reason why there are none.

    The region is exactly the top `area` of the field, or as many pixels as the mask has. The
    control moves it at random inside the field (rotation, reflection, translation), keeping its
    area and, as far as it fits, its shape, so that one blob is compared with blobs and scattered
    dots with dots, and away from the region itself, as far as there is room. `subject` is the image
    under perturbation, where it was made before.
    """
    chosen = DropSettings(**settings)
    on = ground(map, mask, field, needs_mask=mask is not None)
    if mask is not None and on.problem in (None, "constant_map") and on.mask_area == on.area:
        return "full_mask"
    if on.problem is not None:
        return on.problem
    count = on.mask_area if mask is not None else max(1, round(chosen.area * on.area))
    region = top(on, count, chosen.seed)
    asked = subject or make_subject(
        score,
        image,
        on.field,
        baseline=chosen.baseline,
        scale=chosen.scale,
        max_batch=chosen.max_batch,
        seed=chosen.seed,
    )
    depth = signed_distance(region)
    own = faded(depth, on.field, count, chosen.feather_px)
    whole = asked.whole
    masked, *moved = asked.scores(_masks(asked, own, depth, on.field, chosen))
    return RoiDrops(
        whole=asked.value(whole),
        masked=asked.value(masked),
        moved=tuple(asked.value(raw) for raw in moved),
        raw_whole=whole,
        raw_masked=masked,
        raw_moved=tuple(moved),
        area=count / on.area,
        removed=float(own.sum()) / on.area,
        either_way=chosen.either_way,
    )


def masked_roi_drop(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    mask: Shaped[Array, "row column"] | None = None,
    field: Shaped[Array, "row column"] | None = None,
    drops: RoiDrops | str | None = None,
    **settings: Unpack[DropKeywords],
) -> Score:
    """How far the score falls when the map's strongest region is replaced by the baseline.

    Args:
        score: From images in display units (probe, channel, row, column) to one number a probe,
            the target fixed beforehand. It is given tensors or arrays, as `image` is one.
        image: The prepared image (channel, row, column) in display units.
        map: Signed values on the image's grid.
        mask: Takes the region's size from a mask instead of `area`.
        field: The field of view; the whole image by default.
        drops: The passes, where `roi_drops` made them before.
        **settings: Those of `DropSettings`: `area` (0.05), `baseline`, `feather_px`, `random`
            (20 regions), `scale`, `either_way`, `seed`, `max_batch`.

    Returns:
        S(x) - S(x without the region), in the units of the score, [-1, 1] for probabilities;
        higher is better; with `either_way`, for the value of a regression, the size of that change,
        whose sign `parts["fall"]` keeps. Chance is the mean of `null`, the drops under the region
        moved at random. `parts` holds the drop relative to S(x)
        in percent (missing below 1e-6), for scores in log-odds the drop in log-odds, and the shares
        of the field that were asked for (`area`) and taken away (`removed`). Missing where there
        is no region, and `full_mask` where the mask fills the field, so that no other is like it.

    Raises:
        ValueError: Shapes that differ, an image not in display units, a setting out of range.
    """
    made = drops or roi_drops(score, image, map, mask=mask, field=field, **settings)
    chosen = DropSettings(**settings)
    params = _params(chosen)
    if isinstance(made, str):
        return MASKED_ROI_DROP.none(made, params=params)
    enough = abs(made.whole) >= _SMALLEST_SCORE
    parts: dict[str, object] = {
        "score": made.whole,
        "masked_score": made.masked,
        "relative_percent": 100 * made.drop / made.whole if enough else None,
        "relative_reason": None if enough else "no_score_range",
        "area": made.area,
        "removed": made.removed,
    }
    if chosen.either_way:
        parts["fall"] = made.whole - made.masked
    if chosen.scale == "log-odds":
        parts["log_odds"] = made.raw_whole - made.raw_masked
        parts["log_odds_null"] = [made.raw_whole - raw for raw in made.raw_moved]
    return MASKED_ROI_DROP.score(
        made.drop,
        chance=float(np.mean(made.null)) if made.null else None,
        null=made.null or None,
        params=params,
        parts=parts,
        range=_range(chosen),
    )


def excess_drop(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    mask: Shaped[Array, "row column"] | None = None,
    field: Shaped[Array, "row column"] | None = None,
    drops: RoiDrops | str | None = None,
    **settings: Unpack[DropKeywords],
) -> Score:
    """The drop of `masked_roi_drop` beyond the mean drop under the same region moved at random.

    Arguments and errors as for `masked_roi_drop`.

    Returns:
        Drop minus mean random drop, [-1, 1] for probabilities: the score of the whole image cancels
        out. Higher is better, chance is 0. `parts["percentile"]` is the share of random regions
        that hurt less (ties count half): from 0.95 on the region matters more than its like. It
        is no p-value: a region that means nothing reaches 0.95 more often than once in twenty,
        by how much docs/diagnosis.md says. More random regions make it finer. Missing where there
        is no region, `full_mask` where the mask fills the field, and `too_few` without random ones.
    """
    made = drops or roi_drops(score, image, map, mask=mask, field=field, **settings)
    chosen = DropSettings(**settings)
    params = _params(chosen)
    if isinstance(made, str):
        return EXCESS_DROP.none(made, params=params)
    if not made.null:
        return EXCESS_DROP.none("too_few", text="no random regions were asked for", params=params)
    null = np.asarray(made.null)
    tied = np.abs(null - made.drop) <= _TIED * abs(made.whole)
    below = float(((null < made.drop) & ~tied).mean() + 0.5 * tied.mean())
    return EXCESS_DROP.score(
        made.drop - float(null.mean()),
        chance=0,
        null=tuple((null - null.mean()).tolist()),
        params=params,
        parts={"drop": made.drop, "random_drop": float(null.mean()), "percentile": below},
        range=_range(chosen),
    )


def _masks(
    asked: Subject,
    own: Float[np.ndarray, "row column"],
    depth: Float[np.ndarray, "row column"],
    field: Bool[np.ndarray, "row column"],
    settings: DropSettings,
) -> Iterator[Tensor]:
    """The region, and its moved copies."""
    yield asked.mask(own)
    feather_px = settings.feather_px
    for moved in moved_regions(depth, field, settings.random, settings.seed, feather_px=feather_px):
        yield asked.mask(moved)


def _params(settings: DropSettings) -> dict[str, object]:
    baseline = settings.baseline if isinstance(settings.baseline, str | int | float) else "given"
    return {
        "area": settings.area,
        "baseline": baseline,
        "either_way": settings.either_way,
        "feather_px": settings.feather_px,
        "random": settings.random,
        "scale": settings.scale,
        "seed": settings.seed,
    }


def _range(settings: DropSettings) -> tuple[float, float]:
    return (-np.inf, np.inf) if settings.scale == "given" else (-1, 1)
