"""Is what the map highlights enough? The image kept only as far as the map is strong."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import Unpack

import numpy as np
from jaxtyping import Bool, Float, Shaped
from scipy.ndimage import distance_transform_edt

from foveal.core import Score
from foveal.measures.base import Array, MeasureCard, ground
from foveal.measures.curves import CurveKeywords, CurveSettings
from foveal.measures.perturbation import ScoreOf, Subject
from foveal.measures.turning import turns

_SMALLEST = 1e-6
_TIED = 1e-6
"""Scores that differ by less than this share are equal: float32 resolves no more."""
DRAWS = 10

_MISSING = "nothing in the field is positive"
_CHANCE = "the mean under the same map, turned about the field's centre at random"

AVERAGE_DROP = MeasureCard(
    name="average_drop",
    question="How much of the score is lost when only what the map highlights is kept?",
    direction="lower",
    range=(0, 100),
    needs=("scores",),
    chance=_CHANCE,
    missing=f"{_MISSING}, or the score is not above 0",
    cost="1 F, and 10 F for the turned maps; the image's own F once",
    reference="Chattopadhay et al. 2018, Grad-CAM++, average drop %, blended to the baseline",
)
PCT_INCREASE_CONFIDENCE = MeasureCard(
    name="pct_increase_confidence",
    question="In what share of images does the score rise when only what is highlighted is kept?",
    direction="higher",
    range=(0, 100),
    needs=("scores",),
    chance=_CHANCE,
    missing=_MISSING,
    cost="none beside average_drop",
    reference="Chattopadhay et al. 2018, % increase in confidence",
)
SUFFICIENCY_DELTA = MeasureCard(
    name="sufficiency_delta",
    question="By how much does the score change when only what the map highlights is kept?",
    direction="higher",
    range=(-np.inf, np.inf),
    needs=("scores",),
    chance=_CHANCE,
    missing=_MISSING,
    cost="none beside average_drop",
    reference="score of the kept image less that of the whole one",
)
AVERAGE_GAIN = MeasureCard(
    name="average_gain",
    question="How much of the missing confidence is won when only what is highlighted is kept?",
    direction="higher",
    range=(0, 100),
    needs=("scores",),
    chance=_CHANCE,
    missing=f"{_MISSING}, or the score is 1 or no probability",
    cost="none beside average_drop",
    reference="Zhang et al. 2024, Opti-CAM, average gain %",
)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Scores of the image, and of the image kept only as far as the map is strong."""

    whole: float
    kept: float
    turned: tuple[float, ...]
    """As `kept`, for the map turned at random."""
    area: float
    """Mean strength of the map in the field: how much was kept."""


class KeepKeywords(CurveKeywords, total=False):
    """The settings of what is kept, by keyword."""

    draws: int


def keep_only(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    subject: Subject | None = None,
    **settings: Unpack[KeepKeywords],
) -> Kept | str:
    """The passes behind all four, or the reason why there are none.

    Inside the field each pixel becomes b + (x - b) m, in display units, with m the map's positive
    part divided by its maximum and b the image with all of its field replaced. A constant map
    keeps everything, and so does every turn of it: its chance is its value.
    """
    chosen = CurveSettings(**_curves(settings))
    on = ground(map, None, field, needs_mask=False)
    if on.problem not in (None, "constant_map"):
        return on.problem
    asked = subject or chosen.subject(score, image, on.field)
    strength = on.positive / on.positive.max()
    maps = [strength, *_turned(strength, on.field, settings.get("draws", DRAWS), chosen.seed)]
    raw = asked.scores_of(asked.blended(np.where(on.field, 1 - m, 0.0)) for m in maps)
    kept, *turned = [asked.value(one) for one in raw]
    return Kept(
        whole=asked.value(asked.whole),
        kept=kept,
        turned=tuple(turned),
        area=float(strength[on.field].mean()),
    )


def average_drop(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    kept: Kept | str | None = None,
    **settings: Unpack[KeepKeywords],
) -> Score:
    """Share of the score that is lost when only what the map highlights is kept, in percent.

    Args:
        score: From images in display units (probe, channel, row, column) to one number a probe.
        image: The prepared image (channel, row, column) in display units.
        map: Signed values on the image's grid; the positive part counts.
        field: The field of view; the whole image by default.
        kept: The passes, where `keep_only` made them before.
        **settings: `draws`, how often the map is turned for chance (10), and those of
            `CurveSettings`.

    Returns:
        100 max(0, Y - O) / Y with Y the image's score and O that of the kept image, in [0, 100];
        lower is better. A map that keeps everything reaches 0, so read it beside an area; `parts`
        holds how much was kept. The mean over images is the average drop of the paper.
        `no_score_range` where Y is below 1e-6.

    Raises:
        ValueError: Shapes that differ, an image not in display units, or a score of another shape.

    Reference:
        Chattopadhay et al. 2018.
    """
    params = _params(settings)
    made = kept or keep_only(score, image, map, field=field, **settings)
    if isinstance(made, str):
        return AVERAGE_DROP.none(made, params=params)
    if made.whole < _SMALLEST:
        return AVERAGE_DROP.none("no_score_range", params=params, parts=_parts(made))
    # A score that may fall below 0, such as a logit, can lose more than all.
    bounds = (0, np.inf) if params["scale"] == "given" else AVERAGE_DROP.range
    return _scored(
        AVERAGE_DROP, lambda o: 100 * max(0.0, made.whole - o) / made.whole, made, params, bounds
    )


