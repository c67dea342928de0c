"""The region pixel by pixel: does the map's value tell its pixels from the others?"""

import numpy as np
from jaxtyping import Float, Shaped
from scipy.ndimage import gaussian_filter

from foveal.core import Score
from foveal.measures.base import Array, Ground, MeasureCard, diameter, ground

CC_BLUR = 0.01
"""How much the region is blurred before it is correlated, as a share of the field's diameter."""

PIXEL_AP = MeasureCard(
    name="pixel_ap",
    question="How pure is the region among the map's highest pixels, at every cut?",
    direction="higher",
    range=(0, 1),
    needs=("mask",),
    chance="the region's share of the field",
    missing="the region is empty or the whole field, or the map has nothing positive",
    cost="none",
    reference="average precision over pixels, the sum of (R_n - R_n-1) P_n; no detection mAP",
)
PIXEL_AUC = MeasureCard(
    name="pixel_auc",
    question="How often is a pixel of the region higher than one outside it?",
    direction="higher",
    range=(0, 1),
    needs=("mask",),
    chance="one half",
    missing="the region is empty or the whole field, or the map has nothing positive",
    cost="none",
    reference="Mann and Whitney 1947; hardly moves for lesions of 1 %: prefer average precision",
)
MAP_MASK_CC = MeasureCard(
    name="map_mask_cc",
    question="Do the map and the blurred region rise and fall together?",
    direction="higher",
    range=(-1, 1),
    needs=("mask",),
    chance="0",
    missing="the region is empty or the whole field, or the map is constant or nowhere positive",
    cost="none",
    reference="Bylinskii et al. 2019, CC; blur of 1 % of the field's diameter",
)
CNR = MeasureCard(
    name="cnr",
    question="How far does the region stand out from the rest of the map, in its noise?",
    direction="higher",
    range=(-np.inf, np.inf),
    needs=("mask",),
    chance="0",
    missing="the region is empty or the whole field, or the map is constant outside it",
    cost="none",
    reference="contrast to noise ratio; no measure of place, so not for ranking methods",
)
SNR_ROI = MeasureCard(
    name="snr_roi",
    question="How strong is the map in the region, in units of its noise outside?",
    direction="higher",
    range=(-np.inf, np.inf),
    needs=("mask",),
    chance="the mean outside in the same units",
    missing="the region is empty or the whole field, or the map is constant outside it",
    cost="none",
    reference="signal to noise ratio; moves with a constant, so prefer cnr",
)


def pixel_ap(
    map: Shaped[Array, "row column"],
    mask: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
) -> Score:
    """Average precision with the field's pixels as samples and the map as their score.

    The sum of (R_n - R_n-1) P_n over the map's values from high to low; tied pixels are one step.
    Nothing is interpolated and no pixel is left out. It has nothing to do with the mean average
    precision of object detection.

    Returns:
        A share in [0, 1]; higher is better. Chance is the region's share of the field, which is
        small for lesions: never read one without the other. Missing (`empty_mask`, `full_mask`,
        `zero_map`, `nan_map`) without a region, without anything else, or without evidence.

    Raises:
        ValueError: Shapes that differ, or masks that are not binary.
    """
    on = ground(map, mask, field)
    problem = _problem(on)
    if problem is not None:
        return PIXEL_AP.none(problem)
    hits, taken = _steps(on)
    gained = np.diff(hits, prepend=0) / on.mask_area
    return PIXEL_AP.score(float((gained * hits / taken).sum()), chance=on.prevalence, ceiling=1)


def pixel_auc(
    map: Shaped[Array, "row column"],
    mask: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
) -> Score:
    """Chance that a pixel of the region is higher than one of the field outside, ties one half.

    Returns:
        The area under the ROC curve in [0, 1]; higher is better and 0.5 is chance, which a
        constant map reaches. Missing as `pixel_ap` is.

    Raises:
        ValueError: Shapes that differ, or masks that are not binary.

    Reference:
        Mann and Whitney 1947, On a test of whether one of two random variables is larger.
    """
    on = ground(map, mask, field)
    problem = _problem(on)
    if problem is not None:
        return PIXEL_AUC.none(problem)
    hits, taken = _steps(on)
    sensitivity = np.append(0, hits / on.mask_area)
    false_alarms = np.append(0, (taken - hits) / (on.area - on.mask_area))
    return PIXEL_AUC.score(float(np.trapezoid(sensitivity, false_alarms)), chance=0.5, ceiling=1)


