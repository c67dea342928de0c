"""The field cut into squares, which coarse and fine maps can rank alike."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

_PER_SIDE = 32


@dataclass(frozen=True, kw_only=True, eq=False)
class Patches:
    """Squares aligned to the image's corner; only their own pixels in the field count."""

    number: Int[np.ndarray, "row column"]
    """Patch of each pixel; -1 outside the field."""
    sizes: Int[np.ndarray, " patch"]
    side: int

    @classmethod
    def over(cls, field: Bool[np.ndarray, "row column"], side: int | None) -> "Patches":
        """All patches that hold a pixel of the field; `patch_side` of the grid by default."""
        rows, columns = field.shape
        side = patch_side(field.shape) if side is None else side
        across = -(-columns // side)
        square = (np.arange(rows)[:, None] // side) * across + np.arange(columns) // side
        used, compact = np.unique(square[field], return_inverse=True)
        number = np.full(field.shape, -1)
        number[field] = compact
        return cls(number=number, sizes=np.bincount(compact, minlength=len(used)), side=side)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.sizes)

    def sum(self, values: Float[np.ndarray, "row column"]) -> Float[np.ndarray, " patch"]:
        """What each patch holds of a map."""
        inside = self.number >= 0
        return np.bincount(self.number[inside], values[inside], minlength=self.count)

    def mean(self, values: Float[np.ndarray, "row column"]) -> Float[np.ndarray, " patch"]:
        """The same for each pixel of the patch."""
        return self.sum(values) / self.sizes

    def pixels(self, patches: Int[np.ndarray, " chosen"]) -> Bool[np.ndarray, "row column"]:
        """The pixels of some patches, as a mask."""
        chosen = np.zeros(self.count + 1, bool)  # the last entry stands for outside, number -1
        chosen[patches] = True
        return chosen[self.number]


def patch_side(shape: tuple[int, ...]) -> int:
    """A 32nd of the image's larger side: 16 px at 512."""
    return max(1, round(max(shape) / _PER_SIDE))
