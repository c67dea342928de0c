from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped

from foveal.core import AbstractStep, Grid, Image, ImageError, Laterality
from foveal.images.preparation.settings import one_of
from foveal.images.preparation.step import AbstractPreparation, plain_fields


def is_mirrored(steps: Sequence[AbstractStep]) -> bool:
    """Whether the steps show the eye mirrored, so that nasal and temporal changed sides."""
    return sum(isinstance(step, Flip) and step.mirrored for step in steps) % 2 == 1


@dataclass(frozen=True, kw_only=True)
class Flip(AbstractPreparation):
    """Mirrors eyes of one side left to right, so that all show nasal and temporal alike.

    The eye stays what it is: `Image.laterality` does not change; `mirrored` and `is_mirrored` say
    what was done.
    """

    reversible = "everything, exactly"
    name = "flip"
    source: Grid
    target: Grid
    to: str
    laterality: Laterality
    """Of the image when the step was made."""
    mirrored: bool

    def __post_init__(self) -> None:
        if self.source != self.target:
            raise ValueError(
                f"a flip keeps the grid, but source is {self.source}, target {self.target}"
            )

    @classmethod
    def fit(
        cls,
        image: Image,
        field: Bool[np.ndarray, "row column"],
        *,
        to: Any = "right",
        unknown: Any = "error",
    ) -> "Flip":
        """The step for one image.

        Args:
            image: Its laterality matters, and whether its steps have mirrored it already.
            field: Does not matter.
            to: The eye that all shall look like: "right" or "left".
            unknown: What happens to an image that does not say which eye it shows, or shows both:
                "error", or "keep" for leaving it as it is.

        Raises:
            ValueError: Another word than these.
            ImageError: The image does not say which eye it shows.
        """
        to = one_of("to", to, ("right", "left"))
        unknown = one_of("unknown", unknown, ("error", "keep"))
        sided = image.laterality in ("right", "left")
        if not sided and unknown == "error":
            raise ImageError(
                f"has the laterality {image.laterality!r}, but the step 'flip' needs to know which "
                'eye it shows; give it when reading, or set unknown = "keep" in the step'
            )
        return cls(
            source=image.grid,
            target=image.grid,
            to=to,
            laterality=image.laterality,
            mirrored=sided and (image.laterality != to) != is_mirrored(image.steps),
        )

    def numbers(self) -> Mapping[str, object]:
        return {"step": self.name, **plain_fields(self)}

    def pixels_forward(
        self, pixels: Float[np.ndarray, "channel row column"]
    ) -> Float[np.ndarray, "channel row_out column_out"]:
        return np.ascontiguousarray(self._turned(pixels))

    def points_forward(self, points: Float[np.ndarray, "point 2"]) -> Float[np.ndarray, "point 2"]:
        if not self.mirrored:
            return points
        return points * np.array([1, -1]) + np.array([0, self.source[1]])

    def points_back(self, points: Float[np.ndarray, "point 2"]) -> Float[np.ndarray, "point 2"]:
        return self.points_forward(points)

    def map_forward(
        self, values: Float[np.ndarray, "row column"]
    ) -> Float[np.ndarray, "row_out column_out"]:
        return self._turned(values)

    def map_back(
        self, values: Float[np.ndarray, "row column"]
    ) -> Float[np.ndarray, "row_out column_out"]:
        return self._turned(values)

    def mask_forward(
        self, mask: Bool[np.ndarray, "row column"]
    ) -> Bool[np.ndarray, "row_out column_out"]:
        return self._turned(mask)

    def mask_back(
        self, mask: Bool[np.ndarray, "row column"]
    ) -> Bool[np.ndarray, "row_out column_out"]:
        return self._turned(mask)

    def _turned(self, values: Shaped[np.ndarray, "*grid"]) -> Shaped[np.ndarray, "*grid"]:
        return values[..., ::-1] if self.mirrored else values
