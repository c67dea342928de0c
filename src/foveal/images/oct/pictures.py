"""Sections saved as pictures: a folder or a pattern, with the vendor's description where it is."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from foveal.core import Grid, Image, ImageError, Volume
from foveal.images.content import about, identify
from foveal.images.oct.heidelberg_xml import Described, Description, read_description
from foveal.images.oct.sections import (
    Scan,
    Section,
    Sections,
    assemble,
    check_volume,
    chosen,
    one_grey,
)
from foveal.images.photo import decode
from foveal.images.raster import display

_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}


def read_pictures(
    files: Sequence[Path], *, source: Path, sections: Sections, max_pixels: int
) -> Volume:
    """A scan from one picture per section.

    With a description (one .xml file beside the pictures, or beside their folder) the sections
    are matched to it by file name, or by the number in their names, and sorted by its places.
    Without one they are taken by the numbers in their names, and nothing is measured.

    Raises:
        ImageError: Pictures that the description does not know, differ in size, or cannot be read.
    """
    description = _beside(files[0])
    if description is None:
        return _read([*sorted(files, key=_natural)], None, source, sections, max_pixels)
    return _read_described(description, files, source, sections, max_pixels)


def read_export(path: Path, *, sections: Sections, max_pixels: int) -> Volume:
    """A scan from a vendor's description that names its pictures, which lie beside it.

    Raises:
        ImageError: Pictures that it does not name or that are not there.
    """
    description = read_description(path)
    files = []
    for section in description.sections:
        if section.file is None:
            raise ImageError(
                "does not name its pictures; name their folder or a pattern (bscans/*.png) instead"
            )
        files.append(path.parent / section.file)
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise ImageError(
            f"names {len(missing)} pictures that do not lie beside it (first {missing[0]}); copy "
            "the whole export"
        )
    return _read_described(description, files, path, sections, max_pixels)


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder, not deeper."""
    return [file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES]


def _read_described(
    description: Description,
    files: Sequence[Path],
    source: Path,
    sections: Sections,
    max_pixels: int,
) -> Volume:
    named = {section.file.lower(): section for section in description.sections if section.file}
    numbered = {section.number: section for section in description.sections}
    if len(numbered) < len(description.sections):
        raise ImageError("has a description that counts two sections by one number")
    matched: dict[int, Path] = {}
    for file in files:
        if named and file.name.lower() not in named:
            continue  # the localizer and thumbnails lie beside the sections
        found = named.get(file.name.lower()) or numbered.get(_number(file) or -1)
        if found is None:
            raise ImageError(
                f"has a picture {file.name} whose description knows no section of that name or "
                f"number (it counts {min(numbered)} to {max(numbered)}); rename it, or move the "
                "description away"
            )
        if found.number in matched:
            raise ImageError(f"has two pictures for section {found.number}: name one of them")
        matched[found.number] = file
    if not matched:
        raise ImageError("holds none of the pictures that its description names; copy them too")
    order = sorted(matched)
    return _read(
        [matched[number] for number in order],
        (description, [numbered[number] for number in order]),
        source,
        sections,
        max_pixels,
    )


def _read(
    files: list[Path],
    known: tuple[Description, list[Described]] | None,
    source: Path,
    sections: Sections,
    max_pixels: int,
) -> Volume:
    with about(files[0]):
        first = _decoded(files[0], max_pixels)
    grid = first.shape[1], first.shape[2]
    start, end = chosen(sections, len(files))
    check_volume(end - start, grid, max_pixels)
    scan = (
        _bare_scan(len(files), grid, source)
        if known is None
        else _scan(*known, grid, source, files[0].parent, max_pixels)
    )

    def load(number: int) -> Section:
        file = files[number]
        with about(file):
            pixels = first if number == 0 else _decoded(file, max_pixels)
        return Section(pixels=pixels, sha256=hashlib.sha256(file.read_bytes()).hexdigest())

    return assemble(scan, load, sections=sections)


def _bare_scan(count: int, grid: Grid, source: Path) -> Scan:
    facts = {"format": "pictures", "files_sorted": "by the numbers in their names"}
    return Scan(count=count, grid=grid, source=str(source), facts=facts)


def _scan(
    description: Description,
    known: list[Described],
    grid: Grid,
    source: Path,
    folder: Path,
    max_pixels: int,
) -> Scan:
    for section in known:
        if section.grid != grid:
            raise ImageError(
                f"is {grid} (row, column), but its description says {section.grid} of section "
                f"{section.number}; use the pictures as they were exported"
            )
    spacings = {section.spacing_mm for section in known}
    if len(spacings) > 1:
        raise ImageError("has sections of different pixel sizes; export one scan at a time")
    places = [section.place_mm for section in known]
    held = all(place is not None for place in places)
    names = dict.fromkeys(name for section in known for name in section.lines)
    unknown = np.full(grid[1], np.nan, np.float32)
    lines = {name: np.stack([s.lines.get(name, unknown) for s in known]) for name in names}
    return Scan(
        count=len(known),
        grid=grid,
        spacing_mm=spacings.pop(),
        places_mm=np.stack([p for p in places if p is not None]) if held else None,
        localizer=_localizer(description, folder, max_pixels),
        lines={name: line for name, line in lines.items() if np.isfinite(line).any()},
        laterality=description.laterality,
        patient=description.patient,
        visit=description.visit,
        source=str(source),
        facts={"format": "Heidelberg XML", "sections_described": len(description.sections)},
    )


def _localizer(description: Description, folder: Path, max_pixels: int) -> Image | None:
    described = description.localizer
    if described is None or described.file is None or not (folder / described.file).is_file():
        return None
    file = folder / described.file
    with about(file):
        pixels = _decoded(file, max_pixels)
    if pixels.shape[1:] != described.grid:
        raise ImageError(f"has a localizer of another size than its description says: {file.name}")
    return Image(
        pixels=pixels,
        spacing_mm=described.spacing_mm,
        modality="fundus",
        laterality=description.laterality,
        source=str(file),
    )


def _beside(picture: Path) -> Description | None:
    """The only .xml file in the folder of the pictures, or else in the one above."""
    for folder in (picture.parent, picture.parent.parent):
        found = [file for file in folder.iterdir() if file.suffix.lower() == ".xml"]
        if len(found) > 1:
            raise ImageError(f"has {len(found)} .xml files beside its pictures; leave one")
        if found:
            with about(found[0]):
                return read_description(found[0])
    return None


def _decoded(file: Path, max_pixels: int) -> Float[np.ndarray, "channel row column"]:
    pixels, _ = display(decode(file, identify(file), frame=None, max_pixels=max_pixels))
    return one_grey(pixels)


def _number(file: Path) -> int | None:
    """The last number in a file's name."""
    found = re.findall(r"\d+", file.stem)
    return int(found[-1][-9:]) if found else None


def _natural(file: Path) -> list[tuple[int, str]]:
    """B2 before B10."""
    return [
        (int(part[-15:]), "") if part.isdigit() else (-1, part)
        for part in re.split(r"(\d+)", file.stem)
    ]
