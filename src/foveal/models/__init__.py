"""Anything that predicts: the model card, its loaders, its targets and its layers."""

from foveal.models.card import Card
from foveal.models.ensemble import Ensemble
from foveal.models.inspect import Description, LayerRow, describe
from foveal.models.layers import LayerChoice
from foveal.models.load import load
from foveal.models.model import Model

__all__ = [
    "Card",
    "Description",
    "Ensemble",
    "LayerChoice",
    "LayerRow",
    "Model",
    "describe",
    "load",
]
