"""Labelbox: an export of version 2, one JSON object for each picture, with all of its graders."""

from collections.abc import Mapping
from functools import partial

from foveal.core import ImageError
from foveal.images.annotations.marks import Mark, Picture
from foveal.images.annotations.shapes import AbstractShape, Dots, Outline, box
from foveal.images.annotations.text import Json, entries, labelled, number, points, size_of, table


def is_labelbox(document: Json) -> bool:
    rows = document if isinstance(document, list) else [document]
    return bool(rows) and all(
        isinstance(r, dict) and {"data_row", "projects"} <= r.keys() for r in rows
    )


def read_labelbox(document: Json) -> list[Picture]:
    """The pictures of an export; coordinates are x, y from the corner of the top left pixel.

    Raises:
        ImageError: A file that does not have the parts that the format asks for.
    """
    pictures: list[Picture] = []
    for row in document if isinstance(document, list) else [document]:
        told = table(row["data_row"], "a picture")
        names = [told.get(name) for name in ("external_id", "global_key", "row_data")]
        sizes = table(row.get("media_attributes") or {}, "sizes")
        pictures.append(
            Picture(
                names=tuple(n for n in names if isinstance(n, str) and n),
                grid=size_of(sizes.get("height"), sizes.get("width")),
                marks=partial(_marks, table(row["projects"], "projects")),
                facts={"format": "Labelbox"},
            )
        )
    return pictures


def _marks(projects: Mapping[str, Json]) -> list[Mark]:
    """Every label of a picture is of one grader."""
    marks: list[Mark] = []
    for project in projects.values():
        for label in entries(table(project, "a project").get("labels", []), "labels"):
            details = table(table(label, "a label").get("label_details") or {}, "details")
            grader = details.get("created_by")
            drawn = table(label.get("annotations") or {}, "annotations").get("objects", [])
            marks += [
                Mark(
                    label=labelled(found.get("name"), "an object"),
                    shape=_shape(found),
                    grader=grader if isinstance(grader, str) and grader else None,
                )
                for found in (table(o, "an object") for o in entries(drawn, "objects"))
            ]
    return marks


def _shape(found: Mapping[str, Json]) -> AbstractShape:
    if "polygon" in found:
        return Outline((_points(found["polygon"]),))
    if "bounding_box" in found:
        told = table(found["bounding_box"], "a box")
        top, left, height, width = (
            number(told.get(side), side) for side in ("top", "left", "height", "width")
        )
        return box(top, left, top + height, left + width)
    if "point" in found:
        return Dots(_points([found["point"]]))
    if "mask" in found or "composite_mask" in found:
        raise ImageError(
            f"holds the mask of {found.get('name')!r} as an address on a server, and nothing is "
            "fetched; download the masks as PNG files and read these"
        )
    raise ImageError(
        f"holds a {found.get('annotation_kind', 'mark')} of {found.get('name')!r}, which encloses "
        "nothing; draw outlines, or remove it"
    )


def _points(told: Json):
    corners = [table(point, "a point") for point in entries(told, "points")]
    return points([c.get("x") for c in corners], [c.get("y") for c in corners], "points")
