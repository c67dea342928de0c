"""ASAP: an XML file with the annotations of one picture, and groups of them."""

from functools import partial
from xml.etree.ElementTree import Element

from foveal.core import ImageError
from foveal.images.annotations.marks import Mark, Picture
from foveal.images.annotations.shapes import AbstractShape, Dots, Outline
from foveal.images.annotations.text import labelled, number, points


def is_asap(root: Element) -> bool:
    return root.tag == "ASAP_Annotations"


def read_asap(root: Element) -> list[Picture]:
    """Its one picture; X and Y are from the corner of the top left pixel, at full resolution."""
    return [Picture(marks=partial(_marks, root), facts={"format": "ASAP"})]


def _marks(root: Element) -> list[Mark]:
    """A group names what belongs to it; without one, the annotation's own name does."""
    marks: list[Mark] = []
    for found in root.iterfind("Annotations/Annotation"):
        group = found.get("PartOfGroup", "None")
        name = found.get("Name") if group in ("", "None") else group
        marks.append(Mark(label=labelled(name, "an annotation"), shape=_shape(found)))
    return marks


def _shape(found: Element) -> AbstractShape:
    corners = sorted(
        found.iterfind("Coordinates/Coordinate"), key=lambda c: number(c.get("Order"), "Order")
    )
    ring = points([c.get("X") for c in corners], [c.get("Y") for c in corners], "an outline")
    match found.get("Type"):
        case "Polygon":
            return Outline((ring,))
        case "Rectangle":
            return Outline((ring,), "box")
        case "Dot" | "PointSet":
            return Dots(ring)
        case other:
            raise ImageError(
                f"holds a {other} called {found.get('Name')!r}, which is not read; draw it as a "
                "polygon, or remove it"
            )
