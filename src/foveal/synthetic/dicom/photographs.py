"""Photographs: of the fundus or at the slit lamp, wide field, and as any software captures them."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from jaxtyping import UInt
from pydicom.dataset import Dataset, FileDataset
from pydicom.sr.coding import Code
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    OphthalmicPhotography8BitImageStorage,
    OphthalmicPhotography16BitImageStorage,
    SecondaryCaptureImageStorage,
    VLPhotographicImageStorage,
    WideFieldOphthalmicPhotography3DCoordinatesImageStorage,
    WideFieldOphthalmicPhotographyStereographicProjectionImageStorage,
)

from foveal.synthetic.dicom.encoding import put_pixels
from foveal.synthetic.dicom.header import (
    Side,
    anatomy,
    change,
    code,
    item,
    new_object,
    software,
    uid,
)

_DEVICES: Mapping[str, Code] = {
    "fundus camera": Code("409898007", "SCT", "Fundus Camera"),
    "slit lamp": Code("397247004", "SCT", "Slit lamp biomicroscope"),
    "scanning laser ophthalmoscope": Code("392001008", "SCT", "Scanning Laser Ophthalmoscope"),
}
"""PS3.16 CID 4202."""

_CHANNELS = (
    Code("371240000", "SCT", "Red color"),
    Code("371246006", "SCT", "Green color"),
    Code("405738005", "SCT", "Blue color"),
)


def ophthalmic_photograph(
    pixels: UInt[np.ndarray, "row column *channel"],
    *,
    laterality: Side = "R",
    spacing_mm: tuple[float, float] | None = None,
    device: Literal["fundus camera", "slit lamp", "scanning laser ophthalmoscope"] = (
        "fundus camera"
    ),
    patient: str = "P001",
    study: str = "1",
    transfer_syntax: str = ExplicitVRLittleEndian,
    **attributes: object,
) -> FileDataset:
    """Ophthalmic Photography 8 or 16 Bit (PS3.3 A.41 and A.42).

    Args:
        pixels: One picture, 8 or 16 bit, grey or RGB.
        laterality: R, L or B, of ImageLaterality.
        spacing_mm: Row and column spacing of PixelSpacing, which many cameras leave out.
        device: What took it.
        patient: PatientID.
        study: Which visit; all of one visit share the StudyInstanceUID.
        transfer_syntax: Native, RLE, or one of JPEG, JPEG-LS, JPEG 2000 and HTJ2K.
        attributes: Any other attribute by its DICOM keyword; `None` takes one away.

    Raises:
        ValueError: Pixels that are not 8 or 16 bit, grey or RGB, or a transfer syntax that is not
            written.
    """
    sop_class = (
        OphthalmicPhotography8BitImageStorage
        if pixels.dtype.itemsize == 1
        else OphthalmicPhotography16BitImageStorage
    )
    written = _eye_photograph(pixels, sop_class, laterality, spacing_mm, patient, study)
    written.AcquisitionDeviceTypeCodeSequence = [code(_DEVICES[device])]
    put_pixels(written, pixels[np.newaxis], transfer_syntax)
    change(written, attributes)
    return written


def wide_field_photograph(
    pixels: UInt[np.ndarray, "row column *channel"],
    *,
    projection: Literal["stereographic", "3d"] = "stereographic",
    laterality: Side = "R",
    spacing_mm: tuple[float, float] | None = None,
    patient: str = "P001",
    study: str = "1",
    transfer_syntax: str = ExplicitVRLittleEndian,
    **attributes: object,
) -> FileDataset:
    """Wide Field Ophthalmic Photography, Stereographic Projection or 3D Coordinates (PS3.3 A.76).

    Args:
        pixels: One picture, 8 or 16 bit, grey or RGB.
        projection: How the pixels lie on the sphere of the eye.
        laterality: As for `ophthalmic_photograph`, like all that follow.
        spacing_mm: Row and column spacing.
        patient: PatientID.
        study: Which visit.
        transfer_syntax: How the pixels are written.
        attributes: Any other attribute by its DICOM keyword; `None` takes one away.

    Raises:
        ValueError: As for `ophthalmic_photograph`.
    """
    stereographic = projection == "stereographic"
    sop_class = (
        WideFieldOphthalmicPhotographyStereographicProjectionImageStorage
        if stereographic
        else WideFieldOphthalmicPhotography3DCoordinatesImageStorage
    )
    written = _eye_photograph(pixels, sop_class, laterality, spacing_mm, patient, study)
    written.AcquisitionDeviceTypeCodeSequence = [code(_DEVICES["scanning laser ophthalmoscope"])]
    written.FrameOfReferenceUID = uid(patient, study, "frame of reference")
    written.PositionReferenceIndicator = ""
    written.OphthalmicAxialLength = 24.0
    written.OphthalmicAxialLengthMethod = "POPULATION"
    method = Code("111791", "DCM", "Spherical projection")
    written.TransformationAlgorithmSequence = [software(method)]
    if stereographic:
        written.XCoordinatesCenterPixelViewAngle = written.YCoordinatesCenterPixelViewAngle = 0.0
    else:
        written.TransformationMethodCodeSequence = [code(method)]
        written.TwoDimensionalToThreeDimensionalMapSequence = [_corners(pixels.shape)]
    put_pixels(written, pixels[np.newaxis], transfer_syntax)
    change(written, attributes)
    return written


def secondary_capture(
    pixels: UInt[np.ndarray, "row column *channel"],
    *,
    laterality: Side | None = "R",
    patient: str = "P001",
    study: str = "1",
    transfer_syntax: str = ExplicitVRLittleEndian,
    **attributes: object,
) -> FileDataset:
    """Secondary Capture (PS3.3 A.8): what much software makes of a photograph.

    Args:
        pixels: One picture, 8 or 16 bit, grey or RGB.
        laterality: Of the series (Laterality), where it is said at all.
        patient: PatientID.
        study: Which visit.
        transfer_syntax: How the pixels are written.
        attributes: Any other attribute by its DICOM keyword; `None` takes one away.

    Raises:
        ValueError: As for `ophthalmic_photograph`.
    """
    written = new_object(
        SecondaryCaptureImageStorage,
        modality="OT",
        patient=patient,
        study=study,
        content=pixels.tobytes(),
    )
    written.ConversionType = "WSD"
    written.PatientOrientation = ["L", "F"]
    if laterality is not None:
        written.Laterality = laterality
    put_pixels(written, pixels[np.newaxis], transfer_syntax)
    change(written, attributes)
    return written


def photographic_image(
    pixels: UInt[np.ndarray, "row column *channel"],
    *,
    laterality: Side | None = "R",
    patient: str = "P001",
    study: str = "1",
    transfer_syntax: str = ExplicitVRLittleEndian,
    **attributes: object,
) -> FileDataset:
    """VL Photographic Image (PS3.3 A.32.4): a photograph of any part of the body.

    Args:
        pixels: One picture of 8 bit, grey or RGB.
        laterality: Of the series (Laterality), where it is said at all.
        patient: PatientID.
        study: Which visit.
        transfer_syntax: How the pixels are written.
        attributes: Any other attribute by its DICOM keyword; `None` takes one away.

    Raises:
        ValueError: As for `ophthalmic_photograph`.
    """
    written = new_object(
        VLPhotographicImageStorage,
        modality="XC",
        patient=patient,
        study=study,
        content=pixels.tobytes(),
    )
    written.ImageType = ["ORIGINAL", "PRIMARY"]
    written.PatientOrientation = ["L", "F"]
    written.AcquisitionContextSequence = []
    written.AnatomicRegionSequence = [code(Code("81745001", "SCT", "Eye"))]
    if laterality is not None:
        written.Laterality = laterality
    put_pixels(written, pixels[np.newaxis], transfer_syntax)
    change(written, attributes)
    return written


def _eye_photograph(
    pixels: np.ndarray,
    sop_class: UID,
    laterality: Side,
    spacing_mm: tuple[float, float] | None,
    patient: str,
    study: str,
) -> FileDataset:
    """What all photographs of PS3.3 C.8.17 share."""
    written = new_object(
        sop_class,
        modality="OP",
        patient=patient,
        study=study,
        content=f"{laterality} {pixels.shape}".encode() + pixels.tobytes(),
    )
    more = {
        "ImageType": ["ORIGINAL", "PRIMARY", "", "COLOR"],
        "PatientOrientation": ["L", "F"],
        "SynchronizationTrigger": "NO TRIGGER",
        "AcquisitionTimeSynchronized": "N",
        "SynchronizationFrameOfReferenceUID": "1.2.840.10008.15.1.1",
        "NumberOfFrames": 1,
        "FrameIncrementPointer": 0x00181063,
        "FrameTime": 0,
        "ImageLaterality": laterality,
        "AnatomicRegionSequence": [anatomy(laterality)],
        "PatientEyeMovementCommanded": "NO",
        "EmmetropicMagnification": None,
        "IntraOcularPressure": None,
        "HorizontalFieldOfView": 45.0,
        "PupilDilated": "NO",
        "RefractiveStateSequence": [],
        "DetectorType": "CMOS",
        "IlluminationTypeCodeSequence": [],
        "LightPathFilterTypeStackCodeSequence": [],
        "ImagePathFilterTypeStackCodeSequence": [],
        "LensesCodeSequence": [],
    }
    for keyword, value in more.items():
        setattr(written, keyword, value)
    if spacing_mm is not None:
        written.PixelSpacing = list(spacing_mm)
    if pixels.ndim == 3:
        written.ChannelDescriptionCodeSequence = [code(channel) for channel in _CHANNELS]
    else:
        written.PresentationLUTShape = "IDENTITY"
    return written


def _corners(shape: tuple[int, ...]) -> Dataset:
    """The four corners of the picture on a sphere of 24 mm, at 12 mm from its centre."""
    rows, columns = shape[:2]
    points = [
        (column, row, 8 * (2 * column / columns - 1), 8 * (1 - 2 * row / rows), 4.0)
        for row in (0, rows)
        for column in (0, columns)
    ]
    return item(
        ReferencedFrameNumber=1,
        NumberOfMapPoints=len(points),
        TwoDimensionalToThreeDimensionalMapData=np.array(points, "<f4").tobytes(),
    )
