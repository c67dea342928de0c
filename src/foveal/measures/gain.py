"""The headline of faithfulness: how much longer the score holds when what matters goes last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from types import MappingProxyType
from typing import Unpack

import numpy as np
from jaxtyping import Shaped

from foveal.core import Score
from foveal.measures.areas import (
    CHANCE,
    MISSING,
    AreaKeywords,
    differ,
    ends,
    made_curves,
    settings_of,
)
from foveal.measures.base import Array, MeasureCard
from foveal.measures.controls import OWN, Controls
from foveal.measures.curves import RemovalCurves
from foveal.measures.perturbation import ScoreOf

SRG = MeasureCard(
    name="srg",
    question="How much longer does the score hold when the least relevant goes first, not the "
    "most relevant?",
    direction="higher",
    range=(-np.inf, np.inf),
    needs=("scores",),
    chance=f"near 0; {CHANCE}",
    missing=MISSING,
    cost="72 F with three baselines; 24 of them are those of deletion and insertion",
    reference="Bluecher et al. 2024, symmetric relevance gain: area with the least relevant "
    "removed first, less area with the most relevant removed first",
)
INFORMATIVE = 0.7
"""Below this share of random orders that the model's own order beats, curves judge no map: not even
what the model does without each patch can be told from chance."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One baseline's curves: the map's own, and those that it is compared with."""

    curves: RemovalCurves | str
    """Or the reason why there are none."""
    controls: Controls = field(default_factory=Controls)


def srg(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    baselines: Sequence[str] = (),
    arms: Mapping[str, Arm] = MappingProxyType({}),
    **asked: Unpack[AreaKeywords],
) -> Score:
    """Symmetric relevance gain: the area between removal of the least and the most relevant first.

    Arguments and errors as for `deletion_auc`. What removal itself does to the score, whatever is
    removed, cancels out, so that methods keep their ranks from one baseline to another more often
    than under any other curve.

    Args:
        score: From images in display units to one number a probe.
        image: The prepared image in display units.
        map: Signed values on the image's grid.
        baselines: Several of them, such as `blur`, `linear` and `annulus`, instead of `baseline`.
        arms: Their curves, where they were made before.
        **asked: As for `deletion_auc`.

    Returns:
        The median over the baselines, [-1, 1] for probabilities; higher is better. `null` is the
        same for each random order and chance their mean, which is near 0 and not 0: the uneven
        steps of the two removals lie elsewhere. Without random orders chance is missing. `parts`
        holds the gain under each baseline and what it is of the score's range there (`None` where
        the range is too small), for scores in log-odds the gains in those too, with the gains of
        the random orders and the other controls; the inverted map's is read from the same passes,
        the map's with the other sign. `own_order_auroc` is
        the share of random orders that the model's own order beats under each baseline; where it is
        below 0.7, `uninformative` names the baseline, and the gain under it says nothing of a map.
        One image has few random orders: `analysis.separations` takes all images together, and
        `analysis.rank_agreement` says whether baselines rank methods alike.

    Raises:
        ValueError: Controls together with several baselines: each has its own, so give `arms`.

    Reference:
        Bluecher et al. 2024, Decoupling Pixel Flipping and Occlusion Strategy for Consistent XAI
        Benchmarks (symmetric relevance gain).
    """
    made = arms or _arms(score, image, map, baselines, asked)
    params = settings_of(asked).params | {"baseline": list(made)}
    curves = [arm.curves for arm in made.values() if not isinstance(arm.curves, str)]
    if len(curves) < len(made):
        why = next(arm.curves for arm in made.values() if isinstance(arm.curves, str))
        return SRG.none(why, params=params)
    params |= {"patch_px": curves[0].patch_px, "patches": curves[0].patches}
    params |= {"steps": len(curves[0].deletion.fractions) - 1}
    params |= {"normalised": True} if asked.get("normalised") else {}
    random = [[_gain(other) for other in arm.controls.random] for arm in made.values()]
    null = tuple(median(draw) for draw in zip(*random, strict=True))
    normal = [_normalised(own) for own in curves]
    known = [gain for gain in normal if gain is not None]
    whole = len(known) == len(curves)
    wanted = bool(asked.get("normalised"))
    parts = _parts(made, curves) | {
        "random": random,
        "normalised": median(known) if whole else None,
        "normalised_by_baseline": normal,
        "normalised_reason": None if whole else "no_score_range",
    }
    if params["scale"] == "log-odds":
        parts["log_odds"] = [_gain(own, raw=True) for own in curves]
    if wanted and parts["normalised"] is None:
        return SRG.none("no_score_range", params=params, parts=parts)
    return SRG.score(
        median(known if wanted else [_gain(own) for own in curves]),
        chance=fmean(null) if null and not wanted else None,
        null=None if wanted else null or None,
        params=params,
        parts=parts,
        range=SRG.range if wanted or params["scale"] == "given" else (-1, 1),
    )


def _parts(arms: Mapping[str, Arm], curves: Sequence[RemovalCurves]) -> dict[str, object]:
    gains = [_gain(own) for own in curves]
    names = next(iter(arms.values())).controls.fixed
    own = {name: _separation(arm.controls) for name, arm in arms.items()}
    return {
        "baselines": list(arms),
        "by_baseline": gains,
        "inverted": [-gain for gain in gains],
        "image_score": [ends(own)[0] for own in curves],
        "baseline_score": [ends(own)[1] for own in curves],
        "controls": {n: [_gain(arm.controls.fixed[n]) for arm in arms.values()] for n in names},
        "own_order_auroc": list(own.values()),
        "uninformative": [
            n for n, auroc in own.items() if auroc is not None and auroc < INFORMATIVE
        ],
    }


def _separation(controls: Controls) -> float | None:
    """The share of random orders whose gain is below that of the model's own, ties by half."""
    if OWN not in controls.fixed or not controls.random:
        return None
    own, random = _gain(controls.fixed[OWN]), [_gain(other) for other in controls.random]
    return fmean((gain < own) + 0.5 * (gain == own) for gain in random)


def _arms(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "..."],
    baselines: Sequence[str],
    asked: AreaKeywords,
) -> dict[str, Arm]:
    controls = asked.get("controls") or Controls(random=tuple(asked.get("null", ())))
    if baselines and (controls.random or controls.fixed):
        raise ValueError("each baseline has its own controls; give arms, each with its own")
    if not baselines:
        name = str(settings_of(asked).params["baseline"])
        return {name: Arm(curves=made_curves(score, image, map, asked), controls=controls)}
    return {
        name: Arm(
            curves=made_curves(score, image, map, {**asked, "baseline": name, "curves": None})
        )
        for name in baselines
    }


def _normalised(made: RemovalCurves) -> float | None:
    """As a share of what removing all takes from the score; `None` where that is too small."""
    whole, bare = ends(made)
    return _gain(made) / (whole - bare) if differ(whole, bare) else None


def _gain(made: RemovalCurves, *, raw: bool = False) -> float:
    """What insertion is above deletion: removal of the least relevant first is its reverse."""
    return made.insertion.area(raw=raw) - made.deletion.area(raw=raw)
