"""Files become Images: reading, preparation that can be taken back, and regions."""

from foveal.images.preparation import (
    AbstractPreparation,
    AbstractWindow,
    CarriedRegion,
    FieldOfView,
    Resize,
    carry_region,
    find_field,
    map_to_original,
    map_to_prepared,
    mask_to_original,
    mask_to_prepared,
    points_to_original,
    points_to_prepared,
    prepare,
    register_step,
    revive,
)
from foveal.images.reading import MAX_PIXELS, read
from foveal.images.regions import find_regions, read_regions

__all__ = [
    "MAX_PIXELS",
    "AbstractPreparation",
    "AbstractWindow",
    "CarriedRegion",
    "FieldOfView",
    "Resize",
    "carry_region",
    "find_field",
    "find_regions",
    "map_to_original",
    "map_to_prepared",
    "mask_to_original",
    "mask_to_prepared",
    "points_to_original",
    "points_to_prepared",
    "prepare",
    "read",
    "read_regions",
    "register_step",
    "revive",
]
