"""ImageJ and Fiji: a ROI, or a ZIP archive of the ROI manager's list."""

import re
import struct
import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from foveal.core import ImageError
from foveal.images.annotations.marks import Mark, Picture
from foveal.images.annotations.shapes import AbstractShape, Dots, Ellipse, Outline, box

_MAX_ROIS, _MAX_BYTES = 20_000, 16 * 2**20
"""How many ROIs an archive may hold, and how large one may become when it is unpacked."""
_MAX_TOTAL = 256 * 2**20
_AUTOMATIC = re.compile(r"\d{3,}-\d{3,}(-\d+)?")
"""The name that ImageJ gives by position; it says nothing."""
_DAMAGE = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError),
    *(MemoryError, NotImplementedError, RuntimeError, struct.error, BadZipFile, zlib.error),
)


def read_rois(path: Path, code: str) -> list[Picture]:
    """The one picture that ROIs are of; x and y are corners of pixels.

    Args:
        path: A .roi file or an archive of them.
        code: What ROIs mark that have no name of their own.

    Raises:
        ImageError: An archive of something else, too large, or damaged; roifile is not installed.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(4) == b"PK\x03\x04"
        files = _unpacked(path) if packed else {"": path.read_bytes()[:_MAX_BYTES]}
    except _DAMAGE as error:
        raise ImageError("is an archive that cannot be read; it may be damaged") from error
    return [Picture(marks=partial(_marks, files, code), facts={"format": "ImageJ"})]


def _unpacked(path: Path) -> dict[str, bytes]:
    """The ROIs in an archive, in memory: no name in it becomes a path."""
    with ZipFile(path) as archive:
        listed = [info for info in archive.infolist() if info.filename.lower().endswith(".roi")]
        if not listed:
            raise ImageError(
                "is a ZIP archive without ImageJ ROIs; unpack it and name the annotations in it"
            )
        sizes = [info.file_size for info in listed]
        if len(listed) > _MAX_ROIS or max(sizes) > _MAX_BYTES or sum(sizes) > _MAX_TOTAL:
            raise ImageError(
                f"holds {len(listed)} ROIs of {sum(sizes) / 2**20:.0f} MB, more than are read"
            )
        found: dict[str, bytes] = {}
        for info in listed:
            with archive.open(info) as member:
                found[PurePosixPath(info.filename).stem] = member.read(info.file_size)
        return found


def _marks(files: Mapping[str, bytes], code: str) -> list[Mark]:
    roifile = _roifile()
    try:
        rois = [(stem, roifile.ImagejRoi.frombytes(data)) for stem, data in files.items()]
        names = [(roi.name or stem).rstrip("\0").strip() for stem, roi in rois]
        shapes = [_shape(roi, name) for (_, roi), name in zip(rois, names, strict=True)]
    except ImageError:
        raise
    except _DAMAGE as error:
        raise ImageError("holds a ROI that cannot be read; it may be damaged") from error
    return [
        Mark(label=_label(name, names, code), shape=shape)
        for name, shape in zip(names, shapes, strict=True)
    ]


def _label(name: str, names: list[str], code: str) -> str:
    """The ROI manager numbers names that it has already: "MA", "MA-1", "MA-2"."""
    if not name or _AUTOMATIC.fullmatch(name):
        return code
    bare = re.sub(r"-\d+$", "", name)
    return bare if bare in names else name


def _shape(roi: Any, name: str) -> AbstractShape:
    kind, top, left, bottom, right = roi.roitype.name, roi.top, roi.left, roi.bottom, roi.right
    if roi.subpixelrect and kind in ("RECT", "OVAL"):
        top, left = roi.yd, roi.xd
        bottom, right = top + roi.heightd, left + roi.widthd
    if kind == "RECT" and roi.multi_coordinates is not None:
        return Outline(tuple(np.asarray(r, float)[:, ::-1] for r in roi.coordinates(multi=True)))
    if kind == "RECT":
        return box(float(top), float(left), float(bottom), float(right))
    if kind == "OVAL":
        centre, radii = ((top + bottom) / 2, (left + right) / 2), (bottom - top, right - left)
        return Ellipse(centre, (radii[0] / 2, radii[1] / 2))
    points = np.asarray(roi.coordinates(), float).reshape(-1, 2)[:, ::-1]
    if kind in ("POLYGON", "FREEHAND", "TRACED"):
        return Outline((points,))
    if kind == "POINT" and len(points):
        return Dots(points)
    raise ImageError(
        f"holds {name!r}, a {kind.lower()} that encloses nothing; draw areas, or remove it"
    )


def _roifile() -> Any:
    try:
        import roifile
    except ImportError as error:
        raise ImageError(
            "is an ImageJ ROI; to read it: pip install 'foveal[annotations]'"
        ) from error
    return roifile
