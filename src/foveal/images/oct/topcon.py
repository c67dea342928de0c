"""Topcon .fda and .fds: named chunks, one after the other.

Read here and not through oct-converter, whose 0.7 calls what NumPy 2.3 removed; its definitions of
the chunks check this reader in the tests.

Reference:
    The uocte project's description of the format (bitbucket.org/uocte/uocte/wiki).
"""

import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image as PillowImage

from foveal.core import ImageError, Laterality, Volume
from foveal.images.oct.foreign import pick
from foveal.images.oct.heidelberg_vol import as_line
from foveal.images.oct.sections import (
    Scan,
    Section,
    Sections,
    assemble,
    check_volume,
    chosen,
    positive,
)
from foveal.images.photo import DAMAGE

_HEADER_BYTES = 15
_MAX_CHUNKS = 1000
_LAYERS = {
    "MULTILAYERS_1": "ILM", "MULTILAYERS_2": "RNFL", "MULTILAYERS_3": "GCL",
    "MULTILAYERS_4": "IPL", "MULTILAYERS_5": "IS/OS", "MULTILAYERS_6": "RPE",
    "MULTILAYERS_7": "BM", "MULTILAYERS_8": "INL", "MULTILAYERS_9": "ELM",
    "MULTILAYERS_10": "CSI",
}  # fmt: skip
"""Lower boundary of the layer named; IS/OS is where the ellipsoid zone begins."""
_SIDES: dict[int, Laterality] = {0: "right", 1: "left"}
_RASTER = 2
"""Scan mode of a volume; radial scans (3) and crosses (4) have no distance between sections."""

Chunks = dict[str, list[tuple[int, int]]]
"""Where each chunk's content begins, and how long it is."""


def read_topcon(
    path: Path, *, sections: Sections, series: int | None, max_pixels: int, sha256: str
) -> Volume:
    """A scan from a Topcon file.

    The file gives the length of the scan across its sections and no places, so the sections keep
    the order of the file.

    Raises:
        ImageError: A damaged file, or a variant without known pixels.
    """
    pick(["the only scan"], series)
    with path.open("rb") as file:
        chunks = _chunks(file, path.stat().st_size)
        mode, columns, rows, count, load = _pixels(file, chunks)
        first, last = chosen(sections, count)
        check_volume(last - first, (rows, columns), max_pixels)
        scan = _scan(path, file, chunks, (mode, columns, rows, count))
        return assemble(scan, load, sections=sections, sha256=sha256)


def _scan(path: Path, file: BinaryIO, chunks: Chunks, header: tuple[int, int, int, int]) -> Scan:
    mode, columns, rows, count = header
    across_mm, along_mm, axial_um = _extent(file, chunks)
    patient = _content(file, chunks, "@PATIENT_INFO_02")[:32]
    return Scan(
        count=count,
        grid=(rows, columns),
        spacing_mm=(axial_um / 1000, along_mm / columns) if positive(axial_um, along_mm) else None,
        slice_spacing_mm=(
            across_mm / count if mode == _RASTER and count > 1 and positive(across_mm) else None
        ),
        lines=_lines(file, chunks, header),
        laterality=_laterality(file, chunks),
        patient=patient.split(b"\0")[0].decode("latin-1").strip() or None,
        source=str(path),
        facts={"format": "Topcon", "scan_mode": mode},
    )


def _pixels(file: BinaryIO, chunks: Chunks) -> tuple[int, int, int, int, Callable[[int], Section]]:
    """Scan mode, columns, rows, sections, and how to read one."""
    if "@IMG_JPEG" in chunks:
        at, _ = chunks["@IMG_JPEG"][0]
        mode, _, _, columns, rows, count, _ = _unpacked(file, at, "<B6I")
        return mode, columns, rows, count, _compressed(file, at + 25, count)
    for name, layout, length in (
        ("@IMG_SCAN_03", "<B4IBI", 22),
        ("@IMG_MOT_COMP_03", "<B4IBI", 22),
        ("@IMG_SCAN_02", "<B4IdBI", 30),
    ):
        if name in chunks:
            at, size = chunks[name][0]
            mode, columns, rows, _, count, *_ = _unpacked(file, at, layout)
            if length + 2 * columns * rows * count > size:
                raise ImageError("is cut off: it promises more sections than it holds")
            return mode, columns, rows, count, _raw(file, at + length, rows, columns)
    raise ImageError("is a Topcon file without a scan that is known here; export it as DICOM")


