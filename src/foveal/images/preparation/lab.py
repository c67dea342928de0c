"""CIE L*a*b* (CIE 15:2004) of sRGB display values (IEC 61966-2-1), white D65.

In single precision and channels first, several times as fast as scikit-image, whose results it has.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Shaped

_TO_XYZ = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])
_TO_WHITE = (_TO_XYZ / _WHITE[:, np.newaxis]).astype(np.float32)
_FROM_WHITE = np.linalg.inv(_TO_XYZ / _WHITE[:, np.newaxis]).astype(np.float32)
_KNEE = np.float32(6 / 29)
_DARK, _FAINT = np.float32(0.04045), np.float32(0.0031308)
"""Knees of the sRGB curve, in display values and in linear light."""
_BAND = 2**18
"""Pixels that are worked on at once, so that they stay in the processor's cache."""


def to_lab(
    pixels: Float[np.ndarray, "channel row column"],
) -> Float[np.ndarray, "3 row column"]:
    """L* in [0, 100], a* (green to red) and b* (blue to yellow); grey has a* = b* = 0."""
    values = np.broadcast_to(pixels, (3, *pixels.shape[1:]))
    x, y, z = _cube_roots(_mixed(_TO_WHITE, _linear(values)))
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def from_lab(lab: Float[np.ndarray, "3 row column"]) -> Float[np.ndarray, "3 row column"]:
    """Display values in [0, 1]; colours that no screen shows are clipped."""
    middle = (lab[0] + 16) / 116
    roots = np.stack([middle + lab[1] / 500, middle, middle - lab[2] / 200])
    return _displayed(_mixed(_FROM_WHITE, _cubes(roots)))


def lightness(
    pixels: Float[np.ndarray, "channel row column"],
) -> Float[np.ndarray, "row column"]:
    """L* alone."""
    light = _linear(pixels)
    luminous = light[0] if len(light) == 1 else np.tensordot(_TO_WHITE[1], light, axes=1)
    return 116 * _cube_roots(luminous) - 16


def by_bands(
    change: Callable[..., Shaped[np.ndarray, "..."]], *layers: Shaped[np.ndarray, "..."]
) -> Shaped[np.ndarray, "..."]:
    """A change of pixels one by one, made on some rows of all the layers at a time."""
    rows, columns = layers[0].shape[-2:]
    step = max(1, _BAND // columns)
    bands = [slice(start, start + step) for start in range(0, rows, step)]
    parts = (change(*(layer[..., band, :] for layer in layers)) for band in bands)
    first = next(parts)
    changed = np.empty((*first.shape[:-2], rows, columns), first.dtype)
    changed[..., bands[0], :] = first
    for band, part in zip(bands[1:], parts, strict=True):
        changed[..., band, :] = part
    return changed


def _mixed(
    matrix: Float[np.ndarray, "3 3"], values: Float[np.ndarray, "3 row column"]
) -> Float[np.ndarray, "3 row column"]:
    return (matrix @ values.reshape(3, -1)).reshape(values.shape)


# Both halves of a piecewise curve are followed to the knee only and added: no mask is needed, which
# would cost more than the curve.
def _linear(
    values: Float[np.ndarray, "channel row column"],
) -> Float[np.ndarray, "channel row column"]:
    values = values.astype(np.float32, copy=False)
    curved = np.maximum(values, _DARK)
    curved += np.float32(0.055)
    curved *= np.float32(1 / 1.055)
    curved **= np.float32(2.4)
    return _with_foot(curved, values, _DARK, 1 / 12.92)


def _displayed(light: Float[np.ndarray, "3 row column"]) -> Float[np.ndarray, "3 row column"]:
    light = light.clip(0, 1)
    curved = np.maximum(light, _FAINT)
    curved **= np.float32(1 / 2.4)
    curved *= np.float32(1.055)
    curved -= np.float32(0.055)
    return _with_foot(curved, light, _FAINT, 12.92).clip(0, 1)  # the knees meet but for rounding


def _cube_roots(values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    curved = np.cbrt(np.maximum(values, _KNEE**3))
    return _with_foot(curved, values, _KNEE**3, 1 / (3 * _KNEE**2))


def _cubes(roots: Float[np.ndarray, "3 row column"]) -> Float[np.ndarray, "3 row column"]:
    curved = np.maximum(roots, _KNEE)
    curved *= curved * curved
    return _with_foot(curved, roots, _KNEE, 3 * _KNEE**2)


def _with_foot(
    curved: Float[np.ndarray, "*shape"],
    values: Float[np.ndarray, "*shape"],
    knee: np.float32,
    slope: float | np.float32,
) -> Float[np.ndarray, "*shape"]:
    """The curve above its knee, in place, with the straight line that leads there added."""
    foot = np.minimum(values, knee)
    foot -= knee
    foot *= np.float32(slope)
    curved += foot
    return curved
