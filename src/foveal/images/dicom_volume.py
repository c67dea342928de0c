"""Volumes in DICOM: Ophthalmic Tomography and B-scan Volume Analysis, by where sections lie."""

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float
from pydicom.dataset import Dataset, FileDataset

from foveal.core import FovealWarning, Image, ImageError, Laterality, Volume
from foveal.images import header
from foveal.images.dicom import read_dicom
from foveal.images.dicom_objects import VOLUMES, class_name, class_uid, open_dicom
from foveal.images.dicom_paths import dicom_paths
from foveal.images.dicom_pixels import frame_count, frame_pixels, grid
from foveal.images.oct.order import order_sections
from foveal.images.oct.sections import (
    Scan,
    Section,
    Sections,
    assemble,
    check_volume,
    chosen,
)

_LARGEST = 200_000_000
_MOST_FRAMES = 20_000
"""No scan has more, and a damaged count is found before memory is taken for it."""


def read_dicom_volume(
    path: Path, *, sections: Sections = None, max_pixels: int = _LARGEST
) -> Volume:
    """A scan from a multi-frame object, or from a folder of objects that hold one section each.

    Sections are sorted by PlanePositionSequence, else by where OphthalmicFrameLocationSequence puts
    them on the localizer, else by their number in the stack; never by the order of frames or files
    where the header says more. Slice spacing is the distance of the positions.

    Args:
        path: A file, or a folder with one scan in it.
        sections: First and last section to read, counted from 1; all unless said.
        max_pixels: Larger volumes are refused by their header.

    Returns:
        With the localizer and the places on it where that lies in the same folder.

    Raises:
        ImageError: No volume, several of them, sections of two eyes or of two sizes, or a file that
            is too large or damaged.

    Warns:
        FovealWarning: Frames in another order than they lie in, or sections whose spacing differs.
    """
    files = _files_of_one_scan(path)
    headers = [open_dicom(file, header_only=True) for file in files]
    count = sum(frame_count(dataset) for dataset in headers)
    first, last = chosen(sections, count)
    _check_frames(headers, count)
    check_volume(last - first, grid(headers[0]), max_pixels)
    frames = _frames([open_dicom(file) for file in files], files)
    localizer = _localizer(frames, path, max_pixels)
    scan = _scan(frames, localizer, path)
    seen: dict[str, set[object]] = {}

    def load(number: int) -> Section:
        frame = frames[number]
        pixels, facts = frame_pixels(frame.dataset, frame.index)
        for name, value in facts.items():
            seen.setdefault(name, set()).add(value)
        return Section(pixels=pixels, sha256=frame.sha256)

    one_hash = frames[0].sha256 if len(files) == 1 else None
    volume = assemble(scan, load, sections=sections, sha256=one_hash)
    facts = {name: _one_of(values) for name, values in seen.items()}
    numbers = [frame.index for frame in frames]
    if len(files) == 1 and numbers != sorted(numbers) and not volume.facts["reordered"]:
        facts["reordered"] = True
        warnings.warn(
            "the sections lie in another order than they stand in the file; they are sorted by "
            "their places",
            FovealWarning,
            stacklevel=2,
        )
    volume = replace(volume, facts={**volume.facts, **facts})
    return volume if localizer is None else _placed(volume, scan, frames, localizer)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Frame:
    dataset: FileDataset
    index: int
    sha256: str

    @cached_property
    def searched(self) -> header.Places:
        return header.places(self.dataset, self.index)

    @property
    def stack_position(self) -> int:
        position = header.first(self.searched, "InStackPositionNumber")
        return position if isinstance(position, int) else 0

    @property
    def location(self) -> Dataset | None:
        """Where it lies on a photograph (PS3.3 C.8.17.10.1)."""
        for place in self.searched:
            if "ReferenceCoordinates" in place:
                return place
        return None


def _files_of_one_scan(path: Path) -> list[Path]:
    if not path.is_dir():
        dataset = open_dicom(path, header_only=True)
        name = class_name(dataset)
        if class_uid(dataset) not in VOLUMES:
            raise ImageError(f"holds {name}, which is a picture; read it with foveal.read")
        return [path]
    scans: dict[tuple[str, ...], list[tuple[int, Path]]] = {}
    for file in dicom_paths(path):
        dataset = open_dicom(file, header_only=True)
        if class_uid(dataset) in VOLUMES:
            number = header.whole_number(dataset, "InstanceNumber", default=0)
            scans.setdefault(_scan_mark(dataset), []).append((number, file))
    if not scans:
        raise ImageError("is a folder without a DICOM volume (Ophthalmic Tomography) in it")
    if len(scans) > 1:
        raise ImageError(f"holds {len(scans)} DICOM volumes; name the file of one")
    (files,) = scans.values()
    return [file for _, file in sorted(files)]


def _scan_mark(dataset: Dataset) -> tuple[str, ...]:
    """What the files of one scan share: a file of several frames is a scan by itself."""
    joined = dataset.get("ConcatenationUID")
    if joined:
        return ("concatenation", str(joined))
    if frame_count(dataset) > 1:
        return ("object", str(dataset.get("SOPInstanceUID")))
    return ("series", str(dataset.get("SeriesInstanceUID")))


def _check_frames(headers: Sequence[Dataset], count: int) -> None:
    if count > _MOST_FRAMES:
        raise ImageError(
            f"says it holds {count} sections, more than {_MOST_FRAMES}; it may be damaged, export "
            "it again"
        )
    if len({grid(dataset) for dataset in headers}) > 1:
        raise ImageError("holds sections of several sizes; export one scan alone")


