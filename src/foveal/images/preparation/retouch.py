from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from foveal.core import Grid
from foveal.images.preparation.step import AbstractPreparation, plain_fields


@dataclass(frozen=True, kw_only=True)
class AbstractRetouch(AbstractPreparation):
    """A step that changes pixels and keeps the grid: points, maps and masks pass unchanged.

    A subclass gives `fit`, `pixels_forward` and, as fields, the plain numbers that these agree on;
    a tuple may hold numbers or texts, no further tuples.

    Raises:
        ValueError: Source and target differ.
    """

    reversible = "points, maps and masks exactly, as the grid stays; pixels not"
    source: Grid
    target: Grid

    def __post_init__(self) -> None:
        if self.source != self.target:
            raise ValueError(
                f"the step {self.name!r} keeps the grid, but its source is {self.source} and its "
                f"target {self.target}"
            )

    def numbers(self) -> Mapping[str, object]:
        return {"step": self.name, **plain_fields(self)}

    def points_forward(self, points: Float[np.ndarray, "point 2"]) -> Float[np.ndarray, "point 2"]:
        return points

    def points_back(self, points: Float[np.ndarray, "point 2"]) -> Float[np.ndarray, "point 2"]:
        return points

    def map_forward(
        self, values: Float[np.ndarray, "row column"]
    ) -> Float[np.ndarray, "row_out column_out"]:
        return values

    def map_back(
        self, values: Float[np.ndarray, "row column"]
    ) -> Float[np.ndarray, "row_out column_out"]:
        return values

    def mask_forward(
        self, mask: Bool[np.ndarray, "row column"]
    ) -> Bool[np.ndarray, "row_out column_out"]:
        return mask

    def mask_back(
        self, mask: Bool[np.ndarray, "row column"]
    ) -> Bool[np.ndarray, "row_out column_out"]:
        return mask
