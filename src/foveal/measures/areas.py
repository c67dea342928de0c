"""Areas under removal curves: deletion, insertion, their early part, and AOPC."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal, Unpack

import numpy as np
from jaxtyping import Shaped

from foveal.core import Score
from foveal.measures.base import Array, MeasureCard
from foveal.measures.controls import Controls
from foveal.measures.curves import (
    PRESETS,
    RISE_INSERTION,
    Curve,
    CurveKeywords,
    CurveSettings,
    Preset,
    RemovalCurves,
    removal_curves,
)
from foveal.measures.perturbation import ScoreOf

EARLY = 0.2
_SMALLEST_RANGE = 0.05
"""Below this change of the score between image and baseline, normalising it is meaningless."""

_CURVE = "24 F for deletion and insertion together; image and baseline 2 F an image"
_SHARED = "none beside deletion and insertion"
_PETSIUK = "Petsiuk et al. 2018, RISE, section 4.1; patches and field as in this project's docs"
_SAMEK = "Samek et al. 2017, eq. 12; over uneven steps the integral of S(0) - S"
MISSING = "the map is constant or has nothing positive in the field"
CHANCE = "the mean over random orders of the same patches"

DELETION_AUC = MeasureCard(
    name="deletion_auc",
    question="How fast does the score fall when the most relevant patches are removed?",
    direction="lower",
    range=(-np.inf, np.inf),
    needs=("scores",),
    chance=CHANCE,
    missing=MISSING,
    cost=_CURVE,
    reference=_PETSIUK,
)
INSERTION_AUC = MeasureCard(
    name="insertion_auc",
    question="How fast does the score rise when the most relevant patches are put back?",
    direction="higher",
    range=(-np.inf, np.inf),
    needs=("scores",),
    chance=CHANCE,
    missing=MISSING,
    cost=_CURVE,
    reference=_PETSIUK,
)
EARLY_AUC = MeasureCard(
    name="early_auc",
    question="How far has the score fallen while the first fifth of the field is removed?",
    direction="lower",
    range=(-np.inf, np.inf),
    needs=("scores",),
    chance=CHANCE,
    missing=MISSING,
    cost=_SHARED,
    reference=_PETSIUK,
)
AOPC = MeasureCard(
    name="aopc",
    question="How far has the score fallen on average while the most relevant patches go first?",
    direction="higher",
    range=(-np.inf, np.inf),
    needs=("scores",),
    chance=CHANCE,
    missing=MISSING,
    cost=_SHARED,
    reference=_SAMEK,
)
DROP_AT_FRACTION = MeasureCard(
    name="drop_at_fraction",
    question="How far has the score fallen when the most relevant tenth of the field is gone?",
    direction="higher",
    range=(-np.inf, np.inf),
    needs=("scores",),
    chance=CHANCE,
    missing=MISSING,
    cost=_SHARED,
    reference="the deletion curve at one fraction; some texts call this sensitivity-n",
)


class AreaKeywords(CurveKeywords, total=False):
    """What all measures of curves take by keyword."""

    field: Shaped[Array, "row column"] | None
    curves: RemovalCurves | str | None
    null: Sequence[RemovalCurves]
    controls: Controls | None
    normalised: bool
    preset: Preset | None


def deletion_auc(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    **asked: Unpack[AreaKeywords],
) -> Score:
    """Area under the score as patches are removed, the most relevant first.

    Args:
        score: From images in display units (probe, channel, row, column) to one number a probe,
            the target fixed beforehand. It is given tensors or arrays, as `image` is one.
        image: The prepared image (channel, row, column) in display units.
        map: Signed values on the image's grid.
        **asked: `field`, the field of view, the whole image by default; `curves`, where
            `removal_curves` made them before; `null`, the curves of random orders from
            `random_curves`, or `controls`, which hold them beside other orders; `normalised`, for
            the area between the scores of baseline (0) and image (1); `preset`, `source` (steps of
            5 %) or `rise`; and what `CurveSettings` holds: `baseline`, `patch_px`, `fractions`,
            `feather_px`, `scale`, `seed`, `max_batch`.

    Returns:
        The area, in the units of the score, [0, 1] for probabilities; lower is better. Chance is
        the mean over random orders, where they are given. `parts` holds the curve, the scores of
        image and baseline, and the area normalised between them, (S - S_b) / (S_0 - S_b), which
        is left out (`no_score_range`) where these differ by less than 0.05; asked for as the value
        itself it is then missing. Missing where the map gives no order.

    Raises:
        ValueError: Shapes that differ, an image not in display units, or a score of another shape.

    Reference:
        Petsiuk et al. 2018, RISE, section 4.1.
    """
    return _Reading(DELETION_AUC, lambda made: made.deletion).score(score, image, map, asked)


def insertion_auc(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    **asked: Unpack[AreaKeywords],
) -> Score:
    """Area under the score as patches are put back onto the baseline, the most relevant first.

    Arguments, errors and reference as for `deletion_auc`; higher is better. The fractions
    inserted are resolved as finely as the fractions removed there.

    Returns:
        The area, in the units of the score.
    """
    if asked.get("preset") == "rise":
        asked = {**RISE_INSERTION, **asked}
    return _Reading(INSERTION_AUC, lambda made: made.insertion).score(score, image, map, asked)


def early_auc(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    **asked: Unpack[AreaKeywords],
) -> Score:
    """Mean score while the first 20 % of the field are removed, the most relevant first.

    Arguments, errors and reference as for `deletion_auc`; lower is better. Small lesions act
    here, before the image is gone.

    Returns:
        The area up to 20 % divided by 0.2, in the units of the score.
    """
    reading = _Reading(EARLY_AUC, lambda made: made.deletion, until=EARLY)
    return reading.score(score, image, map, asked)


def aopc(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    order: Literal["morf", "lerf"] = "morf",
    **asked: Unpack[AreaKeywords],
) -> Score:
    """Area over the perturbation curve: how far the score has fallen on average.

    Arguments and errors as for `deletion_auc`; `order` is `morf`, the most relevant first (higher
    is better), or `lerf`, the least relevant first (lower is better). Over even steps it is a
    linear function of the area under the same curve, so the two are one piece of evidence.

    Returns:
        The mean of S(0) - S(k) over all steps k = 0..L where these are even, as in the paper, else
        the integral of S(0) - S; `params["form"]` says which. [-1, 1] for probabilities. The form
        that sums S(k-1) - S(k) is not offered: it telescopes to (S(0) - S(L)) / (L + 1), whatever
        the map.

    Reference:
        Samek et al. 2017, Evaluating the Visualization of What a Deep Neural Network Has Learned,
        eq. 12.
    """
    if order not in ("morf", "lerf"):
        raise ValueError(f"order must be morf or lerf, but is {order!r}")
    first = order == "morf"
    reading = _Reading(
        AOPC,
        lambda made: made.deletion if first else made.least_first,
        number=_over,
        params={"order": order},
        direction="higher" if first else "lower",
    )
    return reading.score(score, image, map, asked)


def drop_at_fraction(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    fraction: float = 0.1,
    **asked: Unpack[AreaKeywords],
) -> Score:
    """How far the score has fallen when the most relevant share of the field is removed.

    Arguments and errors as for `deletion_auc`; higher is better. One point of that curve, between
    two steps on the line that joins them. `masked_roi_drop` takes single pixels away, this patches.

    Returns:
        S(0) - S(fraction), in the units of the score.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must be in (0, 1], but is {fraction}")
    asked = {**asked, "fractions": tuple(sorted({*settings_of(asked).fractions, fraction}))}

    def at(curve: Curve, scores: Sequence[float], patches: int) -> float:
        return scores[0] - float(np.interp(fraction, curve.fractions, scores))

    reading = _Reading(
        DROP_AT_FRACTION, lambda made: made.deletion, number=at, params={"fraction": fraction}
    )
    return reading.score(score, image, map, asked)


