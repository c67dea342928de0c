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
    calibrated: Mapping[str, float] = field(default_factory=dict)
    """The probabilities after the calibrator of the model's card; empty where it names none. The
    label and all explanations are the model's own."""

    def __post_init__(self) -> None:
        for name in ("values", "calibrated"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
