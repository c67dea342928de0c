"""What is left of a picture when everything small is blurred away, inside the field only."""

import math

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from foveal.images.preparation.resample import bilinear

_FINE = 6.0
"""Least standard deviation of the blur in pixels of the reduced copy on which it is made."""

_COVER = 1e-6
"""Below this weight of the field nearby there is no background."""


def field_diameter(field: Bool[np.ndarray, "row column"]) -> int:
    """The longer side of the field's box in pixels: of a clipped disc, its diameter.

    Raises:
        ValueError: An empty field.
    """
    if not field.any():
        raise ValueError("the field of view is empty; `find_field` gives one")
    spans = [np.flatnonzero(field.any(axis=axis)) for axis in (1, 0)]
    return max(int(span[-1]) - int(span[0]) + 1 for span in spans)


def background(
    values: Float[np.ndarray, "channel row column"],
    field: Bool[np.ndarray, "row column"],
    sigma_px: float,
) -> Float[np.ndarray, "channel row_reduced column_reduced"]:
    """Gaussian means over the field alone, on a reduced grid that still resolves the blur.

    Normalised convolution (Knutsson and Westin 1993): the blurred picture by the blurred field, so
    the black surround does not darken the rim. Far outside the field it is zero.
    """
    factor = max(1.0, sigma_px / _FINE)
    rows, columns = (max(1, round(side / factor)) for side in field.shape)
    # Reducing and enlarging blur by a triangle each, whose variance is 1/6 of a reduced pixel.
    sigma = math.sqrt((sigma_px / factor) ** 2 - (1 / 3 if factor > 1 else 0))
    inside = field.astype(np.float32)
    weight, *sums = (
        ndimage.gaussian_filter(bilinear(layer, (rows, columns)), sigma, mode="constant")
        for layer in (inside, *(channel * inside for channel in values))
    )
    return np.stack([np.where(weight > _COVER, s / weight.clip(_COVER), 0) for s in sums])


def enlarged(
    values: Float[np.ndarray, "row column"], grid: tuple[int, int]
) -> Float[np.ndarray, "row_out column_out"]:
    """Bilinear, laid out in memory as pictures are."""
    return np.ascontiguousarray(bilinear(values, grid))
