"""Do the map's numbers add up to what the score does? For maps that claim contributions."""

from typing import Unpack

import numpy as np
from jaxtyping import Float, Shaped

from foveal.core import Score
from foveal.measures.agreement import summed
from foveal.measures.base import Array, MeasureCard, ground
from foveal.measures.curves import CurveKeywords, CurveSettings
from foveal.measures.effects import DRAWS, SHARE, SubsetEffects, subset_effects
from foveal.measures.perturbation import ScoreOf, Subject

_SMALLEST_CHANGE = 1e-6

INFIDELITY = MeasureCard(
    name="infidelity",
    question="How far is the map's sum over random patches from what the score loses without them?",
    direction="lower",
    range=(0, np.inf),
    needs=("scores",),
    chance="the mean squared drop, which a map of zeros reaches",
    missing="the map holds values that are not numbers",
    cost="none beside faithfulness_correlation",
    reference="Yeh et al. 2019, On the (In)fidelity and Sensitivity of Explanations, eq. 1, "
    "removing random patches",
)
INFIDELITY_NORMALIZED = MeasureCard(
    name="infidelity_normalized",
    question="The same with the map scaled as well as can be: is it proportional to what happens?",
    direction="lower",
    range=(0, np.inf),
    needs=("scores",),
    chance="none is given: no map is above the mean squared drop, which a map of zeros reaches",
    missing="the map is zero, or the score does not change",
    cost="none beside faithfulness_correlation",
    reference="Yeh et al. 2019, eq. 1 with the optimal scalar, as in Captum's normalize=True",
)
COMPLETENESS_ERROR = MeasureCard(
    name="completeness_error",
    question="By what share does the map's sum miss the difference between image and baseline?",
    direction="lower",
    range=(0, np.inf),
    needs=("scores",),
    chance="1, which a map of zeros reaches",
    missing="the score is the same for image and baseline",
    cost="2 F, once for an image",
    reference="Sundararajan et al. 2017, Axiomatic Attribution for Deep Networks, completeness",
)


def infidelity(
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
    """Mean squared difference between the map's sum over removed patches and the drop of the score.

    Args:
        score: From images in display units (probe, channel, row, column) to one number a probe.
        image: The prepared image (channel, row, column) in display units.
        map: Signed contributions, in the units of the score. A gradient has to be multiplied by
            what was removed, image minus baseline, before it is one.
        field: The field of view; the whole image by default.
        share: Of the patches that are removed together.
        draws: Random sets.
        subsets: Random removals, from `subset_effects`, where they were made before.
        **settings: Those of `CurveSettings`.

    Returns:
        From 0, in squared units of the score as it came (log-odds stay log-odds); lower is better.
        Chance is what a map of zeros reaches. It depends on the map's scale: for maps that only
        rank, `infidelity_normalized` is the one to read. `too_few` where the share comes to no
        patch or to all.

    Raises:
        ValueError: Shapes that differ, an image not in display units, or a score of another shape.

    Reference:
        Yeh et al. 2019, eq. 1.
    """
    made = _terms(INFIDELITY, score, image, map, field, share, draws, subsets, settings)
    if isinstance(made, Score):
        return made
    sums, drops, params = made
    return INFIDELITY.score(
        float(np.mean((sums - drops) ** 2)), chance=float(np.mean(drops**2)), params=params
    )


def infidelity_normalized(
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
    """The `infidelity` of the map times the one number that makes it smallest.

    Arguments and errors as there.

    Returns:
        From 0, in squared units of the score as it came; lower is better. `parts` holds the number,
        `scale`, which is negative where the map says the contrary of what happens, and the value as
        a share of what a map of zeros reaches, `share_of_zero_map`, which does not depend on units.
        No map has a larger share than 1, so that staying below it means nothing. Missing for a map
        whose sums are all zero, and `no_score_range` where no removal changes the score.
    """
    made = _terms(INFIDELITY_NORMALIZED, score, image, map, field, share, draws, subsets, settings)
    if isinstance(made, Score):
        return made
    sums, drops, params = made
    if not sums.any():
        return INFIDELITY_NORMALIZED.none("zero_map", params=params)
    if not drops.any():
        return INFIDELITY_NORMALIZED.none("no_score_range", params=params)
    scale = float(sums @ drops / (sums @ sums))
    value = float(np.mean((scale * sums - drops) ** 2))
    parts = {"scale": scale, "share_of_zero_map": value / float(np.mean(drops**2))}
    return INFIDELITY_NORMALIZED.score(value, params=params, parts=parts)


def completeness_error(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    subject: Subject | None = None,
    **settings: Unpack[CurveKeywords],
) -> Score:
    """How far the sum of the map is from the score of the image less that of the baseline.

    Args:
        score: From images in display units to one number a probe: the one that was explained, a
            logit where the map is of a logit.
        image: The prepared image in display units.
        map: Signed contributions.
        field: The field of view; the whole image by default. What lies outside stays as it is, so
            that it contributes nothing.
        subject: The image under perturbation, where it was made before for these settings.
        **settings: Those of `CurveSettings`; `baseline` must be the one that the map was made with.

    Returns:
        |sum - (S(x) - S(b))| / |S(x) - S(b)|, from 0; lower is better, a map of zeros reaches 1.
        `no_score_range` where the two scores are the same.

    Reference:
        Sundararajan et al. 2017, proposition 1.
    """
    chosen = CurveSettings(**settings)
    on = ground(map, None, field, needs_mask=False)
    if on.problem == "nan_map":
        return COMPLETENESS_ERROR.none("nan_map", params=chosen.params)
    asked = subject or chosen.subject(score, image, on.field)
    change, total = asked.whole - asked.bare, float(on.map[on.field].sum())
    parts = {"sum": total, "change": change}
    if abs(change) < _SMALLEST_CHANGE:
        return COMPLETENESS_ERROR.none("no_score_range", params=chosen.params, parts=parts)
    return COMPLETENESS_ERROR.score(
        abs(total - change) / abs(change), chance=1, params=chosen.params, parts=parts
    )


_Terms = tuple[Float[np.ndarray, " draw"], Float[np.ndarray, " draw"], dict[str, object]]


def _terms(
    card: MeasureCard,
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    field: Shaped[Array, "row column"] | None,
    share: float,
    draws: int,
    subsets: SubsetEffects | None,
    settings: CurveKeywords,
) -> _Terms | Score:
    """The map's sums and the drops, or why there are none."""
    params = CurveSettings(**settings).params | {"share": share, "draws": draws}
    on = ground(map, None, field, needs_mask=False)
    if on.problem == "nan_map":
        return card.none("nan_map", params=params)
    table = subsets or subset_effects(
        score, image, field=on.field, shares=(share,), draws=draws, **settings
    )
    if share not in table.removals:
        return card.none("too_few", params=params)
    removed = table.removals[share]
    params |= {"patch_px": table.patches.side, "patches_removed": removed.count}
    return summed(on, table.patches, removed), removed.effects, params
