"""DICOM photographs: the pixels as a viewer shows them, and what the header knows about the eye."""

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pydicom
from jaxtyping import Float, Integer
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from foveal.core import Image, ImageError, Modality
from foveal.images import header
from foveal.images.grey import grey_levels
from foveal.images.raster import Facts, Raster, check_size, display, frame_index, profile_name

_OPHTHALMIC = "1.2.840.10008.5.1.4.1.1.77.1.5."

_EYE_PHOTOGRAPHS: Mapping[str, str] = {
    _OPHTHALMIC + "1": "Ophthalmic Photography 8 Bit",
    _OPHTHALMIC + "2": "Ophthalmic Photography 16 Bit",
    _OPHTHALMIC + "5": "Wide Field Ophthalmic Photography Stereographic Projection",
    _OPHTHALMIC + "6": "Wide Field Ophthalmic Photography 3D Coordinates",
}

_PHOTOGRAPHS: Mapping[str, str] = {
    **_EYE_PHOTOGRAPHS,
    "1.2.840.10008.5.1.4.1.1.77.1.4": "VL Photographic",
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture",
    "1.2.840.10008.5.1.4.1.1.7.2": "Multi-frame Grayscale Byte Secondary Capture",
    "1.2.840.10008.5.1.4.1.1.7.3": "Multi-frame Grayscale Word Secondary Capture",
    "1.2.840.10008.5.1.4.1.1.7.4": "Multi-frame True Color Secondary Capture",
}
"""The SOP classes (PS3.4 annex B) that hold a photograph."""

_VOLUMES: Mapping[str, str] = {
    _OPHTHALMIC + "4": "Ophthalmic Tomography",
    _OPHTHALMIC + "7": "OCT En Face",
    _OPHTHALMIC + "8": "OCT B-scan Volume Analysis",
}

