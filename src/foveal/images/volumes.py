"""What a map of a volume holds between two layers, seen from the front or section by section.

Values are (slice, row, column) on the volume's grid: a map of a model, or the pixels themselves.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from foveal.core import Volume
from foveal.images.volume_sizes import Line, Measured, area_mm2, thickness_um

How = Literal["mean", "max", "sum"]


@dataclass(frozen=True, kw_only=True)
class SectionSummary:
    """What one section holds of a map between two lines."""

    section: int
    """Counted from 1, as `Image.facts["section"]`."""
    mass_share: float | None
    """Share in [0, 1] of the section's positive values that lies in the band; `None` where the
    section has no positive value or the band is unknown."""
    largest: float | None
    mean: float | None
    area: Measured
    """Of the band's pixels with a positive value, in mm^2."""
    mean_thickness: Measured
    """Of the band, in um, over the columns where both lines are known."""


def band_between(
    shape: tuple[int, int, int], upper: Line, lower: Line
) -> Bool[np.ndarray, "slice row column"]:
    """The pixels whose centres lie on or under the upper line and above the lower one."""
    centre = np.arange(shape[1])[:, np.newaxis] + 0.5
    return (centre >= upper[:, np.newaxis]) & (centre < lower[:, np.newaxis])


def en_face(
    values: Float[np.ndarray, "slice row column"],
    *,
    upper: Line,
    lower: Line,
    how: How = "mean",
) -> Float[np.ndarray, "slice column"]:
    """A map seen from the front: each column's values between two lines as one number.

    NaN where a line is unknown or no pixel's centre lies between them. A sum over rows grows with
    the band's thickness; means and maxima do not.

    Args:
        values: What is projected.
        upper: Row of the upper line in every column of every section, pixel centres at +0.5.
        lower: Of the lower line.
        how: "mean", "max" or "sum" over the rows.

    Raises:
        ValueError: Lines of another grid, or an unknown way.
    """
    if how not in ("mean", "max", "sum"):
        raise ValueError(f"how must be mean, max or sum, but is {how!r}")
    _check_lines(values.shape, upper, lower)
    band = band_between(_shape(values), upper, lower)
    count = band.sum(axis=1)
    if how == "max":
        found = np.where(band, values, -np.inf).max(axis=1)
    else:
        found = np.where(band, values, 0.0).sum(axis=1)
        found = found / np.maximum(count, 1) if how == "mean" else found
    return np.where(count > 0, found, np.nan)


def per_section(
    values: Float[np.ndarray, "slice row column"], volume: Volume, *, upper: Line, lower: Line
) -> list[SectionSummary]:
    """Each section's share of a map that lies between two lines, and how much of it is lit.

    Args:
        values: The map, one value for every pixel of the volume.
        volume: Gives the spacing.
        upper: Row of the upper line, as in `volume.lines`.
        lower: Of the lower line.

    Raises:
        ValueError: Values or lines of another grid.
    """
    expected = (len(volume), *volume.pixels.shape[2:])
    if values.shape != expected:
        raise ValueError(f"values are {values.shape}, but the volume is {expected}")
    _check_lines(values.shape, upper, lower)
    band = band_between(_shape(values), upper, lower)
    thickness = thickness_um(volume, upper, lower)
    found = []
    for number, (section, inside) in enumerate(zip(values, band, strict=True)):
        total = float(section.clip(min=0).sum())
        some = bool(inside.any())
        share = float(section[inside].clip(min=0).sum()) / total if some and total > 0 else None
        found.append(
            SectionSummary(
                section=number + 1,
                mass_share=share,
                largest=float(section[inside].max()) if some else None,
                mean=float(section[inside].mean()) if some else None,
                area=area_mm2(inside & (section > 0), volume.spacing_mm),
                mean_thickness=_mean_of(thickness, number),
            )
        )
    return found


def _shape(values: Float[np.ndarray, "slice row column"]) -> tuple[int, int, int]:
    slices, rows, columns = values.shape
    return slices, rows, columns


def _check_lines(shape: tuple[int, ...], upper: Line, lower: Line) -> None:
    for name, line in (("upper", upper), ("lower", lower)):
        if line.shape != (shape[0], shape[2]):
            raise ValueError(
                f"{name} must give a row for each of {shape[0]} sections and {shape[2]} columns, "
                f"but its shape is {line.shape}"
            )


def _mean_of(thickness: Line | None, section: int) -> Measured:
    if thickness is None:
        return Measured(value=None, unit="um", reason="the volume has no spacing")
    known = thickness[section][np.isfinite(thickness[section])]
    if not known.size:
        return Measured(value=None, unit="um", reason="a line is unknown in every column")
    return Measured(value=float(known.mean()), unit="um")
