"""Eyes whose right answer is known, and models that were trained on them.

They serve to try methods and measures where the truth is certain. They are no substitute for
validation on photographs of patients.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from foveal.synthetic.card import anterior_card, grader_card, oct_card
from foveal.synthetic.cohort import cohort, front_cohort, oct_cohort
from foveal.synthetic.fundus import Eye, draw_fundus, fundus, render, without
from foveal.synthetic.oct import (
    OctEye,
    OctVolume,
    draw_oct,
    oct_volume,
    render_oct,
    without_oct,
)
from foveal.synthetic.slitlamp import FrontEye, draw_slitlamp, render_slitlamp, without_front

if TYPE_CHECKING:
    from foveal.synthetic.models import anterior_classifier, grader, oct_classifier

__all__ = [
    "Eye",
    "FrontEye",
    "OctEye",
    "OctVolume",
    "anterior_card",
    "anterior_classifier",
    "cohort",
    "draw_fundus",
    "draw_oct",
    "draw_slitlamp",
    "front_cohort",
    "fundus",
    "grader",
    "grader_card",
    "oct_card",
    "oct_classifier",
    "oct_cohort",
    "oct_volume",
    "render",
    "render_oct",
    "render_slitlamp",
    "without",
    "without_front",
    "without_oct",
]


def __getattr__(name: str) -> object:
    """Load torch only for the models."""
    if name in ("anterior_classifier", "grader", "oct_classifier"):
        return getattr(import_module("foveal.synthetic.models"), name)
    raise AttributeError(f"module 'foveal.synthetic' has no attribute {name!r}")
