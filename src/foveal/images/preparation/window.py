from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

from foveal.core import Grid
from foveal.images.preparation.resample import at_least_half, bilinear, covered_half
from foveal.images.preparation.step import AbstractPreparation, plain_fields

Box = tuple[int, int, int, int]
"""First row, first column, rows, columns."""


@dataclass(frozen=True, kw_only=True)
class AbstractWindow(AbstractPreparation):
    """A step that shows a box of the source grid in a box of the target grid.

    Rows and columns are scaled apart, each by the ratio of the boxes. What lies outside the box is
    black in an image, zero in a map and false in a mask.

    Raises:
        ValueError: A box that is empty or leaves its grid.
    """

    reversible = (
        "points exactly; maps bilinear and masks at one half, inside the box; pixels not, where "
        "they were cut off or averaged"
    )
    source: Grid
    target: Grid
    source_box: Box
    target_box: Box

    def __post_init__(self) -> None:
        _check_inside("source", self.source_box, self.source)
        _check_inside("target", self.target_box, self.target)

    def numbers(self) -> Mapping[str, object]:
        return {"step": self.name, **plain_fields(self)}

    def points_forward(self, points: Float[np.ndarray, "point 2"]) -> Float[np.ndarray, "point 2"]:
        return _carried(points, self.source_box, self.target_box)

    def points_back(self, points: Float[np.ndarray, "point 2"]) -> Float[np.ndarray, "point 2"]:
        return _carried(points, self.target_box, self.source_box)

    def map_forward(
        self, values: Float[np.ndarray, "row column"]
    ) -> Float[np.ndarray, "row_out column_out"]:
        seen = bilinear(values[_slices(self.source_box)], self.target_box[2:])
        return _framed(seen, self.target_box, self.target)

    def map_back(
        self, values: Float[np.ndarray, "row column"]
    ) -> Float[np.ndarray, "row_out column_out"]:
        seen = bilinear(values[_slices(self.target_box)], self.source_box[2:])
        return _framed(seen, self.source_box, self.source)

    def mask_forward(
        self, mask: Bool[np.ndarray, "row column"]
    ) -> Bool[np.ndarray, "row_out column_out"]:
        seen = covered_half(mask[_slices(self.source_box)], self.target_box[2:])
        return _framed(seen, self.target_box, self.target)

    def mask_back(
        self, mask: Bool[np.ndarray, "row column"]
    ) -> Bool[np.ndarray, "row_out column_out"]:
        return at_least_half(self.map_back(mask.astype(np.float32)))

    def _window(
        self, pixels: Float[np.ndarray, "channel row column"]
    ) -> Float[np.ndarray, "channel row_out column_out"]:
        """What implementations show of the pixels."""
        shown = np.zeros((len(pixels), *self.target), np.float32)
        for target, channel in zip(shown, pixels, strict=True):
            seen = channel[_slices(self.source_box)]
            target[_slices(self.target_box)] = bilinear(seen, self.target_box[2:])
        return shown.clip(0, 1, out=shown)  # the weights of a pixel add up to 1 within rounding


def _carried(
    points: Float[np.ndarray, "point 2"], start: Box, end: Box
) -> Float[np.ndarray, "point 2"]:
    scale = np.array(end[2:]) / np.array(start[2:])
    return (points - np.array(start[:2])) * scale + np.array(end[:2])


def _framed(
    seen: Shaped[np.ndarray, "row column"], box: Box, grid: Grid
) -> Shaped[np.ndarray, "row_out column_out"]:
    """The box's content on the whole grid, with nothing around it."""
    if box == (0, 0, *grid):
        return seen
    framed = np.zeros(grid, seen.dtype)
    framed[_slices(box)] = seen
    return framed


def _slices(box: Box) -> tuple[slice, slice]:
    row, column, rows, columns = box
    return slice(row, row + rows), slice(column, column + columns)


def _check_inside(name: str, box: Box, grid: Grid) -> None:
    for start, size, limit in zip(box[:2], box[2:], grid, strict=True):
        if not 0 <= start < start + size <= limit:
            raise ValueError(
                f"the box {box} (first row, first column, rows, columns) is empty or does not lie "
                f"inside the {name} grid {grid}"
            )
