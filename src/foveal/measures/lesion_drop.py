"""Does the model depend on the marked lesions at all? A number of the model, not of a map."""

from typing import Unpack

from jaxtyping import Shaped

from foveal.core import Score
from foveal.measures.base import Array, MeasureCard
from foveal.measures.drops import DropKeywords, RoiDrops, excess_drop, roi_drops
from foveal.measures.perturbation import ScoreOf, Subject

LESION_DROP = MeasureCard(
    name="lesion_drop",
    question="Does taking the marked lesions away hurt more than any region like them?",
    direction="context",
    range=(float("-inf"), float("inf")),
    needs=("mask", "scores"),
    chance="0",
    missing="the mask is empty or fills the field",
    cost="21 F, once for all maps of an image and target",
    reference="excess_drop with the lesions as the region; equal area and shape in the control",
)


def lesion_drop(
    score: ScoreOf,
    image: Array,
    mask: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    subject: Subject | None = None,
    drops: RoiDrops | str | None = None,
    **settings: Unpack[DropKeywords],
) -> Score:
    """By how much the score falls without the lesions, beyond the same region moved at random.

    No map is involved: it tells a map that misses what matters from a model that does not look at
    the lesions. Read it beside `excess_drop` at the size of the lesions.

    Args:
        score: As for `masked_roi_drop`.
        image: The prepared image (channel, row, column) in display units.
        mask: The lesions.
        field: The field of view; the whole image by default.
        subject: The image under perturbation, where it was made before.
        drops: The passes, where `lesion_drops` made them before.
        **settings: Those of `DropSettings`.

    Returns:
        As `excess_drop`; neither way is better, since it is no number of a map. Missing
        (`empty_mask`, `full_mask` where the lesions fill the field, `too_few`).

    Raises:
        ValueError: Shapes that differ, an image not in display units, a setting out of range.
    """
    made = drops or lesion_drops(score, image, mask, field=field, subject=subject, **settings)
    found = excess_drop(score, image, mask, drops=made, **settings)
    if found.value is None:
        return LESION_DROP.none(
            found.reason or "too_few", text=found.reason_text, params=found.params
        )
    return LESION_DROP.score(
        found.value, chance=0, null=found.null, params=found.params, parts=found.parts,
        range=found.range,
    )  # fmt: skip


def lesion_drops(
    score: ScoreOf,
    image: Array,
    mask: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    subject: Subject | None = None,
    **settings: Unpack[DropKeywords],
) -> RoiDrops | str:
    """The passes behind it, or the reason why there are none."""
    return roi_drops(score, image, mask, mask=mask, field=field, subject=subject, **settings)
