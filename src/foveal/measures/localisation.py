"""Is the map where the experts marked the disease? None of these says whether the model cares."""

import numpy as np
from jaxtyping import Bool, Float, Shaped
from scipy.ndimage import distance_transform_edt

from foveal.core import Score
from foveal.measures.base import Array, MeasureCard, diameter, ground
from foveal.measures.tolerance import Pair, tolerance_of
from foveal.measures.turning import DRAWS, turns

_MARGIN = 0.05
"""How far outside the field mass counts as far, as a share of the field's diameter."""

RELEVANCE_MASS = MeasureCard(
    name="relevance_mass",
    question="How much of the map's positive evidence lies in the region?",
    direction="higher",
    range=(0, 1),
    needs=("mask",),
    chance="the region's share of the field",
    missing="the region is empty, or nothing in the field is positive",
    cost="none",
    reference="Arras et al. 2022 (relevance mass accuracy); Wang et al. 2020, Score-CAM "
    "(energy-based pointing game)",
)
POINTING_GAME = MeasureCard(
    name="pointing_game",
    question="Does the map's highest point hit the region?",
    direction="higher",
    range=(0, 1),
    needs=("mask",),
    chance="the share of the field that counts as a hit",
    missing="the region is empty, or the map is constant or has nothing positive in the field",
    cost="none",
    reference="Zhang et al. 2016, Excitation Backprop, section 4.1",
)
RELEVANCE_RANK_ACCURACY = MeasureCard(
    name="relevance_rank_accuracy",
    question="Of as many strongest pixels as the region has, how many lie in it?",
    direction="higher",
    range=(0, 1),
    needs=("mask",),
    chance="the region's share of the field",
    missing="the region is empty, or the map is constant or has nothing positive in the field",
    cost="none",
    reference="Arras et al. 2022, CLEVR-XAI",
)
MASS_LIFT = MeasureCard(
    name="mass_lift",
    question="How many times its share of the field does the region hold of the evidence?",
    direction="higher",
    range=(0, np.inf),
    needs=("mask",),
    chance="1; null: the region turned at random about the field's centre",
    missing="the region is empty, or nothing in the field is positive",
    cost="none",
    reference="relevance mass accuracy of Arras et al. 2022 by its chance level",
)
OUT_OF_FOV_MASS = MeasureCard(
    name="out_of_fov_mass",
    question="How much of the map's positive evidence lies outside the field of view?",
    direction="lower",
    range=(0, 1),
    needs=("field",),
    chance="the share of the image outside the field",
    missing="the field covers the whole image, or nothing is positive anywhere",
    cost="none",
    reference="share of attribution on invalid pixels, as in background validity checks",
)


def relevance_mass(
    map: Shaped[Array, "row column"],
    mask: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
) -> Score:
    """Share of the map's positive evidence in the field that lies in the region.

    RMA = sum over the region of max(M, 0) / sum over the field of max(M, 0). Negative values do
    not count, and nothing is scaled first: min-max would turn absent evidence into mass.

    Returns:
        A share in [0, 1]; higher is better. Chance is the region's share of the field, and
        `parts["lift"]` the share divided by it. Missing (`empty_mask`, `zero_map`, `nan_map`)
        when the region is empty or nothing is positive.

    Raises:
        ValueError: Shapes that differ, or masks that are not binary.

    Reference:
        Arras et al. 2022, CLEVR-XAI, relevance mass accuracy; Wang et al. 2020, Score-CAM,
        energy-based pointing game.

    Examples:
        >>> relevance_mass(np.array([[3.0, 1.0, -9.0]]), np.array([[True, False, False]])).value
        0.75
    """
    on = ground(map, mask, field)
    if on.problem not in (None, "constant_map"):
        return RELEVANCE_MASS.none(on.problem)
    share = float(on.positive[on.mask].sum() / on.positive.sum())
    return RELEVANCE_MASS.score(
        share, chance=on.prevalence, ceiling=1, parts={"lift": share / on.prevalence}
    )


energy_in_lesion = ebpg = relevance_mass
"""The same measure by the names of other papers."""


def pointing_game(
    map: Shaped[Array, "row column"],
    mask: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    tolerance_px: float | None = None,
    tolerance_um: float | Pair | None = None,
    spacing_um: Pair | None = None,
) -> Score:
    """Whether the map's highest point lies in the region or within the tolerance of it.

    Where several pixels share the maximum, the value is the share of them that hit: the expected
    hit, so that no tie is broken in anyone's favour. For small lesions the tolerance decides, so
    read the value beside its chance.

    Args:
        map: Signed values.
        mask: The region.
        field: The field of view; the whole image by default.
        tolerance_px: Distance that still counts as a hit, in pixels; 1.5 % of the field's
            diameter by default.
        tolerance_um: The same in micrometres, one number or (row, column); for sections by OCT
            `OCT_TOLERANCE_UM`.
        spacing_um: Spacing of rows and columns in micrometres, where it is known.

    Returns:
        0 or 1, in between under ties; higher is better. Chance is the share of the field within
        the tolerance of the region. Missing (`empty_mask`, `zero_map`, `constant_map`, `nan_map`)
        when there is no region or no highest point.

    Raises:
        ValueError: Shapes that differ, masks that are not binary, a negative tolerance, or
            micrometres without a spacing.

    Reference:
        Zhang et al. 2016, Top-down Neural Attention by Excitation Backprop, section 4.1.
    """
    on = ground(map, mask, field)
    tolerance = tolerance_of(
        on.field, tolerance_px=tolerance_px, tolerance_um=tolerance_um, spacing_um=spacing_um
    )
    params = tolerance.params()
    if on.problem is not None:
        return POINTING_GAME.none(on.problem, params=params)
    hits = on.field & tolerance.near(on.mask)
    highest = on.field & (on.map == on.map[on.field].max())
    value = float(hits[highest].mean())
    chance = float(hits.sum() / on.area)
    return POINTING_GAME.score(
        value,
        chance=chance,
        ceiling=1,
        params=params,
        parts={"lift": value / chance, "tied_maxima": int(highest.sum())},
    )


