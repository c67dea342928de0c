"""Signs of text beside the picture of the eye: a reason to look, never a proof that there is none.

Inside the field vessels and lesions look like letters, so text there is not found at all.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from foveal.core import Image

LEAST_GLYPHS = 4
"""Glyphs in one row of text that make a picture suspicious: shorter than any name or number."""

_LONGEST_SIDE = 1536
"""Larger pictures are reduced by taking the brightest and darkest of neighbours."""

_CONTRAST = 0.12
"""Between a glyph and what is around it; dark noise of a camera and JPEG blocks stay below."""

_AROUND = 1 / 16
"""Side of the surroundings, as a share of the picture's longest side."""

_LOWEST, _HIGHEST = 5, 1 / 10
"""Height of a glyph: in pixels of the reduced picture, and as a share of its longest side."""

_MARGIN = 1 / 128
"""Around the field, where its rim is neither eye nor surround."""

_MOST_COMPONENTS = 4000


def burned_in_text(image: Image, field: Bool[np.ndarray, "row column"]) -> int:
    """How many components of the size of a glyph stand in the fullest row outside the field.

    A row is a chain of components of like height, at like height in the picture, with gaps of at
    most two and a half heights. From `LEAST_GLYPHS` on a person should look. Zero never says that
    there is no text: text inside the field is missed, and so is text that touches it.

    Args:
        image: The picture.
        field: Its field of view, as `find_field` finds it.

    Raises:
        ValueError: A field on another grid.
    """
    if field.shape != image.grid:
        raise ValueError(f"the field is {field.shape}, but the picture is {image.grid}")
    stride = -(-max(image.grid) // _LONGEST_SIDE)
    level = image.pixels.max(axis=0)
    bright, dark = (_reduced(level, stride, take) for take in (np.maximum, np.minimum))
    outside = ~_widened(_reduced(field, stride, np.logical_or))
    around, weight = _surroundings((bright + dark) / 2, outside)
    seen = outside & (weight > 0)
    marks = (
        seen & (bright * weight - around > _CONTRAST * weight),
        seen & (around - dark * weight > _CONTRAST * weight),
    )
    return max(_fullest_row(_glyphs(mask)) for mask in marks)


def _surroundings(
    level: Float[np.ndarray, "row column"], outside: Bool[np.ndarray, "row column"]
) -> tuple[Float[np.ndarray, "row column"], Float[np.ndarray, "row column"]]:
    """Sum of levels around each pixel and the share that counted: only the surround does."""
    side = max(9, round(max(level.shape) * _AROUND))
    counted = outside.astype(np.float32)
    return (
        np.asarray(ndimage.uniform_filter(level.astype(np.float32) * counted, side)),
        np.asarray(ndimage.uniform_filter(counted, side)),
    )


def _glyphs(mask: Bool[np.ndarray, "row column"]) -> Float[np.ndarray, "glyph 4"]:
    """First and last row and column of each component of a glyph's size and density."""
    parts = np.zeros(mask.shape, np.int32)
    ndimage.label(mask, np.ones((3, 3)), output=parts)
    boxes = np.array(
        [
            (rows.start, rows.stop, columns.start, columns.stop)
            for rows, columns in ndimage.find_objects(parts)[:_MOST_COMPONENTS]
        ],
        float,
    ).reshape(-1, 4)
    area = np.bincount(parts.ravel())[1 : len(boxes) + 1]
    height, width = boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]
    density = area / (height * width)
    tall = (height >= _LOWEST) & (height <= max(mask.shape) * _HIGHEST)
    return boxes[tall & (width <= 3 * height) & (density >= 0.12)]


def _fullest_row(glyphs: Float[np.ndarray, "glyph 4"]) -> int:
    """The longest chain of neighbours."""
    top, bottom, left, right = glyphs.T
    height, middle = bottom - top, (top + bottom) / 2
    most = 0
    for index in range(len(glyphs)):
        alike = np.abs(middle - middle[index]) <= 0.5 * height[index]
        alike &= (height >= 0.5 * height[index]) & (height <= 2 * height[index])
        order = np.flatnonzero(alike)[np.argsort(left[alike])]
        gaps = left[order][1:] - np.maximum.accumulate(right[order])[:-1]
        breaks = np.flatnonzero(gaps > 2.5 * height[index])
        runs = np.diff(np.concatenate([[-1], breaks, [len(order) - 1]]))
        most = max(most, int(runs.max()))
    return most


def _widened(field: Bool[np.ndarray, "row column"]) -> Bool[np.ndarray, "row column"]:
    margin = max(2, round(max(field.shape) * _MARGIN))
    return np.asarray(ndimage.maximum_filter(field, 2 * margin + 1))


def _reduced(
    values: np.ndarray, stride: int, reduce: np.ufunc
) -> Float[np.ndarray, "row column"] | Bool[np.ndarray, "row column"]:
    rows, columns = values.shape
    whole = values[: rows - rows % stride, : columns - columns % stride]
    blocks = whole.reshape(rows // stride, stride, columns // stride, stride)
    return reduce.reduce(reduce.reduce(blocks, axis=3), axis=1)
