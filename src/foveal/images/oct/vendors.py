"""Zeiss, Optovue and Bioptigen through oct-converter; Topcon beside it."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from foveal.core import ImageError, Laterality, Volume
from foveal.images.oct.foreign import about_foreign, needs_oct, pick
from foveal.images.oct.sections import (
    Scan,
    Section,
    Sections,
    assemble,
    check_volume,
    chosen,
)
from foveal.images.oct.topcon import read_topcon

_SIDES: dict[str, Laterality] = {"R": "right", "L": "left"}
_ZEISS_ROWS = 1024
_NUMBERS = 4
"""Bytes of an Optovue sample; no reader's sample takes more memory than that in its file."""

Reader = Callable[..., Volume]


def reader(path: Path, start: bytes) -> Reader | None:
    """Who reads a file: by its first bytes, and by its suffix where the format has no mark."""
    if start.startswith(b"FOCT"):
        return read_topcon
    match path.suffix.lower():
        case ".img":
            return read_zeiss
        case ".oct":
            return read_optovue if path.with_suffix(".txt").exists() else read_bioptigen
        case _:
            return None


def read_zeiss(
    path: Path, *, sections: Sections, series: int | None, max_pixels: int, sha256: str
) -> Volume:
    """A Cirrus cube as raw bytes; the size of a section comes from the file's name.

    Names hold it as in "512x128" (columns, sections); without it 1024 rows of 512 columns. Nothing
    in such a file gives its spacing.

    Raises:
        ImageError: oct-converter is missing, or the size does not fit the file.
    """
    with needs_oct("oct-converter"):
        from oct_converter.readers import IMG
    pick(["the only scan"], series)
    named = re.search(r"(\d{2,4})x(\d{1,4})", path.name)
    columns, count = (int(named[1]), int(named[2])) if named else (512, 0)
    size = path.stat().st_size
    rows = size // (columns * count) if columns * count else _ZEISS_ROWS
    count = count or size // (rows * columns)
    if rows * columns * count != size or not size:
        raise ImageError(
            f"has {size} bytes, which {count} sections of {columns} columns do not fill; keep the "
            "name that the instrument gave it"
        )
    check_volume(count, (rows, columns), max_pixels)
    with about_foreign("Zeiss .img"):
        found = IMG(path).read_oct_volume(rows=rows, cols=columns)
    return _volume(path, found, found.volume, "Zeiss IMG", 255, sections, sha256)


def read_optovue(
    path: Path, *, sections: Sections, series: int | None, max_pixels: int, sha256: str
) -> Volume:
    """An Optovue scan with its .txt beside it.

    Samples have no known white, so the brightest becomes white.

    Raises:
        ImageError: oct-converter is missing, or the file and its .txt do not fit.
    """
    with needs_oct("oct-converter"):
        from oct_converter.readers import POCT
    check_volume(1, (path.stat().st_size // _NUMBERS, 1), max_pixels)
    with about_foreign("Optovue .oct"):
        found = pick(POCT(path).read_oct_volume(), series)
        if not len(found.volume):
            raise ImageError("has a description without sections; export it again")
        white = float(max(np.max(section) for section in found.volume))
    return _volume(path, found, found.volume, "Optovue OCT", white, sections, sha256)


def read_bioptigen(
    path: Path, *, sections: Sections, series: int | None, max_pixels: int, sha256: str
) -> Volume:
    """A Bioptigen scan.

    Raises:
        ImageError: oct-converter is missing, or the file is damaged or of another kind.
    """
    with needs_oct("oct-converter"):
        from oct_converter.exceptions import InvalidOCTReaderError
        from oct_converter.readers import BOCT
    with about_foreign("Bioptigen .oct"):
        try:
            opened = BOCT(path)
        except InvalidOCTReaderError as error:
            raise ImageError(
                "is no Bioptigen scan; an Optovue one needs its .txt beside it"
            ) from error
        header = opened.header_structure.parse_file(path)
        promised = 2 * header.frames.value * header.scans.value * header.linelength.value
        if promised > path.stat().st_size:
            raise ImageError("is cut off: its header promises more than it holds")
        check_volume(1, (path.stat().st_size // 2, 1), max_pixels)
        found = pick(opened.read_oct_volume(), series)
    # The reader keeps A-scans as rows: depth runs down in a section.
    turned = [np.asarray(section).T for section in found.volume]
    return _volume(path, found, turned, "Bioptigen OCT", 65535, sections, sha256)


def _volume(
    path: Path,
    found: Any,
    planes: Sequence[Any] | np.ndarray,
    kind: str,
    white: float,
    sections: Sections,
    sha256: str,
) -> Volume:
    """The planes that a library has read, in the order in which it gives them."""
    chosen(sections, len(planes))

    def load(number: int) -> Section:
        plane = np.asarray(planes[number], np.float32)[np.newaxis]
        usable = np.where(np.isfinite(plane), plane, 0)
        return Section(pixels=(usable / np.float32(white or 1)).clip(0, 1))

    scan = Scan(
        count=len(planes),
        grid=(planes[0].shape[0], planes[0].shape[1]),
        laterality=_SIDES.get(str(found.laterality or ""), "unknown"),
        patient=str(found.patient_id) if found.patient_id else None,
        source=str(path),
        facts={"format": kind, "white": float(white), "spacing": "not in the file"},
    )
    return assemble(scan, load, sections=sections, sha256=sha256)
