"""From what a header says to a Volume: choice of sections, limits, and the order they lie in."""

import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from foveal.core import FovealWarning, Grid, Image, ImageError, Laterality, Volume
from foveal.images.oct.order import order_sections

Sections = tuple[int, int] | None
"""First and last section to read, counted from 1 in the order in which they lie."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scan:
    """What a file says about a volume, everything in the file's order, before pixels are read."""

    count: int
    grid: Grid
    spacing_mm: tuple[float, float] | None = None
    slice_spacing_mm: float | None = None
    """As the header says; the distance of the places, where there are any, is taken before it."""
    places_mm: Float[np.ndarray, "slice 2 2"] | None = None
    """Start and end of each section (row, column) from the top left corner of the localizer."""
    places_degrees: Float[np.ndarray, "slice 2 2"] | None = None
    """Where the file says it in degrees only: they order the sections and measure nothing."""
    localizer: Image | None = None
    lines: Mapping[str, Float[np.ndarray, "slice column"]] = field(default_factory=dict)
    laterality: Laterality = "unknown"
    patient: str | None = None
    visit: str | None = None
    source: str | None = None
    facts: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Section:
    """The pixels of one section in display units."""

    pixels: Float[np.ndarray, "channel row column"]
    sha256: str | None = None


def assemble(
    scan: Scan, load: Callable[[int], Section], *, sections: Sections, sha256: str | None = None
) -> Volume:
    """Read the chosen sections in the order in which they lie.

    Args:
        scan: What the header said.
        load: Reads one section by its place in the file, counted from 0.
        sections: Which ones.
        sha256: Hash of the one file; without it, over the hashes of the sections.

    Raises:
        ImageError: Contradicting places, sections that differ in size, or no such sections.
    """
    places = scan.places_mm if scan.places_mm is not None else scan.places_degrees
    order = order_sections(places, scan.count)
    if order.changed:
        warnings.warn(
            "the sections lie in another order than they stand in the file; they are sorted by "
            "their places",
            FovealWarning,
            stacklevel=2,
        )
    first, last = chosen(sections, scan.count)
    index = order.index[first:last]
    pixels, hashes = _stacked(index, scan.grid, load)
    measured = scan.places_mm is not None and order.slice_spacing is not None
    spacing = order.slice_spacing if measured else None
    if scan.places_mm is None:
        spacing = scan.slice_spacing_mm
    elif spacing is not None and scan.slice_spacing_mm is not None:
        _check_spacing(spacing, scan.slice_spacing_mm)
    return Volume(
        pixels=pixels,
        spacing_mm=scan.spacing_mm,
        slice_spacing_mm=spacing,
        laterality=scan.laterality,
        patient=scan.patient,
        eye=_eye(scan.patient, scan.laterality),
        visit=scan.visit,
        source=scan.source,
        sha256=sha256 or hashlib.sha256("".join(hashes).encode()).hexdigest(),
        lines={name: line[list(index)] for name, line in scan.lines.items()},
        localizer=scan.localizer,
        places=_on_localizer(scan, index),
        facts={
            **scan.facts,
            "order": order.words,
            "reordered": order.changed,
            "first_section": first + 1,
            "sections_in_file": scan.count,
        },
    )


def chosen(sections: Sections, count: int) -> tuple[int, int]:
    """The half-open range of a choice that counts from 1.

    Raises:
        ImageError: There are not that many sections.
        ValueError: A choice that is not two whole numbers in order.
    """
    if sections is None:
        return 0, count
    first, last = sections
    if not 1 <= first <= last:
        raise ValueError(f"sections must be (first, last), counted from 1, not {sections}")
    if last > count:
        raise ImageError(f"holds {count} sections, so there is no section {last}")
    return first - 1, last


def check_volume(count: int, grid: Grid, max_pixels: int) -> None:
    """Refuse a volume by its header, before memory is taken for it.

    Raises:
        ImageError: More pixels than allowed, or none.
    """
    shape = f"{count} x {grid[0]} x {grid[1]} (section x row x column)"
    if count < 1 or min(grid) < 1:
        raise ImageError(f"is {shape}, so there is nothing in it")
    if count * grid[0] * grid[1] > max_pixels:
        raise ImageError(
            f"is {shape}, more than the {max_pixels} pixels allowed; read fewer with sections=, or "
            "if it is meant to be that large, raise max_pixels"
        )


def one_grey(
    pixels: Float[np.ndarray, "channel row column"],
) -> Float[np.ndarray, "channel_out row column"]:
    """One channel of three equal ones, as vendors save grey sections."""
    return pixels[:1] if (pixels == pixels[:1]).all() else pixels


def positive(*values: Any) -> bool:
    """Whether all are finite numbers above 0."""
    return all(isinstance(value, int | float) and 0 < value < np.inf for value in values)


def _stacked(
    index: tuple[int, ...], grid: Grid, load: Callable[[int], Section]
) -> tuple[Float[np.ndarray, "slice channel row column"], list[str]]:
    pixels = np.empty((0, 0, 0, 0), np.float32)
    hashes: list[str] = []
    for place, number in enumerate(index):
        section = load(number)
        if section.pixels.shape[1:] != grid:
            raise ImageError(
                f"section {number + 1} is {section.pixels.shape[1:]} (row, column), but should be "
                f"{grid}; read sections of one scan together"
            )
        if not place:
            pixels = np.empty((len(index), *section.pixels.shape), np.float32)
        if section.pixels.shape != pixels.shape[1:]:
            raise ImageError(
                f"section {number + 1} is coloured where others are grey; save one kind"
            )
        pixels[place] = section.pixels
        hashes.append(section.sha256 or "")
    return pixels, hashes


def _check_spacing(found: float, said: float) -> None:
    if abs(found - said) > 0.1 * found + 0.0011:
        raise ImageError(
            f"says that sections are {said:g} mm apart, but puts them {found:g} mm apart; "
            "export it again"
        )


def _on_localizer(scan: Scan, index: tuple[int, ...]) -> Float[np.ndarray, "slice 2 2"] | None:
    """Places in pixels of the localizer.

    Vendors give the ends of a section, not the centres of its outer pixels: in Spectralis exports
    end minus start is the number of columns times their spacing.
    """
    if scan.places_mm is None or scan.localizer is None or scan.localizer.spacing_mm is None:
        return None
    return scan.places_mm[list(index)] / np.array(scan.localizer.spacing_mm)


def _eye(patient: str | None, laterality: Laterality) -> str | None:
    known = patient is not None and laterality in ("left", "right")
    return f"{patient}/{laterality}" if known else None
