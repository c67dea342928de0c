"""What is done to which attribute: table E.1-1 of DICOM PS3.15 2026c, and what it does not list."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Literal

from pydicom.datadict import dictionary_is_retired, dictionary_VR
from pydicom.dataelem import DataElement

from foveal.core import ImageError
from foveal.images.deidentification.profile import Profile

Action = Literal[
    "removed", "emptied", "replaced", "pseudonym", "new UID", "shifted", "capped", "kept"
]

_BIRTH_AND_DEATH = ("PatientBirthDate", "PatientBirthTime")
"""Dates of a person and not of a visit: option E.3.6 does not keep them."""

_CODES = ("LongCodeValue", "URNCodeValue")
"""Text that is not in the table and says which code is meant."""

_DATE_KINDS = ("DA", "DT", "TM")
_PROSE = ("LT", "ST", "UT", "UC", "UR", "PN", "AE")
_WORDS = ("LO", "SH")
_OPAQUE = ("OB", "OV", "OW", "UN")
"""Bytes of any meaning, such as a colour profile that names its maker, or a recorded voice."""
_PATIENT, _TABLES, _PIXELS = 0x0010, 0x0028, 0x7FE0
"""Groups of the patient, of the tables of grey levels and colours, and of the pixels."""
_ABOUT_PICTURES = (0x0008, 0x0018, 0x0020, 0x0022, 0x0028, 0x0040, 0x0052, 0x0062, 0x0066)
"""Groups whose short texts describe devices, pictures and codes, and not people or places."""
_TELLING = ("DeviceID", "NTPSourceAddress")
"""What a site calls its device, and an address in its network."""


def action_for(element: DataElement, profile: Profile, *, nested: bool = False) -> Action:
    """What happens to an attribute; sequences that are kept are walked into.

    Pixels of nested items are pictures that nobody looks at, so they go.
    """
    tag, kind = element.tag, str(element.VR)
    if tag.is_private or tag.element == 0 or tag.group < 8 or tag.group >> 8 in (0x50, 0x60):
        return "removed"  # private; a group's length; of no dataset; curves and overlays
    if nested and tag.group == _PIXELS:
        return "removed"
    if kind not in _expected_kinds(element):
        return "removed"  # nobody can say what it holds: text in a number's place hides
    if element.keyword in ("PatientID", "PatientName"):
        return "pseudonym"
    if profile.keeps(element.keyword):
        return "capped" if kind == "AS" else "kept"
    dated = kind in _DATE_KINDS and element.keyword not in _BIRTH_AND_DEATH
    if dated and profile.dates == "shift":
        return "shifted"
    listed = rules().get(int(tag))
    return _unlisted_action(element, kind) if listed is None else _listed_action(listed, kind)


@cache
def rules() -> Mapping[int, str]:
    """The basic profile's action code of each attribute of the table, by tag.

    Raises:
        ImageError: dicom-anonymizer, which has the table, is not installed.
    """
    try:
        table = import_module("dicomanonymizer.dicom_anonymization_databases.dicomfields_2026c")
    except ImportError as error:
        raise ImageError(
            "is DICOM, and the table of what to remove is not installed: "
            "pip install 'foveal[dicom]'"
        ) from error
    codes = ("D", "Z", "X", "U", "Z/D", "X/Z", "X/D", "X/Z/D", "X/Z/U*")
    names = [code.replace("/", "_").replace("*", "_STAR") for code in codes]
    return {
        tag[0] << 16 | tag[1]: code
        for code, name in zip(codes, names, strict=True)
        for tag in getattr(table, f"{name}_TAGS")
        if len(tag) == 2  # the others are patterns: curves and overlays, which go altogether
    }


def _listed_action(code: str, kind: str) -> Action:
    """One action for the codes that leave a choice: valid whether a module asks for it or not."""
    if code == "X/Z/U*":
        return "kept"  # walked into: references stay, with new UIDs
    if kind == "SQ" and code != "X":
        return "removed" if code in ("X/D", "X/Z/D") else "emptied"
    if code in ("X", "Z", "U"):
        plain: Mapping[str, Action] = {"X": "removed", "Z": "emptied", "U": "new UID"}
        return plain[code]
    return "emptied" if code == "X/Z" else ("new UID" if kind == "UI" else "replaced")


def _unlisted_action(element: DataElement, kind: str) -> Action:
    if kind == "UI":
        return "new UID"
    if kind in _DATE_KINDS:
        return "emptied"
    group = element.tag.group
    about_patient = group == _PATIENT and kind != "SQ"
    foreign = group not in _ABOUT_PICTURES or dictionary_is_retired(element.tag)
    words = kind in _WORDS and (foreign or element.keyword in _TELLING)
    prose = kind in _PROSE and element.keyword not in _CODES
    needed = element.keyword == "PixelData" or (kind == "OW" and group == _TABLES)
    opaque = kind in _OPAQUE and not needed
    return "removed" if about_patient or words or prose or opaque else "kept"


def _expected_kinds(element: DataElement) -> list[str]:
    """The value representations of the standard; none for an attribute that it does not know."""
    try:
        return dictionary_VR(element.tag).split(" or ")
    except KeyError:
        return []
