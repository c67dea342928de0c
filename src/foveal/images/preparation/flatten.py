from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped

from foveal.core import Grid, Image, ImageError
from foveal.images.oct.lines import known_line, line_on_grid
from foveal.images.preparation.retina import find_retina
from foveal.images.preparation.settings import number_in
from foveal.images.preparation.step import AbstractPreparation, plain_fields

FOUND = "found"
"""Instead of a line's name: look for it."""

LEAST_CONFIDENCE = 0.5
"""Below, what was found is not used."""


@dataclass(frozen=True, kw_only=True)
class Flatten(AbstractPreparation):
    """A section in which every column is shifted so that a line becomes level.

    Shifts are whole rows: nothing is interpolated, and speckle stays as it is. The grid stays;
    what is shifted out of it is lost, and what comes in is black. With `degree` a polynomial
    through the line is made level instead of the line itself: the bend of the eye goes, drusen
    stay.

    Reference:
        Chiu et al. 2010, Automatic segmentation of seven retinal layers in SDOCT images (Optics
        Express 18:19413), section 3.2: flattening by a second-order polynomial through the
        pigment epithelium.
    """

    name = "flatten"
    reversible = (
        "points exactly; maps, masks and pixels exactly but for the rows that were shifted out of "
        "the grid"
    )
    source: Grid
    target: Grid
    line: str
    degree: int | None
    shifts: tuple[int, ...]
    """Rows down, one number for each column."""

    def __post_init__(self) -> None:
        rows, columns = self.source
        if self.target != self.source:
            raise ValueError(
                f"flattening keeps the grid, but leads from {self.source} to {self.target}"
            )
        if len(self.shifts) != columns or not all(abs(shift) < rows for shift in self.shifts):
            raise ValueError(
                f"shifts must be one whole number of fewer than {rows} rows for each of {columns} "
                f"columns, but are {len(self.shifts)} up to {max(map(abs, self.shifts), default=0)}"
            )

    @classmethod
    def fit(
        cls,
        image: Image,
        field: Bool[np.ndarray, "row column"],
        *,
        line: Any = FOUND,
        degree: Any = 2,
        row: Any = None,
    ) -> "Flatten":
        """The step for one image.

        Args:
            image: A section; its lines and, for "found", its pixels matter.
            field: Where there is a picture and no padding.
            line: The name of a line of the image, or "found" for the brightest outer layer.
            degree: Of the polynomial through the line, 0 to 6, or "none" for the line itself.
            row: Where the line will lie, as a share of the rows in [0, 1]; its median if not given.

        Raises:
            ImageError: No such line, one known in fewer columns than the polynomial needs, or no
                retina found with any confidence.
            ValueError: A setting out of range.
        """
        if degree == "none":
            degree = None
        if degree is not None and not (type(degree) is int and 0 <= degree <= 6):
            raise ValueError(f'degree must be a whole number from 0 to 6 or "none", not {degree!r}')
        if not isinstance(line, str):
            raise ValueError(f"line must be the name of a line, not {line!r}")
        _, rows = current_lines(image, field, upper=line, lower=line)
        known = np.flatnonzero(np.isfinite(rows))
        if len(known) <= (degree or 0):
            raise ImageError(f"knows the line {line!r} in {len(known)} columns, too few to flatten")
        level = float(np.median(rows[known]))
        if row is not None:
            level = number_in("row", row, 0, 1) * image.grid[0]
        every = np.arange(image.grid[1])
        if degree is None:
            curve = np.interp(every, known, rows[known])
        else:
            curve = _polynomial(known, rows[known], degree)(every)
        limit = image.grid[0] - 1
        shifts = np.rint(level - curve).clip(-limit, limit).astype(int)
        return cls(
            source=image.grid,
            target=image.grid,
            line=line,
            degree=degree,
            shifts=tuple(shifts.tolist()),
        )

    def numbers(self) -> Mapping[str, object]:
        return {"step": self.name, **plain_fields(self)}

    def pixels_forward(
        self, pixels: Float[np.ndarray, "channel row column"]
    ) -> Float[np.ndarray, "channel row_out column_out"]:
        return _shifted(pixels, np.array(self.shifts))

    def points_forward(self, points: Float[np.ndarray, "point 2"]) -> Float[np.ndarray, "point 2"]:
        return points + self._moved(points)

    def points_back(self, points: Float[np.ndarray, "point 2"]) -> Float[np.ndarray, "point 2"]:
        return points - self._moved(points)

    def map_forward(
        self, values: Float[np.ndarray, "row column"]
    ) -> Float[np.ndarray, "row_out column_out"]:
        return _shifted(values, np.array(self.shifts))

    def map_back(
        self, values: Float[np.ndarray, "row column"]
    ) -> Float[np.ndarray, "row_out column_out"]:
        return _shifted(values, -np.array(self.shifts))

    def mask_forward(
        self, mask: Bool[np.ndarray, "row column"]
    ) -> Bool[np.ndarray, "row_out column_out"]:
        return _shifted(mask, np.array(self.shifts))

    def mask_back(
        self, mask: Bool[np.ndarray, "row column"]
    ) -> Bool[np.ndarray, "row_out column_out"]:
        return _shifted(mask, -np.array(self.shifts))

    def _moved(self, points: Float[np.ndarray, "point 2"]) -> Float[np.ndarray, "point 2"]:
        columns = np.floor(points[:, 1]).clip(0, len(self.shifts) - 1).astype(int)
        down = np.array(self.shifts)[columns].astype(float)
        return np.stack([down, np.zeros_like(down)], axis=1)


