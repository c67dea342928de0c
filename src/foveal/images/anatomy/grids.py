"""Fields, quadrants and sectors in which clinicians count, laid on fovea and disc."""

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, UInt8

from foveal.core import Image, Region
from foveal.images.anatomy.eye_frame import DISC_MM, EyeFrame, frame_around
from foveal.images.anatomy.landmarks import Landmarks

ETDRS_DIAMETERS_MM = (1.0, 3.0, 6.0)
_CENTRAL_MM = 0.5
"""Distance from the fovea within which thickening is clinically significant by itself."""
_SIDES = ("superior", "temporal", "inferior", "nasal")
_FIELDS = re.compile(
    r"etdrs .+|clock hour \d+|within .+ of the fovea|(superior|inferior)-(temporal|nasal)|"
    rf"rim ({'|'.join(_SIDES)})",
    re.IGNORECASE,
)


def is_grid_field(name: str) -> bool:
    """Whether a region is a field of a grid, which lies over the structures and is none itself."""
    return _FIELDS.fullmatch(name) is not None


def etdrs_grid(image: Image, landmarks: Landmarks, *, aligned: bool = False) -> tuple[Region, ...]:
    """The nine fields of the ETDRS grid on the fovea.

    A centre of 1 mm diameter, an inner ring to 3 mm and an outer ring to 6 mm, each ring in four
    fields of 90 degrees. Millimetres come from the image's spacing, else from the disc's diameter,
    taken for 1.5 mm; the regions' source says which.

    Args:
        image: Its original grid and spacing count.
        landmarks: Fovea and side, and the disc where there is no spacing.
        aligned: Whether the grid is turned with the axis from the disc to the fovea.

    Raises:
        ImageError: Fovea, side or scale are not known.

    Reference:
        ETDRS report 10, Ophthalmology 1991;98:786.
    """
    frame = frame_around(landmarks.fovea, image, landmarks, aligned=aligned, name="fovea")
    centre, inner, outer = (diameter / 2 for diameter in ETDRS_DIAMETERS_MM)
    side, away = _sides(frame), frame.away
    masks = {"ETDRS centre": away <= centre}
    for ring, low, high in (("inner", centre, inner), ("outer", inner, outer)):
        within = (away > low) & (away <= high)
        masks |= {
            f"ETDRS {ring} {name}": within & (side == number) for number, name in enumerate(_SIDES)
        }
    return _regions(masks, f"ETDRS grid, {frame.scale}")


def quadrants(image: Image, landmarks: Landmarks, *, aligned: bool = False) -> tuple[Region, ...]:
    """The four quarters of the picture around the fovea: "superior-temporal" and so on.

    Args:
        image: Its original grid counts.
        landmarks: Fovea and side.
        aligned: Whether the dividing lines are turned with the axis from the disc to the fovea.

    Raises:
        ImageError: Fovea or side are not known, or no scale for pixels that are not square.
    """
    frame = frame_around(landmarks.fovea, image, landmarks, aligned=aligned, name="fovea")
    above, outside = frame.up > 0, frame.temporal > 0
    return _regions(
        {
            "superior-temporal": above & outside,
            "superior-nasal": above & ~outside,
            "inferior-temporal": ~above & outside,
            "inferior-nasal": ~above & ~outside,
        },
        "quadrants around the fovea",
    )