def map_mask_cc(
    map: Shaped[Array, "row column"],
    mask: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    blur_px: float | None = None,
) -> Score:
    """Pearson correlation over the field between the positive map and the blurred region.

    Args:
        map: Signed values.
        mask: The region.
        field: The field of view; the whole image by default.
        blur_px: Standard deviation of the Gaussian; 1 % of the field's diameter by default.

    Returns:
        A correlation in [-1, 1]; higher is better, 0 is chance. Missing (`empty_mask`,
        `full_mask`, `zero_map`, `constant_map`, `nan_map`) where either does not vary.

    Raises:
        ValueError: Shapes that differ, masks that are not binary, or a negative blur.

    Reference:
        Bylinskii et al. 2019, What do different evaluation metrics tell us about saliency models?
    """
    on = ground(map, mask, field)
    width = CC_BLUR * diameter(on.field) if blur_px is None else blur_px
    if not width >= 0:
        raise ValueError(f"blur_px must not be negative, but is {blur_px}")
    params = {"blur_px": float(width)}
    problem = _problem(on) or on.problem or ("constant_map" if _flat(on) else None)
    if problem is not None:
        return MAP_MASK_CC.none(problem, params=params)
    marked = gaussian_filter(on.mask.astype(np.float64), width)[on.field]
    found = np.corrcoef(on.positive[on.field], marked)[0, 1]
    return MAP_MASK_CC.score(float(np.clip(found, -1, 1)), chance=0, ceiling=1, params=params)


def cnr(
    map: Shaped[Array, "row column"],
    mask: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
) -> Score:
    """Contrast to noise ratio of the signed map: how far the region stands out.

    The mean in the region less the mean of the rest of the field, by the standard deviation of the
    rest. It depends neither on the map's scale nor on a constant added to it.

    Returns:
        Any number; higher is better, 0 is chance. Missing (`empty_mask`, `full_mask`,
        `constant_map`, `nan_map`) where the rest does not vary: then it is without bound, and
        `parts["infinite"]` says so if the region differs.

    Raises:
        ValueError: Shapes that differ, or masks that are not binary.
    """
    found = _contrast(CNR, ground(map, mask, field))
    if isinstance(found, Score):
        return found
    inside, outside, noise = found
    return CNR.score((inside - outside) / noise, chance=0, parts={"noise": noise})


def snr_roi(
    map: Shaped[Array, "row column"],
    mask: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
) -> Score:
    """Mean of the signed map in the region by its standard deviation in the rest of the field.

    A constant added to the map raises it, which is why `cnr` is to be preferred.

    Returns:
        Any number; higher is better. Chance is the mean outside by the same noise. Missing as
        `cnr` is.

    Raises:
        ValueError: Shapes that differ, or masks that are not binary.
    """
    found = _contrast(SNR_ROI, ground(map, mask, field))
    if isinstance(found, Score):
        return found
    inside, outside, noise = found
    return SNR_ROI.score(inside / noise, chance=outside / noise, parts={"noise": noise})


def _steps(on: Ground) -> tuple[Float[np.ndarray, " step"], Float[np.ndarray, " step"]]:
    """Pixels of the region, and of all, that are at least as high as each of the map's values."""
    values, inside = on.map[on.field], on.mask[on.field]
    order = np.argsort(-values)
    last = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)
    return np.cumsum(inside[order])[last].astype(np.float64), (last + 1).astype(np.float64)


def _contrast(card: MeasureCard, on: Ground) -> tuple[float, float, float] | Score:
    """Mean in the region, mean and standard deviation of the rest of the field."""
    problem = _problem(on)
    if problem not in (None, "zero_map"):
        return card.none(problem)
    inside, rest = on.map[on.mask], on.map[on.field & ~on.mask]
    if rest.min() == rest.max():
        return card.none(
            "constant_map",
            text="the map has the same value everywhere in the field outside the region",
            parts={"infinite": bool((inside != rest[0]).any())},
        )
    return float(inside.mean()), float(rest.mean()), float(rest.std())


def _flat(on: Ground) -> bool:
    """Whether the positive part is the same everywhere, which a signed map need not be."""
    values = on.positive[on.field]
    return bool(values.min() == values.max())


def _problem(on: Ground) -> str | None:
    """What stops a comparison of the region with the rest; equal values are only tied."""
    if on.problem not in (None, "constant_map", "zero_map"):
        return on.problem
    if on.mask_area == on.area:
        return "full_mask"
    return None if on.problem == "constant_map" else on.problem
