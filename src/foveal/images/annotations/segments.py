"""DICOM Segmentation objects: binary, fractional and label maps (PS3.3 A.51)."""

import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError

from foveal.core import Grid, Image, ImageError
from foveal.images.annotations.marks import Mark, Picture
from foveal.images.annotations.shapes import Bits
from foveal.images.dicom_decoding import decoded_frame
from foveal.images.quiet import quiet
from foveal.images.raster import check_size
from foveal.images.reading import MAX_PIXELS

SEGMENTATION = (
    "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation Storage
    "1.2.840.10008.5.1.4.1.1.66.7",  # Label Map Segmentation Storage
)
_DAMAGE = (
    *(OSError, EOFError, ValueError, LookupError, AttributeError, TypeError, RuntimeError),
    *(ArithmeticError, MemoryError, struct.error, InvalidDicomError, BytesLengthException),
)
_MAX_FRAMES = 100_000
Reference = tuple[str, int | None]
"""A SOP instance, and which frame of it, counted from 1."""


def is_segmentation(path: Path) -> bool:
    """Whether a DICOM file says that it is a segmentation."""
    try:
        with quiet("pydicom"):
            found = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"])
        return str(found.get("SOPClassUID", "")) in SEGMENTATION
    except _DAMAGE:
        return False


def read_segments(path: Path, image: Image | None, threshold: float) -> list[Picture]:
    """One picture for each frame of each object that segments refer to.

    Of a fractional object, pixels belong that reach the threshold's share of its largest value.

    Raises:
        ImageError: A damaged or too large object, or frames that do not say what they show.
    """
    try:
        with quiet("pydicom"):
            found = dcmread(path)
            for _ in found.iterall():  # pydicom converts when asked, so a broken value shows here
                pass
        grid = int(found.Rows), int(found.Columns)
        check_size(*grid, MAX_PIXELS)
        if _count(found) > _MAX_FRAMES:
            raise ImageError(f"holds {found.NumberOfFrames} frames, more than are read")
        frames = _frames(found)
        names = {int(s.SegmentNumber): str(s.SegmentLabel) for s in found.SegmentSequence}
    except _DAMAGE as error:
        raise ImageError("is a DICOM segmentation that cannot be read; export it again") from error
    facts: dict[str, str | int | float | bool] = {"format": "DICOM SEG"}
    if found.get("SegmentationType") == "FRACTIONAL":
        facts["threshold"] = threshold
    frame = None if image is None else image.facts.get("frame")
    wanted = {k: v for k, v in frames.items() if frame is None or k[1] in (None, frame)}
    return [
        Picture(
            uid=uid or None,
            grid=grid,
            marks=partial(_marks, found, own, names, grid, threshold),
            facts=facts,
        )
        for (uid, _), own in (wanted or frames).items()
    ]


def sop_instance(path: Path) -> str | None:
    """The SOP instance in a file; `None` where it is no DICOM file, or not there any more."""
    try:
        with quiet("pydicom"):
            found = dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
    except _DAMAGE:
        return None
    return str(found.get("SOPInstanceUID") or "") or None


def _frames(found: FileDataset) -> Mapping[Reference, Sequence[tuple[int, int | None]]]:
    """What each referenced picture has: frames of the segmentation, and the segment of each."""
    shared = found.get("SharedFunctionalGroupsSequence") or [Dataset()]
    sources = [str(s.ReferencedSOPInstanceUID) for s in _instances(found)]
    frames: defaultdict[Reference, list[tuple[int, int | None]]] = defaultdict(list)
    for index, groups in enumerate(found.PerFrameFunctionalGroupsSequence):
        segment = _group(groups, shared[0], "SegmentIdentificationSequence")
        number = None if segment is None else int(segment.ReferencedSegmentNumber)
        derived = _group(groups, shared[0], "DerivationImageSequence")
        for source in [] if derived is None else derived.get("SourceImageSequence") or []:
            shown = source.get("ReferencedFrameNumber")
            numbers = [None] if shown is None else np.atleast_1d(shown).tolist()
            uid = str(source.ReferencedSOPInstanceUID)
            for one in numbers:
                frames[uid, None if one is None else int(one)].append((index, number))
        if derived is None and len(sources) <= 1:  # only one object can be meant
            frames["".join(sources), None].append((index, number))
    return frames


def _instances(found: Dataset) -> list[Dataset]:
    return [
        instance
        for series in found.get("ReferencedSeriesSequence") or []
        for instance in series.get("ReferencedInstanceSequence") or []
    ]


def _group(own: Dataset, shared: Dataset, name: str) -> Dataset | None:
    found = own.get(name) or shared.get(name)
    return found[0] if found else None


def _marks(
    found: FileDataset,
    frames: Sequence[tuple[int, int | None]],
    names: Mapping[int, str],
    grid: Grid,
    threshold: float,
) -> list[Mark]:
    grader = str(found.get("ContentCreatorName") or "") or None
    masks: dict[int, Bool[np.ndarray, "row column"]] = {}
    count = _count(found)
    for index, number in frames:
        try:
            frame = decoded_frame(found, index, count=count, grid=grid)
            values = frame.reshape(grid)
            # A label map tells its segments by value, and 0 is what is in none of them.
            for segment in [n for n in names if n > 0] if number is None else [number]:
                if segment in masks:
                    raise ImageError(
                        f"holds several frames of segment {segment} that do not say which frame of "
                        "the picture they show; export it with references to the frames"
                    )
                masks[segment] = _drawn(found, values, segment, threshold)
        except _DAMAGE as error:
            raise ImageError("has frames that cannot be decoded; export it again") from error
    unnamed = sorted(masks.keys() - names.keys())
    if unnamed:
        raise ImageError(f"holds frames of the segments {unnamed}, which it does not describe")
    return [
        Mark(label=names[number], shape=Bits(mask, of=grid), grader=grader)
        for number, mask in masks.items()
    ]


def _count(found: Dataset) -> int:
    return int(found.get("NumberOfFrames", 1))


def _drawn(
    found: Dataset, values: np.ndarray, segment: int, threshold: float
) -> Bool[np.ndarray, "row column"]:
    match found.get("SegmentationType"):
        case "LABELMAP":
            return values == segment
        case "FRACTIONAL":
            return values >= threshold * float(found.MaximumFractionalValue)
    return values != 0
