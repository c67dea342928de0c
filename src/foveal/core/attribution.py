from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, kw_only=True, eq=False)
class Attribution:
    """What one method says about one target of one image: the raw signed map and where it is from.

    The map is as the method's paper defines it before its final ReLU, on its native grid: the
    layer's for CAM methods, the input's for gradient methods, with their channels. Nothing is
    scaled.

    Raises:
        ValueError: A map that holds values that are not finite.
    """

    map: Float[np.ndarray, "..."]
    method: str
    settings: Mapping[str, object] = field(default_factory=dict)
    layer: str | None = None
    target: str = ""
    """The target in words, as on the model's card."""
    target_index: int | None = None
    """The class that was explained, where the target is a class."""
    score: float | None = None
    """The value of the explained number for this image."""
    score_mode: str = "logit"
    model: str = ""
    fingerprint: str = ""
    """SHA-256 over the model's card and weights."""
    seed: int = 0
    reason: str | None = None
    """Why the map is empty, a code of `foveal.core.REASONS`, where it is."""
    notes: tuple[str, ...] = ()
    """Deviations and warnings that belong to this map."""
    cost: Mapping[str, float] = field(default_factory=dict)
    """Images sent forward and backward: `forward` and `backward` for this map alone, `shared_...`
    for the pass over the image that all methods of the call shared."""
    parts: Mapping[str, object] = field(default_factory=dict)
    """What the method promises beside its map, such as `completeness_error`."""

    def __post_init__(self) -> None:
        if not np.isfinite(self.map).all():
            raise ValueError(f"the map of {self.method} holds values that are not finite")
        for mapping in ("settings", "cost", "parts"):
            object.__setattr__(self, mapping, MappingProxyType(dict(getattr(self, mapping))))
