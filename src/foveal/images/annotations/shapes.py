"""What annotators draw, and which pixels belong to it.

Coordinates are (row, column) with the top left corner of the top left pixel at (0, 0), so its
centre is at (0.5, 0.5). A pixel belongs to an outline, a box or an ellipse when its centre lies
inside; a centre that lies on the edge belongs to what is below it and to its right, so that
neighbours share no pixel and leave none out.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from foveal.core import Grid, ImageError
from foveal.images.masks import check_grid

Points = Float[np.ndarray, "_ 2"]
_MAX_CROSSINGS = 20_000_000
"""Rows that the edges of one outline may cross together; a circle round a photograph of 4000 rows
crosses 8000."""
_MARGIN = 1.0
"""How far beyond the picture a point may lie without a word, in pixels: tools clamp loosely."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Patch:
    """A part of a mask, wholly inside the picture."""

    row: int
    column: int
    """Of its top left pixel."""
    mask: Bool[np.ndarray, "row column"]
    doubled: bool = False
    """Whether an outline encloses something twice by running over itself."""

    def add_to(self, whole: Bool[np.ndarray, "row column"]) -> None:
        rows, columns = self.mask.shape
        window = whole[self.row : self.row + rows, self.column : self.column + columns]
        np.logical_or(window, self.mask, out=window)


class AbstractShape(ABC):
    """One thing that was drawn."""

    kind: str
    """What the reader of a number must know: "outline", "box", "pixels" or "point"."""

    @abstractmethod
    def extent(self) -> Points:
        """Points between which it lies."""

    @abstractmethod
    def draw(self, grid: Grid) -> Patch:
        """Its pixels on a picture; what reaches beyond is cut off."""


@dataclass(frozen=True, eq=False)
class Outline(AbstractShape):
    """Closed rings; what an even number of them encloses is outside, so rings inside are holes.

    Raises:
        ImageError: No ring, a ring of fewer than 3 points, or coordinates that are not finite.
    """

    rings: tuple[Points, ...]
    kind: str = "outline"

    def __post_init__(self) -> None:
        if not self.rings or min(map(len, self.rings)) < 3:
            raise ImageError("holds an outline of fewer than 3 points; close or remove it")
        _check_finite(np.concatenate(self.rings))

    def extent(self) -> Points:
        return np.concatenate(self.rings)

    def draw(self, grid: Grid) -> Patch:
        row, column, rows, columns = _window(self.extent(), grid)
        changes = np.zeros((rows, columns + 1), np.int32)
        for ring in self.rings:
            _mark_crossings(changes, ring, (row, column))
        winding = np.cumsum(changes[:, :-1], axis=1)
        mask = winding % 2 == 1
        doubled = len(self.rings) == 1 and bool((~mask & (winding != 0)).any())
        return Patch(row=row, column=column, mask=mask, doubled=doubled)


def box(top: float, left: float, bottom: float, right: float, *, degrees: float = 0.0) -> Outline:
    """A box, turned clockwise about its centre.

    Raises:
        ImageError: Corners that are not finite.
    """
    corners = np.array([(top, left), (top, right), (bottom, right), (bottom, left)])
    centre = corners.mean(axis=0)
    return Outline((_turned(corners - centre, degrees) + centre,), "box")


@dataclass(frozen=True, eq=False)
class Ellipse(AbstractShape):
    """An ellipse, turned clockwise.

    Raises:
        ImageError: Numbers that are not finite, or a radius below 0.
    """

    centre: tuple[float, float]
    radii: tuple[float, float]
    """Along the rows and the columns before it is turned."""
    degrees: float = 0.0
    kind: str = "outline"

    def __post_init__(self) -> None:
        _check_finite(np.array([*self.centre, *self.radii, self.degrees]))
        if min(self.radii) < 0:
            raise ImageError(f"holds an ellipse with the radii {self.radii}; remove it")

    def extent(self) -> Points:
        down, across = self.radii
        sine, cosine = _direction(self.degrees)
        reach = np.hypot(down * cosine, across * sine), np.hypot(down * sine, across * cosine)
        return np.array([np.subtract(self.centre, reach), np.add(self.centre, reach)])

    def draw(self, grid: Grid) -> Patch:
        row, column, rows, columns = _window(self.extent(), grid)
        if min(self.radii) == 0:
            return Patch(row=row, column=column, mask=np.zeros((rows, columns), bool))
        down = np.arange(rows)[:, np.newaxis] + (row + 0.5 - self.centre[0])
        across = np.arange(columns)[np.newaxis] + (column + 0.5 - self.centre[1])
        sine, cosine = _direction(self.degrees)
        along_rows = (down * cosine - across * sine) / self.radii[0]
        along_columns = (down * sine + across * cosine) / self.radii[1]
        return Patch(row=row, column=column, mask=along_rows**2 + along_columns**2 < 1)


