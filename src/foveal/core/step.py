from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

Grid = tuple[int, int]
"""Rows and columns of an image."""


class AbstractStep(ABC):
    """One change of grid on the way from the file to the model, which can be taken back.

    A step knows the grid it came from (`source`) and the one it leads to (`target`), and carries
    points, maps and masks both ways. Points are (row, column) with pixel centres at +0.5, so that
    the top left corner of the image is (0, 0) on every grid. What lies outside the other grid
    comes back as zero in a map and as false in a mask.
    """

    name: str
    source: Grid
    target: Grid

    @abstractmethod
    def numbers(self) -> Mapping[str, object]:
        """Everything needed to do the step again, as plain numbers, text and lists."""

    @abstractmethod
    def pixels_forward(
        self, pixels: Float[np.ndarray, "channel row column"]
    ) -> Float[np.ndarray, "channel row_out column_out"]: ...

    @abstractmethod
    def points_forward(self, points: Float[np.ndarray, "point 2"]) -> Float[np.ndarray, "point 2"]:
        """Where points of the source grid lie on the target grid."""

    @abstractmethod
    def points_back(self, points: Float[np.ndarray, "point 2"]) -> Float[np.ndarray, "point 2"]:
        """Where points of the target grid lie on the source grid."""

    @abstractmethod
    def map_forward(
        self, values: Float[np.ndarray, "row column"]
    ) -> Float[np.ndarray, "row_out column_out"]:
        """A map of the source grid on the target grid, bilinear."""

    @abstractmethod
    def map_back(
        self, values: Float[np.ndarray, "row column"]
    ) -> Float[np.ndarray, "row_out column_out"]:
        """A map of the target grid on the source grid, bilinear."""

    @abstractmethod
    def mask_forward(
        self, mask: Bool[np.ndarray, "row column"]
    ) -> Bool[np.ndarray, "row_out column_out"]:
        """A mask of the source grid on the target grid: pixels covered by at least one half."""

    @abstractmethod
    def mask_back(
        self, mask: Bool[np.ndarray, "row column"]
    ) -> Bool[np.ndarray, "row_out column_out"]:
        """A mask of the target grid on the source grid, cut at one half."""