def relevance_rank_accuracy(
    map: Shaped[Array, "row column"],
    mask: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
) -> Score:
    """Share that lies in the region, of as many of the map's highest pixels as the region has.

    At this size precision and recall are the same number. Where the last place is shared by tied
    pixels, the value is the expected one.

    Returns:
        A share in [0, 1]; higher is better. Chance is the region's share of the field. Missing
        (`empty_mask`, `zero_map`, `constant_map`, `nan_map`) without a region or an order.

    Raises:
        ValueError: Shapes that differ, or masks that are not binary.

    Reference:
        Arras et al. 2022, CLEVR-XAI, relevance rank accuracy.
    """
    on = ground(map, mask, field)
    if on.problem is not None:
        return RELEVANCE_RANK_ACCURACY.none(on.problem)
    count, inside, values = on.mask_area, on.mask[on.field], on.map[on.field]
    edge = np.partition(values, len(values) - count)[len(values) - count]
    surely, tied = values > edge, values == edge
    hits = inside[surely].sum() + (count - surely.sum()) * inside[tied].mean()
    return RELEVANCE_RANK_ACCURACY.score(
        float(hits / count),
        chance=on.prevalence,
        ceiling=1,
        parts={"tied_at_the_edge": int(tied.sum())},
    )


def mass_lift(
    map: Shaped[Array, "row column"],
    mask: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Score:
    """How many times more evidence the region holds than its size would give it.

    Args:
        map: Signed values.
        mask: The region.
        field: The field of view; the whole image by default.
        draws: Random turns behind the null.
        seed: Of the turns.

    Returns:
        The relevance mass by the region's share of the field, 0 or more; higher is better. Chance
        is 1, the ceiling one over the share. The null holds the lift of the region turned about
        the field's centre, as far as it stays in the field, and `parts["percentile"]` says which
        share of it lies below the value. Missing as `relevance_mass` is.

    Raises:
        ValueError: Shapes that differ, masks that are not binary, or fewer than 0 draws.
    """
    on = ground(map, mask, field)
    if on.problem not in (None, "constant_map"):
        return MASS_LIFT.none(on.problem)
    mean = float(on.positive[on.field].mean())
    turned = turns(np.argwhere(on.mask), on.field, draws=draws, seed=seed)
    null = [
        float(on.positive[tuple(at[kept].T)].mean()) / mean for at, kept in turned if kept.any()
    ]
    value = float(on.positive[on.mask].mean()) / mean
    return MASS_LIFT.score(
        value,
        chance=1,
        ceiling=1 / on.prevalence,
        null=tuple(null) or None,
        params={"draws": draws, "seed": seed},
        parts={"percentile": float(np.mean(np.array(null) < value)) if null else None},
    )


def out_of_fov_mass(
    map: Shaped[Array, "row column"], *, field: Shaped[Array, "row column"]
) -> Score:
    """Share of the map's positive evidence that lies outside the field of view.

    Where there is no eye there is nothing to see: mass there means a misaligned map, a shortcut,
    or the spill of a coarse layer whose cells reach over the edge. The last is told apart by
    `parts["far_mass"]`, the share that lies more than 5 % of the field's diameter outside.

    Returns:
        A share in [0, 1]; lower is better. Chance is the share of the image outside the field.
        Missing (`no_outside`, `zero_map`, `nan_map`) when the field covers the whole image or
        nothing is positive.

    Raises:
        ValueError: Shapes that differ, or a field that is not binary or empty.
    """
    on = ground(map, None, field, needs_mask=False)
    positive = np.maximum(on.map, 0)
    if on.problem == "nan_map":
        return OUT_OF_FOV_MASS.none("nan_map")
    if not positive.any():
        return OUT_OF_FOV_MASS.none("zero_map", text="the map has no positive value anywhere")
    if on.field.all():
        return OUT_OF_FOV_MASS.none("no_outside")
    margin = _MARGIN * diameter(on.field)
    far = _distance(on.field) > margin
    total, active = positive.sum(), positive > 0
    return OUT_OF_FOV_MASS.score(
        float(positive[~on.field].sum() / total),
        chance=float((~on.field).mean()),
        ceiling=0,
        params={"margin_px": float(margin)},
        parts={
            "far_mass": float(positive[far].sum() / total),
            "pixel_share": float((active & ~on.field).sum() / active.sum()),
        },
    )


def _distance(mask: Bool[np.ndarray, "row column"]) -> Float[np.ndarray, "row column"]:
    """Distance of every pixel to the nearest one of the mask, which has some."""
    return np.asarray(distance_transform_edt(~mask))
