from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from foveal.core.step import AbstractStep, Grid

Modality = Literal["fundus", "oct", "slit-lamp", "unknown"]
Laterality = Literal["right", "left", "both", "unknown"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Image:
    """Pixels of one eye in display units, and what is known about them.

    Raises:
        ValueError: Pixels that are not one or three channels of finite numbers in [0, 1], or a
            spacing that is not positive.
    """

    pixels: Float[np.ndarray, "channel row column"]
    """Intensities in [0, 1], as a person sees them: EXIF orientation is already applied."""
    spacing_mm: tuple[float, float] | None = None
    """Row and column spacing; `None` when the file does not say. Never assumed."""
    modality: Modality = "unknown"
    laterality: Laterality = "unknown"
    patient: str | None = None
    eye: str | None = None
    visit: str | None = None
    source: str | None = None
    """The file it came from; identity, so it leaves a run only when the plan keeps it."""
    sha256: str | None = None
    """Hash of the file's bytes."""
    steps: tuple[AbstractStep, ...] = ()
    """How the pixels came from the original grid, first step first."""
    lines: Mapping[str, Float[np.ndarray, " original_column"]] = field(default_factory=dict)
    """Layer boundaries of a section on the original grid, by name: the row of each column, pixel
    centres at +0.5, NaN where unknown."""
    facts: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """What reading found and recorded: format, bit depth, colour profile, windowing."""

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[0] not in (1, 3):
            raise ValueError(
                "pixels must be (channel, row, column) with 1 or 3 channels, "
                f"but the shape is {self.pixels.shape}"
            )
        if self.pixels.size == 0:
            raise ValueError(f"an image needs pixels, but the shape is {self.pixels.shape}")
        low, high = float(self.pixels.min()), float(self.pixels.max())
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"pixels must be finite and in [0, 1], but range from {low} to {high}; "
                "divide by the full range of the file's type first"
            )
        if self.spacing_mm is not None and not all(s > 0 for s in self.spacing_mm):
            raise ValueError(f"spacing_mm must be positive, but is {self.spacing_mm}")
        for name, line in self.lines.items():
            if line.shape != (self.original_grid[1],):
                raise ValueError(
                    f"the line {name!r} must give a row for each of {self.original_grid[1]} "
                    f"columns, but its shape is {line.shape}"
                )
        object.__setattr__(self, "lines", MappingProxyType(dict(self.lines)))
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))

    @property
    def grid(self) -> Grid:
        """Rows and columns."""
        return self.pixels.shape[1], self.pixels.shape[2]

    @property
    def original_grid(self) -> Grid:
        """Rows and columns before the first step."""
        return self.steps[0].source if self.steps else self.grid


@dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """A named set of pixels on an image's grid: a lesion type, a structure, the field of view.

    Raises:
        ValueError: A name that is empty or a mask that is not (row, column).
    """

    name: str
    mask: Bool[np.ndarray, "row column"]
    kind: Literal["lesion", "anatomy", "field", "unknown"] = "unknown"
    source: str | None = None
    grader: str | None = None
    """Who marked it, where several did or the file says so."""
    facts: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """What reading found and recorded: the format, whether it was drawn as a box, the threshold of
    a soft mask."""

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a region needs a name")
        if self.mask.ndim != 2:
            raise ValueError(
                f"the mask of region {self.name!r} must be (row, column), "
                f"but the shape is {self.mask.shape}"
            )
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))

    @property
    def grid(self) -> Grid:
        """Rows and columns."""
        return self.mask.shape[0], self.mask.shape[1]
