"""Is a map noise? Its fine grain, its spread over repeats, and the evenness of the image itself."""

from typing import Unpack

import numpy as np
from jaxtyping import Float, Shaped
from scipy.ndimage import gaussian_filter

from foveal.core import Score
from foveal.images.luminance import luminance, variation
from foveal.measures.base import Array, MeasureCard, as_numpy, ground
from foveal.measures.perturbed import (
    ExplainOf,
    NoiseKeywords,
    PerturbedMaps,
    field_on,
    perturbed_maps,
)

HIGH = 0.25
"""Frequencies above this, in cycles per pixel of the map's own grid, are high."""
REPEATS = 16
REPEAT_SIGMA = 0.1
_GROUP = 4

INTENSITY_CV = MeasureCard(
    name="intensity_cv",
    question="How unevenly is the eye lit and coloured?",
    direction="context",
    range=(0, np.inf),
    needs=("field",),
    chance="none",
    missing="the field is black",
    cost="none",
    reference="standard deviation by mean of the luminance (ITU-R BT.709) over the field, before "
    "any standardisation",
)
HFPR = MeasureCard(
    name="hfpr",
    question="How much of the map is fine grain?",
    direction="context",
    range=(0, 1),
    needs=(),
    chance="0.80 for white noise, 1 - pi / 16",
    missing="the map is constant, or its grid is too small for the window",
    cost="none",
    reference="share of spectral power above 0.25 cycles a pixel of the own grid, Hann window",
)
REPEAT_VARIANCE = MeasureCard(
    name="repeat_variance",
    question="How much does the map vary from one noisy copy of the image to the next?",
    direction="context",
    range=(0, np.inf),
    needs=("explainer",),
    chance="none",
    missing="the mean map is zero",
    cost="17 explanations",
    reference="variance over SmoothGrad draws (Smilkov et al. 2017) by the square of the mean map",
)


