"""The images in a folder: pictures by their names, and DICOM files below it by their content."""

import warnings
from collections import Counter
from pathlib import Path

from foveal.core import FovealWarning
from foveal.images.dicom_paths import dicom_paths

_SUFFIXES = ("", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".dcm", ".dicom")


def images_in(folder: Path) -> list[Path]:
    """In the order of their paths.

    A damaged DICOM file is among them, so that it is named where it fails.

    Warns:
        FovealWarning: DICOM objects that are volumes, or no pictures, are left out.
    """
    found = set(dicom_paths(folder))
    pictures = {path for path in folder.iterdir() if path.is_file() and _may_be_image(path)}
    return sorted((pictures - found) | (_dicom_images(folder) if found else set()))


def _dicom_images(folder: Path) -> set[Path]:
    from foveal.images.dicom_export import dicom_files  # pydicom is slow to import

    left_out: Counter[str] = Counter()
    taken = set()
    for record in dicom_files(folder):
        if record.is_volume and record.frames > 1:
            left_out[f"{record.sop_class} (a volume, taken with sections =)"] += 1
        elif record.why_not and record.sop_class:
            left_out[f"{record.sop_class} (no image)"] += 1
        else:
            taken.add(record.path)
    if left_out:
        said = ", ".join(f"{count} {what}" for what, count in sorted(left_out.items()))
        warnings.warn(
            f"of the DICOM files in the folder are left out: {said}", FovealWarning, stacklevel=2
        )
    return taken


def _may_be_image(path: Path) -> bool:
    """By its name; DICOM files often have none but a number, or a UID."""
    suffix = path.suffix.lower()
    return not path.name.startswith(".") and (suffix in _SUFFIXES or suffix[1:].isdigit())
