"""Where the retina lies in a section that nobody has segmented."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from foveal.core import Image, ImageError
from foveal.images.preparation.field import field_of_pixels
from foveal.images.preparation.sliding import joined

_COLUMNS = 128
"""Sections are searched at about this many columns, and the lines interpolated between them."""

_SMOOTH = (2.0, 1.0)
"""Standard deviation in rows and reduced columns: speckle goes, layers of over 5 rows stay."""

_STEEPEST = 2
"""Rows by which a boundary may rise or fall from one column of the file to the next."""

_GAP = 4
"""Rows of the retina that lie at least between its two boundaries."""

_THICK = 60
"""Rows of a retina of 230 um in the usual sections."""

_FREE = 0.35
"""Vitreous is darker than this share of the way from the dark to the bright of its section."""

_SHADE = 40
"""Rows under the pigment epithelium that are compared with it: the choroid is darker."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Retina:
    """The band of the retina, as a heuristic sees it."""

    top: Float[np.ndarray, "slice column"]
    """Row of the inner boundary (ILM), pixel centres at +0.5."""
    bottom: Float[np.ndarray, "slice column"]
    """Row of the brightest outer layer (the pigment epithelium), pixel centres at +0.5."""
    confidence: Float[np.ndarray, " slice"]
    """In [0, 1], no probability: share of columns in which the vitreous is darker than the retina
    by more than its noise, and the outer layer is among the brightest tenth of its column."""


def find_retina(image: Image, field: Bool[np.ndarray, "row column"] | None = None) -> Retina:
    """The inner and the outer boundary of the retina in one section, on the grid of its pixels.

    Args:
        image: The section.
        field: Where there is a picture and no padding; found when not given.

    Raises:
        ImageError: A section of fewer than 32 rows, or one that shows nothing.
    """
    return find_retinas(image.pixels[np.newaxis], field)


def find_retinas(
    pixels: Float[np.ndarray, "slice channel row column"],
    field: Bool[np.ndarray, "row column"] | None = None,
) -> Retina:
    """`find_retina` for many sections with one field.

    The smoothed sections are searched twice for the best path from side to side: first along the
    step from dark to bright above the brightest layer, then, under it, along what is bright and
    has darkness below. This is the shortest-path method in its simplest form, without its later
    refinements.

    Reference:
        Chiu et al. 2010, Automatic segmentation of seven retinal layers in SDOCT images (Optics
        Express 18:19413): boundaries as shortest paths over the vertical gradient.

    Raises:
        ImageError: Sections of fewer than 32 rows, or ones that show nothing.
    """
    rows, columns = pixels.shape[2:]
    if rows < 32:
        raise ImageError(f"has {rows} rows; the retina is looked for in 32 or more")
    grey = pixels.mean(axis=1)
    if field is None:
        first = pixels[0]
        field = field_of_pixels(first, "oct")
    if not field.all():
        grey = np.where(field, grey, np.quantile(grey[:, field], 0.05, axis=1)[:, None, None])
    stride = max(1, columns // _COLUMNS)
    smooth = ndimage.gaussian_filter(_pooled(grey, stride), (0, *_SMOOTH))
    steepest = _STEEPEST * stride
    top = _best_path(_inner_step(smooth), steepest)
    below = np.arange(rows)[:, np.newaxis] >= top[:, np.newaxis] + _GAP
    shade = ndimage.uniform_filter1d(smooth, _SHADE, axis=1, origin=-(_SHADE // 2), mode="nearest")
    bottom = _best_path(np.where(below, 2 * smooth - shade, -1.0), steepest)
    return Retina(
        top=_widened(top, stride, columns),
        bottom=_widened(bottom, stride, columns),
        confidence=_confidence(smooth, top, bottom),
    )


def _pooled(
    grey: Float[np.ndarray, "slice row column"], stride: int
) -> Float[np.ndarray, "slice row column_out"]:
    """Means of neighbouring columns; the last ones that fill no pool are left out."""
    whole = grey.shape[2] // stride * stride
    return grey[:, :, :whole].reshape(*grey.shape[:2], -1, stride).mean(axis=3)


def _widened(path: np.ndarray, stride: int, columns: int) -> Float[np.ndarray, "slice column"]:
    """A path of pooled columns at every column, pixel centres at +0.5."""
    pooled = (np.arange(path.shape[1]) + 0.5) * stride
    every = np.arange(columns) + 0.5
    return np.stack([np.interp(every, pooled, rows + 0.5) for rows in path])


def _inner_step(
    smooth: Float[np.ndarray, "slice row column"],
) -> Float[np.ndarray, "slice row column"]:
    """The step from dark to bright, where nothing but vitreous lies above."""
    dark, bright = np.quantile(smooth, [0.2, 0.95], axis=(1, 2))[:, :, np.newaxis, np.newaxis]
    # The mean over as many rows as the retina is thick: a boundary inside of it has retina above.
    above = ndimage.uniform_filter1d(smooth, _THICK, axis=1, origin=_THICK // 2 - 1, mode="nearest")
    free = 1 - ((above - dark) / (_FREE * (bright - dark))).clip(0, 1)
    rows = np.arange(smooth.shape[1])[:, np.newaxis]
    upper = rows <= smooth.argmax(axis=1)[:, np.newaxis] + _GAP
    return np.where(upper, np.gradient(smooth, axis=1).clip(min=0) * free, -1.0)


def _best_path(worth: Float[np.ndarray, "slice row column"], steepest: int) -> np.ndarray:
    """The row of each column on the path from the first to the last with the largest sum."""
    slices, rows, columns = worth.shape
    width = 2 * steepest + 1
    best = np.full((columns, slices, rows + width - 1), -np.inf, worth.dtype)
    best[:, :, steepest:-steepest] = worth.transpose(2, 0, 1)
    for before, sums in pairwise(best):
        sums[:, steepest:-steepest] += joined(np.maximum, before, width)
    path = np.empty((slices, columns), int)
    path[:, -1] = best[-1].argmax(axis=1) - steepest
    every, window = np.arange(slices)[:, np.newaxis], np.arange(width)
    for column in range(columns - 1, 0, -1):
        first = path[:, column, np.newaxis]  # the margin makes it the first row of the window
        came = best[column - 1][every, first + window].argmax(axis=1)
        path[:, column - 1] = first[:, 0] - steepest + came
    return path


def _confidence(
    smooth: Float[np.ndarray, "slice row column"], top: np.ndarray, bottom: np.ndarray
) -> Float[np.ndarray, " slice"]:
    rows = np.arange(smooth.shape[1])[:, np.newaxis]
    vitreous = rows < top[:, np.newaxis] - _GAP
    inside = (rows >= top[:, np.newaxis]) & (rows <= bottom[:, np.newaxis])
    dark, noise = _mean_and_sd(smooth, vitreous)
    bright, _ = _mean_and_sd(smooth, inside)
    row = bottom[:, np.newaxis]
    outer = np.take_along_axis(smooth, row, axis=1)[:, 0]
    brightest = outer >= np.quantile(smooth, 0.9, axis=1)
    return ((bright > dark + 2 * noise) & brightest).mean(axis=1)


def _mean_and_sd(values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per column, over the rows of the mask; NaN where it is empty, which compares as false."""
    count = mask.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (values * mask).sum(axis=1) / count
        square = (values**2 * mask).sum(axis=1) / count
    return mean, np.sqrt((square - mean**2).clip(min=0))
