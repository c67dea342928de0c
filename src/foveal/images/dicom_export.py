"""A hospital's export: which of its DICOM files hold pictures or volumes, and why others do not."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath

from pydicom.dataset import Dataset
from pydicom.uid import MediaStorageDirectoryStorage

from foveal.core import ImageError, Laterality
from foveal.images import header
from foveal.images.dicom_objects import VOLUMES, class_name, class_uid, open_dicom
from foveal.images.dicom_paths import dicom_paths
from foveal.images.dicom_pixels import frame_count


@dataclass(frozen=True, kw_only=True)
class DicomFile:
    """One DICOM file of an export, by its header alone."""

    path: Path
    sop_class: str = ""
    """Its name; empty when the file is not readable."""
    patient: str | None = None
    study: str | None = None
    series: str | None = None
    laterality: Laterality = "unknown"
    """Of the first frame."""
    frames: int = 1
    is_volume: bool = False
    """Whether its frames are sections of one eye, to be read with `read_volume`."""
    number: int = 0
    """InstanceNumber: the place in its series."""
    why_not: str | None = None
    """What keeps it from being an image or a volume; `None` when nothing does."""


def dicom_files(folder: str | PathLike[str]) -> list[DicomFile]:
    """All DICOM files below a folder, whatever they are called, pictures and everything else.

    A file is known by its content, so suffixes and a DICOMDIR are not needed. What a DICOMDIR names
    and is not there is listed too. Links that lead out of the folder are not followed.

    Args:
        folder: Of the export.

    Returns:
        By patient, study, series and place in the series; no date is asked for.

    Raises:
        ImageError: It is no folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ImageError(f"{folder}: is no folder; name the folder of the export")
    found = [_record(path) for path in dicom_paths(folder)]
    kept = [record for record in found if record.sop_class != _DIRECTORY]
    there = {record.path.resolve() for record in found}
    directories = [record.path for record in found if record.sop_class == _DIRECTORY]
    missing = [record for path in directories for record in _missing(path, there)]
    return sorted([*kept, *missing], key=_place)


_DIRECTORY = MediaStorageDirectoryStorage.name


def _record(path: Path) -> DicomFile:
    try:
        dataset = open_dicom(path, header_only=True)
        if dataset.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
            return DicomFile(path=path, sop_class=_DIRECTORY)
        searched = header.places(dataset, 0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # reading says so; listing must not say it twice
            side, _ = header.laterality(searched)
        facts = {
            "path": path,
            "sop_class": class_uid(dataset).name,
            "patient": header.patient(dataset),
            "study": header.visit(dataset),
            "series": str(dataset.get("SeriesInstanceUID") or "") or None,
            "laterality": side,
        }
    except ImageError as problem:
        return DicomFile(path=path, why_not=str(problem))
    try:
        return DicomFile(
            **{**facts, "sop_class": class_name(dataset)},
            frames=frame_count(dataset),
            is_volume=class_uid(dataset) in VOLUMES,
            number=header.whole_number(dataset, "InstanceNumber", default=0),
        )
    except ImageError as problem:
        return DicomFile(**facts, why_not=str(problem))


def _missing(directory: Path, there: set[Path]) -> Iterator[DicomFile]:
    """What a DICOMDIR names (PS3.3 F.5: ReferencedFileID, one component each) and is not there."""
    inside = directory.parent.resolve()
    for entry in header.items(open_dicom(directory), "DirectoryRecordSequence"):
        parts = _parts(entry)
        if not parts:
            continue
        path = directory.parent.joinpath(*parts)
        odd = any(part in ("..", ".") or not _is_name(part) for part in parts)
        if odd or not path.resolve().is_relative_to(inside):
            yield DicomFile(
                path=directory, why_not="names a file outside its folder, which is not followed"
            )
        elif path.resolve() not in there:
            yield DicomFile(
                path=path,
                why_not="is named by the DICOMDIR and is not there, or is no DICOM file; "
                "copy the export again",
            )


def _is_name(part: str) -> bool:
    return "\0" not in part and PurePosixPath(part).name == part


def _parts(entry: Dataset) -> list[str]:
    named = entry.get("ReferencedFileID")
    return [named] if isinstance(named, str) else [str(part) for part in named or ()]


def _place(record: DicomFile) -> tuple[str, str, str, int, str]:
    return (
        record.patient or "",
        record.study or "",
        record.series or "",
        record.number,
        record.path.as_posix(),
    )
