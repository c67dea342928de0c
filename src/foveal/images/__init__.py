"""Files become Images: reading, preparation that can be taken back, and regions."""

from foveal.images.carried_maps import CarriedMap, MapGrid, carry_map
from foveal.images.map_files import GivenMap, find_map, map_from_array, read_map
from foveal.images.preparation import (
    AbstractPreparation,
    AbstractRetouch,
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
    "AbstractRetouch",
    "AbstractWindow",
    "CarriedMap",
    "CarriedRegion",
    "FieldOfView",
    "GivenMap",
    "MapGrid",
    "Resize",
    "carry_map",
    "carry_region",
    "find_field",
    "find_map",
    "find_regions",
    "map_from_array",
    "map_to_original",
    "map_to_prepared",
    "mask_to_original",
    "mask_to_prepared",
    "points_to_original",
    "points_to_prepared",
    "prepare",
    "read",
    "read_map",
    "read_regions",
    "register_step",
    "revive",
]
