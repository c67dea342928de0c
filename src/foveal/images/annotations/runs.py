"""Masks written as run lengths."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

from foveal.core import Grid, ImageError
from foveal.images.raster import check_size
from foveal.images.reading import MAX_PIXELS


def mask_of_runs(
    counts: Int[np.ndarray, " run"], grid: Grid, *, by_columns: bool
) -> Bool[np.ndarray, "row column"]:
    """The mask that runs of, by turns, outside and inside pixels add up to.

    Args:
        counts: Lengths of runs, the first one outside; 0 where the mask starts inside.
        grid: Rows and columns.
        by_columns: Whether runs go down the columns, as COCO has them, and not along the rows.

    Raises:
        ImageError: Runs below 0, or that are not as many pixels as the grid has.
    """
    rows, columns = grid
    check_size(rows, columns, MAX_PIXELS)
    # Python adds without overflow, which hostile lengths would make use of.
    total = sum(counts.tolist())
    if total != rows * columns or (counts < 0).any():
        raise ImageError(
            f"holds a mask whose runs make {total} pixels, but {rows} x {columns} (row x column) "
            f"are {rows * columns}; it may be damaged, or made for another size"
        )
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(columns, rows).T if by_columns else flat.reshape(rows, columns)


def counts_of(text: str) -> Int[np.ndarray, " run"]:
    """The run lengths in the compressed text of COCO.

    Six bits a letter, counted from the letter "0": five of a number, the lowest first, and one that
    says whether it goes on. From the fourth run on it is the difference from the run before the
    last.

    Raises:
        ImageError: Other letters, a text that ends within a number, or a number beyond any picture.
    """
    counts: list[int] = []
    value = shift = 0
    for letter in map(ord, text):
        bits = letter - 48
        if not 0 <= bits < 64 or shift > 40:
            raise ImageError("holds a compressed mask that cannot be read; export it again")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise ImageError("holds a compressed mask that was cut off; export it again")
    return as_counts(counts)


def as_counts(values: Sequence[int]) -> Int[np.ndarray, " run"]:
    """Run lengths as numbers that a picture can have.

    Raises:
        ImageError: Others.
    """
    if not all(isinstance(v, int) and not isinstance(v, bool) and abs(v) < 2**40 for v in values):
        raise ImageError("holds run lengths that are no whole numbers of pixels")
    return np.array(values, np.int64)
