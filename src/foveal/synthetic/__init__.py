"""Eyes whose right answer is known, and a grader that was trained on them.

They serve to try methods and measures where the truth is certain. They are no substitute for
validation on photographs of patients.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from foveal.synthetic.card import grader_card
from foveal.synthetic.cohort import cohort
from foveal.synthetic.fundus import Eye, draw_fundus, fundus, render, without
from foveal.synthetic.slitlamp import FrontEye, draw_slitlamp, render_slitlamp, without_front

if TYPE_CHECKING:
    from foveal.synthetic.models import grader

__all__ = [
    "Eye",
    "FrontEye",
    "cohort",
    "draw_fundus",
    "draw_slitlamp",
    "fundus",
    "grader",
    "grader_card",
    "render",
    "render_slitlamp",
    "without",
    "without_front",
]


def __getattr__(name: str) -> object:
    """Load torch only for the grader."""
    if name == "grader":
        return import_module("foveal.synthetic.models").grader
    raise AttributeError(f"module 'foveal.synthetic' has no attribute {name!r}")
