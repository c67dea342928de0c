"""JSON, XML and CSV from strangers: bounded, without outside entities, and never trusted."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
import numpy as np
from defusedxml import DefusedXmlException
from jaxtyping import Float

from foveal.core import ImageError

MAX_BYTES = 256 * 2**20
"""Largest text that is read."""

Json = Any
"""What `json` makes of a text."""


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        ImageError: More than `MAX_BYTES`, or bytes that are no UTF-8.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ImageError(
            f"holds {size / 2**20:.0f} MB of text, more than the {MAX_BYTES // 2**20} that are "
            "read; export fewer pictures at a time"
        )
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ImageError("is no text in UTF-8; export it again") from error


def read_json(path: Path) -> Json:
    """A JSON document, or the list of them that lie in single lines.

    Raises:
        ImageError: No JSON, or nested too deep.
    """
    text = read_text(path)
    try:
        return _loaded(text)
    except json.JSONDecodeError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2:
            raise ImageError("is no JSON; it may be damaged, export it again") from error
    try:
        return [_loaded(line) for line in lines]
    except json.JSONDecodeError as error:
        raise ImageError("is no JSON, as a whole or by lines; export it again") from error


def read_xml(path: Path) -> Element:
    """The root of an XML document.

    Raises:
        ImageError: No XML, or one that defines entities or asks for other files.
    """
    try:
        return defusedxml.ElementTree.fromstring(read_text(path), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise ImageError(
            "is XML that cannot be read: it is damaged or defines entities; export it again"
        ) from error


def read_csv(path: Path) -> Iterator[list[str]]:
    """The rows of a CSV file.

    Raises:
        ImageError: A field that is too long, or broken quotes.
    """
    try:
        yield from csv.reader(read_text(path).splitlines(keepends=True), strict=True)
    except csv.Error as error:
        raise ImageError("is no CSV file that can be read; export it as JSON") from error


def parsed(text: str, what: str) -> Json:
    """JSON inside another file.

    Raises:
        ImageError: No JSON.
    """
    try:
        return _loaded(text)
    except json.JSONDecodeError as error:
        raise ImageError(f"holds {what} that is no JSON; export it again") from error


def table(value: Json, what: str) -> Mapping[str, Json]:
    """A JSON object.

    Raises:
        ImageError: Something else.
    """
    if not isinstance(value, dict):
        raise ImageError(f"holds {what} that is no JSON object; export it again")
    return value


def entries(value: Json, what: str) -> list[Json]:
    """A list; of an object numbered from 0, as old exports have it, its values.

    Raises:
        ImageError: Something else.
    """
    if isinstance(value, dict):
        return list(value.values())
    if not isinstance(value, list):
        raise ImageError(f"holds {what} that is no list; export it again")
    return value


def number(value: Json, what: str) -> float:
    """A finite number.

    Raises:
        ImageError: Something else.
    """
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = float("nan")
    if isinstance(value, bool) or not isfinite(found):
        raise ImageError(f"holds a {what} that is no number; export it again") from ImageError(
            f"but {str(value)[:40]!r}"
        )
    return found


def numbers(values: Json, what: str) -> Float[np.ndarray, " number"]:
    """Finite numbers.

    Raises:
        ImageError: Something else.
    """
    try:
        found = np.asarray(entries(values, what), float)
    except (TypeError, ValueError, OverflowError):
        found = np.array([np.nan])
    if found.ndim != 1 or not np.isfinite(found).all():
        raise ImageError(f"holds {what} that are no list of numbers; export it again")
    return found


def points(across: Json, down: Json, what: str) -> Float[np.ndarray, "point 2"]:
    """Points (row, column) from their columns and rows.

    Raises:
        ImageError: No numbers, or not as many of the one as of the other.
    """
    columns, rows = numbers(across, what), numbers(down, what)
    if len(columns) != len(rows) or not len(rows):
        raise ImageError(f"holds {what} with {len(columns)} columns and {len(rows)} rows")
    return np.stack([rows, columns], axis=1)


def size_of(height: Json, width: Json) -> tuple[int, int] | None:
    """Rows and columns; `None` where the file leaves them out or writes 0.

    Raises:
        ImageError: No whole numbers.
    """
    if height in (None, "", 0) or width in (None, "", 0):
        return None
    rows, columns = number(height, "height"), number(width, "width")
    if rows % 1 or columns % 1 or rows < 1 or columns < 1:
        raise ImageError(f"says that its picture is {rows:g} x {columns:g} (row x column)")
    return int(rows), int(columns)


def labelled(label: Json, what: str) -> str:
    """A label.

    Raises:
        ImageError: None.
    """
    text = str(label).strip() if isinstance(label, str | int) else ""
    if not text:
        raise ImageError(f"holds {what} without a label; label it in the tool, or remove it")
    return text


def pairs(values: Sequence[float]) -> Float[np.ndarray, "point 2"]:
    """Points (row, column) from numbers in the order x, y, x, y.

    Raises:
        ImageError: An odd count.
    """
    found = np.asarray(values, float)
    if len(found) % 2 or not len(found):
        raise ImageError(f"holds an outline of {len(found)} numbers, which are no pairs x, y")
    return found.reshape(-1, 2)[:, ::-1]


def _loaded(text: str) -> Json:
    try:
        return json.loads(text, parse_constant=_refused)
    except json.JSONDecodeError:
        raise
    except (RecursionError, ValueError) as error:
        raise ImageError("is JSON nested too deep, or holds what is no number") from error


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")
