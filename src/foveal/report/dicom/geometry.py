"""Where the pixels of a source lie in space, or a nominal place where the source does not say.

Parametric maps and segmentations are placed in a frame of reference (PS3.3 C.7.6.16 and C.7.4.1).
Ophthalmic photographs have none, and hardly ever a spacing. They get a place of their own, derived
from the source's SOP Instance UID, so that all that is made of one photograph lies over each other
and over nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from pydicom.dataset import Dataset

from foveal.images import header

Numbers = tuple[float, ...]

_AXES: Numbers = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_UNIT = 1.0
_UUID_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """The place of all frames of a source."""

    spacing_mm: tuple[float, float]
    thickness_mm: float
    orientation: Numbers
    """Direction cosines of rows and columns, as ImageOrientationPatient."""
    positions_mm: tuple[Numbers, ...]
    """Of each frame, as ImagePositionPatient."""
    frame_of_reference: str
    note: str
    """What of it is nominal, in at most 64 characters; empty where all is the source's."""


def geometry_of(dataset: Dataset) -> Geometry:
    """The source's own geometry, as far as it is whole.

    Frames that are turned against each other, or that share a plane, as those of an angiography,
    have no common place in space that the objects could state: they are laid behind each other, a
    millimetre apart.

    Raises:
        ImageError: Numbers in the header that are no numbers.
    """
    count = max(1, header.whole_number(dataset, "NumberOfFrames", default=1))
    frames = [header.places(dataset, frame) for frame in range(count)]
    spacings = {header.spacing_mm(frame) for frame in frames}
    spacing = spacings.pop() if len(spacings) == 1 else None
    orientations = {tuple(header.numbers(frame, "ImageOrientationPatient")) for frame in frames}
    positions = tuple(tuple(header.numbers(frame, "ImagePositionPatient")) for frame in frames)
    frame_of_reference = header.first((dataset,), "FrameOfReferenceUID")
    placed = frame_of_reference is not None and _are_planes(orientations, positions)
    thickness = header.numbers(frames[0], "SliceThickness") or [_UNIT]
    return Geometry(
        spacing_mm=spacing or (_UNIT, _UNIT),
        thickness_mm=thickness[0] if thickness[0] > 0 else _UNIT,
        orientation=orientations.pop() if placed else _AXES,
        positions_mm=positions if placed else tuple((0.0, 0.0, float(n)) for n in range(count)),
        frame_of_reference=str(frame_of_reference) if placed else derived_frame(dataset),
        note=_note(spacing is not None, placed),
    )


def derived_frame(dataset: Dataset) -> str:
    """A frame of reference that belongs to this object alone, and to all that is made of it."""
    return derived_uid(f"frame of reference of {dataset.SOPInstanceUID}")


def derived_uid(text: str) -> str:
    """The same UID for the same text: `2.25.` and 128 bits of its hash (PS3.5 B.2)."""
    digest = sha256(text.encode()).digest()
    return f"2.25.{int.from_bytes(digest[:_UUID_BYTES], 'big')}"


def _are_planes(orientations: set[Numbers], positions: Sequence[Numbers]) -> bool:
    """Whether all frames are parallel, each in a plane of its own."""
    if len(orientations) != 1 or any(len(position) != 3 for position in positions):
        return False
    (orientation,) = orientations
    if len(orientation) != 6:
        return False
    normal = np.cross(orientation[:3], orientation[3:])
    return len(np.unique(np.array(positions) @ normal)) == len(positions)


def _note(has_spacing: bool, placed: bool) -> str:
    if not has_spacing:
        return "Nominal geometry: the source states no pixel spacing"
    return "" if placed else "Nominal position: the source states none"
