"""Noisy linear imputation inside the field: removed pixels become means of their neighbours."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from jaxtyping import Bool, Float, Int
from scipy.ndimage import label
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu

NOISE = 0.01
"""Standard deviation of what is added to imputed pixels, in display units."""
_STRAIGHT, _DIAGONAL = 1 / 6, 1 / 12
"""Weights of the neighbours of a pixel; eight of them make 1."""
_EIGHT = np.ones((3, 3), bool)


@dataclass(frozen=True, kw_only=True, eq=False)
class Imputation:
    """An image whose removed pixels are filled from those of the field that are left.

    Each removed pixel equals the weighted mean of its neighbours, plus noise; neighbours outside
    the field are no part of the system, so that no black bleeds in. One sparse factorisation
    serves all channels.

    Reference:
        Rong et al. 2022, A Consistent and Efficient Evaluation Strategy for Attribution Methods,
        section 4.3 (weights 1/6 and 1/12, noise 0.01).
    """

    image: Float[np.ndarray, "channel row column"]
    """In display units."""
    field: Bool[np.ndarray, "row column"]
    seed: int = 0
    cell_px: int = 1
    """Side of the cells on which the system is solved; 1 solves it for every pixel. What fills a
    hole is smooth, so that cells of half a hole's side lose little and cost far less."""

    def unreached(self, removed: Bool[np.ndarray, "row column"]) -> bool:
        """Whether some removed pixels touch no known one, however far one goes: no fill exists."""
        gone = removed & self.field
        return bool(_islands(gone, self.field & ~gone).any())

    def filled(
        self, removed: Bool[np.ndarray, "row column"]
    ) -> Float[np.ndarray, "channel row column"]:
        """The image without the removed pixels of the field, cut to display units.

        Where no known pixel is in reach, as after removing all, each channel's mean in the field
        stands in.
        """
        gone = removed & self.field
        if not gone.any():
            return self.image
        values = self._solved(gone)
        fresh = np.clip(values[:, gone] + self._noise[:, gone], 0, 1)
        made = self.image.copy()
        made[:, gone] = fresh
        return made

    def _solved(
        self, gone: Bool[np.ndarray, "row column"]
    ) -> Float[np.ndarray, "channel row column"]:
        """On the cells' grid, and back: a cell holds the mean of its known pixels."""
        known = self._cells((self.field & ~gone).astype(np.float64)[None])[0]
        sums = self._cells(np.where(self.field & ~gone, self.image, 0.0))
        values = sums / np.maximum(known, 1)
        inside = self._cell_field
        open_cells = inside & (known == 0)
        lost = _islands(open_cells, inside & ~open_cells)
        values[:, lost] = self._mean[:, None]
        _solve(values, open_cells & ~lost, inside)
        return self._pixels(np.where(inside, values, 0.0))

    @cached_property
    def _mean(self) -> Float[np.ndarray, " channel"]:
        return self.image[:, self.field].mean(axis=1)

    @cached_property
    def _noise(self) -> Float[np.ndarray, "channel row column"]:
        """One draw for all masks: the same pixel gets the same noise, whatever goes with it."""
        return NOISE * np.random.default_rng(self.seed).standard_normal(self.image.shape)

    @cached_property
    def _cell_field(self) -> Bool[np.ndarray, "row column"]:
        return self._cells(self.field.astype(np.float64)[None])[0] > 0

    def _cells(
        self, values: Float[np.ndarray, "channel row column"]
    ) -> Float[np.ndarray, "channel cell_row cell_column"]:
        """Sums over the cells."""
        side = self.cell_px
        if side == 1:
            return values
        channels, rows, columns = values.shape
        padded = np.pad(values, ((0, 0), (0, -rows % side), (0, -columns % side)))
        shape = (channels, padded.shape[1] // side, side, padded.shape[2] // side, side)
        return padded.reshape(shape).sum(axis=(2, 4))

    def _pixels(
        self, values: Float[np.ndarray, "channel cell_row cell_column"]
    ) -> Float[np.ndarray, "channel row column"]:
        """Bilinear between the cells of the field."""
        if self.cell_px == 1:
            return values
        both = np.concatenate([values, self._cell_field[None]])
        large = F.interpolate(torch.from_numpy(both)[None], scale_factor=self.cell_px,
                              mode="bilinear", align_corners=False)[0].numpy()  # fmt: skip
        rows, columns = self.field.shape
        return large[:-1, :rows, :columns] / np.maximum(large[-1:, :rows, :columns], 1e-6)


def _islands(
    removed: Bool[np.ndarray, "row column"], known: Bool[np.ndarray, "row column"]
) -> Bool[np.ndarray, "row column"]:
    """Connected removed pixels of which none has a known neighbour."""
    parts = np.zeros(removed.shape, np.intp)
    label(removed, structure=_EIGHT, output=parts)
    touched = np.zeros(parts.max() + 1, bool)
    touched[0] = True
    for here, there, _ in _neighbours(removed.shape):
        touched[parts[here][known[there]]] = True
    return ~touched[parts]


def _solve(
    values: Float[np.ndarray, "channel row column"],
    removed: Bool[np.ndarray, "row column"],
    field: Bool[np.ndarray, "row column"],
) -> None:
    """Replace the removed values: for each, the weighted sum of differences to its neighbours is 0.

    Neighbours outside the field have no weight: they are left off the diagonal too, as the
    authors do at the image's border.
    """
    count = int(removed.sum())
    if count == 0:
        return
    number = np.full(removed.shape, -1)
    number[removed] = np.arange(count)
    diagonal = np.zeros(count)
    known = np.zeros((count, len(values)))
    entries: list[tuple[Int[np.ndarray, " entry"], Int[np.ndarray, " entry"], float]] = []
    for here, there, weight in _neighbours(removed.shape):
        pair = removed[here] & field[there]
        row, column = number[here][pair], number[there][pair]
        diagonal[row] += weight
        fixed = column < 0
        known[row[fixed]] += weight * values[:, *there][:, pair][:, fixed].T
        entries.append((row[~fixed], column[~fixed], -weight))
    rows = np.concatenate([np.arange(count), *(row for row, _, _ in entries)])
    columns = np.concatenate([np.arange(count), *(column for _, column, _ in entries)])
    weights = np.concatenate([diagonal, *(np.full(len(row), w) for row, _, w in entries)])
    system = csc_array((weights, (rows, columns)), shape=(count, count))
    # Symmetric and positive definite, so that no pivoting is needed.
    factors = splu(system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0,
                   options={"SymmetricMode": True})  # fmt: skip
    values[:, removed] = factors.solve(known).T


def _neighbours(
    shape: tuple[int, ...],
) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice], float]]:
    """Pairs of windows, the second shifted by one step, with the weight of that neighbour."""
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            if down or right:
                rows, columns = _shifted(shape[0], down), _shifted(shape[1], right)
                weight = _DIAGONAL if down and right else _STRAIGHT
                yield (rows[0], columns[0]), (rows[1], columns[1]), weight


def _shifted(length: int, step: int) -> tuple[slice, slice]:
    near, far = slice(0, length - abs(step)), slice(abs(step), length)
    return (far, near) if step < 0 else (near, far)
