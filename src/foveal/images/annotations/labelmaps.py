"""ITK-SNAP and 3D Slicer: label images as NIfTI, NRRD and MetaImage."""

import re
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from foveal.core import Grid, Image, ImageError
from foveal.images.annotations.marks import Mark, Picture
from foveal.images.annotations.shapes import Bits
from foveal.images.masks import check_grid, check_named
from foveal.images.raster import check_size
from foveal.images.reading import MAX_PIXELS

Labels = Mapping[int, str | None]
_READERS = {"NIfTI": "NiftiImageIO", "NRRD": "NrrdImageIO", "MetaImage": "MetaImageIO"}
_ELSEWHERE = re.compile(rb"^(?:data ?file|elementdatafile)\s*[:=]\s*(\S[^\r\n]*)", re.I | re.M)
"""Where a header says that the values lie in another file."""
_MAX_SECTIONS = 2000
_DAMAGE = (RuntimeError, TypeError, ValueError, OverflowError, MemoryError, OSError)
"""What SimpleITK raises on damaged files."""


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
        ImageError: SimpleITK is not installed, the file is damaged or too large, its values lie in
            a file elsewhere, several sections, or values without a name.
    """
    _check_same_folder(path, kind)
    layers, told = _values(path, kind, image)
    segments = _segments(told)
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


def _values(
    path: Path, kind: str, image: Image | None
) -> tuple[Shaped[np.ndarray, "row column layer"], dict[str, str]]:
    itk = _itk()
    try:
        with tempfile.TemporaryDirectory() as folder:
            reader = itk.ImageFileReader()
            reader.SetFileName(str(_suffixed(path, kind, Path(folder))))
            reader.SetImageIO(_READERS[kind])
            reader.ReadImageInformation()
            told = {k: reader.GetMetaData(k) for k in reader.GetMetaDataKeys()}
            size, layers = (*reader.GetSize(), 1)[:3], reader.GetNumberOfComponents()
            if reader.GetDimension() > 3 or layers > 255 or size[2] > _MAX_SECTIONS:
                raise ImageError(f"holds {reader.GetSize()} values of {layers}; save one section")
            check_size(size[1], size[0] * layers, MAX_PIXELS)
            if reader.GetDimension() == 3:  # only the section is read, not the volume
                reader.SetExtractIndex((0, 0, _section(size[2], image)))
                reader.SetExtractSize((size[0], size[1], 1))
            values = itk.GetArrayFromImage(reader.Execute())
    except _DAMAGE as error:
        raise ImageError(
            f"starts like a {kind} file but cannot be read; it may be damaged, save it again"
        ) from error
    return values.reshape(size[1], size[0], layers), told


def _section(count: int, image: Image | None) -> int:
    """Which of several sections is the image, counted from 0."""
    if count == 1:
        return 0
    facts = {} if image is None else image.facts
    if facts.get("sections") != count:
        raise ImageError(
            f"holds {count} sections; pass as image= a section of the volume with as many, or save "
            "one section"
        )
    return int(facts["section"]) - 1


def _segments(told: Mapping[str, str]) -> list[tuple[int, int, str]]:
    """Layer, value and name of the segments of 3D Slicer."""
    found: list[tuple[int, int, str]] = []
    for key in sorted(told):
        match = re.fullmatch(r"Segment(\d+)_Name", key)
        if match:
            start = f"Segment{match[1]}_"
            layer, value = told.get(start + "Layer", "0"), told.get(start + "LabelValue", "1")
            if not (layer.isdecimal() and value.isdecimal()):
                raise ImageError(f"says that {told[key]!r} is the value {value} of layer {layer}")
            found.append((int(layer), int(value), told[key]))
    return found


def _named(
    layers: Shaped[np.ndarray, "row column layer"], code: str, labels: Labels | None
) -> list[tuple[int, int, str]]:
    if layers.shape[-1] != 1:
        raise ImageError(f"holds {layers.shape[-1]} values for each pixel and names none of them")
    values = [v for v in np.unique(layers).tolist() if v != 0]
    if any(v != int(v) for v in values[:3]):
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


def _check_same_folder(path: Path, kind: str) -> None:
    """Refuse headers whose values lie anywhere but in a file beside them.

    A header comes from a stranger, and could name any file of this machine.
    """
    if kind == "NIfTI":
        return
    with path.open("rb") as file:
        header = file.read(2**16).split(b"\n\n")[0]
    for match in _ELSEWHERE.finditer(header):
        name = match[1].strip().decode(errors="replace")
        if name.upper() == "LOCAL":
            return
        if name != Path(name).name or "\\" in name or "%" in name or name.split()[0] == "LIST":
            raise ImageError(
                f"keeps its values in {name!r}; only a single file beside it is read, save it as "
                "one file"
            )


def _suffixed(path: Path, kind: str, folder: Path) -> Path:
    """The file under a name by which ITK knows NIfTI; the other kinds need none."""
    if kind != "NIfTI" or path.name.endswith((".nii", ".nii.gz")):
        return path
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    link = folder / ("labels.nii.gz" if packed else "labels.nii")
    link.symlink_to(path.resolve())
    return link


def _itk() -> Any:
    try:
        import SimpleITK
    except ImportError as error:
        raise ImageError(
            "is a label image of ITK-SNAP or 3D Slicer; to read it: "
            "pip install 'foveal[annotations]'"
        ) from error
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    return SimpleITK
