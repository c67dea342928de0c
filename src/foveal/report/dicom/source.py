"""The DICOM object that was explained, as highdicom can take it."""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal, get_args

from pydicom.dataset import Dataset
from pydicom.uid import UID

from foveal.core import ImageError, Laterality
from foveal.images import header
from foveal.report.dicom.geometry import Geometry, geometry_of

IdentityOption = Literal["source", "pseudonym"]

_PIXELS = 0x7FE00000
"""The group of the pixels; it and what follows stay behind."""
_NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_EMPTY_IF_MISSING = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"),
    *("StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
"""Type 2 in PS3.3 C.7.1.1 and C.7.2.1: they may be empty, but not missing."""
_NOT_THE_PATIENT = (
    *_NEEDED,
    *("Rows", "Columns", "NumberOfFrames", "Modality", "BurnedInAnnotation"),
    "SpecificCharacterSet",
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
    *("ImageLaterality", "Laterality", "AnatomicRegionSequence", "PatientOrientation"),
)
"""All that is taken over under a pseudonym."""
_GEOMETRY = (
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "PixelSpacing"),
    *("ImageOrientationPatient", "ImagePositionPatient", "SliceThickness"),
    *("ImageOrientationSlide", "ImageCenterPointCoordinatesSequence"),
)
_UNICODE = "ISO_IR 192"
"""UTF-8 (PS3.3 C.12.1.1.2)."""
_SIDES: dict[Laterality, str] = {"right": "R", "left": "L"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A header without pixels, whose frames lie somewhere in space."""

    dataset: Dataset
    """A copy; highdicom takes it for the source."""
    geometry: Geometry
    laterality: str
    """`R`, `L`, or empty where the header names no single side."""
    patient_orientation: list[str] | None

    @property
    def frames(self) -> int:
        """How many frames it has."""
        return len(self.geometry.positions_mm)


def source_of(
    dataset: Dataset, *, identity: IdentityOption = "source", pseudonym: str = ""
) -> Source:
    """The source of objects, from a dataset that stays as it is.

    highdicom takes every SOP class that may hold frames for one with functional groups, which
    ophthalmic photographs do not have, so they are put in; the objects need a frame of reference,
    which they do not have either.

    Args:
        dataset: The hospital's object, with or without its pixels.
        identity: `source` takes the patient and the study over as they are; `pseudonym` calls the
            patient `pseudonym` and leaves all out that describes patient and study. The UIDs stay,
            so that the objects still find their source: who has the archive has the patient.
        pseudonym: The patient's name then.

    Raises:
        ImageError: A header that lacks what the objects must state; a pseudonym for a picture that
            says that identity is burned into it.
        ValueError: Another identity.
    """
    check_identity(identity)
    missing = [keyword for keyword in (*_NEEDED, "Rows", "Columns") if not dataset.get(keyword)]
    if missing:
        raise ImageError(
            f"has no {', '.join(missing)}, so nothing can refer to it; export it again"
        )
    copied = _copied(dataset, (element.keyword for element in dataset[:_PIXELS]))
    _write_as_unicode(copied)
    geometry = geometry_of(copied)
    side, _ = header.laterality(header.places(copied, 0))
    if identity == "pseudonym":
        copied = _pseudonymised(copied, pseudonym)
    for keyword in _EMPTY_IF_MISSING:
        if keyword not in copied:
            setattr(copied, keyword, "")
    _place(copied, geometry)
    stated = copied.get("PatientOrientation")
    return Source(
        dataset=copied,
        geometry=geometry,
        laterality=_SIDES.get(side, ""),
        patient_orientation=list(stated) if stated else None,
    )


def check_identity(identity: str) -> None:
    """Whether a patient can be taken over so.

    Raises:
        ValueError: Another word than those.
    """
    if identity not in get_args(IdentityOption):
        raise ValueError(f"identity must be one of {get_args(IdentityOption)}, but is {identity!r}")


def _copied(dataset: Dataset, keywords: Iterable[str]) -> Dataset:
    """A deep copy: sequences of a shallow one would be shared with the original."""
    copied = Dataset()
    for keyword in keywords:
        if keyword and keyword in dataset:
            copied.add(deepcopy(dataset[keyword]))
    return copied


def _write_as_unicode(dataset: Dataset) -> None:
    """What was read in the hospital's character set is written in one that has every character.

    highdicom takes over but one character set, and names in Japanese and Korean need two; the
    words of a run may be in yet another script.
    """
    for element in dataset.iterall():
        if element.VR == "PN" and not element.is_empty:
            names = element.value if element.VM > 1 else [element.value]
            element.value = [str(name) for name in names]  # without the bytes it was read from
    dataset.SpecificCharacterSet = _UNICODE


def _pseudonymised(dataset: Dataset, pseudonym: str) -> Dataset:
    burned = dataset.get("BurnedInAnnotation")
    if burned == "YES":
        raise ImageError(
            "says that identity is burned into its pixels, and the overlay shows them; blank it "
            "with foveal deidentify first, or export with the identity of the source"
        )
    kept = _copied(dataset, _NOT_THE_PATIENT)
    kept.PatientID, kept.PatientName = pseudonym, f"{pseudonym}^"
    if burned == "NO":
        kept.PatientIdentityRemoved = "YES"
        kept.DeidentificationMethod = "foveal: patient and study attributes left out, UIDs kept"
    return kept


def _place(dataset: Dataset, geometry: Geometry) -> None:
    """State the geometry, both where frames have groups and where a single image says it."""
    for keyword in _GEOMETRY:
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.FrameOfReferenceUID = UID(geometry.frame_of_reference)
    measures, orientation = Dataset(), Dataset()
    spacing = [_decimal(value) for value in geometry.spacing_mm]
    measures.PixelSpacing = dataset.PixelSpacing = spacing
    measures.SliceThickness = dataset.SliceThickness = _decimal(geometry.thickness_mm)
    cosines = [_decimal(value) for value in geometry.orientation]
    orientation.ImageOrientationPatient = dataset.ImageOrientationPatient = cosines
    shared = Dataset()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = [_placed(p) for p in geometry.positions_mm]
    dataset.ImagePositionPatient = [_decimal(value) for value in geometry.positions_mm[0]]
    dataset.NumberOfFrames = len(geometry.positions_mm)


def _placed(position_mm: tuple[float, ...]) -> Dataset:
    position, group = Dataset(), Dataset()
    position.ImagePositionPatient = [_decimal(value) for value in position_mm]
    group.PlanePositionSequence = [position]
    return group


def _decimal(value: float) -> str:
    """A number in the 16 characters of a decimal string (PS3.5 table 6.2-1)."""
    return f"{value:.10g}" if len(f"{value:.10g}") <= 16 else f"{value:.8g}"