def pct_increase_confidence(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    kept: Kept | str | None = None,
    **settings: Unpack[KeepKeywords],
) -> Score:
    """Whether the score rises when only what the map highlights is kept: 100 if so, else 0.

    Arguments, errors and reference as for `average_drop`; the mean over images is the percentage
    of the paper. Higher is better.
    """
    params = _params(settings)
    made = kept or keep_only(score, image, map, field=field, **settings)
    if isinstance(made, str):
        return PCT_INCREASE_CONFIDENCE.none(made, params=params)
    least = made.whole + _TIED * abs(made.whole)
    return _scored(PCT_INCREASE_CONFIDENCE, lambda o: 100.0 * (o > least), made, params)


def sufficiency_delta(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    kept: Kept | str | None = None,
    **settings: Unpack[KeepKeywords],
) -> Score:
    """The score of the kept image less that of the whole one, in the units of the score.

    Arguments and errors as for `average_drop`. In [-1, 1] for probabilities, where it can be at
    most 1 - Y; higher is better.
    """
    params = _params(settings)
    made = kept or keep_only(score, image, map, field=field, **settings)
    if isinstance(made, str):
        return SUFFICIENCY_DELTA.none(made, params=params)
    bounds = SUFFICIENCY_DELTA.range if params["scale"] == "given" else (-1, 1)
    return _scored(SUFFICIENCY_DELTA, lambda o: o - made.whole, made, params, bounds)


def average_gain(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    kept: Kept | str | None = None,
    **settings: Unpack[KeepKeywords],
) -> Score:
    """Share of the missing confidence that is won by keeping only what the map highlights.

    Arguments and errors as for `average_drop`, which it complements: read both.

    Returns:
        100 max(0, O - Y) / (1 - Y), in [0, 100]; higher is better. `no_score_range` where 1 - Y is
        below 1e-6, as where the score is no probability.

    Reference:
        Zhang et al. 2024, Opti-CAM.
    """
    params = _params(settings)
    made = kept or keep_only(score, image, map, field=field, **settings)
    if isinstance(made, str):
        return AVERAGE_GAIN.none(made, params=params)
    scores = (made.whole, made.kept, *made.turned)
    if 1 - made.whole < _SMALLEST or max(scores) > 1 or min(scores) < 0:
        return AVERAGE_GAIN.none("no_score_range", params=params, parts=_parts(made))
    missing = 1 - made.whole
    return _scored(AVERAGE_GAIN, lambda o: 100 * max(0.0, o - made.whole) / missing, made, params)


def _scored(
    card: MeasureCard,
    number: Callable[[float], float],
    made: Kept,
    params: dict[str, object],
    bounds: tuple[float, float] | None = None,
) -> Score:
    """A number of the kept image, and the same of the turned maps."""
    null = tuple(float(number(score)) for score in made.turned)
    return card.score(
        number(made.kept),
        chance=fmean(null) if null else None,
        null=null or None,
        params=params,
        parts=_parts(made),
        range=bounds,
    )


def _turned(
    strength: Float[np.ndarray, "row column"],
    field: Bool[np.ndarray, "row column"],
    draws: int,
    seed: int,
) -> Iterator[Float[np.ndarray, "row column"]]:
    """The same map looking elsewhere.

    What comes from beyond the field is what the map has at the field's nearest pixel: were it 0, a
    turned map would keep less than the map itself, and a map without information look better.
    """
    nearest = np.asarray(
        distance_transform_edt(~field, return_distances=False, return_indices=True)
    )
    for there, _ in turns(np.argwhere(field), field, draws=draws, seed=seed):
        moved = np.zeros(field.shape)
        rows, columns = nearest[:, there[:, 0], there[:, 1]]
        moved[field] = strength[rows, columns]
        yield moved


def _curves(settings: KeepKeywords) -> CurveKeywords:
    return {key: value for key, value in settings.items() if key != "draws"}  # type: ignore[return-value]


def _params(settings: KeepKeywords) -> dict[str, object]:
    return CurveSettings(**_curves(settings)).params


def _parts(made: Kept) -> dict[str, object]:
    return {"score": made.whole, "kept_score": made.kept, "kept_area": made.area}
