"""What people call: the tensor door and the clinical door."""

from foveal.doors.attribute import attribute
from foveal.doors.clinical import diagnose, explain, measure
from foveal.doors.maps import Info, Maps
from foveal.doors.result import Reading, Result
from foveal.doors.series import SeriesResult, explain_series
from foveal.doors.several import SeveralMaps
from foveal.doors.volumes import VolumeMap, VolumeResult, explain_volume
from foveal.report.series import SeriesMap

__all__ = [
    "Info",
    "Maps",
    "Reading",
    "Result",
    "SeriesMap",
    "SeriesResult",
    "SeveralMaps",
    "VolumeMap",
    "VolumeResult",
    "attribute",
    "diagnose",
    "explain",
    "explain_series",
    "explain_volume",
    "measure",
]
