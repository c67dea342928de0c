"""What is where in an eye: from masks, from a plugged-in model, or by its looks."""

from foveal.images.anatomy.anterior import AnteriorModel, anterior_regions
from foveal.images.anatomy.finding import LandmarkModel, landmarks_of
from foveal.images.anatomy.grids import (
    clock_hours,
    etdrs_grid,
    is_grid_field,
    macular_zones,
    quadrants,
    rim_sectors,
)
from foveal.images.anatomy.landmarks import Landmarks, Place
from foveal.images.anatomy.parts import ANATOMY, Anatomy, AnatomyPart, anatomy_of, strange_parts
from foveal.images.anatomy.structure import Structure
from foveal.images.anatomy.vessels import VesselModel, vessels_of

__all__ = [
    "ANATOMY",
    "Anatomy",
    "AnatomyPart",
    "AnteriorModel",
    "LandmarkModel",
    "Landmarks",
    "Place",
    "Structure",
    "VesselModel",
    "anatomy_of",
    "anterior_regions",
    "clock_hours",
    "etdrs_grid",
    "is_grid_field",
    "landmarks_of",
    "macular_zones",
    "quadrants",
    "rim_sectors",
    "strange_parts",
    "vessels_of",
]
