"""ITK-SNAP and 3D Slicer: label images as NIfTI, NRRD and MetaImage."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from foveal.core import Grid, Image, ImageError
from foveal.images.annotations.marks import Mark, Picture
from foveal.images.annotations.shapes import Bits
from foveal.images.annotations.stored import read_stored
from foveal.images.masks import check_grid, check_named

Labels = Mapping[int, str | None]


def read_label_image(
    path: Path, kind: str, *, code: str, image: Image | None, labels: Labels | None
) -> list[Picture]:
    """The one picture of a label image; axes are taken as they are stored: columns, rows, sections.

    Its segments' names are used where it has them. Of several sections the image's own one is
    taken, where the image is a section of a volume with as many.

    Args:
        path: The file.
        kind: "NIfTI", "NRRD" or "MetaImage".
        code: What its one value marks, where neither it nor `labels` says.
        image: The picture that it is of.
        labels: What its values mean.

    Raises:
        ImageError: A file that is damaged or too large, whose values lie elsewhere, of several
            sections, or of values without a name.
    """
    stored = read_stored(path, kind, partial(_section, image=image))
    layers, told = stored.values, stored.told
    segments = _segments(told, layers.shape[-1])
    grid = size = layers.shape[0], layers.shape[1]
    if segments and image is not None:
        size = image.original_grid  # 3D Slicer cuts segmentations to what is in them
    return [
        Picture(
            grid=size,
            marks=partial(
                _marks,
                layers,
                segments or _named(layers, code, labels),
                _place(told, grid, size),
                exact=labels is not None and not segments,
            ),
            facts={"format": kind},
        )
    ]


def _marks(
    layers: Shaped[np.ndarray, "row column layer"],
    names: Sequence[tuple[int, int, str]],
    place: tuple[int, int],
    *,
    exact: bool,
) -> list[Mark]:
    return [
        Mark(
            label=name,
            shape=Bits(np.asarray(layers[..., layer] == value), *place),
            exact=exact,
        )
        for layer, value, name in names
    ]


def _section(count: int, *, image: Image | None) -> int:
    """Which of several sections is the image, counted from 0."""
    if count == 1:
        return 0
    facts = {} if image is None else image.facts
    if facts.get("sections") != count or not 1 <= int(facts.get("section", 0)) <= count:
        raise ImageError(
            f"holds {count} sections; pass as image= a section of the volume with as many, or save "
            "one section"
        )
    return int(facts["section"]) - 1


def _segments(told: Mapping[str, str], layers: int) -> list[tuple[int, int, str]]:
    """Layer, value and name of the segments of 3D Slicer."""
    found: list[tuple[int, int, str]] = []
    for key in sorted(told):
        match = re.fullmatch(r"Segment(\d+)_Name", key)
        if match:
            start = f"Segment{match[1]}_"
            layer, value = told.get(start + "Layer", "0"), told.get(start + "LabelValue", "1")
            if not (layer.isdecimal() and value.isdecimal() and int(layer) < layers):
                raise ImageError(f"says that {told[key]!r} is the value {value} of layer {layer}")
            found.append((int(layer), int(value), told[key]))
    return found


def _named(
    layers: Shaped[np.ndarray, "row column layer"], code: str, labels: Labels | None
) -> list[tuple[int, int, str]]:
    if layers.shape[-1] != 1:
        raise ImageError(f"holds {layers.shape[-1]} values for each pixel and names none of them")
    values = [v for v in np.unique(layers).tolist() if v != 0]
    if not all(float(v).is_integer() for v in values):
        raise ImageError("holds fractions; read probabilities with threshold=0.5")
    if labels is not None:
        check_named(np.array(values), labels)
        return [(0, value, name) for value, name in labels.items() if name is not None]
    if len(values) > 1:
        shown = ", ".join(f"{value:g}" for value in values[:6])
        raise ImageError(f"holds the values {shown}; say what they mean with labels=")
    return [(0, int(value), code) for value in values or [1]]


def _place(told: Mapping[str, str], grid: Grid, size: Grid) -> tuple[int, int]:
    """Where the corner of a segmentation lies that 3D Slicer has cut to its segments.

    One without any pixel is written as a single one.
    """
    words = told.get("Segmentation_ReferenceImageExtentOffset", "").split()
    if grid == (1, 1) or grid == size:
        return 0, 0
    if len(words) != 3 or not all(re.fullmatch(r"-?\d{1,6}", word) for word in words):
        check_grid(grid, size)
        return 0, 0
    return int(words[1]), int(words[0])
