"""Where DICOM files lie, by their content and without pydicom, which is slow to import."""

import os
from collections.abc import Iterator
from pathlib import Path

from foveal.core import ImageError
from foveal.images.content import first_bytes, is_dicom


def dicom_paths(folder: Path, *, deep: bool = True) -> Iterator[Path]:
    """Files whose content is DICOM in a folder and, if `deep`, below it, in a fixed order.

    Links that lead out of the folder are not followed.
    """
    return filter(_starts_as_dicom, files_below(folder, deep=deep))


def files_below(folder: Path, *, deep: bool = True) -> Iterator[Path]:
    """All files in a folder and, if `deep`, below it, in a fixed order.

    Hidden folders and links that lead out of the folder are not followed.
    """
    inside = folder.resolve()
    for parent, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if deep and not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if path.resolve().is_relative_to(inside):
                yield path


def _starts_as_dicom(path: Path) -> bool:
    try:
        return path.is_file() and is_dicom(first_bytes(path))
    except ImageError:  # empty, or not to be opened: whoever names it will hear so
        return False
