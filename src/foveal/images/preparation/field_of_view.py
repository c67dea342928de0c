from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from foveal.core import Image, Modality
from foveal.images.preparation.field import field_of_pixels
from foveal.images.preparation.window import AbstractWindow, Box


@dataclass(frozen=True, kw_only=True)
class FieldOfView(AbstractWindow):
    """The image cut to its field of view.

    `margin` is left free around the field, as a share of the field's longer side. `square` cuts a
    square with the field in its middle, as models expect that were trained on square crops: a
    field that the camera clipped gets its missing rows back in black. `blacken` makes black what
    the crop still shows of the surround; by default it stays as it is.
    """

    name = "field-of-view"
    margin: float
    square: bool
    blacken: bool
    modality: Modality
    """How `blacken` finds the field."""

    @classmethod
    def fit(
        cls,
        image: Image,
        field: Bool[np.ndarray, "row column"],
        *,
        margin: Any = 0.0,
        square: Any = False,
        blacken: Any = False,
    ) -> "FieldOfView":
        """The step for one image.

        Args:
            image: Its grid and modality matter.
            field: The field of view on the image's grid.
            margin: Share of the field's longer side, 0 to 10.
            square: Whether the crop is square.
            blacken: Whether pixels outside the field become black.

        Raises:
            ValueError: A margin that is no number from 0 to 10, or a switch that is not true or
                false.
        """
        number = isinstance(margin, int | float) and not isinstance(margin, bool)
        if not number or not 0 <= margin <= 10:
            raise ValueError(
                f"margin must be a share of the field's longer side from 0 to 10, not {margin!r}"
            )
        for name, switch in (("square", square), ("blacken", blacken)):
            if not isinstance(switch, bool):
                raise ValueError(f"{name} must be true or false, not {switch!r}")
        window = _around(field, margin, square)
        source_box, target_box = _shared(window, image)
        return cls(
            source=image.grid,
            target=window[2:],
            source_box=source_box,
            target_box=target_box,
            margin=float(margin),
            square=square,
            blacken=blacken,
            modality=image.modality,
        )

    def pixels_forward(
        self, pixels: Float[np.ndarray, "channel row column"]
    ) -> Float[np.ndarray, "channel row_out column_out"]:
        if self.blacken:
            pixels = pixels * field_of_pixels(pixels, self.modality)
        return self._window(pixels)


def _around(field: Bool[np.ndarray, "row column"], margin: float, square: bool) -> Box:
    """The box to show, which may reach beyond the image."""
    spans = [np.flatnonzero(field.any(axis=axis)) for axis in (1, 0)]
    starts = [int(span[0]) for span in spans]
    sizes = [int(span[-1]) + 1 - start for span, start in zip(spans, starts, strict=True)]
    room = round(margin * max(sizes))
    sides = [(max(sizes) if square else size) + 2 * room for size in sizes]
    row, column = (
        start - (side - size) // 2 for start, side, size in zip(starts, sides, sizes, strict=True)
    )
    return row, column, sides[0], sides[1]


def _shared(window: Box, image: Image) -> tuple[Box, Box]:
    """What the window and the image have in common: the box in the image, the box in the window."""
    starts = [max(0, start) for start in window[:2]]
    ends = [
        min(start + side, limit)
        for start, side, limit in zip(window[:2], window[2:], image.grid, strict=True)
    ]
    rows, columns = (end - start for start, end in zip(starts, ends, strict=True))
    source_box = starts[0], starts[1], rows, columns
    return source_box, (starts[0] - window[0], starts[1] - window[1], rows, columns)