def clock_hours(
    image: Image, landmarks: Landmarks, *, reach: tuple[float, float] = (1.0, 2.0)
) -> tuple[Region, ...]:
    """Twelve sectors around the disc, "clock hour 1" to "clock hour 12", as the examiner sees them.

    Each is 30 degrees wide around its hour. Twelve is up, and the hours run clockwise in the
    picture in both eyes, so three o'clock is nasal in a right eye and temporal in a left one.

    Args:
        image: Its original grid counts.
        landmarks: The disc with its radius; the side does not matter.
        reach: Inner and outer edge in disc radii.

    Raises:
        ImageError: The disc is not known.
        ValueError: A reach that is not two growing numbers from 0.
    """
    if not 0 <= reach[0] < reach[1]:
        raise ValueError(f"reach must be two growing numbers from 0, but is {reach}")
    # Temporal of a left eye is to the right in the picture.
    seen = replace(landmarks, laterality="left")
    frame = frame_around(seen.disc, image, seen, aligned=False, name="disc")
    hour = np.rint(np.degrees(np.arctan2(frame.temporal, frame.up)) / 30) % 12
    within = _ring(frame, landmarks, reach)
    masks = {f"clock hour {n}": within & (hour == n % 12) for n in range(1, 13)}
    return _regions(masks, f"around the disc, {reach[0]:g} to {reach[1]:g} of its radii")


def rim_sectors(
    image: Image,
    landmarks: Landmarks,
    *,
    rim: Bool[np.ndarray, "row column"] | None = None,
) -> tuple[Region, ...]:
    """The quarters of the disc's rim by the ISNT rule: inferior, superior, nasal, temporal.

    Args:
        image: Its original grid counts.
        landmarks: The disc with its radius, and the side.
        rim: The rim's mask on the original grid, as disc without cup; the disc's circle by default.

    Raises:
        ImageError: Disc or side are not known.
    """
    frame = frame_around(landmarks.disc, image, landmarks, aligned=False, name="disc")
    within = _ring(frame, landmarks, (-1.0, 1.0)) if rim is None else rim
    side = _sides(frame)
    masks = {
        f"rim {name}": within & (side == _SIDES.index(name))
        for name in ("inferior", "superior", "nasal", "temporal")
    }
    return _regions(masks, "quarters of the disc")


def macular_zones(image: Image, landmarks: Landmarks) -> tuple[Region, ...]:
    """Where macular oedema is clinically significant by the ETDRS: near the fovea.

    "within 500 um of the fovea" and "within 1 disc diameter of the fovea", both around its centre.
    A disc diameter is the eye's own where its disc is known, else 1.5 mm.

    Raises:
        ImageError: Fovea or scale are not known; the side does not matter.

    Reference:
        ETDRS report 1, Arch Ophthalmol 1985;103:1796.
    """
    either = replace(landmarks, laterality="right")
    frame = frame_around(landmarks.fovea, image, either, aligned=False, name="fovea")
    away = frame.away
    diameter = 2 * _radius_mm(frame, landmarks)
    return _regions(
        {
            "within 500 um of the fovea": away <= _CENTRAL_MM,
            "within 1 disc diameter of the fovea": away <= diameter,
        },
        f"around the fovea, {frame.scale}",
    )


def _sides(frame: EyeFrame) -> UInt8[np.ndarray, "row column"]:
    """The place in `_SIDES` of each pixel's quarter."""
    beside = np.abs(frame.temporal) > np.abs(frame.up)
    across = np.where(frame.temporal > 0, 1, 3)
    return np.where(beside, across, np.where(frame.up > 0, 0, 2)).astype(np.uint8)


def _ring(
    frame: EyeFrame, landmarks: Landmarks, reach: tuple[float, float]
) -> Bool[np.ndarray, "row column"]:
    away = frame.away / _radius_mm(frame, landmarks)
    return (away > reach[0]) & (away <= reach[1])


def _radius_mm(frame: EyeFrame, landmarks: Landmarks) -> float:
    """Of the circle with the disc's area."""
    if landmarks.disc_radius is None:
        return DISC_MM / 2
    return landmarks.disc_radius * float(np.sqrt(frame.scale.row_mm * frame.scale.column_mm))


def _regions(
    masks: Mapping[str, Bool[np.ndarray, "row column"]], source: str
) -> tuple[Region, ...]:
    return tuple(
        Region(name=name, mask=mask, kind="anatomy", source=source) for name, mask in masks.items()
    )
