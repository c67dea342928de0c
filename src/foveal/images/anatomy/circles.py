"""Round edges: where brightness steps up all along a circle's sides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import ndimage
from scipy.signal import fftconvolve

from foveal.core import Grid
from foveal.images.anatomy.reduced import Mask, Plane
from foveal.images.anatomy.round_places import circle_around

_SIDES = (0.0, 90.0, 180.0, 270.0)
"""Bearings of the arcs, in degrees from the right, turning downwards."""


@dataclass(frozen=True, kw_only=True)
class Circle:
    """A circle on a grid, pixel centres at +0.5."""

    row: float
    column: float
    radius: float
    step: float
    """How much brighter it is outside, per pixel, on the weaker of its sides."""
    margin: float
    """`step` by that of the best circle with its centre well elsewhere."""

    def mask(self, grid: Grid) -> Mask:
        """The pixels with their centres within."""
        return circle_around(self.row, self.column, self.radius, grid)


def best_circle(
    values: Plane,
    radii: Float[np.ndarray, " radius"],
    *,
    sigma: float,
    half_arc: float,
    sides: Sequence[float] = _SIDES,
    near: Mask | None = None,
) -> Circle:
    """The circle across which the image brightens most on the weaker half of its sides.

    Daugman's integro-differential operator in its gradient form, on arcs around each side alone:
    lids hide the upper and lower ones of the limbus, and the weaker side counts, so that a slit's
    beam or a highlight on one side is no edge.

    Args:
        values: Brightness; logarithmic where light falls off.
        radii: Those tried, in pixels.
        sigma: Of the smoothing, in pixels.
        half_arc: Half the angle of each arc, in degrees.
        sides: Bearings of the arcs.
        near: Where the centre may be; anywhere by default.

    Reference:
        Daugman 2004, How iris recognition works, IEEE TCSVT 14:21, equation 1.
    """
    down, across = (ndimage.gaussian_filter1d(values, sigma, axis=a, order=1) for a in (0, 1))
    for axis, other in ((0, 1), (1, 0)):
        smoothed = ndimage.gaussian_filter1d((down, across)[axis], sigma, axis=other)
        down, across = (smoothed, across) if axis == 0 else (down, smoothed)
    scores = np.stack(
        [_weaker_half(_steps(down, across, radius, half_arc, sides)) for radius in radii]
    )
    if near is not None:
        scores = np.where(near, scores, -np.inf)
    size = int(scores.max(axis=(1, 2)).argmax())
    row, column = np.unravel_index(scores[size].argmax(), values.shape)
    step = float(scores[size].max())
    rows, columns = np.indices(values.shape)
    elsewhere = np.hypot(rows - row, columns - column) > radii[size] / 2
    others = scores.max(axis=0)[elsewhere & (scores.max(axis=0) > 0)]
    second = float(others.max()) if others.size else 0.0
    return Circle(
        row=float(row) + 0.5,
        column=float(column) + 0.5,
        radius=float(radii[size]),
        step=step,
        margin=step / second if second > 0 else np.inf,
    )


def _steps(
    down: Plane, across: Plane, radius: float, half_arc: float, sides: Sequence[float]
) -> Iterator[Plane]:
    """The mean outward derivative along the arc of each side, for each centre."""
    reach = int(radius + 2)
    row, column = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(float)
    away = np.maximum(np.hypot(row, column), 1e-9)
    bearing = np.degrees(np.arctan2(row, column))
    for side in sides:
        turn = np.abs((bearing - side + 180) % 360 - 180)
        arc = np.clip(1 - np.abs(away - radius), 0, 1) * (turn <= half_arc)
        arc /= arc.sum()
        # Convolution turns the kernel around, which correlation with the arc undoes.
        by_row, by_column = (arc * row / away)[::-1, ::-1], (arc * column / away)[::-1, ::-1]
        yield fftconvolve(down, by_row, mode="same") + fftconvolve(across, by_column, mode="same")


def _weaker_half(steps: Iterator[Plane]) -> Plane:
    ordered = np.sort(np.stack(list(steps)), axis=0)
    return ordered[: (len(ordered) + 1) // 2].mean(axis=0)
