"""How good an image is: numbers with their usual ranges, and a gate."""

from foveal.images.quality.gate import Gate, Limits, check_limits, gate
from foveal.images.quality.numbers import QualityModel, quality
from foveal.images.quality.record import MEANINGS, Quality, Usual, usual_of

__all__ = [
    "MEANINGS",
    "Gate",
    "Limits",
    "Quality",
    "QualityModel",
    "Usual",
    "check_limits",
    "gate",
    "quality",
    "usual_of",
]
