"""Remove and debias: pixels removed by noisy linear imputation, which leaves no mask to see."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TypedDict, Unpack

import numpy as np
from jaxtyping import Bool, Shaped

from foveal.core import Score
from foveal.explainers.request import MAX_BATCH
from foveal.measures.base import Array, Ground, MeasureCard, as_numpy, ground, ranked
from foveal.measures.imputation import Imputation
from foveal.measures.perturbation import Scale, ScoreOf, Subject, make_subject

FRACTIONS = tuple(tenth / 10 for tenth in range(1, 10))
_MISSING = (
    "the map is constant or has nothing positive in the field, or removed pixels have no known "
    "neighbour"
)
_REFERENCE = (
    "Rong et al. 2022, ROAD, section 4.3; over single pixels of the field, scores instead of "
    "accuracies"
)

ROAD_MORF = MeasureCard(
    name="road_morf",
    question="How far does the score fall when the most relevant pixels are imputed?",
    direction="higher",
    range=(-np.inf, np.inf),
    needs=("scores",),
    chance="the same under random orders",
    missing=_MISSING,
    cost="18 F for both orders, and as many sparse systems: seconds each at 512 x 512; a random "
    "order as much, once for an image",
    reference=_REFERENCE,
)
ROAD_LERF = MeasureCard(
    name="road_lerf",
    question="How far does the score fall when the least relevant pixels are imputed?",
    direction="lower",
    range=(-np.inf, np.inf),
    needs=("scores",),
    chance=ROAD_MORF.chance,
    missing=_MISSING,
    cost="none beside road_morf",
    reference=_REFERENCE,
)
ROAD_COMBINED = MeasureCard(
    name="road_combined",
    question="How much further does it fall for the most relevant than for the least relevant?",
    direction="higher",
    range=(-np.inf, np.inf),
    needs=("scores",),
    chance="0",
    missing=_MISSING,
    cost="none beside road_morf",
    reference=f"{_REFERENCE}; half of the difference",
)


class RoadKeywords(TypedDict, total=False):
    """The settings of ROAD, by keyword."""

    fractions: tuple[float, ...]
    scale: Scale
    seed: int
    max_batch: int


@dataclass(frozen=True, kw_only=True)
class RoadSettings:
    """How ROAD is made; part of its numbers' names.

    Raises:
        ValueError: Fractions outside (0, 1].
    """

    fractions: tuple[float, ...] = FRACTIONS
    """Shares of the field's pixels that are removed."""
    scale: Scale = "given"
    seed: int = 0
    max_batch: int = MAX_BATCH

    def __post_init__(self) -> None:
        if not self.fractions or not all(0 < fraction <= 1 for fraction in self.fractions):
            raise ValueError(f"fractions must be in (0, 1], but are {self.fractions}")

    @property
    def params(self) -> dict[str, object]:
        """What a number made with them depends on."""
        return {"fractions": self.fractions, "scale": self.scale, "seed": self.seed}


@dataclass(frozen=True, kw_only=True)
class Road:
    """Scores after removing the most and the least relevant pixels."""

    whole: float
    fractions: tuple[float, ...]
    """Exact shares of the field."""
    most_first: tuple[float, ...]
    least_first: tuple[float, ...]

    def drop(self, scores: Sequence[float]) -> float:
        """How far the score has fallen on average over the fractions."""
        return self.whole - float(np.mean(scores))

    @property
    def combined(self) -> float:
        """Half of the difference between the two drops."""
        return (self.drop(self.most_first) - self.drop(self.least_first)) / 2


def road_subject(
    score: ScoreOf,
    image: Array,
    *,
    field: Bool[np.ndarray, "row column"],
    **settings: Unpack[RoadKeywords],
) -> Subject:
    """The image whose removed pixels are imputed one by one; once for all its maps."""
    chosen = RoadSettings(**settings)
    plain = make_subject(
        score,
        image,
        field,
        baseline="field-mean",
        scale=chosen.scale,
        max_batch=chosen.max_batch,
        seed=chosen.seed,
    )
    pixels = as_numpy(plain.image).astype(np.float64)
    imputation = Imputation(image=pixels, field=field, seed=chosen.seed)
    return replace(plain, imputation=imputation)


def road_curves(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    subject: Subject | None = None,
    **settings: Unpack[RoadKeywords],
) -> Road | str:
    """The passes behind all three, or the reason why there are none.

    Exactly the asked share of the field's pixels is removed, also of a map that is almost all
    zeros: ties are broken by the signed value, then by a seeded draw. `too_few` where the pixels
    that are left touch none of some removed ones, as after removing all: nothing can be imputed.
    """
    chosen = RoadSettings(**settings)
    on = ground(map, None, field, needs_mask=False)
    if on.problem is not None:
        return on.problem
    asked = subject or road_subject(score, image, field=on.field, **settings)
    counts = [max(1, round(fraction * on.area)) for fraction in chosen.fractions]
    order = _pixels(on, chosen.seed)
    removed = [_without(on, order[:count]) for count in counts]
    removed += [_without(on, order[on.area - count :]) for count in counts]
    if asked.imputation is None or any(asked.imputation.unreached(one) for one in removed):
        return "too_few"
    scores = [asked.value(raw) for raw in asked.scores_without(removed)]
    return Road(
        whole=asked.value(asked.whole),
        fractions=tuple(count / on.area for count in counts),
        most_first=tuple(scores[: len(counts)]),
        least_first=tuple(scores[len(counts) :]),
    )


