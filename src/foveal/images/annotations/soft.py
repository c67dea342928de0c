"""Soft masks: how likely, or how much, each pixel belongs."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from jaxtyping import Float

from foveal.core import Image, ImageError, Region
from foveal.images.content import about
from foveal.images.map_files import read_map
from foveal.images.masks import check_grid
from foveal.images.names import region_name


@dataclass(frozen=True, kw_only=True, eq=False)
class SoftMask:
    """A share for each pixel: a probability, or of several graders those who marked it.

    Raises:
        ValueError: Shares that are no numbers in [0, 1].
    """

    name: str
    values: Float[np.ndarray, "row column"]
    """In [0, 1]."""
    source: str | None = None

    def __post_init__(self) -> None:
        low, high = float(self.values.min()), float(self.values.max())
        if not (low >= 0 and high <= 1):
            raise ValueError(f"a soft mask must be in [0, 1], but ranges from {low:g} to {high:g}")

    def region(self, threshold: float = 0.5, *, grader: str | None = None) -> Region:
        """The pixels that reach a threshold in (0, 1], which stands in the region's facts.

        Raises:
            ValueError: Another threshold.
        """
        if not 0 < threshold <= 1:
            raise ValueError(f"a threshold of probabilities must be in (0, 1], but is {threshold}")
        return Region(
            name=self.name,
            mask=np.asarray(self.values >= np.float32(threshold)),
            kind=region_name(self.name, {})[1],
            source=self.source,
            grader=grader,
            facts={"shape": "pixels", "threshold": threshold},
        )


def read_soft_mask(path: str | PathLike[str], *, name: str, image: Image | None = None) -> SoftMask:
    """Probabilities from a file: npy, NIfTI, floating-point TIFF, or grey levels of a picture.

    Grey levels are divided by the largest that the file can hold: 255 of 8-bit PNG is 1.

    Args:
        path: The file.
        name: What it marks.
        image: The photograph, whose size it must have.

    Raises:
        ImageError: A file that cannot be read, another size, or values outside [0, 1].
    """
    found = read_map(path, name=name)
    with about(Path(path), part=f"the mask {name!r}"):
        if image is not None:
            check_grid(found.grid, image.original_grid)
        try:
            return SoftMask(name=name, values=found.values, source=str(path))
        except ValueError as error:
            raise ImageError(f"is no mask of probabilities: {error}") from None
