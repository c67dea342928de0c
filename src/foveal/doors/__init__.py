"""What people call: the tensor door and the clinical door."""

from foveal.doors.attribute import Info, Maps, attribute

__all__ = ["Info", "Maps", "attribute"]
