"""Which tool a file of annotations came from, by its content: suffixes lie."""

import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from foveal.core import Image, ImageError
from foveal.images.annotations.asap import is_asap, read_asap
from foveal.images.annotations.coco import is_coco, read_coco
from foveal.images.annotations.cvat import is_cvat, read_cvat
from foveal.images.annotations.imagej import read_rois
from foveal.images.annotations.labelbox import is_labelbox, read_labelbox
from foveal.images.annotations.labelmaps import read_label_image
from foveal.images.annotations.marks import Picture
from foveal.images.annotations.text import read_csv, read_json, read_xml
from foveal.images.annotations.via import is_via, is_via_csv, read_via, read_via_csv
from foveal.images.content import first_bytes

_NIFTI = ((344, b"n+1\0"), (4, b"n+2\0"))
_META = (b"ObjectType", b"NDims", b"Comment")
_TOOLS = "COCO, VGG Image Annotator, Labelbox, CVAT and ASAP"


def annotation_kind(path: Path) -> str | None:
    """What a file of annotations is; `None` for pictures and what is not known.

    Raises:
        ImageError: No such file, a folder, or an empty file.
    """
    start = first_bytes(path)
    if start.startswith(b"\x1f\x8b"):
        return "NIfTI" if _is_nifti(_unpacked(path)) else None
    if _is_nifti(start):
        return "NIfTI"
    if start.startswith(b"NRRD000"):
        return "NRRD"
    if start.lstrip().startswith(_META) and b"NDims" in start:
        return "MetaImage"
    if start.startswith((b"Iout", b"PK\x03\x04")):
        return "ImageJ"
    if start[128:132] == b"DICM":
        from foveal.images.annotations.segments import is_segmentation  # pydicom is slow to import

        return "DICOM SEG" if is_segmentation(path) else None
    return _text_kind(start.decode("utf-8-sig", "replace").lstrip())


def read_pictures(
    path: Path,
    kind: str,
    *,
    code: str,
    image: Image | None,
    labels: Mapping[int, str | None] | None,
    threshold: float,
) -> Sequence[Picture]:
    """What a file of annotations says about its pictures.

    Args:
        path: The file.
        kind: As `annotation_kind` found it.
        code: What marks are of that have no label of their own.
        image: The picture that is asked for.
        labels: What the values of a label image mean.
        threshold: From which share on a pixel of a fractional segmentation belongs.

    Raises:
        ImageError: A file that cannot be read.
    """
    match kind:
        case "ImageJ":
            return read_rois(path, code)
        case "NIfTI" | "NRRD" | "MetaImage":
            return read_label_image(path, kind, code=code, image=image, labels=labels)
        case "DICOM SEG":
            from foveal.images.annotations.segments import read_segments

            return read_segments(path, image, threshold)
        case _:
            status = path.stat()
            return _document(path, kind, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _document(path: Path, kind: str, changed: int, size: int) -> Sequence[Picture]:
    """One file speaks of a whole cohort, so it is not read again for each picture of it."""
    if kind == "JSON":
        document = read_json(path)
        for known, read in _JSON:
            if known(document):
                return read(document)
    elif kind == "XML":
        root = read_xml(path)
        for known, read in _XML:
            if known(root):
                return read(root)
    else:
        return read_via_csv(read_csv(path))
    raise ImageError(f"is {kind}, but none of {_TOOLS}; export it from one of these")


_JSON = ((is_coco, read_coco), (is_labelbox, read_labelbox), (is_via, read_via))
_XML = ((is_cvat, read_cvat), (is_asap, read_asap))


def _text_kind(start: str) -> str | None:
    if start.startswith(("{", "[")):
        return "JSON"
    if start.startswith("<"):
        return "XML"
    return "CSV" if is_via_csv(start) else None


def _is_nifti(start: bytes) -> bool:
    return any(start[at:].startswith(word) for at, word in _NIFTI)


def _unpacked(path: Path) -> bytes:
    """The first bytes inside a gzip file."""
    with path.open("rb") as file:
        try:
            return zlib.decompressobj(wbits=31).decompress(file.read(4096), 512)
        except zlib.error:
            return b""
