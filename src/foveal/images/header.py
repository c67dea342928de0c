"""What a DICOM header says about the eye: each answer from the first place that has it."""

import warnings
from collections.abc import Iterable
from typing import Any

from pydicom.dataset import Dataset

from foveal.core import FovealWarning, Laterality, Modality

Places = tuple[Dataset, ...]
"""Where one frame is described, most trusted first."""

_SIDES: dict[str, Laterality] = {"R": "right", "L": "left", "B": "both"}

_SIDE_CODES: dict[tuple[str, str], Laterality] = {
    ("SCT", "24028007"): "right",
    ("SCT", "7771000"): "left",
    ("SCT", "51440002"): "both",
    ("SRT", "G-A100"): "right",
    ("SRT", "G-A101"): "left",
    ("SRT", "G-A102"): "both",
}
"""PS3.16 CID 244 Laterality, in SNOMED CT and in the older codes."""

_SLIT_LAMPS = {("SCT", "397247004"), ("SRT", "R-1021B")}
"""PS3.16 CID 4202 Ophthalmic Photography Acquisition Device: slit lamp biomicroscope."""


def places(dataset: Dataset, frame: int) -> Places:
    """The header, then the functional groups of a frame (counted from 0), its own before shared."""
    own = dataset.get("PerFrameFunctionalGroupsSequence") or []
    groups = [*own[frame : frame + 1], *(dataset.get("SharedFunctionalGroupsSequence") or [])]
    macros = (element.value for group in groups for element in group if element.VR == "SQ")
    return (dataset, *(item for macro in macros for item in macro))


def first(searched: Places, keyword: str) -> Any:
    """The first value that is there and not empty, else `None`."""
    values = (place.get(keyword) for place in searched)
    return next((value for value in values if value not in (None, "", [])), None)


def laterality(searched: Places) -> tuple[Laterality, str]:
    """Which eye, and the attribute that says so; never guessed from the picture.

    Warns:
        FovealWarning: The header contradicts itself; the first answer stands.
    """
    answers = dict(_lateralities(searched))
    if len(set(answers.values())) > 1:
        said = ", ".join(f"{attribute} {side}" for attribute, side in answers.items())
        warnings.warn(
            f"the header contradicts itself about the side of the eye ({said}); "
            "the first stands, but look at the picture",
            FovealWarning,
            stacklevel=2,
        )
    for attribute, side in answers.items():
        return side, attribute
    return "unknown", "not stated"


def spacing_mm(searched: Places) -> tuple[float, float] | None:
    """Row and column spacing from PixelSpacing, here or in PixelMeasures; never assumed."""
    value = first(searched, "PixelSpacing")
    if not isinstance(value, Iterable):
        return None
    spacing = tuple(float(number) for number in value)
    return spacing if len(spacing) == 2 and min(spacing) > 0 else None


def patient(dataset: Dataset) -> str | None:
    """PatientID, with its issuer as HL7 writes it: two hospitals may share a number."""
    number, issuer = (str(dataset.get(key) or "") for key in ("PatientID", "IssuerOfPatientID"))
    return f"{number}^^^{issuer}" if number and issuer else number or None


def eye(patient: str | None, side: Laterality) -> str | None:
    """One eye of one patient; `None` when either is not known."""
    return f"{patient}/{side}" if patient and side in ("right", "left") else None


def photograph_modality(dataset: Dataset) -> Modality:
    """Ophthalmic Photography is of the fundus unless its device is a slit lamp."""
    devices = dataset.get("AcquisitionDeviceTypeCodeSequence") or []
    return "slit-lamp" if any(_code(device) in _SLIT_LAMPS for device in devices) else "fundus"


def _lateralities(searched: Places) -> Iterable[tuple[str, Laterality]]:
    for keyword in ("ImageLaterality", "FrameLaterality", "Laterality"):
        value = first(searched, keyword)
        if isinstance(value, str) and value in _SIDES:
            yield keyword, _SIDES[value]
    for region in first(searched, "AnatomicRegionSequence") or ():
        for modifier in region.get("AnatomicRegionModifierSequence") or ():
            if _code(modifier) in _SIDE_CODES:
                yield "AnatomicRegionModifierSequence", _SIDE_CODES[_code(modifier)]


def _code(item: Dataset) -> tuple[str, str]:
    return str(item.get("CodingSchemeDesignator", "")), str(item.get("CodeValue", ""))
