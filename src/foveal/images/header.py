"""What a DICOM header says about the eye: each answer from the first place that has it."""

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
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

_OTHER_DEVICES = {
    ("SCT", "409903006"),  # external camera
    ("SCT", "397522002"),  # keratoscope
    ("SCT", "102321001"),  # operating microscope
    ("SCT", "420827006"),  # pupillograph
    ("SCT", "409899004"),  # specular microscope
}
"""Of the same: they show neither the fundus nor the anterior segment as a slit lamp does."""


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
        several = isinstance(value, MultiValue | list)  # binary numbers come as a plain list
        return [float(part) for part in (value if several else [value])]
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
    """Row and column spacing from PixelSpacing, here or in PixelMeasures; never assumed.

    Warns:
        FovealWarning: The header contradicts itself; the first answer stands.
    """
    spacings = [pair for place in searched if (pair := _pair(place)) is not None]
    if any(not np.allclose(pair, spacings[0], rtol=0.01, atol=0) for pair in spacings):
        said = ", ".join(f"{row:g} x {column:g}" for row, column in spacings)
        warnings.warn(
            f"the header contradicts itself about the spacing (in mm: {said}); the first stands",
            FovealWarning,
            stacklevel=2,
        )
    return spacings[0] if spacings else None


def visit(dataset: Dataset) -> str | None:
    """The study: hardly ever missing, and unlike a date it says nothing about the patient."""
    return str(dataset.get("StudyInstanceUID") or "") or None


def patient(dataset: Dataset) -> str | None:
    """PatientID, with its issuer as HL7 writes it: two hospitals may share a number."""
    number, issuer = (str(dataset.get(key) or "") for key in ("PatientID", "IssuerOfPatientID"))
    return f"{number}^^^{issuer}" if number and issuer else number or None


def eye(patient: str | None, side: Laterality) -> str | None:
    """One eye of one patient; `None` when either is not known."""
    return f"{patient}/{side}" if patient and side in ("right", "left") else None


def photograph_modality(dataset: Dataset) -> Modality:
    """Ophthalmic Photography is of the fundus unless its device looks at the front of the eye."""
    devices = {_code(device) for device in items(dataset, "AcquisitionDeviceTypeCodeSequence")}
    if devices & _SLIT_LAMPS:
        return "slit-lamp"
    return "unknown" if devices & _OTHER_DEVICES else "fundus"


def _pair(place: Dataset) -> tuple[float, float] | None:
    spacing = numbers((place,), "PixelSpacing")
    return (spacing[0], spacing[1]) if len(spacing) == 2 and min(spacing) > 0 else None


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
