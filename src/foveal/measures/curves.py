"""Removal curves: what the score does as patches of the field go and come."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict, TypeVar, Unpack

import numpy as np
from jaxtyping import Bool, Int, Shaped

from foveal.explainers.request import MAX_BATCH
from foveal.measures.base import Array, ground, ranked, tie_fraction
from foveal.measures.baselines import RISE_BLUR, Baseline
from foveal.measures.patches import Patches
from foveal.measures.perturbation import Scale, ScoreOf, Subject, make_subject

FRACTIONS = (0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1)
"""Shares of the field removed, or inserted. Lesions cover about 1 %: even steps would hide them."""
Preset = Literal["source", "rise"]
PRESETS: Mapping[Preset, "CurveKeywords"] = {
    "source": {"fractions": tuple(step / 20 for step in range(21))},
    "rise": {
        "fractions": tuple(step / 224 for step in range(225)),
        "patch_px": 1,
        "baseline": "black",
    },
}
"""Settings of others, for comparison with published numbers: even steps of 5 %, and those of RISE
(Petsiuk et al. 2018: single pixels, deletion to black; insertion starts from a blur)."""
RISE_INSERTION: "CurveKeywords" = {"baseline": RISE_BLUR}

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Scores over the share of the field that is removed, or inserted."""

    fractions: tuple[float, ...]
    """True shares, as whole patches reach them."""
    scores: tuple[float, ...]
    raw: tuple[float, ...]
    """The scores as they came; the same numbers unless they came as log-odds."""

    def area(self, until: float = 1.0, *, raw: bool = False) -> float:
        """Area under the curve by the trapezoid rule, divided by the width of its range."""
        at, scores = np.asarray(self.fractions), self.raw if raw else self.scores
        inside = at < until
        cut = np.append(at[inside], until)
        values = np.append(np.asarray(scores)[inside], np.interp(until, at, scores))
        return float(np.trapezoid(values, cut) / until)

    @property
    def reversed(self) -> "Curve":
        """Insertion of an order, as deletion of the reverse one; or the other way round."""
        return Curve(
            fractions=tuple(1 - fraction for fraction in self.fractions[::-1]),
            scores=self.scores[::-1],
            raw=self.raw[::-1],
        )


@dataclass(frozen=True, kw_only=True)
class RemovalCurves:
    """Deletion and insertion of one order of patches."""

    deletion: Curve
    """The most relevant removed first."""
    insertion: Curve
    patches: int
    patch_px: int
    tie_fraction: float
    """Share of patches whose relevance equals another's."""

    @property
    def least_first(self) -> Curve:
        """Deletion with the least relevant removed first: insertion, read backwards."""
        return self.insertion.reversed


class CurveKeywords(TypedDict, total=False):
    """The settings of curves, by keyword."""

    baseline: Baseline
    patch_px: int | None
    fractions: tuple[float, ...]
    feather_px: float
    scale: Scale
    seed: int
    max_batch: int


