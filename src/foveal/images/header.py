"""What a DICOM header says about the eye: each answer from the first place that has it."""

import warnings
from collections.abc import Iterable
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from foveal.core import FovealWarning, ImageError, Laterality, Modality

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

_SLIT_LAMPS = {("SCT", "397247004"), ("SRT", "A-2B201")}
"""PS3.16 CID 4202 Ophthalmic Photography Acquisition Device: slit lamp biomicroscope."""


def places(dataset: Dataset, frame: int) -> Places:
    """The header, then the functional groups of a frame (counted from 0), its own before shared."""
    own = items(dataset, "PerFrameFunctionalGroupsSequence")[frame : frame + 1]
    groups = [*own, *items(dataset, "SharedFunctionalGroupsSequence")]
    macros = [items(group, element.keyword) for group in groups for element in group]
    return (dataset, *(item for macro in macros for item in macro))


def items(place: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; none when it is missing or no sequence."""
    value = place.get(keyword)
    return list(value) if isinstance(value, Sequence) else []


def first(searched: Places, keyword: str) -> Any:
    """The first value that is there and not empty, else `None`."""
    values = (place.get(keyword) for place in searched)
    return next((value for value in values if value not in (None, "", [])), None)


def whole_number(dataset: Dataset, keyword: str, *, default: int | None = None) -> int:
    """One count.

    Raises:
        ImageError: No such attribute and no default, or something that is no whole number.
    """
    value = dataset.get(keyword)
    if value is None and default is not None:
        return default
    if value is None:
        raise ImageError(f"has no {keyword}; export it again")
    if not isinstance(value, int):
        raise ImageError(f"has a {keyword} that is no whole number; export it again") from (
            ValueError(f"it is {value!r}")
        )
    return int(value)


def numbers(searched: Places, keyword: str) -> list[float]:
    """The values of an attribute that holds numbers; none when it is missing.

    Raises:
        ImageError: Something that is no number.
    """
    value = first(searched, keyword)
    if value is None:
        return []
    try:
        return [float(part) for part in (value if isinstance(value, MultiValue) else [value])]
    except (TypeError, ValueError) as error:
        raise ImageError(f"has a {keyword} that is no number; export it again") from error


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
    spacing = numbers(searched, "PixelSpacing")
    return (spacing[0], spacing[1]) if len(spacing) == 2 and min(spacing) > 0 else None


def patient(dataset: Dataset) -> str | None:
    """PatientID, with its issuer as HL7 writes it: two hospitals may share a number."""
    number, issuer = (str(dataset.get(key) or "") for key in ("PatientID", "IssuerOfPatientID"))
    return f"{number}^^^{issuer}" if number and issuer else number or None


def eye(patient: str | None, side: Laterality) -> str | None:
    """One eye of one patient; `None` when either is not known."""
    return f"{patient}/{side}" if patient and side in ("right", "left") else None


def photograph_modality(dataset: Dataset) -> Modality:
    """Ophthalmic Photography is of the fundus unless its device is a slit lamp."""
    devices = items(dataset, "AcquisitionDeviceTypeCodeSequence")
    return "slit-lamp" if any(_code(device) in _SLIT_LAMPS for device in devices) else "fundus"


def _lateralities(searched: Places) -> Iterable[tuple[str, Laterality]]:
    for keyword in ("ImageLaterality", "FrameLaterality", "Laterality"):
        value = first(searched, keyword)
        if isinstance(value, str) and value in _SIDES:
            yield keyword, _SIDES[value]
    regions = [region for place in searched for region in items(place, "AnatomicRegionSequence")]
    for region in regions:
        for modifier in items(region, "AnatomicRegionModifierSequence"):
            if _code(modifier) in _SIDE_CODES:
                yield "AnatomicRegionModifierSequence", _SIDE_CODES[_code(modifier)]


def _code(item: Dataset) -> tuple[str, str]:
    return str(item.get("CodingSchemeDesignator", "")), str(item.get("CodeValue", ""))
