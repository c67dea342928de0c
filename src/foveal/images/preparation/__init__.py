"""From the file's grid to the model's, step by step, and back."""

from foveal.images.preparation.carry import CarriedRegion, carry_region
from foveal.images.preparation.chain import (
    map_to_original,
    map_to_prepared,
    mask_to_original,
    mask_to_prepared,
    points_to_original,
    points_to_prepared,
    prepare,
    spacing_after,
)
from foveal.images.preparation.color import Color, color_reference
from foveal.images.preparation.denoise import Denoise, noise_level
from foveal.images.preparation.field import find_field
from foveal.images.preparation.field_of_view import FieldOfView
from foveal.images.preparation.flatten import Flatten
from foveal.images.preparation.flip import Flip, is_mirrored
from foveal.images.preparation.illumination import Illumination
from foveal.images.preparation.registry import register_step, revive
from foveal.images.preparation.resize import Resize
from foveal.images.preparation.retina import Retina, find_retina, find_retinas
from foveal.images.preparation.retina_band import RetinaBand
from foveal.images.preparation.retouch import AbstractRetouch
from foveal.images.preparation.scale import FieldSize, Spacing
from foveal.images.preparation.speckle import Speckle
from foveal.images.preparation.stages import Stage, stages
from foveal.images.preparation.step import AbstractPreparation
from foveal.images.preparation.window import AbstractWindow

__all__ = [
    "AbstractPreparation",
    "AbstractRetouch",
    "AbstractWindow",
    "CarriedRegion",
    "Color",
    "Denoise",
    "FieldOfView",
    "FieldSize",
    "Flatten",
    "Flip",
    "Illumination",
    "Resize",
    "Retina",
    "RetinaBand",
    "Spacing",
    "Speckle",
    "Stage",
    "carry_region",
    "color_reference",
    "find_field",
    "find_retina",
    "find_retinas",
    "is_mirrored",
    "map_to_original",
    "map_to_prepared",
    "mask_to_original",
    "mask_to_prepared",
    "noise_level",
    "points_to_original",
    "points_to_prepared",
    "prepare",
    "register_step",
    "revive",
    "spacing_after",
    "stages",
]
