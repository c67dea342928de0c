"""One grid into another: bilinear for pixels and maps, by covered area for masks.

Both grids span the same rectangle and pixel centres lie at +0.5, so nothing shifts (PyTorch calls
it align_corners=False). Where the new grid is coarser, bilinear widens its triangle to one new
pixel (antialiased, as in Pillow and PyTorch); where it is finer, it is plain bilinear. Either way
it is one sparse matrix per axis, which on large photographs is several times faster than Pillow.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse

from foveal.core import Grid

_ROUNDING = 1e-6
"""What sums of weights may lose to floating point."""


def bilinear(
    values: Float[np.ndarray, "row column"], grid: Grid
) -> Float[np.ndarray, "row_out column_out"]:
    """The values at another grid, in float32; what is constant stays so to the last bit."""
    values = values.astype(np.float32, copy=False)
    if values.shape == grid:
        return values
    if values.min() == values.max():  # rounding would rank the pixels of a map that ranks none
        return np.full(grid, values[0, 0])
    rows, columns = (_triangles(old, new) for old, new in zip(values.shape, grid, strict=True))
    return (columns @ (rows @ values).T).T


def covered_half(
    mask: Bool[np.ndarray, "row column"], grid: Grid
) -> Bool[np.ndarray, "row_out column_out"]:
    """The pixels of another grid of which the mask covers at least half the area."""
    if mask.shape == grid:
        return mask
    if mask.all():  # as the field of most sections
        return np.ones(grid, bool)
    rows, columns = (_overlaps(old, new) for old, new in zip(mask.shape, grid, strict=True))
    return at_least_half((columns @ (rows @ mask.astype(np.float64)).T).T)


def at_least_half(shares: Float[np.ndarray, "row column"]) -> Bool[np.ndarray, "row column"]:
    """Where a share reaches one half, rounding forgiven."""
    return shares >= 0.5 - _ROUNDING


@lru_cache(maxsize=16)  # the sections of a volume share their grids
def _triangles(old: int, new: int) -> sparse.csr_array:
    """The weight of each old pixel in each new one, along one axis."""
    reach = max(old / new, 1.0)
    centers = (np.arange(new)[:, np.newaxis] + 0.5) * (old / new)
    pixels = (np.floor(centers - reach) + np.arange(np.ceil(2 * reach) + 1)).astype(int)
    weights = 1 - np.abs(pixels + 0.5 - centers) / reach
    weights[(weights < 0) | (pixels < 0) | (pixels >= old)] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    row, place = np.nonzero(weights)
    entries = weights[row, place].astype(np.float32)
    return sparse.csr_array((entries, (row, pixels[row, place])), shape=(new, old))


@lru_cache(maxsize=16)
def _overlaps(old: int, new: int) -> sparse.csr_array:
    """The share of each new pixel that lies in each old one, along one axis."""
    edges = np.union1d(np.arange(old + 1) / old, np.arange(new + 1) / new)
    middles, lengths = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    pieces = (middles * new).astype(int), (middles * old).astype(int)
    return sparse.csr_array((lengths * new, pieces), shape=(new, old))
