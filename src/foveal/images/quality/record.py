"""What a number of image quality means, and what is usual for it."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

from foveal.core import Modality

Better = Literal["higher", "lower", "context"]


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What a number says."""

    unit: str
    better: Better
    """"context" where both very high and very low are bad."""
    says: str


@dataclass(frozen=True, kw_only=True)
class Usual:
    """The range of a number on real images.

    Raises:
        ValueError: A range that does not grow.
    """

    low: float
    high: float
    """The 2.5th and the 97.5th percentile."""
    source: str
    """The images it was measured on."""

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"a range must grow, but goes from {self.low} to {self.high}")


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Numbers of one image's quality, by name; `None` with a reason where there is none."""

    modality: Modality
    values: Mapping[str, float | None]
    reasons: Mapping[str, str]
    """Why a number is missing."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))
        object.__setattr__(self, "reasons", MappingProxyType(dict(self.reasons)))

    @property
    def usual(self) -> Mapping[str, Usual]:
        """The usual range of each number, where one was measured."""
        return {
            name: usual for name, usual in usual_of(self.modality).items() if name in self.values
        }

    @property
    def unusual(self) -> tuple[str, ...]:
        """The numbers outside their usual range; of 20 numbers of a good image one is."""
        return tuple(
            name
            for name, usual in self.usual.items()
            if (value := self.values[name]) is not None and not usual.low <= value <= usual.high
        )


MEANINGS: Mapping[str, Meaning] = {
    "field_share": Meaning(
        unit="share of the picture", better="context", says="how much of the picture is eye"
    ),
    "field_circle": Meaning(
        unit="share of a circle", better="higher",
        says="how much of a full circle of the field's longest side shows",
    ),
    "focus": Meaning(
        unit="% of local brightness", better="higher",
        says="standard deviation of fine detail, at 512 pixels along the field",
    ),
    "brightness": Meaning(
        unit="share of full", better="context", says="mean of the brightest channel in the field"
    ),
    "under_exposed": Meaning(
        unit="share of the field", better="lower", says="brightest channel below 0.1"
    ),
    "over_exposed": Meaning(
        unit="share of the field", better="lower", says="green, or the only channel, above 0.95"
    ),
    "contrast": Meaning(
        unit="share of the mean", better="higher",
        says="standard deviation of green over its smooth ground (root mean square contrast)",
    ),
    "unevenness": Meaning(
        unit="share of the mean", better="lower",
        says="coefficient of variation of green's smooth ground",
    ),
    "quadrant_ratio": Meaning(
        unit="ratio", better="higher", says="mean green of the darkest by the brightest quadrant"
    ),
    "red_share": Meaning(
        unit="share of all light", better="context", says="red by the sum of the channels"
    ),
    "blue_share": Meaning(
        unit="share of all light", better="context", says="blue by the sum of the channels"
    ),
    "rim_glare": Meaning(
        unit="ratio", better="lower",
        says="brightest twelfth of the field's rim by the middle of the field, in green",
    ),
    "surround_light": Meaning(
        unit="share of the surround", better="lower",
        says="pixels above 0.3 outside the field: text, marks or glare",
    ),
    "highlights": Meaning(
        unit="share of the picture", better="lower", says="white in every channel (above 0.9)"
    ),
    "snr_db": Meaning(
        unit="dB", better="higher",
        says="brightest per cent over the spread of the darkest tenth of rows",
    ),
    "clipped": Meaning(
        unit="share of columns", better="lower",
        says="retina that touches the upper or lower edge of the section",
    ),
    "shadowed": Meaning(
        unit="share of columns", better="lower",
        says="columns with less than half the usual light: blinks, vessels, opacities",
    ),
}  # fmt: skip


@cache
def usual_of(modality: Modality) -> Mapping[str, Usual]:
    """The usual ranges of a kind of images; empty where none were measured."""
    text = files("foveal.images.quality").joinpath("usual.toml").read_text("utf-8")
    table = tomllib.loads(text).get(modality, {})
    source = table.get("source", "")
    return MappingProxyType(
        {
            name: Usual(low=span[0], high=span[1], source=source)
            for name, span in table.get("ranges", {}).items()
        }
    )