def _frames(datasets: Sequence[FileDataset], files: Sequence[Path]) -> list[_Frame]:
    frames = [
        _Frame(dataset=dataset, index=index, sha256=mark)
        for dataset, mark in zip(datasets, map(_sha256, files), strict=True)
        for index in range(frame_count(dataset))
    ]
    positions = [frame.stack_position for frame in frames]
    if len(set(positions)) == len(frames):
        frames.sort(key=lambda frame: frame.stack_position)
    return frames


def _scan(frames: Sequence[_Frame], localizer: Image | None, path: Path) -> Scan:
    first = frames[0].dataset
    side, side_from = _laterality(frames)
    spacing = _spacing(frames)
    geometry = _positions(frames, spacing)
    between = header.numbers(frames[0].searched, "SpacingBetweenSlices")
    return Scan(
        count=len(frames),
        grid=grid(first),
        spacing_mm=spacing,
        slice_spacing_mm=between[0] if between and between[0] > 0 else None,
        places_mm=geometry,
        places_degrees=_coordinates(frames) if geometry is None else None,
        localizer=localizer,
        laterality=side,
        patient=header.patient(first),
        visit=header.visit(first),
        source=str(path),
        facts={
            "format": "DICOM",
            "sop_class": class_name(first),
            "transfer_syntax": first.file_meta.TransferSyntaxUID.name,
            "laterality_from": side_from,
        },
    )


def _placed(volume: Volume, scan: Scan, frames: Sequence[_Frame], localizer: Image) -> Volume:
    """With the sections' places on the localizer, in the order in which the sections came out."""
    places = _coordinates(frames)
    if places is not None:
        known = scan.places_mm if scan.places_mm is not None else scan.places_degrees
        index = order_sections(known, scan.count).index
        start = int(volume.facts["first_section"]) - 1
        places = places[list(index[start : start + len(volume)])]
    return replace(volume, localizer=localizer, places=places)


def _laterality(frames: Sequence[_Frame]) -> tuple[Laterality, str]:
    said = dict.fromkeys(header.laterality(frame.searched) for frame in frames)
    sides = {side for side, _ in said}
    if len(sides) > 1:
        raise ImageError(
            f"holds sections of more than one eye ({', '.join(sorted(sides))}); "
            "export the scan of each eye alone"
        )
    return next(iter(said))


def _spacing(frames: Sequence[_Frame]) -> tuple[float, float] | None:
    spacings = [header.spacing_mm(frame.searched) for frame in frames]
    if len(set(spacings)) > 1:
        warnings.warn(
            "the sections differ in their spacing, so none is given",
            FovealWarning,
            stacklevel=2,
        )
        return None
    return spacings[0]


def _positions(
    frames: Sequence[_Frame], spacing_mm: tuple[float, float] | None
) -> Float[np.ndarray, "slice 2 2"] | None:
    """Start and end of each section in mm, on the plane that the first one is perpendicular to.

    Its axes are the normal of the first section and its direction of columns (PS3.3 C.7.6.2.1.1).
    `None` where a position is missing, or where all are the same and so mean nothing.
    """
    positions = [header.numbers(frame.searched, "ImagePositionPatient") for frame in frames]
    directions = [header.numbers(frame.searched, "ImageOrientationPatient") for frame in frames]
    if {len(one) for one in positions} != {3} or {len(one) for one in directions} != {6}:
        return None
    origins, axes = np.array(positions), np.array(directions).reshape(-1, 2, 3)
    if len(frames) > 1 and not np.ptp(origins, axis=0).any():
        return None
    along = axes[0, 0]
    plane = np.stack([np.cross(along, axes[0, 1]), along])
    length = (spacing_mm or (1.0, 1.0))[1] * grid(frames[0].dataset)[1]
    starts = origins @ plane.T
    return np.stack([starts, starts + length * axes[:, 0] @ plane.T], axis=1)


def _coordinates(frames: Sequence[_Frame]) -> Float[np.ndarray, "slice 2 2"] | None:
    """Start and end of each section on the localizer (row, column), 0 at the edge of its first."""
    ends = []
    for frame in frames:
        location = frame.location
        points = [] if location is None else header.numbers((location,), "ReferenceCoordinates")
        if len(points) < 4 or len(points) % 2:
            return None
        ends.append([points[:2], points[-2:]])
    return np.array(ends)


def _localizer(frames: Sequence[_Frame], path: Path, max_pixels: int) -> Image | None:
    """The photograph that the sections refer to, where it lies in the same folder."""
    wanted = _localizer_uid(frames[0])
    file = None if wanted is None else _file_of(wanted, path)
    if file is None:
        return None
    try:
        return read_dicom(
            file,
            modality=None,
            frame=None,
            assume_dicom=False,
            max_pixels=max_pixels,
            sha256=_sha256(file),
        )
    except ImageError as problem:
        warnings.warn(
            f"the localizer of the volume is not read: it {problem}", FovealWarning, stacklevel=2
        )
        return None


def _file_of(wanted: str, path: Path) -> Path | None:
    for file in dicom_paths(path if path.is_dir() else path.parent, deep=path.is_dir()):
        try:
            if open_dicom(file, header_only=True).get("SOPInstanceUID") == wanted:
                return file
        except ImageError:  # a neighbour that is broken is none of the volume's business
            continue
    return None


def _localizer_uid(frame: _Frame) -> str | None:
    if frame.location is not None:
        return str(frame.location.get("ReferencedSOPInstanceUID") or "") or None
    groups = header.items(frame.dataset, "SharedFunctionalGroupsSequence")
    for group in groups:
        for image in header.items(group, "ReferencedImageSequence"):
            return str(image.get("ReferencedSOPInstanceUID") or "") or None
    return None


def _one_of(values: set[object]) -> str | int | float | bool:
    if len(values) > 1:
        return "differs between sections"
    (value,) = values
    return value if isinstance(value, str | int | float | bool) else str(value)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
