"""Where the fovea and the optic disc of a photograph are, and how sure that is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from foveal.core import Laterality

Source = Literal["mask", "model", "heuristic", "given"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """A point of the eye on the original grid.

    Raises:
        ValueError: A confidence outside [0, 1].
    """

    row: float
    column: float
    """Pixel centres at +0.5."""
    confidence: float | None = 1.0
    """Of a heuristic the share of places that were right at such a margin, in [0, 1], where right
    is a centre within the disc, or a fovea within half a disc diameter; docs/anatomy.md names the
    photographs. 1 for a mask and for what is given; `None` for a model, which does not say."""
    source: Source = "given"

    def __post_init__(self) -> None:
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence must be in [0, 1], but is {self.confidence}")


@dataclass(frozen=True, kw_only=True)
class Landmarks:
    """Fovea, disc and side of one eye; what is not sure is `None` with its reason.

    Raises:
        ValueError: A disc without a radius, a radius without a disc, or one that is not positive.
    """

    disc: Place | None = None
    disc_radius: float | None = None
    """Of the circle with the disc's area, in original pixels."""
    fovea: Place | None = None
    laterality: Laterality = "unknown"
    """The image's own, else by where the fovea lies beside the disc."""
    laterality_source: Source | None = None
    """Given for the image's own; of geometry the less certain of the two places' sources."""
    laterality_confidence: float | None = None
    """1 for the image's own; of geometry the lesser of the two places'."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why "disc", "fovea" or "laterality" are missing."""

    def __post_init__(self) -> None:
        if (self.disc is None) != (self.disc_radius is None):
            raise ValueError("a disc needs both its place and its radius")
        if self.disc_radius is not None and not self.disc_radius > 0:
            raise ValueError(f"disc_radius must be positive, but is {self.disc_radius}")
        object.__setattr__(self, "reasons", MappingProxyType(dict(self.reasons)))
