"""The maps of one volume, section by section on one grid, with one scale for all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8


@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """One method's maps of the sections of a volume, with the sections.

    Raises:
        ValueError: Arrays of different shapes, or as many numbers as there are no sections.
    """

    name: str
    """Of the volume."""
    numbers: tuple[int, ...]
    """Which of the volume's sections these are, counted from 1."""
    pictures: UInt8[np.ndarray, "section row column"]
    values: Float[np.ndarray, "section row column"]
    """Raw and signed; NaN in sections that have no map."""
    inside: Bool[np.ndarray, "section row column"]
    """The retina where it is known, else what the model saw."""
    spacing_mm: tuple[float, float] | None = None
    """Of rows and columns."""
    slice_spacing_mm: float | None = None
    """Of neighbouring sections of the volume, which need not both be here."""

    def __post_init__(self) -> None:
        shapes = {self.pictures.shape, self.values.shape, self.inside.shape}
        if len(shapes) > 1 or len(self.numbers) != len(self.pictures):
            raise ValueError(
                f"a stack of {len(self.numbers)} sections needs pictures, values and masks of one "
                f"shape, but they are {', '.join(map(str, sorted(shapes)))}"
            )

    @property
    def limit(self) -> float:
        """The largest positive value of all sections; 0 where none is positive."""
        largest = np.nanmax(self.values, initial=0.0, where=np.isfinite(self.values))
        return float(largest)

    @property
    def upper(self) -> float:
        """The 99.9th percentile of the positive values, where colours end; 0 without any.

        Single pixels may be far above all others.
        """
        positive = self.values[self.values > 0]
        return float(np.percentile(positive, 99.9)) if positive.size else 0.0

    @property
    def en_face(self) -> Float[np.ndarray, "section column"]:
        """Mean over the rows inside of what speaks for the target; NaN where nothing is inside."""
        return _mean_over_rows(np.maximum(self.values, 0), self.inside)

    @property
    def fundus(self) -> Float[np.ndarray, "section column"]:
        """Mean brightness over the rows inside, in [0, 1]; NaN where nothing is inside."""
        return _mean_over_rows(self.pictures / np.float32(255), self.inside)

    @property
    def shares(self) -> Float[np.ndarray, " section"]:
        """What each section has of all positive values, adding up to 1; NaN where none is.

        By chance each has the same share.
        """
        mass = np.nansum(np.maximum(self.values, 0), axis=(1, 2))
        missing = np.isnan(self.values).all(axis=(1, 2))
        total = mass.sum()
        shares = mass / total if total > 0 else np.full(len(mass), np.nan)
        return np.where(missing, np.nan, shares)

    @property
    def hottest(self) -> tuple[int, int, int] | None:
        """Section (its place here), row and column of the largest value; `None` without any."""
        if self.limit <= 0:
            return None
        place = np.nanargmax(np.where(np.isfinite(self.values), self.values, -np.inf))
        section, row, column = np.unravel_index(place, self.values.shape)
        return int(section), int(row), int(column)

    @property
    def aspect(self) -> float | None:
        """How much taller than wide a cell of the en-face map is; `None` without spacings.

        Sections that were left out make its cells taller.
        """
        steps = np.diff(self.numbers)
        if self.spacing_mm is None or self.slice_spacing_mm is None or not len(steps):
            return None
        return float(np.median(steps)) * self.slice_spacing_mm / self.spacing_mm[1]

    @property
    def section_aspect(self) -> float:
        """How much taller than wide a pixel of a section is; 1 without spacing."""
        return 1.0 if self.spacing_mm is None else self.spacing_mm[0] / self.spacing_mm[1]


def stacked(
    name: str,
    sections: Mapping[int, tuple[UInt8[np.ndarray, "row column"], Bool[np.ndarray, "row column"]]],
    maps: Mapping[int, Float[np.ndarray, "row column"]],
    *,
    spacing_mm: tuple[float, float] | None,
    slice_spacing_mm: float | None,
) -> Stack | None:
    """The stack of sections by their numbers, and of their maps where they have one.

    `None` where the sections have different grids: then nothing can be stacked.
    """
    numbers = sorted(sections)
    grids = {sections[number][0].shape for number in numbers}
    if len(grids) != 1:
        return None
    blank = np.full(grids.pop(), np.nan, np.float32)
    return Stack(
        name=name,
        numbers=tuple(numbers),
        pictures=np.stack([sections[number][0] for number in numbers]),
        inside=np.stack([sections[number][1] for number in numbers]),
        values=np.stack([maps.get(number, blank) for number in numbers]).astype(np.float32),
        spacing_mm=spacing_mm,
        slice_spacing_mm=slice_spacing_mm,
    )


def evenly(count: int, wanted: int) -> Sequence[int]:
    """So many places among `count`, evenly spread with both ends; all where there are fewer."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int)).tolist()


def _mean_over_rows(
    values: Float[np.ndarray, "section row column"], inside: Bool[np.ndarray, "section row column"]
) -> Float[np.ndarray, "section column"]:
    counted = inside & np.isfinite(values)
    sums = np.where(counted, values, 0).sum(axis=1, dtype=np.float64)
    rows = counted.sum(axis=1)
    return np.divide(sums, rows, out=np.full(sums.shape, np.nan), where=rows > 0)
