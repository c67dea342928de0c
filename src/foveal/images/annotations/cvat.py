"""CVAT for images 1.1: one XML file for many pictures."""

from collections.abc import Sequence
from functools import partial
from xml.etree.ElementTree import Element

from foveal.core import ImageError
from foveal.images.annotations.marks import Mark, Picture
from foveal.images.annotations.runs import as_counts, mask_of_runs
from foveal.images.annotations.shapes import AbstractShape, Bits, Dots, Ellipse, Outline, box
from foveal.images.annotations.text import labelled, number, pairs, size_of

_SILENT = ("tag", "attribute")
"""What says something about the whole picture."""


def is_cvat(root: Element) -> bool:
    return root.tag == "annotations"


def read_cvat(root: Element) -> list[Picture]:
    """The pictures of an export; coordinates are x, y from the corner of the top left pixel.

    Raises:
        ImageError: An export of a video, or a picture without its name.
    """
    if root.find("track") is not None:
        raise ImageError("holds tracks of a video; export it as 'CVAT for images 1.1'")
    return [
        Picture(
            names=(labelled(image.get("name"), "a picture"),),
            grid=size_of(image.get("height"), image.get("width")),
            marks=partial(_marks, image),
            facts={"format": "CVAT"},
        )
        for image in root.iterfind("image")
    ]


def _marks(image: Element) -> list[Mark]:
    return [
        Mark(label=labelled(found.get("label"), f"a {found.tag}"), shape=_shape(found))
        for found in image
        if found.tag not in _SILENT
    ]


def _shape(found: Element) -> AbstractShape:
    def of(name: str) -> float:
        return number(found.get(name), name)

    turn = number(found.get("rotation", 0), "rotation")
    match found.tag:
        case "polygon":
            return Outline((pairs(_coordinates(found)),))
        case "box":
            return box(of("ytl"), of("xtl"), of("ybr"), of("xbr"), degrees=turn)
        case "ellipse":
            return Ellipse((of("cy"), of("cx")), (of("ry"), of("rx")), turn)
        case "points":
            return Dots(pairs(_coordinates(found)))
        case "mask":
            runs = as_counts(
                [int(number(n, "run length")) for n in found.get("rle", "").split(",")]
            )
            size = int(of("height")), int(of("width"))
            mask = mask_of_runs(runs, size, by_columns=False)
            return Bits(mask, int(of("top")), int(of("left")))
    raise ImageError(f"holds a {found.tag}, which encloses nothing; draw outlines, or remove it")


def _coordinates(found: Element) -> Sequence[float]:
    text = found.get("points", "").replace(";", ",")
    return [number(word, "coordinate") for word in text.split(",")]
