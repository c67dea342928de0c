"""Does what the map says of a patch agree with what the score does without it?"""

from collections.abc import Sequence
from typing import Unpack

import numpy as np
from jaxtyping import Float, Shaped
from scipy.stats import rankdata

from foveal.core import Score
from foveal.measures.base import Array, Ground, MeasureCard, ground, tie_fraction
from foveal.measures.curves import CurveKeywords, CurveSettings
from foveal.measures.effects import (
    DRAWS,
    SHARE,
    SHARES,
    PatchEffects,
    Removals,
    SubsetEffects,
    patch_effects,
    subset_effects,
)
from foveal.measures.patches import Patches
from foveal.measures.perturbation import ScoreOf

_FLAT = 1e-9
"""Below this share of the largest value a spread is rounding: scores come in float32 at best."""
_FEWEST = 3
_FLAT_MAP = "the map is constant, or the score does not change under any removal"

RELEVANCE_RANK_CORRELATION = MeasureCard(
    name="relevance_rank_correlation",
    question="Do patches rank by the map as they rank by what the score loses without each?",
    direction="higher",
    range=(-1, 1),
    needs=("scores",),
    chance="0",
    missing=_FLAT_MAP,
    cost="1 F a patch of the field, up to 1024, once for an image",
    reference="Spearman correlation with single-patch occlusion",
)
FAITHFULNESS_ESTIMATE = MeasureCard(
    name="faithfulness_estimate",
    question="Is what the map gives a patch proportional to what the score loses without it?",
    direction="higher",
    range=(-1, 1),
    needs=("scores",),
    chance="0",
    missing=_FLAT_MAP,
    cost="none beside relevance_rank_correlation",
    reference="Alvarez-Melis & Jaakkola 2018, Towards Robust Interpretability with Self-Explaining "
    "Neural Networks: Pearson correlation, over patches",
)
FAITHFULNESS_CORRELATION = MeasureCard(
    name="faithfulness_correlation",
    question="Does the map's sum over random patches follow what the score loses without them?",
    direction="higher",
    range=(-1, 1),
    needs=("scores",),
    chance="0; over 100 draws it scatters by 0.10",
    missing=_FLAT_MAP,
    cost="100 F, once for an image; they are part of those of sensitivity_n",
    reference="Bhatt et al. 2020, Evaluating and Aggregating Feature-based Model Explanations, "
    "definition 3, over patches",
)
SENSITIVITY_N = MeasureCard(
    name="sensitivity_n",
    question="The same for sets of every size: does the map add up as the score does?",
    direction="higher",
    range=(-1, 1),
    needs=("scores",),
    chance="0",
    missing=_FLAT_MAP,
    cost="800 F, once for an image",
    reference="Ancona et al. 2018, Towards better understanding of gradient-based attribution "
    "methods, section 3.4, over patches; the mean over n",
)


def relevance_rank_correlation(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    effects: PatchEffects | None = None,
    **settings: Unpack[CurveKeywords],
) -> Score:
    """Spearman correlation between a patch's mean in the map and what the score loses without it.

    Args:
        score: From images in display units (probe, channel, row, column) to one number a probe.
        image: The prepared image (channel, row, column) in display units.
        map: Signed values on the image's grid; negative ones are evidence against.
        field: The field of view; the whole image by default.
        effects: What each patch does alone, from `patch_effects`, where it was made before.
        **settings: Those of `CurveSettings`.

    Returns:
        In [-1, 1], higher is better, chance is 0; ties share their rank. Where many lesions say the
        same, each alone changes little although all matter: read it beside `srg`. Missing for a
        constant map (`constant_map`), a score that no patch changes (`no_score_range`) and fewer
        than three patches (`too_few`).

    Raises:
        ValueError: Shapes that differ, an image not in display units, or a score of another shape.
    """
    chosen = CurveSettings(**settings)
    on = ground(map, None, field, needs_mask=False)
    problem = signed_problem(on)
    if problem is not None:
        return RELEVANCE_RANK_CORRELATION.none(problem, params=chosen.params)
    table = effects or patch_effects(score, image, field=on.field, **settings)
    relevance = table.patches.mean(on.map)
    parts: dict[str, object] = {"tie_fraction": tie_fraction(relevance)}
    params = chosen.params | {"patch_px": table.patches.side}
    return _correlated(
        RELEVANCE_RANK_CORRELATION, rankdata(relevance), rankdata(table.effects), params, parts
    )


def faithfulness_estimate(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    effects: PatchEffects | None = None,
    **settings: Unpack[CurveKeywords],
) -> Score:
    """Pearson correlation between a patch's sum in the map and what the score loses without it.

    Arguments, range and errors as for `relevance_rank_correlation`, whose passes it shares.

    Returns:
        In [-1, 1], higher is better, chance is 0; 1 for exact contributions of a linear model.

    Reference:
        Alvarez-Melis & Jaakkola 2018.
    """
    chosen = CurveSettings(**settings)
    on = ground(map, None, field, needs_mask=False)
    problem = signed_problem(on)
    if problem is not None:
        return FAITHFULNESS_ESTIMATE.none(problem, params=chosen.params)
    table = effects or patch_effects(score, image, field=on.field, **settings)
    relevance = table.patches.sum(on.map)
    params = chosen.params | {"patch_px": table.patches.side}
    return _correlated(FAITHFULNESS_ESTIMATE, relevance, table.effects, params, {})


