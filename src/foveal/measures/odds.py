"""How many times likelier the answer is with the map's strongest region than without it."""

from typing import Unpack

import numpy as np
from jaxtyping import Shaped

from foveal.core import Score
from foveal.measures.base import Array, MeasureCard
from foveal.measures.drops import DropKeywords, DropSettings, RoiDrops, roi_drops
from foveal.measures.perturbation import ScoreOf

IRP_LOGODDS = MeasureCard(
    name="irp_logodds",
    question="By how much do the log-odds fall when the map's strongest tenth is taken away?",
    direction="higher",
    range=(-np.inf, np.inf),
    needs=("scores",),
    chance="the mean fall under the same region moved at random inside the field",
    missing="the map is constant or has nothing positive in the field",
    cost="1 F, and 20 F for the random regions; the image's own F once",
    reference="change of the log-odds under erasure, as in Shrikumar et al. 2017, DeepLIFT",
)
IRP_AREA = 0.1


def irp_logodds(
    score: ScoreOf,
    image: Array,
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    drops: RoiDrops | str | None = None,
    **settings: Unpack[DropKeywords],
) -> Score:
    """The fall of the log-odds when the strongest tenth of the field is replaced by the baseline.

    Unlike the fall of a probability it is not flattened where the model is nearly sure.

    Args:
        score: From images in display units (probe, channel, row, column) to the log-odds of each,
            made from the logits: a probability of 1 - 1e-9 is 1 in single precision.
        image: The prepared image (channel, row, column) in display units.
        map: Signed values on the image's grid.
        field: The field of view; the whole image by default.
        drops: The passes, where `roi_drops` made them before, with `area` 0.1.
        **settings: Those of `DropSettings`; `area` is 0.1 by default.

    Returns:
        In nats; higher is better. exp of it is the odds ratio, in `parts`. Chance is the mean of
        `null`, the same under the region moved at random. Temperature scaling by T divides it by T.

    Raises:
        ValueError: A scale of probabilities, from which log-odds cannot be made any more.
    """
    asked: DropKeywords = {"area": IRP_AREA, **settings}
    chosen = DropSettings(**asked)
    if chosen.scale == "probability":
        raise ValueError("irp_logodds needs log-odds made from logits, but got probabilities")
    named = isinstance(chosen.baseline, str | int | float)
    params = {
        "area": chosen.area,
        "baseline": chosen.baseline if named else "given",
        "feather_px": chosen.feather_px,
        "random": chosen.random,
        "seed": chosen.seed,
    }
    made = drops or roi_drops(score, image, map, field=field, **asked)
    if isinstance(made, str):
        return IRP_LOGODDS.none(made, params=params)
    fall = made.raw_whole - made.raw_masked
    null = tuple(made.raw_whole - raw for raw in made.raw_moved)
    with np.errstate(over="ignore"):
        ratio = float(np.exp(fall))
    return IRP_LOGODDS.score(
        fall,
        chance=float(np.mean(null)) if null else None,
        null=null or None,
        params=params,
        parts={
            "log_odds": made.raw_whole,
            "log_odds_without": made.raw_masked,
            "odds_ratio": ratio if np.isfinite(ratio) else None,
            "removed": made.removed,
        },
    )
