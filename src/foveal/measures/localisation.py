"""Is the map where the experts marked the disease? None of these says whether the model cares."""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Shaped
from scipy.ndimage import distance_transform_edt

from foveal.core import Score
from foveal.measures.base import Array, Ground, MeasureCard, diameter, ground, tie_fraction, top

POINTING_TOLERANCE = 0.015
"""The pointing game's tolerance as a share of the field's diameter."""
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
IOU = MeasureCard(
    name="iou",
    question="How far do the map's strongest pixels and the region cover each other?",
    direction="higher",
    range=(0, 1),
    needs=("mask",),
    chance="q p / (q + p - q p) for the shares q of the map's pixels and p of the region",
    missing="the region is empty; with the size-matched rule also where nothing is positive",
    cost="none",
    reference="Jaccard 1912; size-matched threshold as in Arras et al. 2022",
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


def pointing_game(
    map: Shaped[Array, "row column"],
    mask: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    tolerance_px: float | None = None,
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

    Returns:
        0 or 1, in between under ties; higher is better. Chance is the share of the field within
        the tolerance of the region. Missing (`empty_mask`, `zero_map`, `constant_map`, `nan_map`)
        when there is no region or no highest point.

    Raises:
        ValueError: Shapes that differ, masks that are not binary, or a negative tolerance.

    Reference:
        Zhang et al. 2016, Top-down Neural Attention by Excitation Backprop, section 4.1.
    """
    on = ground(map, mask, field)
    tolerance = POINTING_TOLERANCE * diameter(on.field) if tolerance_px is None else tolerance_px
    if tolerance < 0:
        raise ValueError(f"tolerance_px must not be negative, but is {tolerance_px}")
    params = {"tolerance_px": float(tolerance)}
    if on.problem is not None:
        return POINTING_GAME.none(on.problem, params=params)
    hits = _within(on, tolerance)
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


def iou(
    map: Shaped[Array, "row column"],
    mask: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    rule: Literal["topk_area", "quantile", "fixed"] = "topk_area",
    quantile: float = 0.1,
    fraction: float = 0.5,
    seed: int = 0,
) -> Score:
    """Intersection over union of the map's strongest pixels A and the region G, in the field.

    Args:
        map: Signed values.
        mask: The region.
        field: The field of view; the whole image by default.
        rule: Which pixels are A. `topk_area`: as many as the region has, which removes the choice
            of a threshold; `quantile`: exactly the top `quantile` of the field; `fixed`: those of
            at least `fraction` times the largest value.
        quantile: Share of the field for the rule of that name.
        fraction: Share of the maximum for the rule `fixed`.
        seed: For the ties that values do not break.

    Returns:
        Pixels of both by pixels of either, in [0, 1]; higher is better. For the shares q of A and
        p of G in the field, chance is q p / (q + p - q p) and the ceiling min(q, p) / max(q, p): a
        tenth of the field against a lesion of 1 % can reach no more than 0.1. Missing
        (`empty_mask`, `nan_map`) without a region; a map without positive values is `zero_map`
        under `topk_area` and 0 otherwise.

    Raises:
        ValueError: Shapes that differ, masks that are not binary, or a setting out of range.

    Reference:
        Jaccard 1912, The Distribution of the Flora in the Alpine Zone.
    """
    _check_rule(rule, quantile, fraction)
    on = ground(map, mask, field)
    params = {"rule": rule, "seed": seed}
    params |= {"quantile": {"quantile": quantile}, "fixed": {"fraction": fraction}}.get(rule, {})
    if on.problem in ("nan_map", "empty_mask") or (
        on.problem == "zero_map" and rule == "topk_area"
    ):
        return IOU.none(on.problem, params=params)
    chosen = _strongest(on, rule, quantile, fraction, seed)
    both, either = int((chosen & on.mask).sum()), int((chosen | on.mask).sum())
    q, p = float(chosen.sum() / on.area), on.prevalence
    return IOU.score(
        both / either,
        chance=q * p / (q + p - q * p),
        ceiling=min(q, p) / max(q, p),
        params=params,
        parts={
            "dice": 2 * both / (int(chosen.sum()) + on.mask_area),
            "map_share": q,
            "mask_share": p,
            "tie_fraction": tie_fraction(on.positive[on.field]),
        },
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


def _within(on: Ground, tolerance: float) -> Bool[np.ndarray, "row column"]:
    """The pixels of the field at most this far from the region."""
    return on.field & (_distance(on.mask) <= tolerance)


def _distance(mask: Bool[np.ndarray, "row column"]) -> Float[np.ndarray, "row column"]:
    """Distance of every pixel to the nearest one of the mask, which has some."""
    return np.asarray(distance_transform_edt(~mask))


def _strongest(
    on: Ground, rule: str, quantile: float, fraction: float, seed: int
) -> Bool[np.ndarray, "row column"]:
    if on.problem == "zero_map":
        return np.zeros_like(on.field)
    if rule == "fixed":
        return on.field & (on.positive >= fraction * on.positive.max())
    count = on.mask_area if rule == "topk_area" else max(1, round(quantile * on.area))
    return top(on, count, seed)


def _check_rule(rule: str, quantile: float, fraction: float) -> None:
    if rule not in ("topk_area", "quantile", "fixed"):
        raise ValueError(f"rule must be topk_area, quantile or fixed, but is {rule!r}")
    for name, value in (("quantile", quantile), ("fraction", fraction)):
        if not 0 < value <= 1:
            raise ValueError(f"{name} must be in (0, 1], but is {value}")
