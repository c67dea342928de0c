"""The nouns, the interface of a preparation step, and the errors. NumPy only."""

from foveal.core.attribution import Attribution
from foveal.core.errors import (
    FovealError,
    FovealWarning,
    ImageError,
    ModelError,
    PlanError,
    StoreError,
)
from foveal.core.finding import FINDINGS, Evidence, Finding
from foveal.core.image import Image, Laterality, Modality, Region
from foveal.core.prediction import Prediction
from foveal.core.score import REASONS, Direction, Score
from foveal.core.step import AbstractStep, Grid
from foveal.core.target import PixelSet, ScoreMode, Target
from foveal.core.volume import Volume

__all__ = [
    "FINDINGS",
    "REASONS",
    "AbstractStep",
    "Attribution",
    "Direction",
    "Evidence",
    "Finding",
    "FovealError",
    "FovealWarning",
    "Grid",
    "Image",
    "ImageError",
    "Laterality",
    "Modality",
    "ModelError",
    "PixelSet",
    "PlanError",
    "Prediction",
    "Region",
    "Score",
    "ScoreMode",
    "StoreError",
    "Target",
    "Volume",
]