@dataclass(frozen=True)
class _Reading:
    """One way to turn a curve into a number."""

    card: MeasureCard
    curve: Callable[[RemovalCurves], Curve]
    number: Callable[[Curve, Sequence[float], int], float] | None = None
    """From a curve, its scores and the number of patches; the area by default."""
    until: float = 1.0
    params: Mapping[str, object] = field(default_factory=dict)
    direction: Literal["higher", "lower"] | None = None

    def score(
        self, score: ScoreOf, image: Array, map: Shaped[Array, "..."], asked: AreaKeywords
    ) -> Score:
        card = self.card
        if self.direction:
            card = MeasureCard(**{**card.__dict__, "direction": self.direction})
        settings = settings_of(asked)
        params = settings.params | dict(self.params)
        made = made_curves(score, image, map, asked)
        if isinstance(made, str):
            return card.none(made, params=params)
        params |= {"patch_px": made.patch_px, "patches": made.patches}
        params |= {"steps": len(self.curve(made).fractions) - 1}
        params |= {"normalised": True} if asked.get("normalised") else {}
        if self.number is _over:
            params["form"] = "steps" if _even(self.curve(made), made.patches) else "integral"
        controls = asked.get("controls") or Controls(random=tuple(asked.get("null", ())))
        value, normal = self._read(made), self._normalised(made)
        null = tuple(self._read(other) for other in controls.random)
        parts = self._parts(made, controls, normal, settings)
        if asked.get("normalised"):
            if normal is None:
                return card.none("no_score_range", params=params, parts=parts)
            value, null = normal, ()
        bounded = settings.scale != "given" and not asked.get("normalised")
        low = 0 if self.number is None else -1
        return card.score(
            value,
            chance=fmean(null) if null else None,
            null=null or None,
            params=params,
            parts=parts,
            range=(low, 1) if bounded else card.range,
        )

    def _read(self, made: RemovalCurves, *, raw: bool = False) -> float:
        curve = self.curve(made)
        if self.number is None:
            return curve.area(self.until, raw=raw)
        return self.number(curve, curve.raw if raw else curve.scores, made.patches)

    def _normalised(self, made: RemovalCurves) -> float | None:
        """With the baseline's score as 0 and the image's as 1."""
        whole, bare = ends(made)
        if not differ(whole, bare):
            return None
        return (self._read(made) - (bare if self.number is None else 0)) / (whole - bare)

    def _parts(
        self,
        made: RemovalCurves,
        controls: Controls,
        normal: float | None,
        settings: CurveSettings,
    ) -> dict[str, object]:
        whole, bare = ends(made)
        parts: dict[str, object] = {
            "image_score": whole,
            "baseline_score": bare,
            "tie_fraction": made.tie_fraction,
            "normalised": normal,
            "normalised_reason": "no_score_range" if normal is None else None,
            "controls": {name: self._read(other) for name, other in controls.fixed.items()},
        }
        curve = self.curve(made)
        if self.number is None:
            parts |= {
                "fractions": curve.fractions,
                "scores": curve.scores,
                "null_scores": [_at(curve, self.curve(other)) for other in controls.random],
                "control_scores": {
                    name: _at(curve, self.curve(other)) for name, other in controls.fixed.items()
                },
            }
        if settings.scale == "log-odds":
            parts["log_odds"] = curve.raw if self.number is None else self._read(made, raw=True)
            if self.number is None:
                parts["log_odds_auc"] = self._read(made, raw=True)
        return parts