@dataclass(frozen=True, eq=False)
class Dots(AbstractShape):
    """Single points; each marks the pixel that it lies in."""

    points: Points
    kind: str = "point"

    def __post_init__(self) -> None:
        _check_finite(self.points)

    def extent(self) -> Points:
        return self.points

    def draw(self, grid: Grid) -> Patch:
        row, column, rows, columns = _window(self.points, grid, margin=1)
        mask = np.zeros((rows, columns), bool)
        cells = np.floor(self.points - (row, column)).astype(np.int64)
        inside = ((cells >= 0) & (cells < mask.shape)).all(axis=1)
        mask[tuple(cells[inside].T)] = True
        return Patch(row=row, column=column, mask=mask)


@dataclass(frozen=True, eq=False)
class Bits(AbstractShape):
    """Pixels that were painted."""

    mask: Bool[np.ndarray, "row column"]
    row: int = 0
    column: int = 0
    """Of the top left one of them on the picture."""
    of: Grid | None = None
    """The size of the picture that they were painted on, where it is known."""
    kind: str = "pixels"

    def extent(self) -> Points:
        rows, columns = self.mask.shape
        return np.array([(self.row, self.column), (self.row + rows, self.column + columns)], float)

    def draw(self, grid: Grid) -> Patch:
        if self.of is not None:
            check_grid(self.of, grid)
        row, column, rows, columns = _window(self.extent(), grid)
        top, left = row - self.row, column - self.column
        cut = self.mask[top : top + rows, left : left + columns]
        return Patch(row=row, column=column, mask=cut)


def reaches_beyond(shape: AbstractShape, grid: Grid) -> bool:
    """Whether a shape lies partly outside the picture, by more than tools are careless by."""
    points = shape.extent()
    return bool((points < -_MARGIN).any() or (points > np.add(grid, _MARGIN)).any())


def _mark_crossings(
    changes: Int[np.ndarray, "row column"], ring: Points, corner: tuple[int, int]
) -> None:
    """Note where each row of centres crosses the ring: up counts +1, down counts -1.

    The sum of all changes up to a pixel is its winding number, which is odd where the centre lies
    inside by the even-odd rule. An edge owns its upper end and not its lower one, so that a corner
    that a row of centres hits counts once. Where an edge crosses a row does not depend on the
    direction of the ring nor on the window, so two neighbours round it alike.
    """
    start, end = ring, np.roll(ring, -1, axis=0)
    upper = np.where((start[:, 0] <= end[:, 0])[:, np.newaxis], start, end)
    lower = np.where((start[:, 0] <= end[:, 0])[:, np.newaxis], end, start)
    sign = np.where(start[:, 0] <= end[:, 0], 1, -1)
    rows, columns = changes.shape
    first, last = (
        np.clip(np.ceil(end[:, 0] - 0.5) - corner[0], 0, rows).astype(np.int64)
        for end in (upper, lower)
    )
    counts = last - first
    if counts.sum() > _MAX_CROSSINGS:
        raise ImageError(
            f"holds an outline of {len(ring)} points that crosses the picture too often to be a "
            "drawing; it may be damaged"
        )
    edge = np.repeat(np.arange(len(ring)), counts)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    upper, lower = upper[edge], lower[edge]
    share = (row + (corner[0] + 0.5) - upper[:, 0]) / (lower[:, 0] - upper[:, 0])
    at = upper[:, 1] + share * (lower[:, 1] - upper[:, 1])
    column = np.clip(np.ceil(at - 0.5) - corner[1], 0, columns - 1).astype(np.int64)
    np.add.at(changes, (row, column), sign[edge])


def _window(points: Points, grid: Grid, *, margin: int = 0) -> tuple[int, int, int, int]:
    """The rows and columns of the picture that points lie in: row, column, rows, columns."""
    low = np.clip(np.floor(points.min(axis=0)), 0, grid).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)) + margin, low, grid).astype(int)
    return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


def _turned(points: Points, degrees: float) -> Points:
    """Clockwise as people see it, since rows run down."""
    sine, cosine = _direction(degrees)
    down, across = points.T
    return np.stack([down * cosine + across * sine, across * cosine - down * sine], axis=1)


def _direction(degrees: float) -> tuple[float, float]:
    angle = math.radians(degrees % 360)
    return math.sin(angle), math.cos(angle)


def _check_finite(numbers: Float[np.ndarray, "..."]) -> None:
    if not np.isfinite(numbers).all() or np.abs(numbers).max(initial=0) > 1e9:
        raise ImageError("holds coordinates that are no numbers, or far from any picture")
