"""The field of a photograph at one working size, so that no length depends on the camera."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from foveal.core import Grid, Image
from foveal.images.preparation import find_field
from foveal.images.preparation.resample import bilinear

Plane = Float[np.ndarray, "row column"]
Mask = Bool[np.ndarray, "row column"]
_RIM = 0.02
"""Empty border around the field, as a share of its longer side."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reduced:
    """The field of view, its longer side `span` pixels long, in a dark border."""

    pixels: Float[np.ndarray, "channel row column"]
    field: Mask
    span: int
    rim: int
    """Width of the border."""
    box: tuple[int, int, int, int]
    """First row and column, rows and columns of the field on the original grid."""
    grid: Grid
    """The original one."""

    @property
    def scale(self) -> float:
        """Working pixels to one original pixel."""
        return self.span / max(self.box[2:])

    @property
    def corner(self) -> tuple[float, float]:
        """Where the working grid's (0, 0) lies on the original grid."""
        return self.box[0] - self.rim / self.scale, self.box[1] - self.rim / self.scale

    def to_original(self, row: float, column: float) -> tuple[float, float]:
        """A point of the working grid on the original one."""
        return self.corner[0] + row / self.scale, self.corner[1] + column / self.scale

    def to_reduced(self, row: float, column: float) -> tuple[float, float]:
        """A point of the original grid on the working one."""
        return (row - self.corner[0]) * self.scale, (column - self.corner[1]) * self.scale

    def mask_to_original(self, mask: Mask) -> Bool[np.ndarray, "row_out column_out"]:
        """A mask of the working grid on the original one, cut at one half."""
        top, left, rows, columns = self.box
        inside = mask[self.rim : -self.rim, self.rim : -self.rim].astype(np.float32)
        whole = np.zeros(self.grid, bool)
        whole[top : top + rows, left : left + columns] = bilinear(inside, (rows, columns)) >= 0.5
        return whole

    @property
    def red(self) -> Plane:
        """The first channel, or the only one."""
        return self.pixels[0]

    @property
    def green(self) -> Plane:
        """The channel in which vessels are darkest, or the only one."""
        return self.pixels[1 % len(self.pixels)]


def reduce_field(image: Image, span: int) -> Reduced:
    """The field of an image at a working size.

    Raises:
        ImageError: Nothing to see in it.
        ValueError: A prepared image: places are given on the original grid.
    """
    if image.steps:
        raise ValueError(
            "anatomy is looked for on the original grid; pass the image as it was read, not a "
            "prepared one"
        )
    field = find_field(image)
    tops, sides = (np.flatnonzero(field.any(axis=axis)) for axis in (1, 0))
    box = slice(tops[0], tops[-1] + 1), slice(sides[0], sides[-1] + 1)
    rows, columns = field[box].shape
    scale = span / max(rows, columns)
    grid = max(1, round(rows * scale)), max(1, round(columns * scale))
    rim = max(1, round(_RIM * span))
    pixels = np.stack([bilinear(np.ascontiguousarray(plane[box]), grid) for plane in image.pixels])
    inside = bilinear(field[box].astype(np.float32), grid) >= 0.5
    return Reduced(
        pixels=np.pad(pixels, ((0, 0), (rim, rim), (rim, rim))),
        field=np.pad(inside, rim),
        span=span,
        rim=rim,
        box=(int(tops[0]), int(sides[0]), rows, columns),
        grid=image.grid,
    )


def smooth_inside(values: Plane, field: Mask, sigma: float) -> Plane:
    """A Gaussian mean of what lies in the field alone, so that the dark surround adds nothing."""
    weight = ndimage.gaussian_filter(field.astype(np.float32), sigma)
    total = ndimage.gaussian_filter(np.where(field, values, 0).astype(np.float32), sigma)
    return total / np.maximum(weight, 1e-3)


def local_contrast(values: Plane, field: Mask, sigma: float) -> Plane:
    """How many local standard deviations a pixel is above its surroundings, within [-2, 4].

    The cut keeps a few white exudates from outshining the disc; 0 outside the field.
    """
    away = values - smooth_inside(values, field, sigma)
    spread = np.sqrt(smooth_inside(away**2, field, sigma))
    return np.where(field, np.clip(away / np.maximum(spread, 0.02), -2, 4), 0)
