"""What a picture shows beside the eye, and what a person must therefore look at."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from foveal.core import Image, ImageError
from foveal.images.deidentification.burned_in import LEAST_GLYPHS, burned_in_text
from foveal.images.preparation import find_field

Ocr = Callable[[Image], str]
"""Any reader of text: what it finds, or nothing."""

NO_SURROUND = "there is no dark surround in which text could be looked for"


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """What was seen in one picture."""

    field: Bool[np.ndarray, "row column"]
    text: tuple[str, ...]
    """Signs of text, in words that name nobody."""
    outside_only: bool
    """Whether making everything outside the field black takes these signs away."""

    @property
    def surround(self) -> bool:
        """Whether there is anything outside the field."""
        return not self.field.all()


def look(image: Image, *, ocr: Ocr | None) -> Look:
    """Search a picture for signs of text; an OCR reader sees all of it."""
    try:
        field = find_field(image)
    except ImageError:  # flat, as a page of text on black is: all of it is searched
        field = np.zeros(image.grid, bool)
    glyphs = 0 if field.all() else burned_in_text(image, field)
    text = (f"{glyphs} marks in a row outside the field look like text",)
    found = text if glyphs >= LEAST_GLYPHS else ()
    read = ocr is not None and bool(ocr(image).strip())
    return Look(
        field=field,
        text=(*found, *(("the OCR reader found text",) if read else ())),
        outside_only=not read,
    )
