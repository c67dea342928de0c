from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from types import MappingProxyType
from typing import Literal

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "empty_mask": "the mask has no pixel inside the field",
        "full_mask": "the mask covers the whole field, so nothing is left to compare with",
        "no_outside": "the field covers the whole image, so nothing lies outside",
        "zero_map": "the map has no positive value inside the field",
        "constant_map": "the map has the same value everywhere in the field",
        "nan_map": "the map holds values that are not numbers",
        "no_score_range": "the score hardly changes between the image and the baseline",
        "prediction_changed": "the predicted class changed under the perturbation",
        "too_few": "too few samples for this number",
        "no_concept": "the concept cannot be told from random examples",
        "uninformative": "removal judges no map here: not even the model's own order of patches "
        "stands out from random ones",
        "made_elsewhere": "the map was made elsewhere, so its method cannot be asked again",
    }
)
"""Why a number is missing, by code."""

Direction = Literal["higher", "lower", "context"]


@dataclass(frozen=True, kw_only=True)
class Score:
    """One number about one explanation, or the reason why there is none.

    Raises:
        ValueError: A value together with a reason, neither of the two, an unknown reason, or a
            value that is not finite or lies outside the range.
    """

    name: str
    value: float | None = None
    reason: str | None = None
    """A code of `REASONS`, when the value is missing."""
    reason_text: str | None = None
    """The reason in words."""
    direction: Direction
    """Which way is better; `context` when neither is."""
    range: tuple[float, float]
    """Smallest and largest value that can occur."""
    chance: float | None = None
    """What a map without information would reach."""
    ceiling: float | None = None
    """The best that any map could reach here."""
    null: tuple[float, ...] | None = None
    """The same number for random maps or masks, one value a draw."""
    params: Mapping[str, object] = field(default_factory=dict)
    """Settings the number depends on."""
    parts: Mapping[str, object] = field(default_factory=dict)
    """Curves and components the number was made of."""

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise ValueError(
                f"score {self.name!r} needs either a value or a reason, but got "
                f"value {self.value} and reason {self.reason!r}"
            )
        if self.reason is not None:
            if self.reason not in REASONS:
                raise ValueError(
                    f"score {self.name!r}: unknown reason {self.reason!r}; "
                    f"use one of {', '.join(REASONS)}"
                )
            object.__setattr__(self, "reason_text", self.reason_text or REASONS[self.reason])
        if self.value is not None:
            low, high = self.range
            slack = 1e-6 * max(1.0, abs(self.value))
            if not isfinite(self.value) or not low - slack <= self.value <= high + slack:
                raise ValueError(
                    f"score {self.name!r} must be finite and in [{low}, {high}], "
                    f"but is {self.value}"
                )
            object.__setattr__(self, "value", min(max(float(self.value), low), high))
        for mapping in ("params", "parts"):
            object.__setattr__(self, mapping, MappingProxyType(dict(getattr(self, mapping))))
