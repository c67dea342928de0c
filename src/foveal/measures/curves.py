"""Deletion and insertion curves: what the score does as patches of the field go and come."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict, Unpack

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from foveal.core import Score
from foveal.explainers.request import MAX_BATCH
from foveal.measures.base import Array, Ground, MeasureCard, ground, ranked, tie_fraction
from foveal.measures.perturbation import (
    Baseline,
    Scale,
    ScoreOf,
    Subject,
    make_subject,
)

FRACTIONS = (0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1)
"""Shares of the field removed, or inserted. Lesions cover about 1 %: even steps would hide them."""
EARLY = 0.2
_PATCHES_PER_SIDE = 32
_SMALLEST_RANGE = 0.05
"""Below this change of the score between image and baseline, normalising it is meaningless."""

_CURVE = "forward passes: 12 each for deletion and insertion, and 2 for image and baseline"
_REFERENCE = "Petsiuk et al. 2018, RISE, section 4.1; patches and field as in this project's docs"
_MISSING = "the map is constant or has nothing positive in the field"

DELETION_AUC = MeasureCard(
    name="deletion_auc",
    question="How fast does the score fall when the most relevant patches are removed?",
    direction="lower",
    range=(-np.inf, np.inf),
    needs=("scores",),
    chance="the mean over random orders of the same patches",
    missing=_MISSING,
    cost=_CURVE,
    reference=_REFERENCE,
)
INSERTION_AUC = MeasureCard(
    name="insertion_auc",
    question="How fast does the score rise when the most relevant patches are put back?",
    direction="higher",
    range=(-np.inf, np.inf),
    needs=("scores",),
    chance="the mean over random orders of the same patches",
    missing=_MISSING,
    cost=_CURVE,
    reference=_REFERENCE,
)
EARLY_AUC = MeasureCard(
    name="early_auc",
    question="How far has the score fallen while the first fifth of the field is removed?",
    direction="lower",
    range=(-np.inf, np.inf),
    needs=("scores",),
    chance="the mean over random orders of the same patches",
    missing=_MISSING,
    cost="none beside deletion",
    reference=_REFERENCE,
)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Scores over the share of the field that is removed, or inserted."""

    fractions: tuple[float, ...]
    """True shares, as whole patches reach them."""
    scores: tuple[float, ...]
    raw: tuple[float, ...]
    """The scores as they came; the same numbers unless they came as log-odds."""

    def area(self, until: float = 1.0) -> float:
        """Area under the curve by the trapezoid rule, divided by the width of its range."""
        return _area(self.fractions, self.scores, until)


@dataclass(frozen=True, kw_only=True)
class RemovalCurves:
    """Deletion and insertion of one order of patches."""

    deletion: Curve
    insertion: Curve
    patches: int
    patch_px: int
    tie_fraction: float
    """Share of patches whose relevance equals another's."""


class CurveKeywords(TypedDict, total=False):
    """The settings of curves, by keyword."""

    baseline: Baseline
    patch_px: int | None
    fractions: tuple[float, ...]
    scale: Scale
    seed: int
    max_batch: int


@dataclass(frozen=True, kw_only=True)
class CurveSettings:
    """How curves are made; part of every number's name.

    Raises:
        ValueError: A patch below one pixel, or fractions that are not in [0, 1].
    """

    baseline: Baseline = "blur"
    """What replaces a patch: a number, an image, `blur`, `black` or `field-mean`."""
    patch_px: int | None = None
    """Side of a patch; the image's larger side / 32 by default."""
    fractions: tuple[float, ...] = FRACTIONS
    """Shares of the field after which the score is asked for; 0 and 1 always are."""
    scale: Scale = "given"
    seed: int = 0
    max_batch: int = MAX_BATCH

    def __post_init__(self) -> None:
        if self.patch_px is not None and self.patch_px < 1:
            raise ValueError(f"patch_px must be at least 1, but is {self.patch_px}")
        if not all(0 <= fraction <= 1 for fraction in self.fractions):
            raise ValueError(f"fractions must be in [0, 1], but are {self.fractions}")


def removal_curves(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    subject: Subject | None = None,
    **settings: Unpack[CurveKeywords],
) -> RemovalCurves | str:
    """Both curves in the map's own order of patches, or the reason why there are none.

    Patches are ranked by the mean of the map's positive values over their pixels in the field, so
    that a coarse map and a fine one are judged alike; only pixels of the field are replaced.
    `subject` is the image under perturbation, where it was made before for these settings.
    """
    chosen = CurveSettings(**settings)
    on = ground(map, None, field, needs_mask=False)
    if on.problem is not None:
        return on.problem
    grid = _Patches.over(on, chosen.patch_px)
    relevance = grid.mean(on.positive)
    order = ranked(relevance, grid.mean(on.map), chosen.seed)
    asked = subject or _subject(score, image, on, chosen)
    return _curves(asked, grid, order, chosen.fractions, tie_fraction(relevance))


