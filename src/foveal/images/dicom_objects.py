"""What a DICOM file holds: opened safely, and sorted into pictures, volumes and everything else."""

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydicom
from pydicom import config
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from foveal.core import ImageError
from foveal.images.quiet import quiet

_OPHTHALMIC = "1.2.840.10008.5.1.4.1.1.77.1.5."

EYE_PHOTOGRAPHS: Mapping[str, str] = {
    _OPHTHALMIC + "1": "Ophthalmic Photography 8 Bit",
    _OPHTHALMIC + "2": "Ophthalmic Photography 16 Bit",
    _OPHTHALMIC + "5": "Wide Field Ophthalmic Photography Stereographic Projection",
    _OPHTHALMIC + "6": "Wide Field Ophthalmic Photography 3D Coordinates",
}

EN_FACE: Mapping[str, str] = {_OPHTHALMIC + "7": "OCT En Face"}

VOLUMES: Mapping[str, str] = {
    _OPHTHALMIC + "4": "Ophthalmic Tomography",
    _OPHTHALMIC + "8": "OCT B-scan Volume Analysis",
}
"""SOP classes whose frames are sections of an eye."""

PICTURES: Mapping[str, str] = {
    **EYE_PHOTOGRAPHS,
    **EN_FACE,
    "1.2.840.10008.5.1.4.1.1.77.1.4": "VL Photographic",
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture",
    "1.2.840.10008.5.1.4.1.1.7.2": "Multi-frame Grayscale Byte Secondary Capture",
    "1.2.840.10008.5.1.4.1.1.7.3": "Multi-frame Grayscale Word Secondary Capture",
    "1.2.840.10008.5.1.4.1.1.7.4": "Multi-frame True Color Secondary Capture",
}
"""The SOP classes (PS3.4 annex B) that hold a picture."""

_CONTEXT: Mapping[str, str] = {
    "1.2.840.10008.5.1.4.1.1.78.1": "Lensometry Measurements",
    "1.2.840.10008.5.1.4.1.1.78.2": "Autorefraction Measurements",
    "1.2.840.10008.5.1.4.1.1.78.3": "Keratometry Measurements",
    "1.2.840.10008.5.1.4.1.1.78.4": "Subjective Refraction Measurements",
    "1.2.840.10008.5.1.4.1.1.78.5": "Visual Acuity Measurements",
    "1.2.840.10008.5.1.4.1.1.78.6": "Spectacle Prescription",
    "1.2.840.10008.5.1.4.1.1.78.7": "Ophthalmic Axial Measurements",
    "1.2.840.10008.5.1.4.1.1.78.8": "Intraocular Lens Calculations",
    "1.2.840.10008.5.1.4.1.1.79.1": "Macular Grid Thickness and Volume Report",
    "1.2.840.10008.5.1.4.1.1.80.1": "Ophthalmic Visual Field Static Perimetry Measurements",
    "1.2.840.10008.5.1.4.1.1.81.1": "Ophthalmic Thickness Map",
    "1.2.840.10008.5.1.4.1.1.82.1": "Corneal Topography Map",
}
"""SOP classes that tell something about an eye without showing it."""

DAMAGE = (
    *(OSError, EOFError, ValueError, RuntimeError, LookupError),
    *(AttributeError, TypeError, ArithmeticError, MemoryError, struct.error, zlib.error),
    *(InvalidDicomError, BytesLengthException),
)
"""What pydicom and its decoders raise on damaged or incomplete files."""

_LARGEST_INFLATED = 2**31
"""Of a deflated file: more than any photograph needs, and a bomb is found before it goes off."""


def open_dicom(path: Path, *, assume_dicom: bool = False, header_only: bool = False) -> FileDataset:
    """The whole header, every value converted, so that a broken one shows here.

    Args:
        path: The file.
        assume_dicom: Accept a file without the preamble of PS3.10.
        header_only: Leave the pixels where they are.

    Raises:
        ImageError: Not DICOM, damaged, or deflated from an absurd size.
    """
    try:
        with quiet("pydicom"):
            _check_inflated(path)
            dataset = pydicom.dcmread(path, force=assume_dicom, stop_before_pixels=header_only)
            for _ in (*dataset.file_meta, *dataset.iterall()):  # pydicom converts when asked
                pass
    except DAMAGE as error:
        raise ImageError(
            "is not a readable DICOM file; it may be damaged, export it again"
        ) from error
    if "TransferSyntaxUID" not in dataset.file_meta:  # without a preamble there is no meta header
        implicit, _ = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = (
            ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        )
    if "NumberOfFrames" in dataset and not dataset.NumberOfFrames:
        del dataset.NumberOfFrames  # some writers put 0 or nothing where there is one frame
    return dataset


def class_uid(dataset: Dataset) -> UID:
    """The SOP class; empty when it is missing."""
    # Without validation, which quotes what is wrong in a warning.
    return UID(str(dataset.get("SOPClassUID") or ""), validation_mode=config.IGNORE)


def class_name(dataset: Dataset) -> str:
    """The name of the SOP class, if it holds something that can be shown.

    Raises:
        ImageError: Anything else, with what it is instead.
    """
    uid = class_uid(dataset)
    for known in (PICTURES, VOLUMES):
        if uid in known:
            return known[uid]
    if uid in _CONTEXT:
        raise ImageError(
            f"holds {_CONTEXT[uid]} (SOP class {uid}); that is read as context, not as image: it "
            "tells about the eye what no picture shows, so leave it out of the images"
        )
    readable = f"DICOM pictures are read: {', '.join((*PICTURES.values(), *VOLUMES.values()))}"
    if not uid:
        raise ImageError(f"holds no SOP class; {readable}")
    if uid.name == uid:  # what pydicom does not know is called by its number
        raise ImageError(f"holds an unknown SOP class; {readable}") from ValueError(f"it is {uid}")
    raise ImageError(f"holds {uid.name} (SOP class {uid}); {readable}")


def _check_inflated(path: Path) -> None:
    """Inflate a deflated file once for its size, piece by piece: pydicom would do it in one go."""
    with path.open("rb") as file:
        file.seek(128)
        if file.read(4) != b"DICM":
            return
    meta: Any = read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    inflate, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    with path.open("rb") as file:
        file.seek(144 + meta.get("FileMetaInformationGroupLength", 0))
        waiting = file.read(65536)
        while waiting and not inflate.eof:
            size += len(inflate.decompress(waiting, 2**20))
            if size > _LARGEST_INFLATED:
                raise ImageError("inflates to more than 2 GiB; export it without deflating it")
            waiting = inflate.unconsumed_tail or file.read(65536)
