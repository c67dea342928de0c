"""VGG Image Annotator 2 and 3: projects, and annotations exported as JSON or CSV."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from foveal.core import ImageError
from foveal.images.annotations.marks import Mark, Picture
from foveal.images.annotations.shapes import AbstractShape, Dots, Ellipse, Outline, box
from foveal.images.annotations.text import (
    Json,
    entries,
    labelled,
    number,
    numbers,
    pairs,
    parsed,
    points,
    table,
)

_NAMING = ("label", "name", "class", "type", "category", "lesion", "structure", "region")
"""Attributes that say what a region is, in the order in which they are looked for."""
_HEADER = "# CSV_HEADER = "
_ATTRIBUTES = "# ATTRIBUTE = "
_SHAPES_3 = {5: "line", 6: "polyline", 8: "box of four points", 9: "circle of three points"}
_FACTS = {"format": "VIA"}


def is_via(document: Json) -> bool:
    if not isinstance(document, dict) or not document:
        return False
    if "_via_img_metadata" in document or {"file", "view", "metadata"} <= document.keys():
        return True
    return all(
        isinstance(v, dict) and {"filename", "regions"} <= v.keys() for v in document.values()
    )


def read_via(document: Json) -> list[Picture]:
    """The pictures of a VIA file; coordinates are x, y from the corner of the top left pixel.

    Raises:
        ImageError: A file that does not have the parts that the format asks for.
    """
    if "view" in document and "_via_img_metadata" not in document:
        return _read_3(document)
    pictures = table(document.get("_via_img_metadata", document), "pictures").values()
    return [
        Picture(
            names=(labelled(found.get("filename"), "a picture"),),
            marks=partial(_marks_2, entries(found.get("regions", []), "regions")),
            facts=_FACTS,
        )
        for found in (table(picture, "a picture") for picture in pictures)
    ]


def is_via_csv(start: str) -> bool:
    first = start.lstrip("\ufeff#").lstrip()
    return first.startswith(("filename,", "Exported using VGG Image Annotator")) or (
        _HEADER in start and "spatial_coordinates" in start
    )


def read_via_csv(rows: Iterable[Sequence[str]]) -> list[Picture]:
    """The same from a table; the header of version 3 is a comment, and its fields hold JSON.

    Raises:
        ImageError: Columns that are missing, or fields that hold something else.
    """
    rows = list(rows)
    comments = [",".join(row) for row in rows if row and row[0].startswith("# ")]
    header = [line.removeprefix(_HEADER) for line in comments if line.startswith(_HEADER)]
    plain = [row for row in rows if row and not row[0].startswith("# ")]
    if header:
        return _from_table_3(header[0].split(","), plain, _attributes(comments))
    if not plain:
        raise ImageError("holds no row; export it again")
    return _from_table_2([name.lstrip("#") for name in plain[0]], plain[1:])


def _from_table_2(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[Picture]:
    regions: defaultdict[str, list[Json]] = defaultdict(list)
    for row in rows:
        found = dict(zip(header, row, strict=False))
        wanted = ("filename", "region_shape_attributes", "region_attributes")
        if not found.keys() >= set(wanted):
            raise ImageError(f"holds a row without the columns {', '.join(wanted)}")
        shape = parsed(found[wanted[1]], "a shape")
        own = regions[found["filename"]]
        if shape:  # a picture without regions has one row with an empty shape
            attributes = parsed(found[wanted[2]], "attributes")
            own.append({"shape_attributes": shape, "region_attributes": attributes})
    return [
        Picture(names=(name,), marks=partial(_marks_2, own), facts=_FACTS)
        for name, own in regions.items()
    ]


def _marks_2(regions: Sequence[Json]) -> list[Mark]:
    found = [table(region, "a region") for region in regions]
    told = [table(region.get("region_attributes") or {}, "attributes") for region in found]
    return [
        Mark(label=label, shape=shape)
        for region, attributes in zip(found, told, strict=True)
        for shape in _shapes_2(table(region.get("shape_attributes"), "a shape"))
        for label in _labels(attributes)
    ]


def _labels(attributes: Mapping[str, Json]) -> list[str]:
    """What a region is: of several checked boxes, all of them."""
    told = {name: value for name, value in attributes.items() if value not in ("", {}, None)}
    known = {name.lower(): value for name, value in told.items()}
    if len(told) > 1 and not known.keys() & set(_NAMING):
        raise ImageError(
            f"holds a region with the attributes {', '.join(told)}, and which of them names it "
            f"nobody knows; call that one {_NAMING[0]!r}"
        )
    chosen = [known[name] for name in _NAMING if name in known] or list(told.values()) or [""]
    if isinstance(chosen[0], dict):
        return [labelled(name, "a region") for name, set_ in chosen[0].items() if set_]
    return [labelled(chosen[0], "a region")]


def _shapes_2(told: Mapping[str, Json]) -> list[AbstractShape]:
    def of(name: str) -> float:
        return number(told.get(name), name)

    match told.get("name"):
        case "polygon":
            ring = points(told.get("all_points_x"), told.get("all_points_y"), "an outline")
            return [Outline((ring,))]
        case "rect":
            return [box(of("y"), of("x"), of("y") + of("height"), of("x") + of("width"))]
        case "circle":
            return [Ellipse((of("cy"), of("cx")), (of("r"), of("r")))]
        case "ellipse":
            # VIA turns by theta in radians, clockwise, since its y runs down.
            turn = number(told.get("theta", 0), "theta") * 57.29577951308232
            return [Ellipse((of("cy"), of("cx")), (of("ry"), of("rx")), turn)]
        case "point":
            return [Dots(points([told.get("cx")], [told.get("cy")], "a point"))]
        case other:
            raise ImageError(
                f"holds a {other}, which encloses nothing; draw outlines, or remove it"
            )


def _read_3(document: Mapping[str, Json]) -> list[Picture]:
    files = {
        str(key): labelled(table(file, "a file").get("fname"), "a file")
        for key, file in table(document["file"], "files").items()
    }
    shown = {
        str(key): [str(file) for file in entries(table(view, "a view").get("fid_list"), "files")]
        for key, view in table(document["view"], "views").items()
    }
    options = _options(table(document.get("attribute", {}), "attributes"))
    regions: defaultdict[str, list[tuple[Json, Json]]] = defaultdict(list)
    for region in table(document["metadata"], "regions").values():
        found = table(region, "a region")
        for file in shown.get(str(found.get("vid")), []):
            regions[file].append((found.get("xy"), found.get("av")))
    return [
        Picture(names=(name,), marks=partial(_marks_3, regions[key], options), facts=_FACTS)
        for key, name in files.items()
    ]


def _from_table_3(
    header: Sequence[str], rows: Iterable[Sequence[str]], options: Mapping[str, Mapping[str, str]]
) -> list[Picture]:
    regions: defaultdict[str, list[tuple[Json, Json]]] = defaultdict(list)
    for row in rows:
        found = dict(zip(header, row, strict=False))
        wanted = ("file_list", "spatial_coordinates", "metadata")
        if not found.keys() >= set(wanted):
            raise ImageError(f"holds a row without the columns {', '.join(wanted)}")
        files, shape, values = (parsed(found[name], f"the column {name}") for name in wanted)
        for file in entries(files, "files"):
            regions[labelled(file, "a file")].append((shape, values))
    return [
        Picture(names=(name,), marks=partial(_marks_3, own, options), facts=_FACTS)
        for name, own in regions.items()
    ]


def _marks_3(
    regions: Sequence[tuple[Json, Json]], options: Mapping[str, Mapping[str, str]]
) -> list[Mark]:
    marks: list[Mark] = []
    for shape, values in regions:
        xy = numbers(shape, "a shape").tolist()
        if not xy:  # it says something about the whole picture
            continue
        told = {
            name: options.get(key, {}).get(str(value), value)
            for key, value in table(values, "attributes").items()
            for name in [options.get(key, {}).get("", key)]
        }
        drawn = _shape_3(int(xy[0]), xy[1:])
        marks += [Mark(label=label, shape=drawn) for label in _labels(told)]
    return marks


def _shape_3(code: int, told: Sequence[float]) -> AbstractShape:
    """Version 3 writes a number for the shape, and its coordinates behind."""
    match code, list(told):
        case 1, [x, y]:
            return Dots(pairs([x, y]))
        case 2, [x, y, width, height]:
            return box(y, x, y + height, x + width)
        case 3, [x, y, radius]:
            return Ellipse((y, x), (radius, radius))
        case 4, [x, y, across, down]:
            return Ellipse((y, x), (down, across))
        case 7, [_, *_]:
            return Outline((pairs(told),))
    name = _SHAPES_3.get(code, f"shape {code}")
    raise ImageError(
        f"holds a {name} of {len(told)} numbers, which is not read; draw an outline, or remove it"
    )


def _attributes(comments: Sequence[str]) -> dict[str, dict[str, str]]:
    found = [line.removeprefix(_ATTRIBUTES) for line in comments if line.startswith(_ATTRIBUTES)]
    return _options(table(parsed(found[0], "attributes"), "attributes")) if found else {}


def _options(attributes: Mapping[str, Json]) -> dict[str, dict[str, str]]:
    """Of each attribute the words for its options, and under "" its own name."""
    return {
        str(key): {
            "": str(table(told, "an attribute").get("aname", key)),
            **{str(o): str(v) for o, v in table(told.get("options") or {}, "options").items()},
        }
        for key, told in attributes.items()
    }
