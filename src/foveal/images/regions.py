"""Regions from files: one mask for each, or one picture with a label for each."""

import re
from collections.abc import Mapping
from glob import escape
from os import PathLike
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from foveal.core import Image, ImageError, Region
from foveal.images.content import about, identify
from foveal.images.masks import binary_mask, check_grid, labelled_masks
from foveal.images.names import region_name, split_stem
from foveal.images.photo import decode
from foveal.images.reading import MAX_PIXELS

_SUFFIXES = (".png", ".tif", ".tiff")


def read_regions(
    path: str | PathLike[str],
    *,
    image: Image | None = None,
    names: Mapping[str, str] | None = None,
    labels: Mapping[int, str | None] | None = None,
) -> list[Region]:
    """The regions of one photograph, on its original grid.

    Masks are named after their photograph and what they mark; the codes of the field are spelled
    out, so `IDRiD_01_MA.png` gives "microaneurysms". A mask has one value beside 0. An empty mask
    is a region without pixels.

    Args:
        path: A mask, a folder of masks, or a pattern such as `masks/{stem}_{region}.png`, where
            {stem} is the name of the image's file.
        image: The photograph. Masks must have its size, and of a folder only those named after it
            are read.
        names: What to call regions by their code, beyond or instead of the known ones.
        labels: What the values of a label image mean, `None` for background. 0 is background
            unless named.

    Raises:
        ImageError: No mask there, masks of several photographs, a file that is no mask, values
            without a label, or another size than the photograph's.
        ValueError: A pattern with {stem} without an image that was read from a file.
    """
    regions: list[Region] = []
    for code, file in _files(str(path), image):
        with about(file, part=f"the mask {code!r}"):
            for found, mask in _masks(file, code, image, labels).items():
                name, kind = region_name(found, names or {})
                name = name if labels is None else found
                if any(region.name == name for region in regions):
                    raise ImageError(f"is a second mask of {name!r}; read one at a time")
                regions.append(Region(name=name, mask=mask, kind=kind, source=str(file)))
    return regions


def find_regions(pattern: str, stem: str) -> dict[str, Path]:
    """The mask files of one photograph, by what the pattern's {region} stands for.

    Of "{stem}_{region}.png", the file "eye_1_2_MA.png" is of the photograph "eye_1_2" and not a
    region "2_MA" of "eye_1": a region that does not start with a digit and does not end in another
    known one, "hard_exudates" and "laser_scars", may hold what stands between the two.

    Args:
        pattern: A path with {region} once and {stem} anywhere; `*` and `?` match as in a shell.
        stem: The name of the photograph's file without its suffix.

    Raises:
        ImageError: Two files for one region.
        ValueError: A pattern without {region}.
    """
    if pattern.count("{region}") != 1:
        raise ValueError(f"a pattern of mask files needs {{region}} once, but is {pattern!r}")
    parts = _parts(pattern)
    matches = re.compile("".join(_in_expression(part, stem) for part in parts))
    found: dict[str, Path] = {}
    for file in files_of(pattern, stem):
        match = matches.fullmatch(file.as_posix())
        if match is None or _is_of_another(match["region"], pattern):
            continue
        if match["region"] in found:
            with about(file, part=f"the mask {match['region']!r}"):
                raise ImageError(
                    f"is a second mask of {match['region']!r}; make the pattern narrower"
                )
        found[match["region"]] = file
    return found


def files_of(pattern: str, stem: str) -> list[Path]:
    """The files that a pattern means for one photograph, in the order of their names."""
    whole = Path("".join(_in_shell(part, stem) for part in _parts(pattern)))
    return sorted(Path(whole.anchor).glob(str(whole.relative_to(whole.anchor))))


def _masks(
    file: Path, code: str, image: Image | None, labels: Mapping[int, str | None] | None
) -> dict[str, Bool[np.ndarray, "row column"]]:
    rows, columns = (1, 1) if image is None else image.original_grid
    limit = max(MAX_PIXELS, rows * columns)
    content = identify(file)
    if content == "DICOM":
        raise ImageError("is a DICOM file; masks are read from PNG and TIFF")
    raster = decode(file, content, frame=None, max_pixels=limit)
    if image is not None:
        check_grid((raster.samples.shape[0], raster.samples.shape[1]), image.original_grid)
    return {code: binary_mask(raster)} if labels is None else labelled_masks(raster, labels)


def _files(path: str, image: Image | None) -> list[tuple[str, Path]]:
    """The mask files, each with the code of its region."""
    stem = None if image is None or image.source is None else Path(image.source).stem
    if "{stem}" in path and stem is None:
        raise ValueError(f"{path!r} needs an image that was read from a file, to know its {{stem}}")
    if "{region}" in path:
        files = list(find_regions(path, stem or "").items())
    else:
        file = Path(path.replace("{stem}", stem or ""))
        files = _folder(file, stem) if file.is_dir() else [(_code(file, stem)[1], file)]
    if not files:
        with about(Path(path)):
            raise ImageError("there is no mask file of this photograph; check the name and folder")
    return files


def _folder(folder: Path, stem: str | None) -> list[tuple[str, Path]]:
    """The masks in a folder, which must be of one photograph."""
    files = [file for file in sorted(folder.iterdir()) if file.suffix.lower() in _SUFFIXES]
    found = [(*_code(file, stem), file) for file in files]
    if stem is not None:
        return [(code, file) for photograph, code, file in found if photograph in ("", stem)]
    count = len({photograph for photograph, _, _ in found})
    if count > 1:
        with about(folder):
            raise ImageError(
                f"holds masks of {count} photographs; pass image= to read those of one"
            )
    return [(code, file) for _, code, file in found]


def _code(file: Path, stem: str | None) -> tuple[str, str]:
    """The photograph and the region in a mask's name; a folder may name the region instead."""
    photograph, code = split_stem(file.stem)
    if stem is None or photograph == stem:
        return photograph, code
    if file.stem == stem:
        return stem, file.parent.name
    rest = file.stem.removeprefix(stem)
    # A known region ends the name: "eye_1_2_MA" is of "eye_1_2", not a "2_MA" of "eye_1".
    unknown = region_name(code, {})[1] == "unknown"
    follows = rest != file.stem and rest[0] in "_- ."
    return (stem, rest[1:]) if follows and unknown else (photograph, code)


def _is_of_another(code: str, pattern: str) -> bool:
    """Whether the first part of a region's code rather ends the name of another photograph."""
    between = re.search(r"{stem}([^/{}*?]+){region}", pattern)
    words = code.split(between[1]) if between else [code]
    ends = [" ".join(words[first:]) for first in range(len(words))]
    known = [region_name(end, {})[1] != "unknown" for end in ends]
    return len(words) > 1 and not known[0] and (any(known) or code[0].isdigit())


def _parts(pattern: str) -> list[str]:
    """What stands for something in a pattern, and what lies between."""
    return re.split(r"({stem}|{region}|[*?])", Path(pattern).as_posix())


def _in_shell(part: str, stem: str) -> str:
    if part in ("*", "?"):
        return part
    return {"{stem}": escape(stem), "{region}": "*"}.get(part, escape(part))


def _in_expression(part: str, stem: str) -> str:
    """The same, but stars stay within a folder, and the region is remembered."""
    wild = {"*": "[^/]*", "?": "[^/]", "{region}": "(?P<region>[^/]+?)", "{stem}": re.escape(stem)}
    return wild.get(part, re.escape(part))
