"""Tomography: B-scans with their places in the eye, what is computed from them, and en face."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt
from pydicom.dataset import Dataset, FileDataset
from pydicom.sr.coding import Code
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    OphthalmicOpticalCoherenceTomographyBscanVolumeAnalysisStorage,
    OphthalmicOpticalCoherenceTomographyEnFaceImageStorage,
    OphthalmicTomographyImageStorage,
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

_LOCALIZER = Code("121311", "DCM", "Localizer")
_ACROSS = [1, 0, 0, 0, 0, -1]
"""Of a B-scan: its rows run to the patient's left, its columns from vitreous to choroid.

The axes are those of a patient who lies: the eye looks along the third one in none of them, but a
consistent frame of reference is all that is needed here.
"""


def ophthalmic_tomography(
    sections: UInt[np.ndarray, "slice row column"],
    *,
    spacing_mm: tuple[float, float] = (0.0039, 0.0117),
    slice_spacing_mm: float = 0.12,
    laterality: Side = "R",
    localizer: Dataset | None = None,
    places: Float[np.ndarray, "place 2 2"] | None = None,
    stored: Sequence[int] | None = None,
    patient: str = "P001",
    study: str = "1",
    transfer_syntax: str = ExplicitVRLittleEndian,
    **attributes: object,
) -> FileDataset:
    """Ophthalmic Tomography (PS3.3 A.52): enhanced multi-frame with functional groups.

    Args:
        sections: B-scans of 8 or 16 bit, in the order in which they lie in the eye.
        spacing_mm: Axial (row) and lateral (column) spacing.
        slice_spacing_mm: Distance of neighbouring sections.
        laterality: R, L or B, of FrameLaterality.
        localizer: The photograph on which the sections were planned.
        places: Start and end of each section on the localizer, (row, column).
        stored: In which order the frames stand in the file, counted from 0; as they lie by default.
        patient: PatientID.
        study: Which visit; all of one visit share the StudyInstanceUID.
        transfer_syntax: How the pixels are written.
        attributes: Any other attribute by its DICOM keyword; `None` takes one away.

    Raises:
        ValueError: Sections that are not 8 or 16 bit grey, places without a localizer or not one
            for each section, an order that does not name each section once, or a transfer syntax
            that is not written.
    """
    order = _order(sections, stored)
    _check_places(sections, localizer, places)
    written = _volume(
        sections[order], OphthalmicTomographyImageStorage, "OPT", laterality, patient, study
    )
    more = {
        "ImageLaterality": laterality,
        "AnatomicRegionSequence": [anatomy(laterality)],
        "OphthalmicAnatomicReferencePointXCoordinate": None,
        "OphthalmicAnatomicReferencePointYCoordinate": None,
        "AcquisitionNumber": 1,
        "AcquisitionDuration": 1.0,
        "OphthalmicVolumetricPropertiesFlag": "YES",
        "AcquisitionContextSequence": [],
        "EmmetropicMagnification": None,
        "IntraOcularPressure": None,
        "HorizontalFieldOfView": None,
        "PupilDilated": "NO",
        "RefractiveStateSequence": [],
        "AxialLengthOfTheEye": None,
        "DetectorType": "CCD",
        "AcquisitionDeviceTypeCodeSequence": [
            code(Code("392012008", "SCT", "Optical Coherence Tomography Scanner"))
        ],
        "LightPathFilterTypeStackCodeSequence": [],
        "DepthSpatialResolution": 7.0,
        "MaximumDepthDistortion": 0.5,
        "AlongScanSpatialResolution": 14.0,
        "MaximumAlongScanDistortion": 0.5,
        "AcrossScanSpatialResolution": 14.0,
        "MaximumAcrossScanDistortion": 0.5,
        "IlluminationWaveLength": 870.0,
        "IlluminationPower": 1200.0,
        "IlluminationBandwidth": 50.0,
    }
    for keyword, value in more.items():
        setattr(written, keyword, value)
    shared = _shared(spacing_mm, slice_spacing_mm, laterality)
    if localizer is not None:
        shared.ReferencedImageSequence = [_referred(localizer, _LOCALIZER)]
    written.SharedFunctionalGroupsSequence = [shared]
    written.PerFrameFunctionalGroupsSequence = [
        _frame(index, number, slice_spacing_mm, localizer, places)
        for number, index in enumerate(order, start=1)
    ]
    put_pixels(written, sections[order], transfer_syntax)
    change(written, attributes)
    return written


def volume_analysis(
    sections: UInt[np.ndarray, "slice row column"],
    *,
    spacing_mm: tuple[float, float] = (0.0039, 0.0117),
    slice_spacing_mm: float = 0.12,
    laterality: Side = "R",
    stored: Sequence[int] | None = None,
    patient: str = "P001",
    study: str = "1",
    transfer_syntax: str = ExplicitVRLittleEndian,
    **attributes: object,
) -> FileDataset:
    """Ophthalmic OCT B-scan Volume Analysis (PS3.3 A.84): the flow of an OCT angiography.

    Args:
        sections: B-scans of 8 or 16 bit, in the order in which they lie in the eye.
        spacing_mm: Axial (row) and lateral (column) spacing.
        slice_spacing_mm: Distance of neighbouring sections.
        laterality: R, L or B, of FrameLaterality.
        stored: In which order the frames stand in the file, counted from 0; as they lie by default.
        patient: PatientID.
        study: Which visit.
        transfer_syntax: How the pixels are written.
        attributes: Any other attribute by its DICOM keyword; `None` takes one away.

    Raises:
        ValueError: As for `ophthalmic_tomography`.
    """
    order = _order(sections, stored)
    written = _volume(
        sections[order],
        OphthalmicOpticalCoherenceTomographyBscanVolumeAnalysisStorage,
        "OPTBSV",
        laterality,
        patient,
        study,
    )
    flow = Code("128257", "DCM", "Amplitude decorrelation")
    written.AcquisitionMethodAlgorithmSequence = [software(flow)]
    written.OCTBscanAnalysisAcquisitionParametersSequence = [
        item(
            ScanPatternTypeCodeSequence=[code(Code("128282", "DCM", "Raster"))],
            NumberOfBscansPerFrame=2,
            BscanSlabThickness=0.01,
            DistanceBetweenBscanSlabs=slice_spacing_mm,
            BscanCycleTime=5.0,
        )
    ]
    written.RecognizableVisualFeatures = "NO"
    del written.AcquisitionDateTime
    shared = _shared(spacing_mm, slice_spacing_mm, laterality)
    highest = int(np.iinfo(sections.dtype).max)
    shared.FrameVOILUTSequence = [item(WindowCenter=(highest + 1) / 2, WindowWidth=highest + 1)]
    written.SharedFunctionalGroupsSequence = [shared]
    written.PerFrameFunctionalGroupsSequence = [
        _frame(index, number, slice_spacing_mm, None, None)
        for number, index in enumerate(order, start=1)
    ]
    for frame in written.PerFrameFunctionalGroupsSequence:
        frame.DerivationImageSequence = []
    put_pixels(written, sections[order], transfer_syntax)
    change(written, attributes)
    return written


def en_face_image(
    pixels: UInt[np.ndarray, "row column"],
    *,
    source: Dataset,
    spacing_mm: tuple[float, float] = (0.0117, 0.0117),
    laterality: Side = "R",
    localizer: Dataset | None = None,
    patient: str = "P001",
    study: str = "1",
    transfer_syntax: str = ExplicitVRLittleEndian,
    **attributes: object,
) -> FileDataset:
    """Ophthalmic OCT En Face Image (PS3.3 A.83): one slab of a volume, seen from the front.

    Args:
        pixels: One picture, 8 or 16 bit.
        source: The volume it was computed from.
        spacing_mm: Row and column spacing.
        laterality: R, L or B, of ImageLaterality.
        localizer: The photograph it lies on; the source itself by default.
        patient: PatientID.
        study: Which visit.
        transfer_syntax: How the pixels are written.
        attributes: Any other attribute by its DICOM keyword; `None` takes one away.

    Raises:
        ValueError: As for `ophthalmic_photograph`.
    """
    written = new_object(
        OphthalmicOpticalCoherenceTomographyEnFaceImageStorage,
        modality="OPTENF",
        patient=patient,
        study=study,
        content=laterality.encode() + pixels.tobytes(),
    )
    highest = int(np.iinfo(pixels.dtype).max)
    source_purpose = Code("128250", "DCM", "Structural image for image processing")
    more = {
        "ImageType": ["DERIVED", "PRIMARY"],
        "PatientOrientation": ["L", "F"],
        "FrameOfReferenceUID": uid(patient, study, "frame of reference"),
        "PositionReferenceIndicator": "",
        "SourceImageSequence": [_referred(source, source_purpose)],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "OphthalmicFrameLocationSequence": [
            _location(localizer or source, np.array([[0.0, 0.0], pixels.shape]), "TRANSVERSE")
        ],
        "DerivationAlgorithmSequence": [software(Code("128257", "DCM", "Amplitude decorrelation"))],
        "OphthalmicImageTypeCodeSequence": [
            code(Code("128261", "DCM", "Superficial retina vasculature flow"))
        ],
        "PixelSpacing": list(spacing_mm),
        "RecognizableVisualFeatures": "NO",
        "WindowCenter": (highest + 1) / 2,
        "WindowWidth": highest + 1,
        "PresentationLUTShape": "IDENTITY",
        "ImageLaterality": laterality,
        "AnatomicRegionSequence": [anatomy(laterality)],
    }
    for keyword, value in more.items():
        setattr(written, keyword, value)
    put_pixels(written, pixels[np.newaxis], transfer_syntax)
    change(written, attributes)
    return written


def _volume(
    sections: np.ndarray, sop_class: UID, modality: str, laterality: Side, patient: str, study: str
) -> FileDataset:
    written = new_object(
        sop_class,
        modality=modality,
        patient=patient,
        study=study,
        content=f"{laterality} {sections.shape}".encode() + sections.tobytes(),
    )
    dimensions = uid(written.SOPInstanceUID, "dimensions")
    more = {
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "NumberOfFrames": len(sections),
        # Type 1 in PS3.3 C.8.17.7 and C.8.17.17, although one object is no concatenation.
        "InConcatenationNumber": 1,
        "InConcatenationTotalNumber": 1,
        "ConcatenationFrameOffsetNumber": 0,
        "FrameOfReferenceUID": uid(patient, study, "frame of reference"),
        "PositionReferenceIndicator": "",
        "PresentationLUTShape": "IDENTITY",
        "DimensionOrganizationSequence": [item(DimensionOrganizationUID=dimensions)],
        "DimensionIndexSequence": [
            item(
                DimensionOrganizationUID=dimensions,
                DimensionIndexPointer=0x00209057,  # InStackPositionNumber
                FunctionalGroupPointer=0x00209111,  # FrameContentSequence
            )
        ],
    }
    for keyword, value in more.items():
        setattr(written, keyword, value)
    return written


def _shared(spacing_mm: tuple[float, float], slice_spacing_mm: float, side: Side) -> Dataset:
    return item(
        PixelMeasuresSequence=[
            item(PixelSpacing=list(spacing_mm), SliceThickness=slice_spacing_mm)
        ],
        PlaneOrientationSequence=[item(ImageOrientationPatient=_ACROSS)],
        FrameAnatomySequence=[item(FrameLaterality=side, AnatomicRegionSequence=[anatomy(side)])],
    )


def _frame(
    index: int,
    number: int,
    slice_spacing_mm: float,
    localizer: Dataset | None,
    places: np.ndarray | None,
) -> Dataset:
    group = item(
        FrameContentSequence=[
            item(
                FrameAcquisitionDateTime="20010203101500",
                FrameReferenceDateTime="20010203101500",
                FrameAcquisitionDuration=1.0,
                FrameAcquisitionNumber=number,
                StackID="1",
                InStackPositionNumber=index + 1,
                DimensionIndexValues=[index + 1],
            )
        ],
        PlanePositionSequence=[item(ImagePositionPatient=[0, index * slice_spacing_mm, 0])],
    )
    if localizer is not None and places is not None:
        group.OphthalmicFrameLocationSequence = [_location(localizer, places[index], "LINEAR")]
    return group


def _location(localizer: Dataset, points: np.ndarray, orientation: str) -> Dataset:
    """PS3.3 C.8.17.10.1: rows and columns, 0 at the outer edge of the first pixel."""
    return item(
        ReferencedSOPClassUID=localizer.SOPClassUID,
        ReferencedSOPInstanceUID=localizer.SOPInstanceUID,
        PurposeOfReferenceCodeSequence=[code(_LOCALIZER)],
        ReferenceCoordinates=[float(value) for value in points.ravel()],
        OphthalmicImageOrientation=orientation,
    )


def _referred(other: Dataset, purpose: Code) -> Dataset:
    return item(
        ReferencedSOPClassUID=other.SOPClassUID,
        ReferencedSOPInstanceUID=other.SOPInstanceUID,
        PurposeOfReferenceCodeSequence=[code(purpose)],
    )


def _order(sections: np.ndarray, stored: Sequence[int] | None) -> list[int]:
    order = [int(index) for index in (range(len(sections)) if stored is None else stored)]
    if sorted(order) != list(range(len(sections))):
        raise ValueError(f"stored must name each of {len(sections)} sections once, but is {order}")
    return order


def _check_places(
    sections: np.ndarray, localizer: Dataset | None, places: np.ndarray | None
) -> None:
    if places is None:
        return
    if localizer is None:
        raise ValueError("places are on a localizer, so they need one")
    if places.shape != (len(sections), 2, 2):
        raise ValueError(
            f"places must be the start and the end of each of {len(sections)} sections, "
            f"but the shape is {places.shape}"
        )
