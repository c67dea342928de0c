"""COCO: one JSON file for many pictures, with outlines, run lengths and boxes."""

from collections.abc import Mapping, Sequence
from functools import partial

from foveal.core import ImageError
from foveal.images.annotations.marks import Mark, Picture
from foveal.images.annotations.runs import as_counts, counts_of, mask_of_runs
from foveal.images.annotations.shapes import AbstractShape, Bits, Outline, box
from foveal.images.annotations.text import (
    Json,
    entries,
    labelled,
    number,
    numbers,
    pairs,
    size_of,
    table,
)


def is_coco(document: Json) -> bool:
    return isinstance(document, dict) and {"images", "annotations"} <= document.keys()


def read_coco(document: Json) -> list[Picture]:
    """The pictures of a COCO file; coordinates are x, y from the corner of the top left pixel.

    Raises:
        ImageError: A file that does not have the parts that the format asks for.
    """
    categories = {
        _key(found, "id"): labelled(found.get("name"), "a category")
        for found in (table(c, "a category") for c in entries(document.get("categories", []), "c"))
    }
    marks: dict[str, list[Mapping[str, Json]]] = {}
    for annotation in entries(document["annotations"], "annotations"):
        found = table(annotation, "an annotation")
        marks.setdefault(_key(found, "image_id"), []).append(found)
    return [
        Picture(
            names=(labelled(image.get("file_name"), "a picture"),),
            grid=size_of(image.get("height"), image.get("width")),
            marks=partial(_marks, marks.get(_key(image, "id"), []), categories),
            facts={"format": "COCO"},
        )
        for image in (table(i, "a picture") for i in entries(document["images"], "images"))
    ]


def _marks(annotations: Sequence[Mapping[str, Json]], categories: Mapping[str, str]) -> list[Mark]:
    return [
        Mark(label=_label(annotation, categories), shape=shape)
        for annotation in annotations
        for shape in _shapes(annotation)
    ]


def _label(annotation: Mapping[str, Json], categories: Mapping[str, str]) -> str:
    key = _key(annotation, "category_id")
    if key not in categories:
        known = ", ".join(f"{k}: {name}" for k, name in categories.items()) or "none"
        raise ImageError(f"marks the category {key}, which it does not name (it names {known})")
    return categories[key]


def _shapes(annotation: Mapping[str, Json]) -> list[AbstractShape]:
    """Outlines of one annotation are parts of one thing, so they are joined."""
    drawn = annotation.get("segmentation")
    if isinstance(drawn, dict):
        return [_runs(drawn)]
    if drawn:
        rings = [pairs(numbers(r, "an outline").tolist()) for r in entries(drawn, "outlines")]
        return [Outline((ring,)) for ring in rings]
    corner = numbers(annotation.get("bbox", []), "a box")
    if len(corner) != 4:
        raise ImageError(
            "holds an annotation without outline and box; draw it again, or remove it"
        ) from ImageError(f"its id is {str(annotation.get('id'))[:40]}")
    left, top, width, height = corner.tolist()
    return [box(top, left, top + height, left + width)]


def _runs(drawn: Mapping[str, Json]) -> Bits:
    size = [int(number(side, "size of a mask")) for side in entries(drawn.get("size"), "a size")]
    if len(size) != 2:
        raise ImageError("holds a mask without its height and width; export it again")
    counts = drawn.get("counts")
    runs = counts_of(counts) if isinstance(counts, str) else as_counts(entries(counts, "counts"))
    grid = size[0], size[1]
    return Bits(mask_of_runs(runs, grid, by_columns=True), of=grid)


def _key(found: Mapping[str, Json], name: str) -> str:
    """Ids are numbers mostly, and text sometimes."""
    if not isinstance(found.get(name), int | str):
        raise ImageError(f"holds an entry without {name}; export it again")
    return str(found[name])
