"""What people read: figures, a page and an audit file, made from the store alone."""

from foveal.report.audit import schema, write_audit
from foveal.report.colour import Scale, evidence, overlay, scale_of
from foveal.report.exhibits import Exhibit, Wall
from foveal.report.figures import case_figure, save_figure, write_figures
from foveal.report.gallery import GalleryFacts, write_gallery
from foveal.report.page import case_html, write_page

__all__ = [
    "Exhibit",
    "GalleryFacts",
    "Scale",
    "Wall",
    "case_figure",
    "case_html",
    "evidence",
    "overlay",
    "save_figure",
    "scale_of",
    "schema",
    "write_audit",
    "write_figures",
    "write_gallery",
    "write_page",
]
