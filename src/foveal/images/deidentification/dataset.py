"""One DICOM dataset: every attribute goes through the profile, wherever it is nested."""

import copy
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from foveal.images.deidentification.dates import (
    age_at,
    capped_age,
    is_time,
    shifted_date,
    shifted_datetime,
)
from foveal.images.deidentification.key import SecretKey
from foveal.images.deidentification.person import Person, person_of, text_of
from foveal.images.deidentification.profile import TABLE, Profile
from foveal.images.deidentification.rules import Action, action_for

Counts = Counter[tuple[str, Action]]
"""How often what was done, by attribute; private and unknown ones have no name."""

_DUMMIES = {
    "DA": "19000101", "DT": "19000101000000", "TM": "000000", "AS": "000Y", "IS": 0, "DS": 0,
    "US": 0, "UL": 0, "SS": 0, "SL": 0, "FL": 0.0, "FD": 0.0, "OB": b"\0\0", "OW": b"\0\0",
    "UN": b"\0\0", "UR": "urn:removed",
}  # fmt: skip
_DUMMY = "REMOVED"

_KEPT_TEXT = ("LO", "SH", "CS", "UC", "UR")
_TERM = re.compile(r"[A-Z0-9_ ]{0,16}")
"""CS of PS3.5 6.2."""
_PIXEL_GROUP = 0x0028
"""Describes the pixels in defined terms, which no name is likely to be."""


def deidentify_dataset(
    dataset: Dataset, *, key: SecretKey, profile: Profile, blanked: bool = False
) -> tuple[Dataset, Counts]:
    """A copy without identity, and what was done to it.

    Pixels are kept as they are: text that stands in them, or in comments of a compressed stream,
    is not the business of this function.

    Args:
        dataset: What was read; it stays as it is.
        key: From it come UIDs, pseudonyms and the shift of dates.
        profile: What is kept.
        blanked: Whether everything outside the field was made black and nothing is left to look at,
            which is then recorded.
    """
    person = person_of(dataset)
    walker = _Walker(key=key, profile=profile, person=person, counts=Counter())
    clean = copy.deepcopy(dataset)
    if "age" in profile.keep and not clean.get("PatientAge"):
        age = age_at(*(str(clean.get(key) or "") for key in ("PatientBirthDate", "StudyDate")))
        if age:
            clean.PatientAge = age
    walker.walk(clean)
    clean.PatientID = clean.PatientName = key.alias(person.number)  # also where there were none
    _say_so(clean, profile, blanked=blanked)
    return clean, walker.counts


def _say_so(dataset: Dataset, profile: Profile, *, blanked: bool) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientIdentityRemoved = "YES"
    dataset.LongitudinalTemporalInformationModified = (
        "MODIFIED" if profile.dates == "shift" else "REMOVED"
    )
    ages = ["PatientAge kept, ages over 89 as 090Y"] if "age" in profile.keep else []
    dataset.DeidentificationMethod = ["foveal deidentify", TABLE, *ages]
    dataset.DeidentificationMethodCodeSequence = [
        _code(value, meaning) for value, meaning in profile.codes(blanked=blanked)
    ]


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


@dataclass(frozen=True, kw_only=True)
class _Walker:
    key: SecretKey
    profile: Profile
    person: Person
    counts: Counts

    def walk(self, dataset: Dataset, *, nested: bool = False) -> None:
        for element in list(dataset):
            action = self._apply(dataset, element, nested=nested)
            name = "private" if element.tag.is_private else element.keyword or "unknown"
            if action != "kept":
                self.counts[name, action] += 1

    def _apply(self, dataset: Dataset, element: DataElement, *, nested: bool) -> Action:
        """Do what the profile says; what cannot be done safely is emptied instead."""
        if element.keyword == "SpecificCharacterSet":
            del dataset[element.tag]  # what stays is written as Unicode
            return "kept"
        action = action_for(element, self.profile, nested=nested)
        match action:
            case "removed":
                del dataset[element.tag]
            case "emptied":
                element.value = [] if element.VR == "SQ" else None
            case "replaced":
                element.value = _DUMMIES.get(element.VR, _DUMMY)
            case "pseudonym":
                element.value = self.key.alias(self.person.number)
            case "new UID" | "shifted" | "capped":
                return self._change(element, action)
            case "kept" if element.VR == "SQ":
                for item in element.value:
                    self.walk(item, nested=True)
            case "kept" if element.VR in ("IS", "DS") and not _are_numbers(element):
                element.value = None
                return "emptied"
            case "kept" if self._is_telling(element):
                element.value = _DUMMY
                return "replaced"
        return action

    def _change(self, element: DataElement, action: Action) -> Action:
        """The values in their new form; what has none is emptied, what stays as it is was kept."""
        days = self.key.days(self.person.number)
        change: dict[str, Callable[[str], str | None]] = {
            "UI": self.key.uid,
            "DA": lambda text: shifted_date(text, days),
            "DT": lambda text: shifted_datetime(text, days),
            "TM": lambda text: text if is_time(text) else None,
            "AS": capped_age,
        }
        before = element.value
        element.value = _each(element, change[element.VR])
        if element.value == before:
            return "kept"
        return "emptied" if element.value is None else action

    def _is_telling(self, element: DataElement) -> bool:
        """Whether a short text names the person, or is free text in the place of a defined term."""
        if element.VR == "CS" and not all(map(_TERM.fullmatch, map(str, _values(element)))):
            return True
        if element.VR not in _KEPT_TEXT or element.tag.group == _PIXEL_GROUP:
            return False
        # Defined terms are whole words, and ordinary ones: PRIMARY is not about a Prima.
        return self.person.is_in(text_of(element), inside_words=element.VR != "CS")


def _are_numbers(element: DataElement) -> bool:
    """Pydicom leaves a number that is none as the text that it is."""
    return all(isinstance(value, int | float | Decimal) for value in _values(element))


def _values(element: DataElement) -> list[object]:
    if element.is_empty:
        return []
    return list(element.value) if isinstance(element.value, MultiValue) else [element.value]


def _each(element: DataElement, change: Callable[[str], str | None]) -> object:
    """Every value of an attribute changed; `None` where one cannot be."""
    if element.is_empty:
        return None
    changed = [change(str(value)) for value in _values(element)]
    if None in changed:
        return None
    return changed if len(changed) > 1 else changed[0]
