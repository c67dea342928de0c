"""DICOM files: pixels decoded, every attribute through the profile, a new file header."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
from jaxtyping import Bool, Float, Shaped
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import UID, ExplicitVRLittleEndian

from foveal.core import Image, ImageError, Modality
from foveal.images.deidentification.dataset import deidentify_dataset
from foveal.images.deidentification.key import SecretKey
from foveal.images.deidentification.looking import Look, Ocr, look
from foveal.images.deidentification.photographs import Cleaned, NoPictureError
from foveal.images.deidentification.profile import Profile
from foveal.images.dicom_decoding import decoded_frame
from foveal.images.quiet import quiet
from foveal.images.raster import check_size

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_SECONDARY = f"{_STORAGE}7"
_TOMOGRAPHY = (f"{_STORAGE}77.1.5.4", f"{_STORAGE}77.1.5.8")
_COMPUTED = {f"{_STORAGE}30": "a parametric map", f"{_STORAGE}66.4": "a segmentation"}

_FLOATS = {"FloatPixelData": 4, "DoubleFloatPixelData": 8}
"""Bytes of a pixel."""

_MOST_BYTES = 4 * 2**30

_DAMAGE = (
    *(OSError, EOFError, ValueError, RuntimeError, LookupError, NotImplementedError),
    *(AttributeError, TypeError, ArithmeticError, MemoryError, struct.error, zlib.error),
    *(InvalidDicomError, BytesLengthException),
)
"""What pydicom and its decoders raise on damaged or incomplete files."""

_Frames = Shaped[np.ndarray, "frame row column *channel"]


def clean_dicom(
    path: Path,
    *,
    key: SecretKey,
    profile: Profile,
    blank_outside: bool,
    ocr: Ocr | None,
    max_pixels: int,
) -> Cleaned:
    """A DICOM file of the same image, its pixels uncompressed.

    They are decoded because a compressed stream has comments of its own, because bytes behind the
    last pixel and bits above BitsStored can hide anything, and so that all can be looked at.

    Args:
        path: The file.
        key: From it come UIDs, pseudonyms and the shift of dates.
        profile: What is kept.
        blank_outside: Make everything outside the field of a photograph black.
        ocr: Reads text, if there is such a reader.
        max_pixels: Larger pictures are refused by their header.

    Raises:
        NoPictureError: A DICOMDIR, a class of one vendor, or an object without pixels.
        ImageError: Damaged, too large, or compressed in a way that cannot be decoded.
    """
    try:
        with quiet("pydicom"):
            return _clean(path, key, profile, blank_outside, ocr, max_pixels)
    except _DAMAGE as error:
        raise ImageError(
            "is not a readable DICOM image; it may be damaged, or compressed in a way that is "
            "not read; export it again, uncompressed"
        ) from error


def _clean(
    path: Path,
    key: SecretKey,
    profile: Profile,
    blank_outside: bool,
    ocr: Ocr | None,
    max_pixels: int,
) -> Cleaned:
    dataset = pydicom.dcmread(path)
    for _ in dataset.iterall():  # pydicom converts when asked, so a broken value shows here
        pass
    _check(dataset, max_pixels)
    looks, notes, blanked = (), (), False
    if "PixelData" in dataset and int(dataset.BitsAllocated) > 1:
        frames = _frames(dataset)
        looks = [look(image, ocr=ocr) for image in _displayed(frames, dataset)]
        blanked = blank_outside and _can_blank(dataset, looks)
        if blanked:
            _blank(frames, [seen.field for seen in looks], dataset)
            notes = ("made black outside the field",)
        _put(frames, dataset)
    elif "PixelData" in dataset:
        _cut_bits(dataset)
    _cut_floats(dataset)
    reasons = (*_said(dataset), *_seen(looks, blanked=blanked))
    clean, counts = deidentify_dataset(
        dataset, key=key, profile=profile, blanked=blanked and not reasons
    )
    actions = {f"{name} {action}": count for (name, action), count in counts.items()}
    return Cleaned(data=_file(clean), reasons=reasons, notes=notes, actions=actions)


def _check(dataset: FileDataset, max_pixels: int) -> None:
    """Refuse what is no image before memory is taken for it."""
    meta = dataset.file_meta.get("MediaStorageSOPClassUID")
    kind = UID(
        str(dataset.get("SOPClassUID") or meta or "")
    )  # a DICOMDIR has it in its header only
    if not kind:
        raise ImageError("does not say what it is; it may be damaged, export it again")
    if not kind.startswith(_STORAGE):
        raise NoPictureError(
            "is no DICOM image of a standard kind (a DICOMDIR, or a class of one vendor)"
        )
    if not any(word in dataset for word in ("PixelData", *_FLOATS)):
        if "Image" in kind.name or kind in _COMPUTED:
            raise ImageError("has lost its pixels; it may be cut off, export it again")
        raise NoPictureError("is a DICOM object without pixels, such as a report")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    check_size(rows, columns, max_pixels)
    samples = rows * columns * _count(dataset) * int(dataset.SamplesPerPixel)
    if samples * int(dataset.BitsAllocated) > 8 * _MOST_BYTES:
        raise ImageError("holds more than 4 GiB of pixels; split it")


def _count(dataset: Dataset) -> int:
    return max(1, int(dataset.get("NumberOfFrames") or 1))


def _frames(dataset: FileDataset) -> _Frames:
    """All frames, YBR as RGB, without what hides in bits that no pixel uses."""
    count, grid = _count(dataset), (int(dataset.Rows), int(dataset.Columns))
    frames = np.stack(
        [decoded_frame(dataset, index, count=count, grid=grid) for index in range(count)]
    )
    if str(dataset.PhotometricInterpretation).startswith("YBR"):
        dataset.PhotometricInterpretation = "RGB"
    spare = 8 * frames.dtype.itemsize - int(dataset.BitsStored)
    if spare > 0:  # up and down again: the sign comes back where there is one
        frames = (frames << spare) >> spare
    return frames


def _put(frames: _Frames, dataset: FileDataset) -> None:
    """The decoded pixels in place of the stored ones (PS3.3 C.7.6.3)."""
    for word in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        dataset.pop(word, None)
    if frames.ndim == 4:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = 8 * frames.dtype.itemsize
    dataset.HighBit = int(dataset.BitsStored) - 1
    data = frames.astype(frames.dtype.newbyteorder("<")).tobytes()
    dataset.PixelData = data + bytes(len(data) % 2)
    dataset["PixelData"].VR = "OB" if frames.dtype.itemsize == 1 else "OW"
    dataset["PixelData"].is_undefined_length = False


def _cut_bits(dataset: FileDataset) -> None:
    """Masks of one bit stay packed; what lies behind the last pixel goes."""
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        raise ImageError("holds a compressed mask of one bit; export it uncompressed")
    bits = int(dataset.Rows) * int(dataset.Columns) * _count(dataset)
    length = -(-bits // 8)
    dataset.PixelData = dataset.PixelData[:length] + bytes(length % 2)


def _cut_floats(dataset: FileDataset) -> None:
    """Maps of floating-point numbers stay; what lies behind the last pixel goes."""
    pixels = int(dataset.Rows) * int(dataset.Columns) * _count(dataset)
    for word, size in _FLOATS.items():
        if word in dataset:
            dataset[word].value = dataset[word].value[: pixels * size]


def _displayed(frames: _Frames, dataset: Dataset) -> list[Image]:
    """The frames over their own range, as far as text on them is concerned."""
    modality: Modality = "oct" if dataset.SOPClassUID in _TOMOGRAPHY else "unknown"
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        frames = apply_color_lut(frames, dataset)
    low, high = float(frames.min()), float(frames.max())
    return [
        Image(pixels=_channels((frame - low) / max(high - low, 1.0), dataset), modality=modality)
        for frame in frames
    ]


def _channels(
    frame: Float[np.ndarray, "row column *channel"], dataset: Dataset
) -> Float[np.ndarray, "channel row column"]:
    shown = 1 - frame if dataset.PhotometricInterpretation == "MONOCHROME1" else frame
    planes = shown[np.newaxis] if shown.ndim == 2 else np.moveaxis(shown, -1, 0)
    return np.ascontiguousarray(planes[:3], np.float32)


def _can_blank(dataset: Dataset, looks: list[Look]) -> bool:
    """Photographs with a surround in every frame; an index of a palette has no black."""
    shown = str(dataset.PhotometricInterpretation)
    photograph = dataset.SOPClassUID not in _TOMOGRAPHY and shown != "PALETTE COLOR"
    return photograph and all(seen.surround for seen in looks)


def _blank(frames: _Frames, fields: list[Bool[np.ndarray, "row column"]], dataset: Dataset) -> None:
    shown = str(dataset.PhotometricInterpretation)
    black = {"MONOCHROME1": frames.max(), "MONOCHROME2": frames.min()}.get(shown, 0)
    for frame, field in zip(frames, fields, strict=True):
        frame[~field] = black


def _said(dataset: Dataset) -> list[str]:
    """What the header itself says that needs a person's eye."""
    kind = str(dataset.SOPClassUID)
    burned_in = str(dataset.get("BurnedInAnnotation") or "")
    values = dataset.get("ImageType") or [""]
    derived = "DERIVED" in ([values] if isinstance(values, str) else values)
    found = {
        "the header says that text is burned in": burned_in not in ("", "NO"),
        "the header does not say whether text is burned in": not burned_in,
        "it is a secondary capture": kind == _SECONDARY or kind.startswith(f"{_SECONDARY}."),
        "it is a derived image": derived or kind in _COMPUTED,
    }
    return [reason for reason, holds in found.items() if holds]


def _seen(looks: list[Look] | tuple[()], *, blanked: bool) -> list[str]:
    left = [seen for seen in looks if not (blanked and seen.outside_only)]
    return list(dict.fromkeys(sign for seen in left for sign in seen.text))


def _file(clean: Dataset) -> bytes:
    """A file with a preamble of zeros and a header that names nothing but the object itself."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = clean.SOPClassUID
    meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    written = FileDataset("", clean, file_meta=meta, preamble=bytes(128))
    buffer = BytesIO()
    written.save_as(buffer, enforce_file_format=True, little_endian=True, implicit_vr=False)
    return buffer.getvalue()
