from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from foveal.core import Image, ImageError, Region
from foveal.images.preparation.chain import mask_to_prepared, points_to_prepared


@dataclass(frozen=True, kw_only=True)
class CarriedRegion:
    """A region on the prepared grid, and what was lost on the way.

    A prepared pixel belongs to the region when it is covered by at least half, so a lesion smaller
    than about one prepared pixel, or outside the crop, is lost; scores of what is left must say so.
    """

    region: Region
    """On the prepared grid."""
    lesions: int
    """Connected parts (touching corners count) of the region on the original grid."""
    lesions_lost: int
    """Parts of which no pixel lands in a pixel of the carried region."""
    area_kept: float | None
    """Share in [0, 1] of the region's original pixels that land in the carried region; `None` for
    an empty region."""


def carry_region(region: Region, image: Image) -> CarriedRegion:
    """A region of the original photograph on the grid of the prepared image.

    Raises:
        ImageError: The region is not on the image's original grid.
    """
    if region.grid != image.original_grid:
        raise ImageError(
            f"region {region.name!r} is {region.grid} (row, column), but the image was "
            f"{image.original_grid} before its steps; carry regions of the original grid"
        )
    carried = mask_to_prepared(region.mask, image.steps)
    lesions = np.zeros(region.grid, np.int32)
    ndimage.label(region.mask, structure=np.ones((3, 3)), output=lesions)
    count = int(lesions.max())
    pixels = np.argwhere(region.mask)
    landed = _holds(carried, points_to_prepared(pixels + 0.5, image.steps))
    kept = np.unique(lesions[tuple(pixels[landed].T)])
    return CarriedRegion(
        region=replace(region, mask=carried),
        lesions=count,
        lesions_lost=count - len(kept),
        area_kept=float(landed.mean()) if count else None,
    )


def _holds(
    mask: Bool[np.ndarray, "row column"], points: Float[np.ndarray, "point 2"]
) -> Bool[np.ndarray, " point"]:
    """Whether the pixel that a point lies in belongs to the mask; no pixel, no."""
    cells = np.floor(points).astype(int)
    inside = np.all((cells >= 0) & (cells < mask.shape), axis=1)
    held = np.zeros(len(points), bool)
    held[inside] = mask[tuple(cells[inside].T)]
    return held
