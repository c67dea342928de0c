"""Distances, areas and volumes between sections: axial, lateral and slice spacing differ."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from foveal.core import Volume

Line = Float[np.ndarray, "slice column"]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A length, an area or a volume, or why there is none."""

    value: float | None
    unit: str
    reason: str | None = None


def thickness_um(volume: Volume, upper: Line, lower: Line) -> Line | None:
    """Distance of two lines along the rows in micrometres; `None` without spacing.

    It is measured along the beam and not at right angles to the layer, as instruments do.
    """
    if volume.spacing_mm is None:
        return None
    return (lower - upper) * (1000 * volume.spacing_mm[0])


def distance_um(start: Sequence[float], end: Sequence[float], volume: Volume) -> Measured:
    """Straight distance of two points (slice, row, column) of a volume, pixel centres at +0.5.

    Points of one section need no slice spacing.
    """
    offset = np.asarray(end, float) - np.asarray(start, float)
    if volume.spacing_mm is None:
        return Measured(value=None, unit="um", reason="the volume has no spacing")
    if offset[0] and volume.slice_spacing_mm is None:
        return Measured(value=None, unit="um", reason="the distance of the sections is unknown")
    spacing = np.array([volume.slice_spacing_mm or 0.0, *volume.spacing_mm])
    return Measured(value=float(1000 * np.linalg.norm(offset * spacing)), unit="um")


def area_mm2(
    mask: Bool[np.ndarray, "row column"], spacing_mm: tuple[float, float] | None
) -> Measured:
    """Area of a mask in one section."""
    if spacing_mm is None:
        return Measured(value=None, unit="mm^2", reason="the section has no spacing")
    return Measured(value=float(mask.sum() * spacing_mm[0] * spacing_mm[1]), unit="mm^2")


def en_face_area_mm2(mask: Bool[np.ndarray, "slice column"], volume: Volume) -> Measured:
    """Area of a mask seen from the front: every column counts as far as its neighbours are."""
    if volume.spacing_mm is None or volume.slice_spacing_mm is None:
        return Measured(value=None, unit="mm^2", reason=missing_spacing(volume))
    pixel = volume.spacing_mm[1] * volume.slice_spacing_mm
    return Measured(value=float(mask.sum() * pixel), unit="mm^2")


def volume_mm3(mask: Bool[np.ndarray, "slice row column"], volume: Volume) -> Measured:
    """Volume of a mask: each pixel counts as thick as sections are apart, also the outer ones."""
    if volume.spacing_mm is None or volume.slice_spacing_mm is None:
        return Measured(value=None, unit="mm^3", reason=missing_spacing(volume))
    pixel = volume.spacing_mm[0] * volume.spacing_mm[1] * volume.slice_spacing_mm
    return Measured(value=float(mask.sum() * pixel), unit="mm^3")


def missing_spacing(volume: Volume) -> str:
    """Why a volume of pixels has no millimetres."""
    if volume.spacing_mm is None:
        return "the volume has no spacing"
    return "the distance of the sections is unknown"
