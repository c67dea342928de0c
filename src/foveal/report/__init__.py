"""What people read: figures, a page and an audit file, made from the store alone."""

from foveal.report.colour import Scale, evidence, overlay, scale_of
from foveal.report.figures import case_figure, save_figure, write_figures

__all__ = [
    "Scale",
    "case_figure",
    "evidence",
    "overlay",
    "save_figure",
    "scale_of",
    "write_figures",
]