def current_lines(
    image: Image, field: Bool[np.ndarray, "row column"], *, upper: str, lower: str
) -> tuple[Float[np.ndarray, " column"], Float[np.ndarray, " column"]]:
    """Two lines by their names, or as they are found, on the grid of the image's pixels.

    Args:
        image: A section, whose own lines are on its original grid.
        field: Where there is a picture and no padding.
        upper: The name of a line, or "found" for the inner boundary of the retina.
        lower: The name of a line, or "found" for the outer one.

    Raises:
        ImageError: No such line, or no retina found with any confidence.
    """
    named = {
        name: line_on_grid(known_line(image, name), image.steps, image.grid)
        for name in (upper, lower)
        if name != FOUND
    }
    if FOUND not in (upper, lower):
        return named[upper], named[lower]
    retina = find_retina(image, field)
    if retina.confidence[0] < LEAST_CONFIDENCE:
        raise ImageError(
            f"shows no retina that could be found (confidence {retina.confidence[0]:.2f}, needed "
            f"{LEAST_CONFIDENCE:g}); give the section a line and name it"
        )
    return (
        retina.top[0] if upper == FOUND else named[upper],
        retina.bottom[0] if lower == FOUND else named[lower],
    )


def _polynomial(
    columns: np.ndarray, rows: Float[np.ndarray, " column"], degree: int
) -> np.polynomial.Polynomial:
    """Through most of the line: fitted again without what lies far off, such as drusen."""
    first = np.polynomial.Polynomial.fit(columns, rows, degree)
    off = np.abs(first(columns) - rows)
    near = off <= 2 * np.median(off) + 1e-9
    if near.sum() <= degree:
        return first
    return np.polynomial.Polynomial.fit(columns[near], rows[near], degree)


def _shifted(
    values: Shaped[np.ndarray, "*channel row column"], shifts: np.ndarray
) -> Shaped[np.ndarray, "*channel row column"]:
    """Each column moved down by whole rows, with nothing (0, false) where it came from."""
    rows, columns = values.shape[-2:]
    moved = np.zeros_like(values)
    ends = [*np.flatnonzero(np.diff(shifts)) + 1, columns]
    for start, end in zip([0, *ends[:-1]], ends, strict=True):  # columns of one shift go together
        down = int(shifts[start])
        free, lost = max(0, down), max(0, -down)
        moved[..., free : rows - lost, start:end] = values[..., lost : rows - free, start:end]
    return moved