_COLORS = ("RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
"""Photometric interpretations that come out of the decoder, or of their palette, as RGB."""

_DAMAGE = (
    *(OSError, EOFError, ValueError, RuntimeError, LookupError),
    *(AttributeError, TypeError, ArithmeticError, MemoryError, struct.error, zlib.error),
    *(InvalidDicomError, BytesLengthException),
)
"""What pydicom and its decoders raise on damaged or incomplete files."""


def read_dicom(
    path: Path,
    *,
    modality: Modality | None,
    frame: int | None,
    assume_dicom: bool,
    max_pixels: int,
    sha256: str,
) -> Image:
    """A photograph with its spacing, side, patient, eye and visit.

    The visit is the study (StudyInstanceUID): it is hardly ever missing, and unlike a date it says
    nothing about the patient.

    Args:
        path: The file.
        modality: What it shows, where the user knows better than the SOP class.
        frame: Which frame of several, counted from 1 as in DICOM.
        assume_dicom: Accept a file without the preamble of PS3.10.
        max_pixels: Larger pictures are refused by their header.
        sha256: Hash of the file's bytes.

    Raises:
        ImageError: Not a photograph, too large, damaged, or compressed in a way that needs a
            decoder that is not installed; several frames and no `frame`.
    """
    dataset = _open(path, assume_dicom)
    sop_class = _sop_class(dataset)
    index = _frame_index(dataset, frame)
    searched = header.places(dataset, index)
    pixels, facts = _pixels(_stored(dataset, index, max_pixels), dataset, searched)
    side, side_from = header.laterality(searched)
    patient = header.patient(dataset)
    return Image(
        pixels=pixels,
        spacing_mm=header.spacing_mm(searched),
        modality=modality or _modality(dataset),
        laterality=side,
        patient=patient,
        eye=header.eye(patient, side),
        visit=str(dataset.get("StudyInstanceUID") or "") or None,
        source=str(path),
        sha256=sha256,
        facts={
            "format": "DICOM",
            "sop_class": sop_class,
            "transfer_syntax": dataset.file_meta.TransferSyntaxUID.name,
            "laterality_from": side_from,
            **({} if frame is None else {"frame": frame}),
            **facts,
        },
    )


def _open(path: Path, assume_dicom: bool) -> FileDataset:
    try:
        dataset = pydicom.dcmread(path, force=assume_dicom)
        for _ in dataset.iterall():  # pydicom converts when asked, so a broken value shows here
            pass
    except _DAMAGE as error:
        raise ImageError(
            "is not a readable DICOM file; it may be damaged, export it again"
        ) from error
    if "TransferSyntaxUID" not in dataset.file_meta:  # without a preamble there is no meta header
        implicit, _ = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = (
            ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        )
    return dataset


def _sop_class(dataset: Dataset) -> str:
    """The name of the SOP class, if it holds a photograph."""
    uid = UID(str(dataset.get("SOPClassUID") or ""))
    if uid in _PHOTOGRAPHS:
        return _PHOTOGRAPHS[uid]
    if uid in _VOLUMES:
        raise ImageError(
            f"holds {_VOLUMES[uid]} (SOP class {uid}); volumes are not read yet, "
            "export single B-scans as PNG"
        )
    readable = f"DICOM photographs are read: {', '.join(_PHOTOGRAPHS.values())}"
    if not uid:
        raise ImageError(f"holds no SOP class; {readable}")
    if uid.name == uid:  # what pydicom does not know is called by its number
        raise ImageError(f"holds an unknown SOP class; {readable}") from ValueError(f"it is {uid}")
    raise ImageError(f"holds {uid.name} (SOP class {uid}); {readable}")


def _modality(dataset: Dataset) -> Modality:
    if dataset.SOPClassUID in _EYE_PHOTOGRAPHS:
        return header.photograph_modality(dataset)
    return "unknown"


def _frame_index(dataset: Dataset, frame: int | None) -> int:
    """Counted from 0; some writers put 0 or nothing where there is one frame."""
    count = header.whole_number(dataset, "NumberOfFrames", default=1)
    return frame_index(frame, max(1, count), word="frame")


def _stored(
    dataset: FileDataset, index: int, max_pixels: int
) -> Integer[np.ndarray, "row column *channel"]:
    """One frame: stored grey levels or RGB; YBR comes out of the decoder as RGB."""
    rows, columns = (header.whole_number(dataset, key) for key in ("Rows", "Columns"))
    check_size(rows, columns, max_pixels)
    if "PixelData" not in dataset:
        raise ImageError("has no PixelData, so there is no picture in it; export it again")
    _check_decoder(dataset)
    try:
        stored = pixel_array(dataset, index=index)
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            return apply_color_lut(stored, dataset)
        return stored
    except _DAMAGE as error:
        raise ImageError(
            "has pixels that cannot be decoded; it may be damaged, export it again"
        ) from error


def _check_decoder(dataset: FileDataset) -> None:
    syntax = UID(str(dataset.file_meta.TransferSyntaxUID))
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        raise ImageError(
            f"is compressed as {syntax.name}, which is not read; export it uncompressed"
        ) from None
    if not available:
        # pylibjpeg-libjpeg would decode it too, but is under the GPL.
        raise ImageError(
            f"is compressed as {syntax.name}, which needs one more decoder: pip install python-gdcm"
        )


def _pixels(
    stored: Integer[np.ndarray, "row column *channel"], dataset: Dataset, searched: header.Places
) -> tuple[Float[np.ndarray, "channel row column"], Facts]:
    color = str(dataset.PhotometricInterpretation)
    bits = header.whole_number(dataset, "BitsStored")
    facts: Facts = {"bit_depth": bits, "color": color}
    facts |= profile_name(header.first(searched, "ICCProfile"))
    if color in ("MONOCHROME1", "MONOCHROME2"):
        grey, windowing = grey_levels(stored, dataset, searched)
        return grey[np.newaxis], facts | windowing
    if color not in _COLORS:
        raise ImageError(f"holds {color} colours, which are not read; export it as RGB")
    full_scale = float(np.iinfo(stored.dtype).max) if color == "PALETTE COLOR" else 2.0**bits - 1
    return display(Raster(samples=stored, full_scale=full_scale, facts=facts))
