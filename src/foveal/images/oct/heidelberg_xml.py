"""Heidelberg's XML export: a description, and one picture per section beside it."""

from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

import numpy as np
from defusedxml import DefusedXmlException, ElementTree
from jaxtyping import Float

from foveal.core import Grid, ImageError, Laterality
from foveal.images.oct.heidelberg_vol import as_line
from foveal.images.oct.sections import positive

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_MAX_BYTES = 64_000_000
"""A volume of 145 sections with eleven lines each takes 6 MB."""
_SIDES: dict[str, Laterality] = {"R": "right", "L": "left", "OD": "right", "OS": "left"}
_CONTEXT = "OphthalmicAcquisitionContext"


@dataclass(frozen=True, kw_only=True, eq=False)
class Described:
    """What the description says about one picture."""

    number: int
    """ImageNumber: the localizer is 0, sections count from 1."""
    grid: Grid
    spacing_mm: tuple[float, float] | None
    place_mm: Float[np.ndarray, "2 2"] | None
    """Start and end as (row, column) from the top left corner of the localizer."""
    file: str | None
    """The picture's name without its folder; `None` when the export was stripped of names."""
    lines: dict[str, Float[np.ndarray, " column"]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Description:
    """One scan."""

    sections: tuple[Described, ...]
    localizer: Described | None
    laterality: Laterality
    patient: str | None
    visit: str | None


def read_description(path: Path) -> Description:
    """The description of one scan; external entities and document types are refused.

    Raises:
        ImageError: No XML, no export of one scan, or numbers that are none.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise ImageError(f"is larger than {_MAX_BYTES} bytes, which no description is")
    try:
        root = ElementTree.parse(path, forbid_dtd=True).getroot()
    except DefusedXmlException as error:
        raise ImageError("declares XML entities, which no export does; do not trust it") from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ImageError("is not well-formed XML; export it again") from error
    every = [] if root is None else list(root.iter("Image"))
    sections = [_described(node) for node in every if _is_section(node)]
    if root is None or not sections:
        raise ImageError(
            "describes no OCT sections (there is no Image with a place or of Type OCT)"
        )
    holders = [
        series for series in root.iter("Series") if any(map(_is_section, series.iter("Image")))
    ]
    if len(holders) > 1:
        raise ImageError(f"describes {len(holders)} scans; export one at a time")
    localizers = [_described(node) for node in every if not _is_section(node)]
    return Description(
        sections=tuple(sections),
        localizer=localizers[0] if localizers else None,
        laterality=_laterality(root),
        patient=_text(root, ".//Patient/PatientID") or _text(root, ".//Patient/ID"),
        visit=_day(root),
    )


def _is_section(node: "Element") -> bool:
    kind = _text(node, "ImageType/Type")
    return kind == "OCT" if kind else node.find(f"{_CONTEXT}/Start") is not None


def _described(node: "Element") -> Described:
    rows, columns = (_whole(node, f"{_CONTEXT}/{side}") for side in ("Height", "Width"))
    row_mm, column_mm = (_number(node, f"{_CONTEXT}/{scale}") for scale in ("ScaleY", "ScaleX"))
    corners = [
        _number(node, f"{_CONTEXT}/{end}/Coord/{axis}")
        for end in ("Start", "End")
        for axis in ("Y", "X")
    ]
    named = _text(node, "ImageData/ExamURL")
    return Described(
        number=_whole(node, "ImageNumber"),
        grid=(rows, columns),
        spacing_mm=(
            (row_mm, column_mm)
            if row_mm is not None and column_mm is not None and positive(row_mm, column_mm)
            else None
        ),
        place_mm=None if None in corners else np.array(corners, float).reshape(2, 2),
        # An export names pictures by a path on the machine that wrote it: only the name counts.
        file=PureWindowsPath(named).name if named else None,
        lines=dict(_line(line, rows, columns) for line in node.iter("SegLine")),
    )


def _line(node: "Element", rows: int, columns: int) -> tuple[str, Float[np.ndarray, " column"]]:
    name, values = _text(node, "Name") or "unnamed", (_text(node, "Array") or "").split()
    try:
        line = np.array(values, float)
    except ValueError as error:
        raise ImageError(f"has a line {name!r} that holds something else than numbers") from error
    if line.shape != (columns,):
        raise ImageError(f"has a line {name!r} of {line.size} values for {columns} columns")
    return name, as_line(line, rows)


def _laterality(root: "Element") -> Laterality:
    said = {(node.text or "").strip() for node in root.iter("Laterality")} - {""}
    sides: set[Laterality] = {_SIDES.get(word, "unknown") for word in said}
    if len(sides) > 1:
        raise ImageError(f"names both eyes ({', '.join(sorted(said))}); export one scan at a time")
    return sides.pop() if sides else "unknown"


def _day(root: "Element") -> str | None:
    parts = [_text(root, f".//StudyDate/Date/{part}") for part in ("Year", "Month", "Day")]
    digits = [part for part in parts if part and part.isdigit()]
    return "-".join(digits) if len(digits) == 3 else None


def _text(node: "Element", place: str) -> str | None:
    return (node.findtext(place) or "").strip() or None


def _whole(node: "Element", place: str) -> int:
    text = _text(node, place) or ""
    if not (text.isascii() and text.isdigit() and len(text) < 8):
        raise ImageError(f"has an image whose {place} is {text!r:.40}, not a whole number")
    return int(text)


def _number(node: "Element", place: str) -> float | None:
    text = _text(node, place)
    if text is None:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise ImageError(f"has an image whose {place} is {text!r:.40}, not a number") from error