def random_curves(
    score: ScoreOf,
    image: Array,
    *,
    field: Shaped[Array, "row column"] | None = None,
    orders: int = 10,
    subject: Subject | None = None,
    **settings: Unpack[CurveKeywords],
) -> list[RemovalCurves]:
    """The same curves for random orders of the patches: what a map without information reaches.

    They depend on no map, so one call serves every explanation of an image.
    """
    chosen = CurveSettings(**settings)
    on = ground(np.zeros(tuple(image.shape[1:])), None, field, needs_mask=False)
    grid = _Patches.over(on, chosen.patch_px)
    asked = subject or _subject(score, image, on, chosen)
    random = np.random.default_rng(chosen.seed)
    shuffled = [random.permutation(grid.count) for _ in range(orders)]
    return [_curves(asked, grid, order, chosen.fractions, 0.0) for order in shuffled]


def deletion_auc(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    curves: RemovalCurves | str | None = None,
    null: Sequence[RemovalCurves] = (),
    **settings: Unpack[CurveKeywords],
) -> Score:
    """Area under the score as patches are removed, the most relevant first.

    Args:
        score: From images in display units (probe, channel, row, column) to one number a probe,
            the target fixed beforehand. It is given tensors or arrays, as `image` is one.
        image: The prepared image (channel, row, column) in display units.
        map: Signed values on the image's grid.
        field: The field of view; the whole image by default.
        curves: The curves, where `removal_curves` made them before.
        null: Curves of random orders, from `random_curves`.
        **settings: Those of `CurveSettings`: `baseline`, `patch_px`, `fractions`, `scale`, `seed`,
            `max_batch`.

    Returns:
        The area, in the units of the score, [0, 1] for probabilities; lower is better. Chance is
        the mean over random orders, where they are given. `parts` holds the curve and the
        area normalised between the scores of image and baseline, (S - S_b) / (S_0 - S_b), which
        is left out (`no_score_range`) where these differ by less than 0.05. Missing where the map
        gives no order.

    Raises:
        ValueError: Shapes that differ, an image not in display units, or a score of another shape.

    Reference:
        Petsiuk et al. 2018, RISE, section 4.1.
    """
    made = curves or removal_curves(score, image, map, field=field, **settings)
    return _auc(DELETION_AUC, made, "deletion", null, CurveSettings(**settings))


def insertion_auc(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    curves: RemovalCurves | str | None = None,
    null: Sequence[RemovalCurves] = (),
    **settings: Unpack[CurveKeywords],
) -> Score:
    """Area under the score as patches are put back onto the baseline, the most relevant first.

    Arguments, errors and reference as for `deletion_auc`; higher is better. The fractions
    inserted are resolved as finely as the fractions removed there.

    Returns:
        The area, in the units of the score.
    """
    made = curves or removal_curves(score, image, map, field=field, **settings)
    return _auc(INSERTION_AUC, made, "insertion", null, CurveSettings(**settings))


def early_auc(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    curves: RemovalCurves | str | None = None,
    null: Sequence[RemovalCurves] = (),
    **settings: Unpack[CurveKeywords],
) -> Score:
    """Mean score while the first 20 % of the field are removed, the most relevant first.

    Arguments, errors and reference as for `deletion_auc`; lower is better. Small lesions act
    here, before the image is gone.

    Returns:
        The area up to 20 % divided by 0.2, in the units of the score.
    """
    made = curves or removal_curves(score, image, map, field=field, **settings)
    return _auc(EARLY_AUC, made, "deletion", null, CurveSettings(**settings), until=EARLY)


