"""Pictures of any camera at one scale: so many millimetres, or so much of the field, per pixel.

Shrinking widens the bilinear triangle to one new pixel, which is a weighted mean over the area, so
that nothing finer than the new grid folds back into it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from foveal.core import Grid, Image, ImageError
from foveal.images.preparation.background import field_diameter
from foveal.images.preparation.settings import number_in
from foveal.images.preparation.window import AbstractWindow, Box

_MOST = 2**28
"""More pixels than that are a mistake in the setting."""


@dataclass(frozen=True, kw_only=True)
class Spacing(AbstractWindow):
    """The whole image with pixels of a given size.

    One number makes them square; rows and columns of a section (axial and lateral) may each have
    their own.
    """

    name = "spacing"
    mm: tuple[float, float]
    """Of rows and columns."""

    @classmethod
    def fit(cls, image: Image, field: Bool[np.ndarray, "row column"], *, mm: Any) -> "Spacing":
        """The step for one image.

        Args:
            image: Its grid and spacing matter.
            field: Does not matter.
            mm: Millimetres per pixel, 0.0001 to 10: one number, or one for rows and columns each.

        Raises:
            ValueError: Neither one number nor two, or one out of range.
            ImageError: The image does not say how large its pixels are, or would become too large.
        """
        pair = list(mm) if isinstance(mm, list | tuple) else [mm, mm]
        if len(pair) != 2:
            raise ValueError(f"mm must be one number, or two for rows and columns, not {mm!r}")
        row_mm, column_mm = (number_in("mm", side, 1e-4, 10) for side in pair)
        if image.spacing_mm is None:
            raise ImageError(
                "does not say how large its pixels are, which the step 'spacing' needs; give the "
                "spacing when reading, or use the step 'field-size'"
            )
        rows, columns = image.spacing_mm[0] / row_mm, image.spacing_mm[1] / column_mm
        return cls(**_whole(image.grid, rows, columns), mm=(row_mm, column_mm))

    def pixels_forward(
        self, pixels: Float[np.ndarray, "channel row column"]
    ) -> Float[np.ndarray, "channel row_out column_out"]:
        return self._window(pixels)


@dataclass(frozen=True, kw_only=True)
class FieldSize(AbstractWindow):
    """The whole image scaled so that its field of view has a given size.

    The size of a field is the longer side of its box: of a disc that the camera clipped on two
    sides, still the diameter.
    """

    name = "field-size"
    diameter: float
    """Of the field in pixels, as asked."""
    found: int
    """Of the field in pixels, before the step."""

    @classmethod
    def fit(
        cls,
        image: Image,
        field: Bool[np.ndarray, "row column"],
        *,
        diameter: Any = None,
        pixels_per_degree: Any = None,
        field_deg: Any = None,
    ) -> "FieldSize":
        """The step for one image.

        Args:
            image: Its grid matters.
            field: The field of view on the image's grid.
            diameter: Of the field in pixels, 8 to 16384.
            pixels_per_degree: Instead of the diameter, 0.1 to 1000, with `field_deg`.
            field_deg: The angle that the camera shows across the field, 1 to 270.

        Raises:
            ValueError: Neither or both of the two ways, or a number out of range.
            ImageError: The image would become too large.
        """
        both = pixels_per_degree is not None and field_deg is not None
        neither = pixels_per_degree is None and field_deg is None
        if not (both if diameter is None else neither):
            raise ValueError(
                "the step 'field-size' needs diameter, or pixels_per_degree with field_deg, and "
                "not both ways"
            )
        if both:
            per_degree = number_in("pixels_per_degree", pixels_per_degree, 0.1, 1000)
            diameter = per_degree * number_in("field_deg", field_deg, 1, 270)
        diameter = number_in("diameter", diameter, 8, 16384)
        found = field_diameter(field)
        scale = diameter / found
        return cls(**_whole(image.grid, scale, scale), diameter=diameter, found=found)

    def pixels_forward(
        self, pixels: Float[np.ndarray, "channel row column"]
    ) -> Float[np.ndarray, "channel row_out column_out"]:
        return self._window(pixels)


def _whole(grid: Grid, rows: float, columns: float) -> dict[str, Any]:
    """All of a grid at another number of pixels, whole ones."""
    target = max(1, round(grid[0] * rows)), max(1, round(grid[1] * columns))
    if target[0] * target[1] > _MOST:
        raise ImageError(
            f"would become {target[0]} x {target[1]} pixels (row, column); ask for larger pixels "
            "or a smaller field"
        )
    boxes: tuple[Box, Box] = (0, 0, *grid), (0, 0, *target)
    return {"source": grid, "target": target, "source_box": boxes[0], "target_box": boxes[1]}
