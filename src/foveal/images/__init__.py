"""Files become Images: reading, preparation that can be taken back, and regions."""

from importlib import import_module
from typing import TYPE_CHECKING

from foveal.images.anatomy import (
    Landmarks,
    Place,
    Structure,
    anterior_regions,
    clock_hours,
    etdrs_grid,
    landmarks_of,
    macular_zones,
    quadrants,
    rim_sectors,
    vessels_of,
)
from foveal.images.annotations import (
    Consensus,
    Method,
    PairAgreement,
    SoftMask,
    consensus_of,
    read_labels,
    read_soft_mask,
)
from foveal.images.carried_maps import CarriedMap, MapGrid, carry_map
from foveal.images.changes import Change, change_map
from foveal.images.deidentification import Deidentified, burned_in_text, deidentify
from foveal.images.luminance import intensity_cv, luminance
from foveal.images.map_files import GivenMap, find_map, map_from_array, read_map
from foveal.images.motion import RigidMotion, carry_to_first, register
from foveal.images.oct.lines import drusen, layer_regions, line_on_grid, lines_from_mask
from foveal.images.oct.reading import MAX_VOLUME_PIXELS, read_volume
from foveal.images.patterns import check_pattern, find_regions, region_files
from foveal.images.preparation import (
    AbstractPreparation,
    AbstractRetouch,
    AbstractWindow,
    CarriedRegion,
    Color,
    Denoise,
    FieldOfView,
    FieldSize,
    Flatten,
    Flip,
    Illumination,
    Resize,
    Retina,
    RetinaBand,
    Spacing,
    Speckle,
    Stage,
    carry_region,
    color_reference,
    find_field,
    find_retina,
    find_retinas,
    is_mirrored,
    map_to_original,
    map_to_prepared,
    mask_to_original,
    mask_to_prepared,
    noise_level,
    points_to_original,
    points_to_prepared,
    prepare,
    register_step,
    revive,
    stages,
)
from foveal.images.reading import MAX_PIXELS, read
from foveal.images.regions import has_regions, read_regions
from foveal.images.volume_cuts import cross_section, prepare_volume, resampled
from foveal.images.volume_sizes import (
    Measured,
    area_mm2,
    distance_um,
    en_face_area_mm2,
    thickness_um,
    volume_mm3,
)
from foveal.images.volumes import SectionSummary, band_between, en_face, per_section

if TYPE_CHECKING:
    from foveal.images.dicom_export import DicomFile, dicom_files

__all__ = [
    "MAX_PIXELS",
    "MAX_VOLUME_PIXELS",
    "AbstractPreparation",
    "AbstractRetouch",
    "AbstractWindow",
    "CarriedMap",
    "CarriedRegion",
    "Change",
    "Color",
    "Consensus",
    "Deidentified",
    "Denoise",
    "DicomFile",
    "FieldOfView",
    "FieldSize",
    "Flatten",
    "Flip",
    "GivenMap",
    "Illumination",
    "Landmarks",
    "MapGrid",
    "Measured",
    "Method",
    "PairAgreement",
    "Place",
    "Resize",
    "Retina",
    "RetinaBand",
    "RigidMotion",
    "SectionSummary",
    "SoftMask",
    "Spacing",
    "Speckle",
    "Stage",
    "Structure",
    "anterior_regions",
    "area_mm2",
    "band_between",
    "burned_in_text",
    "carry_map",
    "carry_region",
    "carry_to_first",
    "change_map",
    "check_pattern",
    "clock_hours",
    "color_reference",
    "consensus_of",
    "cross_section",
    "deidentify",
    "dicom_files",
    "distance_um",
    "drusen",
    "en_face",
    "en_face_area_mm2",
    "etdrs_grid",
    "find_field",
    "find_map",
    "find_regions",
    "find_retina",
    "find_retinas",
    "has_regions",
    "intensity_cv",
    "is_mirrored",
    "landmarks_of",
    "layer_regions",
    "line_on_grid",
    "lines_from_mask",
    "luminance",
    "macular_zones",
    "map_from_array",
    "map_to_original",
    "map_to_prepared",
    "mask_to_original",
    "mask_to_prepared",
    "noise_level",
    "per_section",
    "points_to_original",
    "points_to_prepared",
    "prepare",
    "prepare_volume",
    "quadrants",
    "read",
    "read_labels",
    "read_map",
    "read_regions",
    "read_soft_mask",
    "read_volume",
    "region_files",
    "register",
    "register_step",
    "resampled",
    "revive",
    "rim_sectors",
    "stages",
    "thickness_um",
    "vessels_of",
    "volume_mm3",
]


def __getattr__(name: str) -> object:
    """Load pydicom, which is slow to import, only for those who list an export."""
    if name in ("DicomFile", "dicom_files"):
        return getattr(import_module("foveal.images.dicom_export"), name)
    raise AttributeError(f"module 'foveal.images' has no attribute {name!r}")
