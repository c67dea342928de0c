"""Which options of the profile are applied, and how that is written down."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

TABLE = "DICOM PS3.15 table E.1-1, edition 2026c"

Dates = Literal["shift", "remove"]
Keep = Literal["age", "sex", "device"]

Code = tuple[str, str]
"""Value and meaning of a code of the scheme DCM."""

_BASIC: Code = ("113100", "Basic Application Confidentiality Profile")
_PIXELS: Code = ("113101", "Clean Pixel Data Option")
_DATES: Code = ("113107", "Retain Longitudinal Temporal Information Modified Dates Option")
_PATIENT: Code = ("113108", "Retain Patient Characteristics Option")
_DEVICE: Code = ("113109", "Retain Device Identity Option")

_KEPT: Mapping[Keep, tuple[Code, tuple[str, ...]]] = {
    "age": (_PATIENT, ("PatientAge",)),
    "sex": (_PATIENT, ("PatientSex",)),
    "device": (_DEVICE, ("DeviceSerialNumber", "DeviceUID", "StationName")),
}
"""What can be kept, under which option of the profile (PS3.15 E.3)."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The basic profile and the options that are applied with it.

    Raises:
        ValueError: An option that does not exist.
    """

    dates: Dates = "shift"
    keep: tuple[Keep, ...] = ("age",)

    def __post_init__(self) -> None:
        if self.dates not in get_args(Dates):
            raise ValueError(f"dates must be 'shift' or 'remove', but is {self.dates!r}")
        for name in self.keep:
            if name not in _KEPT:
                raise ValueError(f"keep takes {', '.join(_KEPT)}, but got {name!r}")

    def keeps(self, keyword: str) -> bool:
        """Whether an attribute stays that the basic profile would take."""
        return any(keyword in _KEPT[name][1] for name in self.keep)

    def codes(self, *, blanked: bool) -> list[Code]:
        """What was really done, for DeidentificationMethodCodeSequence (PS3.16 CID 7050)."""
        codes = [_BASIC, *([_PIXELS] if blanked else [])]
        codes += [_DATES] if self.dates == "shift" else []
        return [*codes, *sorted({_KEPT[name][0] for name in self.keep})]
