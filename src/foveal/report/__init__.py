"""What people read: figures, a page and an audit file, made from the store alone."""

from foveal.report.audit import schema, write_audit
from foveal.report.colour import Scale, evidence, overlay, scale_of
from foveal.report.exhibits import Exhibit, Wall
from foveal.report.figures import case_figure, save_figure, write_figures
from foveal.report.gallery import GalleryFacts, write_gallery
from foveal.report.manifest import Verification, verify, write_manifest
from foveal.report.page import case_html, write_page
from foveal.report.pdf import write_pdf
from foveal.report.proof import Proof, proof_of
from foveal.report.results import write_results

__all__ = [
    "Exhibit",
    "GalleryFacts",
    "Proof",
    "Scale",
    "Verification",
    "Wall",
    "case_figure",
    "case_html",
    "evidence",
    "overlay",
    "proof_of",
    "save_figure",
    "scale_of",
    "schema",
    "verify",
    "write_audit",
    "write_figures",
    "write_gallery",
    "write_manifest",
    "write_page",
    "write_pdf",
    "write_results",
]
