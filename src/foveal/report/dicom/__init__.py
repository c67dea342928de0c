"""DICOM out: maps, segments and numbers as objects that refer to the hospital's own.

`export` writes the objects of a run, `write_objects` those of maps that come from elsewhere.
"""

from foveal.report.dicom.carrying import Choice
from foveal.report.dicom.exporting import Exported, export, export_cases, write_objects
from foveal.report.dicom.shown import Explanation, Shown
from foveal.report.dicom.source import IdentityOption, Source, source_of

__all__ = [
    "Choice",
    "Explanation",
    "Exported",
    "IdentityOption",
    "Shown",
    "Source",
    "export",
    "export_cases",
    "source_of",
    "write_objects",
]
