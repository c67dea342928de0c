"""What people call: the tensor door and the clinical door."""

from foveal.doors.attribute import Info, Maps, attribute
from foveal.doors.clinical import explain, measure
from foveal.doors.result import Reading, Result

__all__ = ["Info", "Maps", "Reading", "Result", "attribute", "explain", "measure"]