def random_roads(
    score: ScoreOf,
    image: Array,
    *,
    field: Bool[np.ndarray, "row column"],
    orders: int = 1,
    subject: Subject | None = None,
    **settings: Unpack[RoadKeywords],
) -> list[Road]:
    """The same for pixels in random order; once for an image.

    An order whose removed pixels have no known neighbour is left out.
    """
    asked = subject or road_subject(score, image, field=field, **settings)
    random = np.random.default_rng(settings.get("seed", 0))
    drawn = [random.random(field.shape) for _ in range(orders)]
    made = [road_curves(score, image, m, field=field, subject=asked, **settings) for m in drawn]
    return [road for road in made if not isinstance(road, str)]


def road_morf(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    curves: Road | str | None = None,
    null: Sequence[Road] = (),
    **settings: Unpack[RoadKeywords],
) -> Score:
    """Mean drop of the score as the most relevant pixels are removed by noisy linear imputation.

    A removed pixel becomes the weighted mean of its eight neighbours plus noise of 0.01 in display
    units, all removed ones together in one linear system, so that neither holes nor their shape
    are seen. Pixels outside the field are no part of it.

    Args:
        score: From images in display units (probe, channel, row, column) to one number a probe.
        image: The prepared image (channel, row, column) in display units.
        map: Signed values on the image's grid.
        field: The field of view; the whole image by default.
        curves: The passes, where `road_curves` made them before.
        null: The same for random orders, from `random_roads`.
        **settings: Those of `RoadSettings`: `fractions` (10 to 90 %), `scale`, `seed`, `max_batch`.

    Returns:
        S(x) less the mean score, in the units of the score; higher is better. `parts` holds the
        scores at each fraction. `too_few` where removed pixels have no known neighbour.

    Raises:
        ValueError: Shapes that differ, an image not in display units, or a score of another shape.

    Reference:
        Rong et al. 2022, A Consistent and Efficient Evaluation Strategy for Attribution Methods.
    """
    made = curves or road_curves(score, image, map, field=field, **settings)
    if isinstance(made, str):
        return _none(ROAD_MORF, made, settings)
    return _scored(ROAD_MORF, lambda road: road.drop(road.most_first), made, null, settings)


def road_lerf(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    curves: Road | str | None = None,
    null: Sequence[Road] = (),
    **settings: Unpack[RoadKeywords],
) -> Score:
    """Mean drop of the score as the least relevant pixels are removed; lower is better.

    Arguments, errors and reference as for `road_morf`.
    """
    made = curves or road_curves(score, image, map, field=field, **settings)
    if isinstance(made, str):
        return _none(ROAD_LERF, made, settings)
    return _scored(ROAD_LERF, lambda road: road.drop(road.least_first), made, null, settings)


def road_combined(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    curves: Road | str | None = None,
    null: Sequence[Road] = (),
    **settings: Unpack[RoadKeywords],
) -> Score:
    """Half of `road_morf` less `road_lerf`; higher is better, and chance is 0.

    Arguments, errors and reference as for `road_morf`. What imputation itself does to the score
    cancels out.
    """
    made = curves or road_curves(score, image, map, field=field, **settings)
    if isinstance(made, str):
        return _none(ROAD_COMBINED, made, settings)
    return _scored(ROAD_COMBINED, lambda road: road.combined, made, null, settings, chance=0)


def _pixels(on: Ground, seed: int) -> Shaped[np.ndarray, " pixel"]:
    """The field's pixels, the most relevant first."""
    return ranked(on.positive[on.field], on.map[on.field], seed)


def _without(on: Ground, chosen: Shaped[np.ndarray, " chosen"]) -> Bool[np.ndarray, "row column"]:
    inside = np.flatnonzero(on.field)
    removed = np.zeros(on.map.size, bool)
    removed[inside[chosen]] = True
    return removed.reshape(on.map.shape)


def _scored(
    card: MeasureCard,
    number: Callable[[Road], float],
    made: Road,
    null: Sequence[Road],
    settings: RoadKeywords,
    *,
    chance: float | None = None,
) -> Score:
    chosen = RoadSettings(**settings)
    random = tuple(number(road) for road in null)
    return card.score(
        number(made),
        chance=fmean(random) if random else chance,
        null=random or None,
        params=chosen.params,
        parts={
            "image_score": made.whole,
            "removed": made.fractions,
            "most_relevant_first": made.most_first,
            "least_relevant_first": made.least_first,
        },
        range=card.range if chosen.scale == "given" else (-1, 1),
    )


def _none(card: MeasureCard, reason: str, settings: RoadKeywords) -> Score:
    text = "removed pixels have no known neighbour to be imputed from"
    params = RoadSettings(**settings).params
    return card.none(reason, text=text if reason == "too_few" else None, params=params)
