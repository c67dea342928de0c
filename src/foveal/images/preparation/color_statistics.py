"""The colours of a field of view in a few numbers, from a copy of at most 512 pixels a side.

A reduced copy is quick and shows pictures of any camera about equally fine, so that its standard
deviation is of the eye and not of the sensor's noise.
"""

import numpy as np
from jaxtyping import Bool, Float

from foveal.images.preparation.lab import to_lab
from foveal.images.preparation.resample import bilinear, covered_half

Numbers = tuple[float, ...]

_REDUCED = 512

_DARKEST = 1 / 255
"""The least light that a file of 8 bits tells from none; darker values have no finite density."""

_CLEAR = 0.15
"""Densities (decadic) below it in every channel show no stain: beta of Macenko et al."""

_EXTREME = 1.0
"""Per cent of the pixels beyond the two extreme colours: alpha of Macenko et al."""


def lab_statistics(
    pixels: Float[np.ndarray, "3 row column"], field: Bool[np.ndarray, "row column"]
) -> tuple[Numbers, Numbers]:
    """Mean and standard deviation of L*, a* and b* in the field."""
    lab = to_lab(_reduced(pixels, field)[:, np.newaxis])[:, 0].astype(np.float64)
    return _plain(lab.mean(axis=1)), _plain(lab.std(axis=1))


def stain_basis(
    pixels: Float[np.ndarray, "3 row column"], field: Bool[np.ndarray, "row column"]
) -> tuple[Numbers, Numbers]:
    """Two colours of absorption, three numbers each, and the 99th percentile of their strengths.

    Macenko et al. 2009: the plane of the two greatest singular vectors of the densities, and in it
    the directions at the extreme angles; the first has the larger share of red.
    """
    density = absorbed(_reduced(pixels, field)[:, np.newaxis])[:, 0].astype(np.float64)
    shown = density[:, (density > _CLEAR * np.log(10)).any(axis=0)]
    if shown.shape[1] < 2:
        shown = density
    plane = np.linalg.svd(shown @ shown.T)[0][:, :2]
    plane *= np.where(plane.sum(axis=0) < 0, -1, 1)
    along, across = plane.T @ shown
    extremes = np.percentile(np.arctan2(across, along), [_EXTREME, 100 - _EXTREME])
    basis = plane @ np.stack([np.cos(extremes), np.sin(extremes)])
    basis = basis[:, np.argsort(-basis[0])]
    strengths = np.linalg.pinv(basis) @ density
    return _plain(basis.T.ravel()), _plain(np.percentile(strengths, 99, axis=1).clip(1e-3))


def absorbed(
    pixels: Float[np.ndarray, "3 row column"],
) -> Float[np.ndarray, "3 row column"]:
    """Optical density of each channel, natural logarithm; 0 is full brightness."""
    return -np.log(pixels.clip(_DARKEST))


def _reduced(
    pixels: Float[np.ndarray, "3 row column"], field: Bool[np.ndarray, "row column"]
) -> Float[np.ndarray, "3 pixel"]:
    """The field's pixels on the reduced copy, each the mean of what it covers of the field."""
    if not field.any():
        raise ValueError("the field of view is empty; `find_field` gives one")
    scale = min(1.0, _REDUCED / max(field.shape))
    rows, columns = (max(1, round(side * scale)) for side in field.shape)
    inside = covered_half(field, (rows, columns))
    if not inside.any():
        return pixels[:, field]
    weight = bilinear(field.astype(np.float32), (rows, columns))[inside]
    sums = [bilinear(channel * field, (rows, columns))[inside] for channel in pixels]
    return (np.stack(sums) / weight).clip(0, 1)


def _plain(values: Float[np.ndarray, " number"]) -> Numbers:
    return tuple(float(value) for value in values)