@dataclass(frozen=True, kw_only=True)
class _Patches:
    """The field cut into squares, aligned to the image's corner; only its own pixels count."""

    number: Int[np.ndarray, "row column"]
    """Patch of each pixel; -1 outside the field."""
    sizes: Int[np.ndarray, " patch"]
    side: int

    @classmethod
    def over(cls, on: Ground, side: int | None) -> "_Patches":
        rows, columns = on.map.shape
        side = max(1, round(max(rows, columns) / _PATCHES_PER_SIDE)) if side is None else side
        across = -(-columns // side)
        square = (np.arange(rows)[:, None] // side) * across + np.arange(columns) // side
        used, compact = np.unique(square[on.field], return_inverse=True)
        number = np.full(on.map.shape, -1)
        number[on.field] = compact
        return cls(number=number, sizes=np.bincount(compact, minlength=len(used)), side=side)

    @property
    def count(self) -> int:
        return len(self.sizes)

    def mean(self, values: Float[np.ndarray, "row column"]) -> Float[np.ndarray, " patch"]:
        inside = self.number >= 0
        total = np.bincount(self.number[inside], values[inside], minlength=self.count)
        return total / self.sizes

    def pixels(self, patches: Int[np.ndarray, " chosen"]) -> Bool[np.ndarray, "row column"]:
        chosen = np.zeros(self.count + 1, bool)  # the last entry stands for outside, number -1
        chosen[patches] = True
        return chosen[self.number]


def _subject(score: ScoreOf, image: Array, on: Ground, settings: CurveSettings) -> Subject:
    return make_subject(
        score,
        image,
        on.field,
        baseline=settings.baseline,
        scale=settings.scale,
        max_batch=settings.max_batch,
    )


def _curves(
    asked: Subject,
    grid: _Patches,
    order: Int[np.ndarray, " patch"],
    fractions: Sequence[float],
    tied: float,
) -> RemovalCurves:
    """All passes of both curves: the end points are shared, since both curves use one baseline."""
    counts = sorted({round(fraction * grid.count) for fraction in fractions} | {0, grid.count})
    inner = counts[1:-1]

    def masks() -> Iterator[Tensor]:
        yield asked.mask(grid.pixels(order[:0]))
        yield asked.mask(grid.pixels(order))
        for count in inner:
            yield asked.mask(grid.pixels(order[:count]))
        for count in inner:
            yield asked.mask(grid.pixels(order[count:]))

    whole, bare, *rest = asked.scores(masks())
    area = np.concatenate([[0], np.cumsum(grid.sizes[order])]) / grid.sizes.sum()
    shares = tuple(float(area[count]) for count in counts)
    return RemovalCurves(
        deletion=_curve(asked, shares, [whole, *rest[: len(inner)], bare]),
        insertion=_curve(asked, shares, [bare, *rest[len(inner) :], whole]),
        patches=grid.count,
        patch_px=grid.side,
        tie_fraction=tied,
    )


def _curve(asked: Subject, shares: tuple[float, ...], raw: Sequence[float]) -> Curve:
    return Curve(fractions=shares, scores=tuple(map(asked.value, raw)), raw=tuple(raw))


def _auc(
    card: MeasureCard,
    curves: RemovalCurves | str,
    which: str,
    null: Sequence[RemovalCurves],
    settings: CurveSettings,
    until: float = 1.0,
) -> Score:
    baseline = settings.baseline if isinstance(settings.baseline, str | int | float) else "given"
    params = {"baseline": baseline, "scale": settings.scale, "seed": settings.seed}
    if isinstance(curves, str):
        return card.none(curves, params=params)
    curve: Curve = getattr(curves, which)
    random: list[Curve] = [getattr(made, which) for made in null]
    areas = tuple(other.area(until) for other in random)
    normalised, why = _normalised(curves, curve.area(until))
    parts: dict[str, object] = {
        "fractions": curve.fractions,
        "scores": curve.scores,
        "null_scores": [
            np.interp(curve.fractions, other.fractions, other.scores).tolist() for other in random
        ],
        "tie_fraction": curves.tie_fraction,
        "normalised": normalised,
        "normalised_reason": why,
    }
    if settings.scale == "log-odds":
        parts["log_odds"] = curve.raw
        parts["log_odds_auc"] = _area(curve.fractions, curve.raw, until)
    return card.score(
        curve.area(until),
        chance=float(np.mean(areas)) if areas else None,
        null=areas or None,
        params=params | {"patch_px": curves.patch_px, "patches": curves.patches},
        parts=parts,
        range=(-np.inf, np.inf) if settings.scale == "given" else (0, 1),
    )


def _normalised(curves: RemovalCurves, area: float) -> tuple[float | None, str | None]:
    """The area with the baseline's score as 0 and the image's as 1."""
    whole, bare = curves.deletion.scores[0], curves.deletion.scores[-1]
    if abs(whole - bare) < _SMALLEST_RANGE:
        return None, "no_score_range"
    return (area - bare) / (whole - bare), None


def _area(fractions: Sequence[float], scores: Sequence[float], until: float) -> float:
    at = np.asarray(fractions)
    inside = at < until
    cut = np.append(at[inside], until)
    values = np.append(np.asarray(scores)[inside], np.interp(until, at, scores))
    return float(np.trapezoid(values, cut) / until)
