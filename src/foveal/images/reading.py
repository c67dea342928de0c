"""One door for files: whatever the suffix says, the content decides who reads."""

import hashlib
from os import PathLike
from pathlib import Path

from foveal.core import Image, Modality
from foveal.images.content import about, identify
from foveal.images.photo import decode
from foveal.images.raster import display

MAX_PIXELS = 50_000_000
"""Largest picture read unless asked otherwise: 600 MB as three float32 channels."""


def read(
    path: str | PathLike[str],
    *,
    modality: Modality | None = None,
    frame: int | None = None,
    assume_dicom: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Image:
    """An image from a PNG, JPEG, TIFF or DICOM file, upright and in display units.

    Samples are divided by the full range of the file's type (16 bit by 65535); DICOM grey levels
    go through their recorded window. EXIF orientation is applied. Colour profiles are recorded
    among the facts, never applied.

    Args:
        path: The file.
        modality: What it shows. Only DICOM can say so itself; otherwise it stays "unknown".
        frame: Which frame of a DICOM or page of a TIFF that has several, counted from 1.
        assume_dicom: Take a file that is of no known kind for DICOM without its preamble.
        max_pixels: Larger pictures are refused by their header.

    Raises:
        ImageError: The file is missing, empty, a folder, of another kind, damaged, too large, or
            holds what cannot be shown.
    """
    path = Path(path)
    with about(path):
        content = identify(path, assume_dicom=assume_dicom)
        if content == "DICOM":
            from foveal.images.dicom import read_dicom  # pydicom is slow to import

            return read_dicom(
                path,
                modality=modality,
                frame=frame,
                assume_dicom=assume_dicom,
                max_pixels=max_pixels,
                sha256=_sha256(path),
            )
        raster = decode(path, content, frame=frame, max_pixels=max_pixels)
        pixels, facts = display(raster)
        return Image(
            pixels=pixels,
            modality=modality or "unknown",
            source=str(path),
            sha256=_sha256(path),
            facts=facts,
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
