"""Heidelberg .vol: raw export of one scan with its localizer and layer lines.

Read here and not through a library: the layout is short, every size in it can be checked against
the file's own before memory is taken, and circle and radial scans are read too.

Reference:
    Heidelberg Engineering, Spectralis HRA+OCT, Special Function: Exporting Raw Data, rev. 4.0-1E.
"""

import struct
from datetime import date, timedelta
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from jaxtyping import Float

from foveal.core import Image, ImageError, Laterality, Volume
from foveal.images.oct.intensity import FOURTH_ROOT, fourth_root
from foveal.images.oct.sections import (
    Scan,
    Section,
    Sections,
    assemble,
    check_volume,
    chosen,
    positive,
)

_HEADER = struct.Struct("<12s3I3d2I2d12x4s8xI40x24s12x24sd")
_LOCALIZER_AT = 2048
_SECTION = struct.Struct("<12xI4d2I")
_SECTION_HEADER = 256
_LAYERS = (
    "ILM", "BM", "RNFL", "GCL", "IPL", "INL", "OPL", "ONL", "ELM", "IOS", "OPT", "CHO", "VIT",
    "ANT", "PR1", "PR2", "RPE",
)  # fmt: skip
_CIRCLE = 2
_SIDES: dict[bytes, Laterality] = {b"OD": "right", b"OS": "left"}
_EPOCH = date(1899, 12, 30)
"""Day 0 of the dates in the file."""


class _Header(NamedTuple):
    version: bytes
    columns: int
    number: int
    rows: int
    column_mm: float
    distance_mm: float
    row_mm: float
    localizer_columns: int
    localizer_rows: int
    localizer_column_mm: float
    localizer_row_mm: float
    eye: bytes
    pattern: int
    patient: bytes
    visit: bytes
    visit_day: float

    @property
    def first_section(self) -> int:
        return _LOCALIZER_AT + self.localizer_rows * self.localizer_columns

    @property
    def section_bytes(self) -> int:
        return 4 * self.rows * self.columns


class _SectionHeader(NamedTuple):
    at: int
    length: int
    start_column_mm: float
    start_row_mm: float
    end_column_mm: float
    end_row_mm: float
    lines: int
    lines_offset: int

    @property
    def place_mm(self) -> list[list[float]]:
        start = [self.start_row_mm, self.start_column_mm]
        return [start, [self.end_row_mm, self.end_column_mm]]


def read_vol(path: Path, *, sections: Sections, max_pixels: int, sha256: str) -> Volume:
    """A scan from a .vol file.

    Raises:
        ImageError: A file that is cut off, contradicts itself, or holds more pixels than allowed.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header = _Header(*_unpacked(file, _HEADER, 0))
        grid = header.rows, header.columns
        first, last = chosen(sections, header.number)
        check_volume(last - first, grid, max_pixels)
        check_volume(1, (header.localizer_rows, header.localizer_columns), max_pixels)
        if header.first_section + header.number * header.section_bytes > size:
            raise ImageError("is cut off: its header promises more than it holds; copy it again")
        headers = _sections(file, header)
        scan = _scan(path, file, header, headers)

        def load(number: int) -> Section:
            entry = headers[number]
            raw = _floats(file, entry.at + entry.length, header.rows * header.columns)
            return Section(pixels=fourth_root(raw.reshape(1, *grid)))

        return assemble(scan, load, sections=sections, sha256=sha256)


def _scan(path: Path, file: BinaryIO, header: _Header, headers: list[_SectionHeader]) -> Scan:
    row_mm, column_mm, distance = header.row_mm, header.column_mm, header.distance_mm
    circle = header.pattern == _CIRCLE  # it stores its centre where others store their end
    return Scan(
        count=header.number,
        grid=(header.rows, header.columns),
        spacing_mm=(row_mm, column_mm) if positive(row_mm, column_mm) else None,
        slice_spacing_mm=distance if header.number > 1 and positive(distance) else None,
        places_mm=None if circle else np.array([entry.place_mm for entry in headers]),
        localizer=_localizer(file, header),
        lines=_lines(file, header, headers),
        laterality=_SIDES.get(header.eye[:2], "unknown"),
        patient=_text(header.patient),
        visit=_text(header.visit) or _day(header.visit_day),
        source=str(path),
        facts={"format": "Heidelberg VOL", "scan_pattern": header.pattern, "display": FOURTH_ROOT},
    )


def _sections(file: BinaryIO, header: _Header) -> list[_SectionHeader]:
    at, headers = header.first_section, []
    for _ in range(header.number):
        entry = _SectionHeader(at, *_unpacked(file, _SECTION, at))
        if entry.length < _SECTION_HEADER:
            raise ImageError("has a section whose header is too short; it is damaged")
        headers.append(entry)
        at += entry.length + header.section_bytes
    return headers


def _lines(
    file: BinaryIO, header: _Header, headers: list[_SectionHeader]
) -> dict[str, Float[np.ndarray, "slice column"]]:
    columns = header.columns
    lines: dict[str, np.ndarray] = {}
    for section, entry in enumerate(headers):
        if entry.lines_offset + 4 * entry.lines * columns > entry.length:
            raise ImageError("has lines that reach into the next section; it is damaged")
        values = _floats(file, entry.at + entry.lines_offset, entry.lines * columns)
        for name, row in zip(_LAYERS, values.reshape(entry.lines, columns), strict=False):
            line = lines.setdefault(name, np.full((len(headers), columns), np.nan, np.float32))
            line[section] = as_line(row, header.rows)
    return {name: line for name, line in lines.items() if np.isfinite(line).any()}


def as_line(rows: Float[np.ndarray, " column"], limit: int) -> Float[np.ndarray, " column"]:
    """Vendors count from the centre of the first row; what lies outside is unknown."""
    known = np.isfinite(rows) & (rows >= 0) & (rows < limit)
    return np.where(known, np.where(known, rows, 0) + 0.5, np.nan).astype(np.float32)


def _localizer(file: BinaryIO, header: _Header) -> Image:
    rows, columns = header.localizer_rows, header.localizer_columns
    spacing = header.localizer_row_mm, header.localizer_column_mm
    file.seek(_LOCALIZER_AT)
    samples = np.frombuffer(file.read(rows * columns), np.uint8)
    return Image(
        pixels=samples.reshape(1, rows, columns).astype(np.float32) / 255,
        spacing_mm=spacing if positive(*spacing) else None,
        modality="fundus",
        laterality=_SIDES.get(header.eye[:2], "unknown"),
    )


def _unpacked(file: BinaryIO, layout: struct.Struct, at: int) -> tuple[Any, ...]:
    file.seek(at)
    data = file.read(layout.size)
    if len(data) < layout.size:
        raise ImageError("is cut off in its header; copy it again")
    return layout.unpack(data)


def _floats(file: BinaryIO, at: int, count: int) -> Float[np.ndarray, " value"]:
    file.seek(at)
    data = file.read(4 * count)
    if len(data) < 4 * count:
        raise ImageError("is cut off; copy it again")
    return np.frombuffer(data, "<f4")


def _text(field: bytes) -> str | None:
    text = field.split(b"\0")[0].decode("latin-1").strip()
    return text if text and text != "unknown" else None


def _day(number: float) -> str | None:
    """A date from days; years that no visit can have are no dates."""
    if not 0 < number < 100_000:
        return None
    return (_EPOCH + timedelta(days=int(number))).isoformat()
