"""The images and volumes of a folder: pictures by their names, all else by its content."""

import warnings
from collections import Counter
from collections.abc import Container, Iterator
from pathlib import Path

from foveal.core import FovealWarning, ImageError
from foveal.images.content import first_bytes, is_dicom, is_named_volume
from foveal.images.dicom_paths import dicom_paths, files_below

_SUFFIXES = ("", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".dcm", ".dicom")


def images_in(folder: Path, masks: Container[Path] = ()) -> list[Path]:
    """All images of a folder and of the folders in it, in the order of their paths.

    A damaged DICOM file is among them, so that it is named where it fails. `masks` are left out.

    Warns:
        FovealWarning: Volumes, or DICOM objects that are no pictures, are left out.
    """
    files = [path for path in files_below(folder) if path not in masks]
    found = set(dicom_paths(folder))
    pictures = {path for path in files if _may_be_image(path)} - found
    left_out: Counter[str] = Counter()
    left_out["a vendor's volume (taken with sections =)"] = sum(
        _is_vendors_volume(path) for path in files if path not in pictures
    )
    taken = sorted(pictures | (_dicom_images(folder, left_out) if found else set()))
    if told := [f"{count} {what}" for what, count in sorted(left_out.items()) if count]:
        warnings.warn(
            f"of the files in the folder are left out: {', '.join(told)}",
            FovealWarning,
            stacklevel=2,
        )
    return taken


def volumes_in(folder: Path) -> list[Path]:
    """All volumes of a folder and of the folders in it, each a file or a folder.

    A folder of pictures is one volume itself where no other volume is found.
    """
    dicom = list(_dicom_volumes(folder)) if any(True for _ in dicom_paths(folder)) else []
    vendors = [path for path in files_below(folder) if _is_vendors_volume(path)]
    return sorted({*dicom, *vendors}) or [folder]


def _dicom_volumes(folder: Path) -> Iterator[Path]:
    """Files of many sections, and folders of files of one section each."""
    from foveal.images.dicom_export import dicom_files  # pydicom is slow to import

    for record in dicom_files(folder):
        if record.is_volume and record.why_not is None:
            yield record.path if record.frames > 1 else record.path.parent


def _dicom_images(folder: Path, left_out: Counter[str]) -> set[Path]:
    from foveal.images.dicom_export import dicom_files  # pydicom is slow to import

    taken = set()
    for record in dicom_files(folder):
        if record.is_volume and record.frames > 1:
            left_out[f"{record.sop_class} (a volume, taken with sections =)"] += 1
        elif record.why_not and record.sop_class:
            left_out[f"{record.sop_class} (no image)"] += 1
        else:
            taken.add(record.path)
    return taken


def _is_vendors_volume(path: Path) -> bool:
    try:
        start = first_bytes(path)
    except ImageError:  # empty, or not to be opened: whoever names it will hear so
        return False
    return is_named_volume(start) and not is_dicom(start)


def _may_be_image(path: Path) -> bool:
    """By its name; DICOM files often have none but a number, or a UID."""
    suffix = path.suffix.lower()
    return not path.name.startswith(".") and (suffix in _SUFFIXES or suffix[1:].isdigit())