def faithfulness_correlation(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    share: float = SHARE,
    draws: int = DRAWS,
    subsets: SubsetEffects | None = None,
    **settings: Unpack[CurveKeywords],
) -> Score:
    """Pearson correlation between the map's sum over random patches and the drop without them.

    Args:
        score: From images in display units (probe, channel, row, column) to one number a probe.
        image: The prepared image (channel, row, column) in display units.
        map: Signed contributions on the image's grid. Maps that only rank, such as CAMs, can be
            given, but their sums then mean little.
        field: The field of view; the whole image by default.
        share: Of the patches that are removed together.
        draws: Random sets.
        subsets: Random removals, from `subset_effects`, where they were made before.
        **settings: Those of `CurveSettings`.

    Returns:
        In [-1, 1], higher is better, chance is 0. `parts` holds a 95 % interval after Fisher: over
        100 draws it is about 0.4 wide around 0. Missing as for `relevance_rank_correlation`, and
        `too_few` where the share comes to no patch or to all.

    Reference:
        Bhatt et al. 2020, definition 3.
    """
    on = ground(map, None, field, needs_mask=False)
    params = CurveSettings(**settings).params | {"share": share, "draws": draws}
    problem = signed_problem(on)
    if problem is not None:
        return FAITHFULNESS_CORRELATION.none(problem, params=params)
    table = subsets or subset_effects(
        score, image, field=on.field, shares=(share,), draws=draws, **settings
    )
    if share not in table.removals:
        return FAITHFULNESS_CORRELATION.none("too_few", params=params)
    removed = table.removals[share]
    sums = summed(on, table.patches, removed)
    params |= {"patch_px": table.patches.side, "patches_removed": removed.count}
    made = _correlated(FAITHFULNESS_CORRELATION, sums, removed.effects, params, {})
    if made.value is None:
        return made
    low, high = _fisher(made.value, len(sums))
    return FAITHFULNESS_CORRELATION.score(
        made.value,
        chance=0,
        params=made.params,
        parts={"low": low, "high": high},
    )


def sensitivity_n(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    shares: Sequence[float] = SHARES,
    draws: int = DRAWS,
    subsets: SubsetEffects | None = None,
    **settings: Unpack[CurveKeywords],
) -> Score:
    """The correlation of `faithfulness_correlation` for sets of n patches, averaged over n.

    Arguments and errors as there; `shares` are the n as shares of all patches. This is the measure
    of Ancona et al.; `max_sensitivity` and `drop_at_fraction` are other things that texts call
    sensitivity-n.

    Returns:
        The mean over n, in [-1, 1]; higher is better, chance is 0, and 1 for exact contributions of
        a linear model. `parts` holds the curve, and as `flat` the shares at which nothing varies,
        which do not count; all patches together are no n, since one set does not correlate. Missing
        as for `relevance_rank_correlation`.

    Reference:
        Ancona et al. 2018, section 3.4.
    """
    chosen = CurveSettings(**settings)
    on = ground(map, None, field, needs_mask=False)
    params = chosen.params | {"draws": draws}
    problem = signed_problem(on)
    if problem is not None:
        return SENSITIVITY_N.none(problem, params=params)
    table = subsets or subset_effects(
        score, image, field=on.field, shares=shares, draws=draws, **settings
    )
    params |= {"patch_px": table.patches.side, "patches": table.patches.count}
    if not table.removals:
        return SENSITIVITY_N.none("too_few", params=params)
    curve = {
        share: _pearson(summed(on, table.patches, removed), removed.effects)
        for share, removed in sorted(table.removals.items())
    }
    found = {share: value for share, value in curve.items() if value is not None}
    if not found:
        return SENSITIVITY_N.none("no_score_range", params=params)
    return SENSITIVITY_N.score(
        float(np.mean(list(found.values()))),
        chance=0,
        params=params,
        parts={
            "shares": list(found),
            "n": [table.removals[share].count for share in found],
            "correlations": list(found.values()),
            "flat": [share for share, value in curve.items() if value is None],
        },
    )


def signed_problem(on: Ground) -> str | None:
    """Why a map cannot correlate with anything; one without a positive value can."""
    if on.problem != "zero_map":
        return on.problem
    inside = on.map[on.field]
    if inside.min() < inside.max():
        return None
    return "constant_map" if inside.any() else "zero_map"


def summed(on: Ground, patches: Patches, removed: Removals) -> Float[np.ndarray, " draw"]:
    """The map's sum over each set of patches."""
    return removed.members @ patches.sum(on.map)


def _correlated(
    card: MeasureCard,
    relevance: Float[np.ndarray, " unit"],
    effects: Float[np.ndarray, " unit"],
    params: dict[str, object],
    parts: dict[str, object],
) -> Score:
    params = params | {"units": len(effects)}
    if len(effects) < _FEWEST:
        return card.none("too_few", params=params)
    if _flat(relevance):
        return card.none("constant_map", params=params)
    value = _pearson(relevance, effects)
    if value is None:
        return card.none("no_score_range", params=params)
    return card.score(value, chance=0, params=params, parts=parts)


def _pearson(first: Float[np.ndarray, " unit"], second: Float[np.ndarray, " unit"]) -> float | None:
    if len(first) < _FEWEST or _flat(first) or _flat(second):
        return None
    return float(np.clip(np.corrcoef(first, second)[0, 1], -1, 1))


def _flat(values: Float[np.ndarray, " unit"]) -> bool:
    return bool(np.ptp(values) <= _FLAT * np.abs(values).max())


def _fisher(value: float, count: int) -> tuple[float, float]:
    """A 95 % interval for a correlation."""
    if count <= _FEWEST or abs(value) >= 1:
        return value, value
    reach = 1.959964 / np.sqrt(count - _FEWEST)
    return float(np.tanh(np.arctanh(value) - reach)), float(np.tanh(np.arctanh(value) + reach))
