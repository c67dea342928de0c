from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from foveal.core import Image, ImageError
from foveal.images.preparation.flatten import FOUND, current_lines
from foveal.images.preparation.settings import number_in
from foveal.images.preparation.window import AbstractWindow


@dataclass(frozen=True, kw_only=True)
class RetinaBand(AbstractWindow):
    """A section cut to the rows in which the retina lies, with all its columns.

    Flatten first where the retina is bent, or the band holds much else.
    """

    name = "retina-band"
    upper: str
    lower: str
    margin_rows: int

    @classmethod
    def fit(
        cls,
        image: Image,
        field: Bool[np.ndarray, "row column"],
        *,
        upper: Any = FOUND,
        lower: Any = FOUND,
        margin_um: Any = None,
        margin: Any = None,
    ) -> "RetinaBand":
        """The step for one image.

        Args:
            image: A section; its lines and, for "found", its pixels matter.
            field: Where there is a picture and no padding.
            upper: The name of a line of the image, or "found" for the inner boundary.
            lower: The name of a line of the image, or "found" for the brightest outer layer.
            margin_um: Left free above and below in micrometres, 0 to 5000; needs spacing.
            margin: Instead, as a share of the band's height, 0 to 10; 0.25 when neither is given.

        Raises:
            ImageError: No such line, no retina found with any confidence, or no spacing.
            ValueError: Both margins, or a setting out of range.
        """
        if margin_um is not None and margin is not None:
            raise ValueError("give margin_um or margin, not both")
        for setting, name in (("upper", upper), ("lower", lower)):
            if not isinstance(name, str):
                raise ValueError(f"{setting} must be the name of a line, not {name!r}")
        top, bottom = current_lines(image, field, upper=upper, lower=lower)
        if not (np.isfinite(top).any() and np.isfinite(bottom).any()):
            raise ImageError(f"knows {upper!r} or {lower!r} nowhere, so there is no band to cut")
        first, last = int(np.floor(np.nanmin(top))), int(np.ceil(np.nanmax(bottom)))
        rows = _margin_rows(image, last - first, margin_um, margin)
        start, end = max(0, first - rows), min(image.grid[0], last + rows)
        if start >= end:
            raise ImageError(f"has {lower!r} above {upper!r}, so there is no band to cut")
        columns = image.grid[1]
        return cls(
            source=image.grid,
            target=(end - start, columns),
            source_box=(start, 0, end - start, columns),
            target_box=(0, 0, end - start, columns),
            upper=upper,
            lower=lower,
            margin_rows=rows,
        )

    def pixels_forward(
        self, pixels: Float[np.ndarray, "channel row column"]
    ) -> Float[np.ndarray, "channel row_out column_out"]:
        return self._window(pixels)


def _margin_rows(image: Image, height: int, margin_um: Any, margin: Any) -> int:
    if margin_um is None:
        share = 0.25 if margin is None else number_in("margin", margin, 0, 10)
        return round(share * height)
    if image.spacing_mm is None:
        raise ImageError("has no spacing, so a margin has no micrometres; use margin instead")
    return round(number_in("margin_um", margin_um, 0, 5000) / 1000 / image.spacing_mm[0])
