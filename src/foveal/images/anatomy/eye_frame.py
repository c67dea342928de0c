"""Millimetres around a place in the eye, with up and temporal instead of rows and columns."""

from dataclasses import dataclass
from math import atan2, cos, sin

import numpy as np
from jaxtyping import Float

from foveal.core import Image, ImageError
from foveal.images.anatomy.landmarks import Landmarks, Place

DISC_MM = 1.5
"""What grids take a disc diameter for; single discs measure 1.2 to 2.2 mm."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Millimetres to a pixel."""

    row_mm: float
    column_mm: float
    nominal: bool
    """Whether it rests on the usual disc diameter instead of on the image's own spacing."""

    def __str__(self) -> str:
        how = f"taking the disc for {DISC_MM:g} mm (nominal)" if self.nominal else "by its spacing"
        return f"{self.row_mm:.4g} x {self.column_mm:.4g} mm to a pixel, {how}"


@dataclass(frozen=True, kw_only=True, eq=False)
class EyeFrame:
    """How far each pixel's centre lies above and temporal of a place, in mm."""

    up: Float[np.ndarray, "row column"]
    temporal: Float[np.ndarray, "row column"]
    scale: Scale

    @property
    def away(self) -> Float[np.ndarray, "row column"]:
        """Distance in mm."""
        return np.hypot(self.up, self.temporal)


def scale_of(image: Image, landmarks: Landmarks) -> Scale:
    """The image's own spacing, else by the disc's diameter, taken for 1.5 mm.

    Raises:
        ImageError: Neither is known.
    """
    if image.spacing_mm is not None and not image.steps:
        return Scale(row_mm=image.spacing_mm[0], column_mm=image.spacing_mm[1], nominal=False)
    if landmarks.disc_radius is None:
        raise ImageError(
            "has no spacing and no optic disc to tell its scale; give a mask of the disc, or the "
            "spacing in mm"
        )
    pixel = DISC_MM / (2 * landmarks.disc_radius)
    return Scale(row_mm=pixel, column_mm=pixel, nominal=True)


def frame_around(
    place: Place | None, image: Image, landmarks: Landmarks, *, aligned: bool, name: str
) -> EyeFrame:
    """Up and temporal of each pixel of the original grid from a place.

    Args:
        place: The origin; missing ones are an error.
        image: Its original grid and spacing count.
        landmarks: Side, and the disc-fovea axis.
        aligned: Whether temporal runs along the axis from the disc to the fovea instead of along
            the rows.
        name: Of the place, for the error.

    Raises:
        ImageError: The place, the side of the eye, the scale or the axis are not known.
    """
    if place is None:
        why = landmarks.reasons.get(name, f"give a mask of the {name}")
        raise ImageError(f"has no {name} to lay a grid on: {why}")
    if landmarks.laterality not in ("right", "left"):
        why = landmarks.reasons.get("laterality", "give it")
        raise ImageError(f"has no known side, so nasal and temporal are not known: {why}")
    scale = scale_of(image, landmarks)
    out = -1.0 if landmarks.laterality == "right" else 1.0
    rows, columns = image.original_grid
    up = (place.row - (np.arange(rows, dtype=np.float32)[:, None] + 0.5)) * scale.row_mm
    temporal = (np.arange(columns, dtype=np.float32)[None, :] + 0.5 - place.column) * (
        out * scale.column_mm
    )
    if not aligned:
        up, temporal = np.broadcast_arrays(up, temporal)
        return EyeFrame(up=up, temporal=temporal, scale=scale)
    tilt = _tilt(landmarks, scale, out)
    return EyeFrame(
        up=up * cos(tilt) - temporal * sin(tilt),
        temporal=temporal * cos(tilt) + up * sin(tilt),
        scale=scale,
    )


def _tilt(landmarks: Landmarks, scale: Scale, out: float) -> float:
    """Angle by which the fovea lies above the horizontal through the disc, in radians."""
    disc, fovea = landmarks.disc, landmarks.fovea
    if disc is None or fovea is None:
        raise ImageError("has no axis from the disc to the fovea: one of the two is not known")
    up = (disc.row - fovea.row) * scale.row_mm
    return atan2(up, out * (fovea.column - disc.column) * scale.column_mm)
