"""The values in NIfTI, NRRD and MetaImage files, and what their headers say.

SimpleITK reads all three, but a damaged header makes it end the whole process, so NRRD and
MetaImage are read here: a text of keys and values, and behind it the values, raw or compressed.
"""

import gzip
import math
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from foveal.core import ImageError
from foveal.images.raster import check_size
from foveal.images.reading import MAX_PIXELS

_MAX_VALUES = 4 * MAX_PIXELS
"""Of all sections and layers together."""
_MAX_HEADER = 2**20
_DAMAGED = "starts like a {} file but cannot be read; it may be damaged, save it again"
_SIZES = {
    "int8": "i1", "int8_t": "i1", "signed char": "i1",
    "uint8": "u1", "uint8_t": "u1", "uchar": "u1", "unsigned char": "u1",
    "int16": "i2", "int16_t": "i2", "short": "i2", "signed short": "i2", "short int": "i2",
    "uint16": "u2", "uint16_t": "u2", "ushort": "u2", "unsigned short": "u2",
    "int32": "i4", "int32_t": "i4", "int": "i4", "signed int": "i4",
    "uint32": "u4", "uint32_t": "u4", "uint": "u4", "unsigned int": "u4",
    "float": "f4", "double": "f8",
    "met_char": "i1", "met_uchar": "u1", "met_short": "i2", "met_ushort": "u2",
    "met_int": "i4", "met_uint": "u4", "met_float": "f4", "met_double": "f8",
}  # fmt: skip
"""Types of values by the names that NRRD and MetaImage have for them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stored:
    """One section of what a file holds."""

    values: Shaped[np.ndarray, "row column layer"]
    told: Mapping[str, str]
    """Keys and values of the header."""


def read_stored(path: Path, kind: str, section: Callable[[int], int]) -> Stored:
    """One section of a file.

    Args:
        path: The file.
        kind: "NIfTI", "NRRD" or "MetaImage".
        section: Which one, counted from 0, of how many.

    Raises:
        ImageError: A file that is damaged, too large, of another kind of values, or whose values
            lie elsewhere than in a file beside it.
    """
    if kind == "NIfTI":
        return _nifti(path, section)
    with path.open("rb") as file:
        start = file.read(_MAX_HEADER)
    try:
        told, end = (_nrrd if kind == "NRRD" else _meta)(start)
        sizes, layers, dtype, packed = _layout(told, kind)
        place, offset = _place(path, told, end)
        return _section(place, offset, (sizes, layers, dtype, packed), told, section)
    except (KeyError, ValueError, OSError, EOFError, zlib.error, OverflowError) as error:
        raise ImageError(_DAMAGED.format(kind)) from error


def _nrrd(start: bytes) -> tuple[dict[str, str], int]:
    """The header ends with an empty line; `key:=value` is what a program added."""
    end = re.search(rb"\r?\n\r?\n", start)
    lines = start[: end.start() if end else len(start)].decode("utf-8", "replace").splitlines()
    told: dict[str, str] = {}
    for line in lines[1:]:
        key, _, value = line.partition(":=" if ":=" in line else ":")
        if not line.startswith("#"):
            told[key if ":=" in line else key.strip().lower()] = value.strip()
    return told, end.end() if end else len(start)


def _meta(start: bytes) -> tuple[dict[str, str], int]:
    """The line that says where the values lie is the last one of the header."""
    end = re.search(rb"^ElementDataFile\s*=[^\n]*(\n|$)", start, re.MULTILINE)
    if end is None:
        raise ValueError("no ElementDataFile")
    pairs = (
        line.partition("=") for line in start[: end.end()].decode("utf-8", "replace").splitlines()
    )
    return {key.strip().lower(): value.strip() for key, _, value in pairs}, end.end()


def _layout(told: Mapping[str, str], kind: str) -> tuple[list[int], int, np.dtype[Any], bool]:
    """Columns, rows and sections; values of each pixel; their type; whether they are compressed."""
    if kind == "NRRD":
        sizes = [int(word) for word in told["sizes"].split()]
        first = told.get("kinds", "").lower().split()[:1]
        listed = len(sizes) == 4 or (bool(first) and first[0] not in ("domain", "space", "none"))
        layers = sizes.pop(0) if listed else 1
        dtype, big = _SIZES[told["type"].lower()], told.get("endian", "").lower() == "big"
        packed = told["encoding"].lower() in ("gzip", "gz")
        known = packed or told["encoding"].lower() == "raw"
        skipped = told.get("byte skip", told.get("line skip", "0"))
    else:
        sizes = [int(word) for word in told["dimsize"].split()]
        layers = int(told.get("elementnumberofchannels", "1"))
        dtype = _SIZES[told["elementtype"].lower()]
        order = told.get("binarydatabyteordermsb", told.get("elementbyteordermsb", ""))
        big, packed = order.lower() == "true", told.get("compresseddata", "").lower() == "true"
        known, skipped = (
            told.get("binarydata", "true").lower() == "true",
            told.get("headersize", "0"),
        )
    if not known or skipped != "0":
        raise ImageError("holds values as text or behind a gap; save it raw or compressed by gzip")
    if not 2 <= len(sizes) <= 3 or min(sizes) < 1 or not 1 <= layers <= 255:
        raise ImageError(f"is of {' x '.join(map(str, sizes))} pixels; save one section of it")
    check_size(sizes[1], sizes[0], MAX_PIXELS)
    if math.prod(sizes) * layers > _MAX_VALUES:
        raise ImageError(f"holds {math.prod(sizes) * layers} values, more than are read")
    return sizes, layers, np.dtype((">" if big else "<") + dtype), packed


def _place(path: Path, told: Mapping[str, str], end: int) -> tuple[Path, int]:
    """Where the values are: behind the header, or in a file beside it.

    A header comes from a stranger, and could name any file of this machine.
    """
    name = told.get("elementdatafile", told.get("data file", told.get("datafile", "LOCAL")))
    if name.upper() == "LOCAL":
        return path, end
    if name != Path(name).name or name in (".", "..") or "\\" in name or name.split()[0] == "LIST":
        raise ImageError(
            "keeps its values elsewhere; only a single file beside it is read, save it as one file"
        ) from ImageError(f"in {name!r}")
    if (path.parent / name).is_symlink() or not (path.parent / name).is_file():
        raise ImageError(
            "keeps its values in a file that is not beside it; copy that, too"
        ) from ImageError(f"in {name!r}")
    return path.parent / name, 0


def _section(
    place: Path,
    offset: int,
    layout: tuple[list[int], int, np.dtype[Any], bool],
    told: Mapping[str, str],
    section: Callable[[int], int],
) -> Stored:
    (columns, rows, *rest), layers, dtype, packed = layout
    count = rest[0] if rest else 1
    index, size = section(count), rows * columns * layers * dtype.itemsize
    with place.open("rb") as file:
        file.seek(offset if packed else offset + index * size)
        if packed:
            # gzip and zlib, whichever its header says; never more than the size that was announced.
            room = count * size
            data = zlib.decompressobj(wbits=47).decompress(file.read(room + _MAX_HEADER), room)
            data = data[index * size : (index + 1) * size]
        else:
            data = file.read(size)
    values = np.frombuffer(data, dtype)
    return Stored(values=values.reshape(rows, columns, layers), told=told)


def _nifti(path: Path, section: Callable[[int], int]) -> Stored:
    """The first axis runs along the columns; trailing axes of one are dropped."""
    nibabel = _nibabel()
    damage = (
        *(nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError),
        *(nibabel.wrapstruct.WrapStructError, OSError, EOFError, ValueError, zlib.error),
        *(OverflowError, TypeError, LookupError, MemoryError, AssertionError),
    )
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            file = gzip.GzipFile(fileobj=raw) if packed else raw
            older = file.read(8)[4:] != b"n+2\0"
            file.seek(0)
            of = nibabel.Nifti1Image if older else nibabel.Nifti2Image
            found = of.from_file_map({"image": nibabel.FileHolder(fileobj=file)})
            shape = [*found.shape, 1][: max(3, len(found.shape))]
            if min(shape) < 1 or math.prod(shape[3:]) != 1 or math.prod(shape) > _MAX_VALUES:
                raise ImageError(
                    f"is of {' x '.join(map(str, found.shape))} values; save one section"
                )
            check_size(shape[1], shape[0], MAX_PIXELS)
            index = section(shape[2])
            inside = (slice(None), slice(None), index, *(0 for _ in shape[3:]))
            values = np.asarray(found.dataobj[inside[: len(found.shape)]])
    except damage as error:
        raise ImageError(_DAMAGED.format("NIfTI")) from error
    return Stored(values=values.T[..., np.newaxis], told={})


def _nibabel() -> Any:
    try:
        import nibabel
    except ImportError as error:
        raise ImageError("is a NIfTI file; to read it: pip install 'foveal[nifti]'") from error
    return nibabel
