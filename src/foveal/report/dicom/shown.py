"""One map of a source, carried onto the source's own pixels."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, UInt8

from foveal.core import Grid
from foveal.report.colour import Scale, scale_of
from foveal.report.words import map_name, target_in_words
from foveal.store import Explained

SHARES = (0.05, 0.20)
"""Of the pixels that the model saw: how many the segments hold, strongest first."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """The map of one frame on the frame's own grid.

    Raises:
        ValueError: Arrays of different grids.
    """

    frame: int = 1
    """Counted from 1, as in DICOM."""
    picture: UInt8[np.ndarray, "row column 3"]
    values: Float[np.ndarray, "row column"]
    """Raw and signed; zero where the model saw nothing."""
    seen: Bool[np.ndarray, "row column"]
    """The pixels that the model saw."""
    explained: Explained
    answer: str = ""
    """What the model said, in words."""

    def __post_init__(self) -> None:
        grids = {self.picture.shape[:2], self.values.shape, self.seen.shape}
        if len(grids) > 1:
            raise ValueError(
                f"picture, values and seen must share a grid, but have {sorted(grids)}"
            )

    @property
    def grid(self) -> Grid:
        """Rows and columns."""
        return self.values.shape[0], self.values.shape[1]


@dataclass(frozen=True, kw_only=True, eq=False)
class Explanation:
    """What one method says about one target of one source: a map for each frame, one scale.

    Raises:
        ValueError: No frame, a frame twice, or frames of different grids.
    """

    frames: Sequence[Shown] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        numbers = [shown.frame for shown in self.frames]
        if not numbers or len(set(numbers)) < len(numbers):
            raise ValueError(f"an explanation needs frames, each once, but has {numbers}")
        if len({shown.grid for shown in self.frames}) > 1:
            raise ValueError("all frames of a source have one grid, but these differ")
        ordered = tuple(sorted(self.frames, key=lambda shown: shown.frame))
        object.__setattr__(self, "frames", ordered)

    @property
    def first(self) -> Explained:
        """The map of the first frame, for what all frames share."""
        return self.frames[0].explained

    @property
    def name(self) -> str:
        """Method and target in words."""
        made = self.first.attribution
        return f"{map_name(self.first.key, made)}, {target_in_words(made.target)}"

    @cached_property
    def scale(self) -> Scale | None:
        """The scale of all frames; `None` where none of them has a map."""
        scales = [scale_of(shown.explained.attribution) for shown in self.frames]
        found = [scale for scale in scales if scale is not None]
        if not found:
            return None
        return replace(
            next((scale for scale in found if scale.signed), found[0]),
            limit=max(scale.limit for scale in found),
            largest=max(scale.largest for scale in found),
        )

    @cached_property
    def values(self) -> Float[np.ndarray, "frame row column"]:
        """Raw and signed."""
        return np.stack([shown.values for shown in self.frames]).astype(np.float32, copy=False)

    @cached_property
    def seen(self) -> Bool[np.ndarray, "frame row column"]:
        """The pixels that the model saw."""
        return np.stack([shown.seen for shown in self.frames])

    def strength(self, scale: Scale) -> Float[np.ndarray, "frame row column"]:
        """How far along its scale each pixel is, in [0, 1].

        The share of all thresholds, drawn evenly between zero and the end of the scale, that the
        pixel's evidence exceeds.
        """
        return np.where(self.seen, scale.strength(self.values), 0).astype(np.float32)

    def strongest(self, scale: Scale, share: float) -> Bool[np.ndarray, "frame row column"]:
        """The pixels with the most evidence: this share of those that the model saw.

        Fewer where less of the map has any evidence, since a pixel without evidence is never
        highlighted; more where several pixels have the value at the border.
        """
        evidence = np.abs(self.values) if scale.signed else np.maximum(self.values, 0)
        if not self.seen.any():
            return self.seen
        border = np.quantile(evidence[self.seen], 1 - share, method="higher")
        return self.seen & (evidence >= border) & (evidence > 0)