def made_curves(
    score: ScoreOf, image: Array, map: Shaped[Array, "..."], asked: AreaKeywords
) -> RemovalCurves | str:
    """The curves that were handed in, or made now."""
    given = asked.get("curves")
    if given is not None:
        return given
    return removal_curves(score, image, map, field=asked.get("field"), **_curve_keywords(asked))


def settings_of(asked: AreaKeywords) -> CurveSettings:
    return CurveSettings(**_curve_keywords(asked))


def _curve_keywords(asked: AreaKeywords) -> CurveKeywords:
    """What makes the curves; a preset stands where nothing else is asked for."""
    preset = asked.get("preset")
    if preset is not None and preset not in PRESETS:
        raise ValueError(f"preset must be one of {tuple(PRESETS)}, but is {preset!r}")
    named = {key: asked[key] for key in CurveKeywords.__annotations__ if key in asked}
    return {**(PRESETS[preset] if preset else {}), **named}  # type: ignore[typeddict-item]


def _over(curve: Curve, scores: Sequence[float], patches: int) -> float:
    """Over the curve: Samek's mean over even steps, else the integral."""
    if _even(curve, patches):
        return scores[0] - fmean(scores)
    return scores[0] - float(np.trapezoid(scores, curve.fractions))


def _even(curve: Curve, patches: int) -> bool:
    """Whether the steps are even, as far as whole patches allow."""
    at = np.asarray(curve.fractions)
    return bool(np.abs(at - np.linspace(0, 1, len(at))).max() <= 1 / patches)


def ends(made: RemovalCurves) -> tuple[float, float]:
    """The scores of the image and of the baseline."""
    return made.deletion.scores[0], made.deletion.scores[-1]


def differ(whole: float, bare: float) -> bool:
    return abs(whole - bare) >= _SMALLEST_RANGE


def _at(curve: Curve, other: Curve) -> list[float]:
    """Another order's scores where this one's stand: its patches may be cut differently."""
    return np.interp(curve.fractions, other.fractions, other.scores).tolist()
