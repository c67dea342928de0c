from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from foveal.core import Region
from foveal.images.anatomy.landmarks import Source


@dataclass(frozen=True, kw_only=True, eq=False)
class Structure:
    """A part of the eye on the original grid, and how sure it is.

    Raises:
        ValueError: A mask without a source, a missing one without a reason, or a confidence
            outside [0, 1].
    """

    name: str
    mask: Bool[np.ndarray, "row column"] | None
    """`None` where it is not sure enough; `reason` says so."""
    confidence: float | None = None
    """What it means stands with the function that gives it; 1 for a mask, `None` for a model."""
    source: Source | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        has_mask = self.mask is not None
        if has_mask != (self.source is not None) or has_mask == bool(self.reason):
            raise ValueError(f"{self.name!r} needs a mask and its source, or a reason for none")
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence must be in [0, 1], but is {self.confidence}")

    @property
    def region(self) -> Region | None:
        """As anatomy, which no measure takes for a lesion; `None` where it is not sure."""
        if self.mask is None:
            return None
        return Region(name=self.name, mask=self.mask, kind="anatomy", source=self.source)


def missing(name: str, reason: str, confidence: float | None = None) -> Structure:
    """A structure that is not there or not sure."""
    return Structure(name=name, mask=None, reason=reason, confidence=confidence)
