from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a model says about one image."""

    label: str
    """The prediction in words."""
    index: int | None = None
    """The predicted class; `None` for regression, several labels or segmentation."""
    values: Mapping[str, float] = field(default_factory=dict)
    """Probability of each class (of a segmentation: its mean over the pixels), or the value."""
    unit: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))