def _compressed(file: BinaryIO, at: int, count: int) -> Callable[[int], Section]:
    """Sections as JPEG 2000 pictures, each behind its length."""
    starts = []
    for _ in range(count):
        (length,) = _unpacked(file, at, "<I")
        starts.append((at + 4, length))
        at += 4 + length

    def load(number: int) -> Section:
        start, length = starts[number]
        file.seek(start)
        try:
            with PillowImage.open(BytesIO(file.read(length)), formats=["JPEG2000"]) as picture:
                samples = np.asarray(picture)
        except DAMAGE as error:
            raise ImageError(f"has a section {number + 1} that cannot be decoded") from error
        if samples.ndim != 2 or samples.dtype.kind not in "ui":
            raise ImageError(f"has a section {number + 1} that is not grey")
        white = 255 if samples.dtype == np.uint8 else 65535
        return Section(pixels=(samples[np.newaxis] / np.float32(white)).clip(0, 1))

    return load


def _raw(file: BinaryIO, at: int, rows: int, columns: int) -> Callable[[int], Section]:
    def load(number: int) -> Section:
        file.seek(at + 2 * number * rows * columns)
        samples = _shorts(file, rows * columns)
        return Section(pixels=samples.reshape(1, rows, columns) / np.float32(65535))

    return load


def _lines(
    file: BinaryIO, chunks: Chunks, header: tuple[int, int, int, int]
) -> dict[str, np.ndarray]:
    """Contours count rows from the bottom, and sections from the last."""
    _, columns, rows, count = header
    lines = {}
    for at, size in chunks.get("@CONTOUR_INFO", []):
        code, _, _, width, height, _ = _unpacked(file, at, "<20s2B3I")
        if (width, height) != (columns, count) or 34 + 2 * width * height > size:
            continue  # of another picture in the file, such as the cornea's
        file.seek(at + 34)
        below = rows - _shorts(file, width * height).reshape(height, width)[::-1].astype(float)
        name = code.split(b"\0")[0].decode("latin-1")
        lines[_LAYERS.get(name, name or "unnamed")] = np.stack([as_line(r, rows) for r in below])
    return {name: line for name, line in lines.items() if np.isfinite(line).any()}


def _extent(file: BinaryIO, chunks: Chunks) -> tuple[float, float, float]:
    """Length across the sections and along them in mm, axial pixel in um; 0 when not said."""
    for name, skipped in (("@PARAM_SCAN_04", 12), ("@PARAM_SCAN_02", 21)):
        if name in chunks:
            along, across, axial = _unpacked(file, chunks[name][0][0] + skipped, "<3d")
            return across, along, axial
    return 0.0, 0.0, 0.0


def _laterality(file: BinaryIO, chunks: Chunks) -> Laterality:
    for name in ("@CAPTURE_INFO_02", "@CAPTURE_INFO"):
        content = _content(file, chunks, name)
        if content:
            return _SIDES.get(content[0], "unknown")
    return "unknown"


def _chunks(file: BinaryIO, size: int) -> Chunks:
    chunks: Chunks = {}
    at = _HEADER_BYTES
    for _ in range(_MAX_CHUNKS):
        file.seek(at)
        length = file.read(1)
        if not length or not length[0]:
            return chunks
        name = file.read(length[0]).decode("latin-1")
        at += 1 + length[0]
        (content,) = _unpacked(file, at, "<I")
        at += 4
        if at + content > size:
            raise ImageError(f"is cut off in its chunk {name!r:.40}; copy it again")
        chunks.setdefault(name, []).append((at, content))
        at += content
    raise ImageError(f"has more than {_MAX_CHUNKS} chunks; it is damaged")


def _content(file: BinaryIO, chunks: Chunks, name: str) -> bytes:
    if name not in chunks:
        return b""
    at, size = chunks[name][0]
    file.seek(at)
    return file.read(min(size, 4096))


def _shorts(file: BinaryIO, count: int) -> np.ndarray:
    data = file.read(2 * count)
    if len(data) < 2 * count:
        raise ImageError("is cut off; copy it again")
    return np.frombuffer(data, "<u2")


def _unpacked(file: BinaryIO, at: int, layout: str) -> tuple[Any, ...]:
    file.seek(at)
    data = file.read(struct.calcsize(layout))
    if len(data) < struct.calcsize(layout):
        raise ImageError("is cut off; copy it again")
    return struct.unpack(layout, data)
