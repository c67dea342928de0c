from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from foveal.core.image import Image, Laterality, Modality


@dataclass(frozen=True, kw_only=True, eq=False)
class Volume:
    """Neighbouring sections of one eye, in the order in which they lie in it.

    Axial (row), lateral (column) and slice spacing differ several times over in tomography, so
    nothing may be measured in pixels.

    Raises:
        ValueError: Pixels that are not sections of one or three channels of finite numbers in
            [0, 1], a spacing that is not positive, or lines or places that do not fit the sections.
    """

    pixels: Float[np.ndarray, "slice channel row column"]
    """Intensities in [0, 1], as a person sees them."""
    spacing_mm: tuple[float, float] | None = None
    """Row (axial) and column (lateral) spacing; `None` when the file does not say."""
    slice_spacing_mm: float | None = None
    """Distance of neighbouring sections; `None` when the file does not say, or where they are not
    evenly apart or not parallel."""
    modality: Modality = "oct"
    laterality: Laterality = "unknown"
    patient: str | None = None
    eye: str | None = None
    visit: str | None = None
    source: str | None = None
    """The file it came from; identity, so it leaves a run only when the plan keeps it."""
    sha256: str | None = None
    """Hash of the file's bytes; of several files, over their hashes in the order of sections."""
    lines: Mapping[str, Float[np.ndarray, "slice column"]] = field(default_factory=dict)
    """Layer boundaries by name: row of each column, pixel centres at +0.5, NaN where unknown."""
    localizer: Image | None = None
    """The picture of the fundus on which the sections were planned."""
    places: Float[np.ndarray, "slice 2 2"] | None = None
    """Start and end of each section on the localizer: (row, column), pixel centres at +0.5."""
    facts: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """What reading found and recorded."""

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if len(shape) != 4 or shape[1] not in (1, 3) or 0 in shape:
            raise ValueError(
                "pixels must be (slice, channel, row, column) with 1 or 3 channels and nothing "
                f"empty, but the shape is {shape}"
            )
        low, high = float(self.pixels.min()), float(self.pixels.max())
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"pixels must be finite and in [0, 1], but range from {low} to {high}; "
                "divide by the full range of the file's type first"
            )
        spacings = (*(self.spacing_mm or ()), self.slice_spacing_mm)
        if not all(spacing is None or spacing > 0 for spacing in spacings):
            raise ValueError(
                f"spacings must be positive, but are {self.spacing_mm} in the section and "
                f"{self.slice_spacing_mm} between sections"
            )
        for name, line in self.lines.items():
            if line.shape != (shape[0], shape[3]):
                raise ValueError(
                    f"the line {name!r} must give a row for each of {shape[0]} sections and "
                    f"{shape[3]} columns, but its shape is {line.shape}"
                )
        if self.places is not None and self.places.shape != (shape[0], 2, 2):
            raise ValueError(
                "places must be the start and the end of each section, "
                f"({shape[0]}, 2, 2), but the shape is {self.places.shape}"
            )
        object.__setattr__(self, "lines", MappingProxyType(dict(self.lines)))
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))

    def __len__(self) -> int:
        return len(self.pixels)

    def __iter__(self) -> Iterator[Image]:
        return (self.section(index) for index in range(len(self)))

    def section(self, index: int) -> Image:
        """One section as an image with its lines, counted from 0.

        Raises:
            IndexError: No such section.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"there are sections 0 to {len(self) - 1}, but no {index}")
        return Image(
            pixels=self.pixels[index],
            spacing_mm=self.spacing_mm,
            modality=self.modality,
            laterality=self.laterality,
            patient=self.patient,
            eye=self.eye,
            visit=self.visit,
            source=self.source,
            sha256=self.sha256,
            lines={name: line[index] for name, line in self.lines.items()},
            facts={**self.facts, "section": index + 1, "sections": len(self)},
        )
