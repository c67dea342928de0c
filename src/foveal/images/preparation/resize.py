from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from foveal.core import Grid, Image
from foveal.images.preparation.window import AbstractWindow, Box

_ASPECTS = ("pad", "stretch", "crop")


@dataclass(frozen=True, kw_only=True)
class Resize(AbstractWindow):
    """The whole image at the size that the model wants.

    `aspect` says what happens when the shapes differ: "pad" keeps the shape and puts black at two
    sides, evenly; "stretch" scales rows and columns apart; "crop" keeps the shape and cuts two
    sides, evenly. Rows and columns stay whole, so "pad" and "crop" are true to the shape within
    half a pixel.
    """

    name = "resize"
    aspect: str

    @classmethod
    def fit(
        cls,
        image: Image,
        field: Bool[np.ndarray, "row column"],
        *,
        size: Any,
        aspect: Any = "pad",
    ) -> "Resize":
        """The step for one image.

        Args:
            image: Only its grid matters.
            field: Does not matter.
            size: Rows and columns.
            aspect: "pad", "stretch" or "crop".

        Raises:
            ValueError: A size that is not two positive whole numbers, or an unknown aspect.
        """
        if aspect not in _ASPECTS:
            raise ValueError(f"aspect must be one of {', '.join(_ASPECTS)}, but is {aspect!r}")
        target = _grid(size)
        source_box: Box = (0, 0, *image.grid)
        target_box: Box = (0, 0, *target)
        if aspect == "pad":
            target_box = _fitting(image.grid, target)
        elif aspect == "crop":
            source_box = _fitting(target, image.grid)
        return cls(
            source=image.grid,
            target=target,
            source_box=source_box,
            target_box=target_box,
            aspect=aspect,
        )

    def pixels_forward(
        self, pixels: Float[np.ndarray, "channel row column"]
    ) -> Float[np.ndarray, "channel row_out column_out"]:
        return self._window(pixels)


def _fitting(shape: Grid, room: Grid) -> Box:
    """The largest box with the shape of one grid, in the middle of another."""
    scale = min(limit / side for side, limit in zip(shape, room, strict=True))
    rows, columns = (max(1, round(side * scale)) for side in shape)
    return (room[0] - rows) // 2, (room[1] - columns) // 2, rows, columns


def _grid(size: Any) -> Grid:
    whole = isinstance(size, list | tuple) and all(isinstance(side, int) for side in size)
    if not whole or len(size) != 2 or min(size) < 1:
        raise ValueError(f"size must be two positive whole numbers [rows, columns], not {size!r}")
    return int(size[0]), int(size[1])
