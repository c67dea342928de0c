"""What all objects share: who made them, their series, and what highdicom leaves out."""

from dataclasses import dataclass, field
from typing import Any

import highdicom
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from foveal.report.dicom.codes import scheme_item
from foveal.report.dicom.shown import Explanation
from foveal.report.dicom.source import Source

Place = dict[str, Any]
"""Where an object stands among others, as highdicom takes it."""
NATIVE = ExplicitVRLittleEndian
_LONG = 64
"""Characters of a long string (PS3.5 table 6.2-1, LO)."""
_NOT_FOR_DIAGNOSIS = "NOT FOR DIAGNOSIS"


@dataclass(frozen=True, kw_only=True)
class Maker:
    """The software and the run that the objects come from."""

    version: str
    """Of foveal, when it explained."""
    run: str
    """The run's fingerprint."""

    @property
    def equipment(self) -> Place:
        """As highdicom takes it; the run stands where a device has its serial number."""
        return {
            "manufacturer": "foveal",
            "manufacturer_model_name": "foveal",
            "software_versions": self.version,
            "device_serial_number": self.run[:_LONG],
        }


@dataclass(frozen=True, kw_only=True)
class Series:
    """One series: objects of one kind, of one source."""

    kind: str
    """What it holds, in a word or two."""
    number: int
    uid: str = field(default_factory=highdicom.UID)

    def place(self, instance: int) -> Place:
        """The place of one object in it."""
        return {
            "series_instance_uid": self.uid,
            "series_number": self.number,
            "sop_instance_uid": highdicom.UID(),
            "instance_number": instance,
            "series_description": f"AI {self.kind} - {_NOT_FOR_DIAGNOSIS}",
        }


def finished(made: Dataset, source: Source) -> Dataset:
    """The object with what highdicom leaves out of all of them."""
    schemes = made.get("CodingSchemeIdentificationSequence") or []
    made.CodingSchemeIdentificationSequence = [*schemes, scheme_item()]
    for keyword in ("PatientIdentityRemoved", "DeidentificationMethod"):
        if keyword in source.dataset:
            made[keyword] = source.dataset[keyword]
    return made


def compressed(made: Dataset) -> None:
    """Its native pixels as RLE.

    By an encoder that is named: highdicom and pydicom take the first that is installed, and gdcm's
    ends the whole process at frames of an odd number of pixels.
    """
    made.compress(RLELossless, encoding_plugin="pylibjpeg", generate_instance_uid=False)


def long_string(text: str) -> str:
    """Cut to what a long string may hold."""
    return text if len(text) <= _LONG else f"{text[: _LONG - 3]}..."


def described(explanation: Explanation, source: Source) -> str:
    """ContentDescription: what is nominal, since that must not be lost, else the map's name."""
    return long_string(source.geometry.note or explanation.name)
