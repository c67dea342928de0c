"""How maps are drawn, and the picture they are drawn on."""

from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from jaxtyping import UInt8
from PIL import Image as PillowImage

from foveal.report.colour import Scale, Scaling, scale_of
from foveal.store import Case, Explained

FRACTIONS = (0.25, 0.5, 0.75)
"""Of the end of the scale: the heights at which contours run."""


class DrawingKeywords(TypedDict, total=False):
    """How maps are drawn, by keyword."""

    signed: bool | None
    scaling: Scaling | None
    colormap: str | None
    alpha: float
    by_value: bool
    contours: bool


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How maps are drawn. Nothing of it changes the raw map."""

    signed: bool | None = None
    """Whether evidence against is drawn; by default for gradients only."""
    scaling: Scaling | None = None
    """What stands at the end of the colours; the maximum by default, for gradients p99.9."""
    colormap: str | None = None
    """A name that matplotlib knows; cividis, or for signed maps vanimo, by default."""
    alpha: float = 0.5
    """Opacity of the colours in [0, 1]."""
    by_value: bool = False
    """Whether the opacity falls with the value."""
    contours: bool = False
    """Lines at a quarter, half and three quarters of the scale instead of colours."""

    def scale(self, explained: Explained) -> Scale | None:
        """The scale of one map; `None` where there is nothing to draw."""
        return scale_of(
            explained.attribution,
            signed=self.signed,
            scaling=self.scaling,
            colormap=self.colormap,
        )


def small_picture(case: Case, side: int) -> UInt8[np.ndarray, "row column 3"]:
    """The case's picture in colour, its larger side at most so many pixels.

    Raises:
        ValueError: A case without a picture; failed ones have none.
    """
    if case.picture is None:
        why = f": {case.failure}" if case.failure else ""
        raise ValueError(f"nothing can be drawn of {case.id}{why}")
    rows, columns, channels = case.picture.shape
    coloured = case.picture if channels == 3 else np.repeat(case.picture, 3, axis=2)
    share = min(1.0, side / max(rows, columns))
    size = max(1, round(columns * share)), max(1, round(rows * share))
    return np.asarray(PillowImage.fromarray(coloured).resize(size, PillowImage.Resampling.BOX))