def intensity_cv(
    image: Shaped[Array, "channel row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
) -> Score:
    """Standard deviation of the luminance over the field by its mean.

    Args:
        image: In display units: after standardisation the mean is about 0 and the ratio says
            nothing.
        field: The field of view; the whole image by default.

    Returns:
        0 or more; lower is more even: uneven light raises it, and so do large lesions. Missing
        (`zero_map`) where the field is black, (`nan_map`) for values that are not finite.

    Raises:
        ValueError: An image that is not of one or three channels, or a field of another grid.
    """
    pixels = as_numpy(image).astype(np.float64)
    if pixels.ndim != 3 or len(pixels) not in (1, 3):
        raise ValueError(
            f"image must be (channel, row, column) of 1 or 3 channels, but is {pixels.shape}"
        )
    light = luminance(pixels)
    inside = light if field is None else light[field_on(field, light.shape)]
    if not np.isfinite(inside).all():
        return INTENSITY_CV.none("nan_map", text="the image holds values that are not numbers")
    spread = variation(inside)
    if spread is None:
        return INTENSITY_CV.none("zero_map", text="the image is black in the field")
    return INTENSITY_CV.score(spread, parts={"mean": float(inside.mean())})


def hfpr(
    map: Shaped[Array, "row column"], *, field: Shaped[Array, "row column"] | None = None
) -> Score:
    """High-frequency power ratio of a map: its share of power above 0.25 cycles per pixel.

    Ask for it on the map's own grid. Enlarged to the image, a map of 7 x 7 random cells scores
    nearly 0 and would always look clean.

    Args:
        map: Signed values on the native grid.
        field: The field of view on that grid; what lies outside is set to the mean inside.

    Returns:
        A share in [0, 1] of the power at frequencies above 0; neither way is better by itself.
        White noise has 1 - pi / 16 = 0.80. `parts["after_blur"]` is the same after a Gaussian blur
        of one native pixel: noise loses nearly all of it. Missing (`constant_map`, `zero_map`,
        `nan_map`) without structure, (`too_few`) on fewer than 5 rows or columns.

    Raises:
        ValueError: A map that is not (row, column), or a field of another grid.
    """
    on = ground(map, None, field, needs_mask=False)
    params = {"cut": HIGH, "window": "Hann", "grid": on.map.shape}
    inside = on.map[on.field]
    if on.problem == "nan_map":
        return HFPR.none("nan_map", params=params)
    if np.ptp(inside) <= 1e-12 * np.abs(inside).max():
        return HFPR.none("constant_map" if inside.any() else "zero_map", params=params)
    if min(on.map.shape) < 5:
        text = f"the map has {on.map.shape[0]} x {on.map.shape[1]} cells, fewer than 5 on a side"
        return HFPR.none("too_few", text=text, params=params)
    centred = np.where(on.field, on.map - inside.mean(), 0)
    share, after_blur = _high_share(centred), _high_share(gaussian_filter(centred, 1))
    if share is None:
        text = "the map differs from its mean at the border only, where the window is zero"
        return HFPR.none("too_few", text=text, params=params)
    parts = {"after_blur": after_blur}
    return HFPR.score(share, chance=1 - np.pi * HIGH**2, params=params, parts=parts)


def repeat_variance(
    explain: ExplainOf,
    image: Shaped[Array, "channel row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    repeats: PerturbedMaps | None = None,
    **settings: Unpack[NoiseKeywords],
) -> Score:
    """Variance of the map over noisy copies of the image, by the square of the mean map.

    The copies are SmoothGrad's. If the variance is chance, averaging groups of four maps leaves a
    quarter of it, and averaging many (SmoothGrad) is the cure; if it stays, the map changes with
    the image and averaging will not help.

    Args:
        explain: From images in display units (probe, channel, row, column) to maps (probe, row,
            column), the target fixed beforehand.
        image: The prepared image (channel, row, column) in display units.
        field: The field of view; the whole map on its own grid by default.
        repeats: The maps, where `perturbed_maps` made them before; its clean one is not used.
        **settings: `n` (16), `sigma` (0.1 in display units), `seed`, `max_batch`.

    Returns:
        Mean variance over the field by the mean of the squared mean map, 0 or more; lower is
        calmer. `parts["averaged_ratio"]` is the variance of the means of groups of four by the
        variance of single maps: about 0.25 for chance, about 1 where maps of a group move
        together. Missing (`zero_map`) where the mean map is zero, (`nan_map`), and (`too_few`) with
        fewer than 8 maps.

    Raises:
        ValueError: As `max_sensitivity`.

    Reference:
        Smilkov et al. 2017, SmoothGrad: removing noise by adding noise.
    """
    noise: NoiseKeywords = {"n": REPEATS, "sigma": REPEAT_SIGMA, **settings}
    made = repeats or perturbed_maps(explain, image, field=field, **noise)
    params, maps = made.settings.params(), made.noisy[:, made.field].astype(np.float64)
    if not np.isfinite(maps).all():
        return REPEAT_VARIANCE.none("nan_map", params=params)
    if len(maps) < 2 * _GROUP:
        text = f"{len(maps)} maps, but groups of four need {2 * _GROUP}"
        return REPEAT_VARIANCE.none("too_few", text=text, params=params)
    signal = float((maps.mean(axis=0) ** 2).mean())
    if signal == 0:
        return REPEAT_VARIANCE.none("zero_map", text="the mean map is zero", params=params)
    single = _spread(maps)
    whole = len(maps) - len(maps) % _GROUP
    groups = maps[:whole].reshape(-1, _GROUP, maps.shape[1]).mean(axis=1)
    return REPEAT_VARIANCE.score(
        single / signal,
        params=params,
        parts={"averaged_ratio": _spread(groups) / single if single > 0 else None},
    )


def _high_share(values: Float[np.ndarray, "row column"]) -> float | None:
    windows = [np.hanning(side) for side in values.shape]
    power = np.abs(np.fft.fft2(values * np.outer(*windows))) ** 2
    rows, columns = (np.fft.fftfreq(side) for side in values.shape)
    radius = np.hypot(rows[:, None], columns)
    total = power[radius > 0].sum()
    return float(power[radius > HIGH].sum() / total) if total > 0 else None


def _spread(maps: Float[np.ndarray, "map pixel"]) -> float:
    """Mean over the pixels of the variance over the maps, unbiased."""
    return float(maps.var(axis=0, ddof=1).mean())
