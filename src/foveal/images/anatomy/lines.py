"""Dark lines, such as vessels, and which way they run."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from foveal.images.anatomy.reduced import Mask, Plane, Reduced, smooth_inside

_GROUND = 0.05
"""Width of the mean that stands for the ground behind the vessels, as a share of the field."""
_RIM = 0.02
"""How far from the field's rim nothing counts: the rim itself is a dark line."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Lines:
    """What a filter for dark lines says of each pixel."""

    strength: Plane
    """Relative depth of the line's trough, at the best of the widths; 0 where there is none."""
    cos2: Plane
    sin2: Plane
    """Cosine and sine of twice the angle from the row axis at which the line runs."""


def dark_lines(view: Reduced, widths: Sequence[float]) -> Lines:
    """Dark lines of these half widths, given as shares of the field's longer side.

    The larger eigenvalue of the scale-normalised Hessian of the green channel over its ground,
    less the amount of the smaller one, so that round spots answer weakly.

    Reference:
        Frangi et al. 1998, Multiscale vessel enhancement filtering, MICCAI, section 2; Lindeberg
        1998, Edge detection and ridge detection with automatic scale selection, IJCV 30:117.
    """
    ground = smooth_inside(view.green, view.field, _GROUND * view.span)
    flat = np.where(view.field, view.green / np.maximum(ground, 1e-3), 1.0)
    best = [np.zeros(view.field.shape) for _ in range(3)]
    for width in widths:
        answer = _at_width(flat, width * view.span)
        stronger = answer[0] > best[0]
        best = [np.where(stronger, new, old) for new, old in zip(answer, best, strict=True)]
    return Lines(
        strength=best[0] * inner_field(view.field, _RIM * view.span), cos2=best[1], sin2=best[2]
    )


def inner_field(field: Mask, rim: float) -> Mask:
    """The field without a rim of so many pixels."""
    padded = np.pad(field, 1)
    return np.asarray(ndimage.distance_transform_edt(padded))[1:-1, 1:-1] > rim


def _at_width(flat: Plane, sigma: float) -> tuple[Plane, Plane, Plane]:
    down, across, both = (
        sigma**2 * _filtered(_filtered(flat, sigma, 0, order[0]), sigma, 1, order[1])
        for order in ((2, 0), (0, 2), (1, 1))
    )
    middle, tilt = (down + across) / 2, (down - across) / 2
    length = np.hypot(tilt, both)
    strength: Float[np.ndarray, "row column"] = np.maximum(
        middle + length - np.abs(middle - length), 0
    )
    # The larger eigenvalue lies across the line, hence the signs.
    return strength, -tilt / np.maximum(length, 1e-12), -both / np.maximum(length, 1e-12)


def _filtered(values: Plane, sigma: float, axis: int, order: int) -> Plane:
    return np.asarray(ndimage.gaussian_filter1d(values, sigma, axis=axis, order=order))