@dataclass(frozen=True, kw_only=True)
class CurveSettings:
    """How curves are made; part of every number's name.

    Raises:
        ValueError: A patch below one pixel, an edge of negative width, or fractions that are not
            in [0, 1].
    """

    baseline: Baseline = "blur"
    """What replaces a patch: `blur`, `linear` or `annulus`; `black`, `field-mean`, a number or an
    image. For sections by OCT you may choose `section-blur` in place of `blur`; nothing does so by
    itself."""
    patch_px: int | None = None
    """Side of a patch; the image's larger side / 32 by default."""
    fractions: tuple[float, ...] = FRACTIONS
    """Shares of the field after which the score is asked for; 0 and 1 always are."""
    feather_px: float = 0.0
    """Width over which the edges of patches fade."""
    scale: Scale = "given"
    seed: int = 0
    max_batch: int = MAX_BATCH

    def __post_init__(self) -> None:
        if self.patch_px is not None and self.patch_px < 1:
            raise ValueError(f"patch_px must be at least 1, but is {self.patch_px}")
        if not all(0 <= fraction <= 1 for fraction in self.fractions):
            raise ValueError(f"fractions must be in [0, 1], but are {self.fractions}")
        if self.feather_px < 0:
            raise ValueError(f"feather_px must not be negative, but is {self.feather_px}")

    @property
    def params(self) -> dict[str, object]:
        """What a number made with them depends on."""
        named = isinstance(self.baseline, str | int | float)
        return {
            "baseline": self.baseline if named else "given",
            "feather_px": self.feather_px,
            "scale": self.scale,
            "seed": self.seed,
        }

    def subject(self, score: ScoreOf, image: Array, field: Bool[np.ndarray, "..."]) -> Subject:
        """The image under perturbation, for these settings."""
        return make_subject(
            score,
            image,
            field,
            baseline=self.baseline,
            scale=self.scale,
            max_batch=self.max_batch,
            patch_px=self.patch_px,
            feather_px=self.feather_px,
            seed=self.seed,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Order:
    """Patches from the most to the least relevant."""

    patches: Int[np.ndarray, " patch"]
    tie_fraction: float = 0.0


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
    made = removal_curves_of(score, image, {"": map}, field=field, subject=subject, **settings)
    return made[""]


def removal_curves_of(
    score: ScoreOf,
    image: Array,
    maps: Mapping[Key, Shaped[Array, "row column"]],
    *,
    field: Shaped[Array, "row column"] | None = None,
    subject: Subject | None = None,
    **settings: Unpack[CurveKeywords],
) -> dict[Key, RemovalCurves | str]:
    """The curves of several maps of one image, as `removal_curves` gives them one by one.

    They share their batches, and the scores of the image and of the baseline.
    """
    chosen = CurveSettings(**settings)
    grounds = {key: ground(map, None, field, needs_mask=False) for key, map in maps.items()}
    sound = {key: on for key, on in grounds.items() if on.problem is None}
    made: dict[Key, RemovalCurves | str] = {k: str(on.problem) for k, on in grounds.items()}
    if sound:
        inside = next(iter(sound.values())).field
        patches = Patches.over(inside, chosen.patch_px)
        orders = []
        for on in sound.values():
            relevance = patches.mean(on.positive)
            order = ranked(relevance, patches.mean(on.map), chosen.seed)
            orders.append(Order(patches=order, tie_fraction=tie_fraction(relevance)))
        asked = subject or chosen.subject(score, image, inside)
        curves = curves_of_orders(asked, patches, orders, chosen.fractions)
        made |= dict(zip(sound, curves, strict=True))
    return made


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
    patches = Patches.over(on.field, chosen.patch_px)
    asked = subject or chosen.subject(score, image, on.field)
    drawn = random_orders(patches, orders, chosen.seed)
    return curves_of_orders(asked, patches, drawn, chosen.fractions)


def random_orders(patches: Patches, count: int, seed: int) -> list[Order]:
    """Orders that know nothing of the image."""
    random = np.random.default_rng(seed)
    return [Order(patches=random.permutation(patches.count)) for _ in range(count)]


def curves_of_orders(
    asked: Subject, patches: Patches, orders: Sequence[Order], fractions: Sequence[float]
) -> list[RemovalCurves]:
    """All passes of all orders in one stream.

    Both curves use one baseline, so that their ends are the same two numbers for every order.
    """
    counts = sorted({round(fraction * patches.count) for fraction in fractions})
    inner = [count for count in counts if 0 < count < patches.count]

    def removed() -> Iterator[Bool[np.ndarray, "row column"]]:
        for order in orders:
            for count in inner:
                yield patches.pixels(order.patches[:count])
            for count in inner:
                yield patches.pixels(order.patches[count:])

    if not orders:
        return []
    raw = np.reshape(asked.scores_between_ends(removed()), (len(orders), 2, len(inner)))
    ends = asked.whole, asked.bare
    return [
        _both(asked, patches, order, [0, *inner, patches.count], ends, own)
        for order, own in zip(orders, raw, strict=True)
    ]


def _both(
    asked: Subject,
    patches: Patches,
    order: Order,
    counts: Sequence[int],
    ends: tuple[float, float],
    raw: Shaped[np.ndarray, "2 inner"],
) -> RemovalCurves:
    whole, bare = ends
    area = np.concatenate([[0], np.cumsum(patches.sizes[order.patches])]) / patches.sizes.sum()
    shares = tuple(float(area[count]) for count in counts)
    deleted, inserted = raw.tolist()
    return RemovalCurves(
        deletion=_curve(asked, shares, [whole, *deleted, bare]),
        insertion=_curve(asked, shares, [bare, *inserted, whole]),
        patches=patches.count,
        patch_px=patches.side,
        tie_fraction=order.tie_fraction,
    )


def _curve(asked: Subject, shares: tuple[float, ...], raw: Sequence[float]) -> Curve:
    return Curve(fractions=shares, scores=tuple(map(asked.value, raw)), raw=tuple(raw))
