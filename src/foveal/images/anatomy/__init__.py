"""What is where in an eye: from masks, from a plugged-in model, or by its looks."""

from foveal.images.anatomy.finding import LandmarkModel, landmarks_of
from foveal.images.anatomy.landmarks import Landmarks, Place

__all__ = ["LandmarkModel", "Landmarks", "Place", "landmarks_of"]
