"""From a map's native grid straight onto a picture of the original.

The run keeps a display copy of a photograph, not its 12 million pixels. A picture's pixel asks
each step in turn where it lies on the prepared grid, and there the native map answers: nothing is
resampled twice, and nothing larger than the picture is made. Where rows depend on rows alone and
columns on columns, as for every crop, resize and flip, that is one sparse matrix per axis. Any
other step carries the map itself, over the original grid: right, but slower.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse

from foveal.core import AbstractStep, Grid
from foveal.images import AbstractWindow, map_to_original, points_to_original, revive
from foveal.store import Case, View

_PROBES = 9
"""Rows and columns at which an axis is tried for depending on itself alone."""
_SAME = 1e-6
"""Pixels by which two ways to one point may differ."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Way:
    """The way from the grid that a model saw to a picture of the whole original.

    One way serves all maps of a view.
    """

    steps: tuple[AbstractStep, ...]
    """From the original to the prepared grid, first step first."""
    original: Grid
    prepared: Grid
    picture: Grid

    def carry(
        self, values: Float[np.ndarray, "row column"]
    ) -> Float[np.ndarray, "row_out column_out"]:
        """A map on any grid over what the model saw, bilinear; zero where the model saw nothing.

        Where the picture is coarser than the map, bilinear widens its triangle to one pixel of the
        picture, so that thin structures fade instead of flickering.
        """
        values = values.astype(np.float32, copy=False)
        if self._axes is None:
            return self._over_the_original(values)
        rows, columns = (
            axis.weights(prepared, native)
            for axis, prepared, native in zip(self._axes, self.prepared, values.shape, strict=True)
        )
        return (columns @ (rows @ values).T).T

    @property
    def seen(self) -> Bool[np.ndarray, "row column"]:
        """The picture's pixels that the model saw."""
        if self._axes is None:
            return self.carry(np.ones(self.prepared, np.float32)) > 0
        rows, columns = (axis.inside for axis in self._axes)
        return rows[:, np.newaxis] & columns

    def points(
        self, points: Float[np.ndarray, "point 2"], native: Grid
    ) -> Float[np.ndarray, "point 2"]:
        """Where points of a native grid lie on the original."""
        prepared = points * (np.array(self.prepared) / np.array(native))
        return points_to_original(prepared, self.steps)

    def cell(self, native: Grid) -> tuple[float, float]:
        """Rows and columns of the original that one cell of a native grid covers at its middle."""
        middle = np.array(native, dtype=np.float64) // 2
        start, end = self.points(np.stack([middle, middle + 1]), native)
        rows, columns = np.abs(end - start)
        return float(rows), float(columns)

    @cached_property
    def _axes(self) -> tuple["_Axis", "_Axis"] | None:
        """Where the picture's rows and columns lie; `None` where they cannot be told apart."""
        return _axes(self.steps, self.original, self.picture)

    def _over_the_original(
        self, values: Float[np.ndarray, "row column"]
    ) -> Float[np.ndarray, "row_out column_out"]:
        original = map_to_original(_resized(values, self.prepared), self.steps)
        return _resized(original, self.picture)


def way_of(case: Case, view: View, picture: Grid) -> Way:
    """The way from what the model saw to a picture of the case.

    Raises:
        ValueError: A case without an original grid, as failed ones are.
        StoreError: A stored step that is damaged or needs a package that is not there.
    """
    if case.grid is None:
        raise ValueError(f"nothing can be drawn of {case.id}: it has no grid")
    return Way(
        steps=tuple(revive(step) for step in view.steps),
        original=case.grid,
        prepared=(view.field.shape[0], view.field.shape[1]),
        picture=picture,
    )


def _resized(
    values: Float[np.ndarray, "row column"], grid: Grid
) -> Float[np.ndarray, "row_out column_out"]:
    same = values.shape[0], values.shape[1]
    return Way(steps=(), original=same, prepared=same, picture=grid).carry(values)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Axis:
    """Where the rows, or the columns, of a picture lie on the prepared grid."""

    places: Float[np.ndarray, " pixel"]
    inside: Bool[np.ndarray, " pixel"]

    def weights(self, prepared: int, native: int) -> sparse.csr_array:
        """The weight of each native pixel in each of the picture's."""
        places = self.places * (native / prepared)
        reach = np.maximum(np.abs(np.gradient(places)) if len(places) > 1 else 1.0, 1.0)[:, None]
        centres = np.clip(places, 0.5, native - 0.5)[:, None]
        near = np.floor(centres - reach) + np.arange(np.ceil(2 * reach.max()) + 1)
        weights = 1 - np.abs(near + 0.5 - centres) / reach
        weights[(weights < 0) | (near < 0) | (near >= native)] = 0
        weights *= self.inside[:, None] / weights.sum(axis=1, keepdims=True)
        pixel, place = np.nonzero(weights)
        entries = weights[pixel, place].astype(np.float32)
        shape = (len(places), native)
        return sparse.csr_array((entries, (pixel, near[pixel, place].astype(int))), shape=shape)


def _axes(
    steps: Sequence[AbstractStep], original: Grid, picture: Grid
) -> tuple[_Axis, _Axis] | None:
    """The two axes, where the steps keep rows and columns apart."""
    centres = [(np.arange(n) + 0.5) * (side / n) for n, side in zip(picture, original, strict=True)]
    found = []
    for axis, own in enumerate(centres):
        points = np.empty((len(own), 2))
        points[:, axis] = own
        points[:, 1 - axis] = centres[1 - axis][len(centres[1 - axis]) // 2]
        places, inside = _followed(points, steps)
        found.append(_Axis(places=places[:, axis], inside=inside[:, axis]))
    return (found[0], found[1]) if _apart(centres, (found[0], found[1]), steps) else None


def _apart(
    centres: Sequence[Float[np.ndarray, " _"]],
    axes: tuple[_Axis, _Axis],
    steps: Sequence[AbstractStep],
) -> bool:
    """Whether points all over the picture lie where their row and their column say."""
    chosen = [np.linspace(0, len(own) - 1, _PROBES).astype(int) for own in centres]
    pairs = np.stack(np.meshgrid(*chosen, indexing="ij"), axis=-1).reshape(-1, 2)
    points = np.stack([centres[axis][pairs[:, axis]] for axis in (0, 1)], axis=1)
    said = np.stack([axes[axis].places[pairs[:, axis]] for axis in (0, 1)], axis=1)
    places, _ = _followed(points, steps)
    return bool(np.abs(places - said).max() <= _SAME)


def _followed(
    points: Float[np.ndarray, "point 2"], steps: Sequence[AbstractStep]
) -> tuple[Float[np.ndarray, "point 2"], Bool[np.ndarray, "point 2"]]:
    """Where points of the original end, and whether every step shows them, row and column apart."""
    shown = np.ones(points.shape, bool)
    for step in steps:
        after = step.points_forward(points)
        if isinstance(step, AbstractWindow):
            start = np.array(step.source_box[:2])
            shown &= (points >= start) & (points <= start + np.array(step.source_box[2:]))
        else:
            shown &= (after >= 0) & (after <= np.array(step.target))
        points = after
    return points, shown
