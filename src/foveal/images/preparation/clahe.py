import numpy as np
from jaxtyping import Bool, Float

_BINS = 256
_LEVELS = 4096
"""Steps of a tile's curve, finer than its bins so that smooth shades stay smooth."""
_SAMPLED = 1024
"""Histograms are counted on at most about so many pixels a side."""


def clahe(
    values: Float[np.ndarray, "row column"],
    field: Bool[np.ndarray, "row column"],
    *,
    clip: float,
    tiles: int,
) -> Float[np.ndarray, "row column"]:
    """Contrast-limited adaptive histogram equalisation of values in [0, 1].

    Zuiderveld 1994 (Graphics Gems IV): each of `tiles` x `tiles` tiles has a curve, its cumulative
    histogram with bins cut at `clip` times the mean bin and the excess spread evenly; a pixel takes
    the bilinear mean of the curves of the four nearest tiles. Pixels outside the field are not
    counted: a tile's missing ones count as the field does on average.
    """
    curves = _curves(values, field, clip, tiles)
    levels = (values * (_LEVELS - 1) + 0.5).astype(np.uint16)
    equalised = np.empty(values.shape, np.float32)
    (row_bands, row_weights), (column_bands, column_weights) = (
        _bands(side, tiles) for side in values.shape
    )
    for rows, above, below in row_bands:
        down = row_weights[rows, np.newaxis]
        for columns, left, right in column_bands:
            across, seen = column_weights[columns], levels[rows, columns]
            top = _mixed(curves[above, left][seen], curves[above, right][seen], across)
            bottom = _mixed(curves[below, left][seen], curves[below, right][seen], across)
            equalised[rows, columns] = _mixed(top, bottom, down)
    return equalised


def _curves(
    values: Float[np.ndarray, "row column"],
    field: Bool[np.ndarray, "row column"],
    clip: float,
    tiles: int,
) -> Float[np.ndarray, "tile tile level"]:
    step = -(-max(values.shape) // _SAMPLED)
    values, field = values[::step, ::step], field[::step, ::step]
    row, column = (np.arange(side) * tiles // side for side in values.shape)
    bins = (values * _BINS).astype(np.intp).clip(0, _BINS - 1)
    places = ((row[:, np.newaxis] * tiles + column) * _BINS + bins)[field]
    counts = np.bincount(places, minlength=tiles**2 * _BINS).reshape(tiles, tiles, _BINS)
    areas = np.outer(np.bincount(row, minlength=tiles), np.bincount(column, minlength=tiles))
    missing = (areas - counts.sum(axis=2))[:, :, np.newaxis]
    whole = counts.sum(axis=(0, 1)) / max(1, counts.sum())
    shares = (counts + missing * whole) / np.maximum(areas, 1)[:, :, np.newaxis]
    limited = np.minimum(shares, clip / _BINS)
    limited += (shares.sum(axis=2, keepdims=True) - limited.sum(axis=2, keepdims=True)) / _BINS
    edges = np.concatenate([np.zeros((tiles, tiles, 1)), limited.cumsum(axis=2)], axis=2)
    at = np.linspace(0, _BINS, _LEVELS)
    low = at.astype(int).clip(0, _BINS - 1)
    return (edges[..., low] + (at - low) * np.diff(edges)[..., low]).astype(np.float32)


def _bands(
    side: int, tiles: int
) -> tuple[list[tuple[slice, int, int]], Float[np.ndarray, " pixel"]]:
    """Runs of pixels between two neighbouring tile centres, and each pixel's share of the second.

    Before the first centre and after the last one there is one tile alone.
    """
    at = ((np.arange(side) + 0.5) * tiles / side - 0.5).clip(0, tiles - 1)
    first = np.floor(at).astype(int)
    starts = np.flatnonzero(np.diff(first, prepend=-1))
    ends = [*starts[1:], side]
    bands = [
        (slice(int(start), int(end)), int(first[start]), min(int(first[start]) + 1, tiles - 1))
        for start, end in zip(starts, ends, strict=True)
    ]
    return bands, (at - first).astype(np.float32)


def _mixed(
    one: Float[np.ndarray, "row column"],
    other: Float[np.ndarray, "row column"],
    share: Float[np.ndarray, "..."],
) -> Float[np.ndarray, "row column"]:
    return one + share * (other - one)
