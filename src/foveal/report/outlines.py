"""Lines around regions and along heights of a map, and how regions are told apart."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np
from contourpy import contour_generator
from jaxtyping import Float
from scipy import ndimage

from foveal.core import Grid, Region
from foveal.report.carry import Way
from foveal.store import Case

Line = Float[np.ndarray, "_ 2"]
"""Points (row, column) with pixel centres at +0.5; closed where the first is also the last."""


@dataclass(frozen=True, kw_only=True)
class Style:
    """A line that differs from the others in colour and, for those who cannot see it, in dashes."""

    colour: str
    dashes: tuple[float, ...]
    """Lengths of marks and gaps; none for a solid line."""


FIELD = Style(colour="#ffffff", dashes=(1, 4))
_STYLES = {
    "microaneurysms": Style(colour="#56b4e9", dashes=()),
    "haemorrhages": Style(colour="#f5f5f5", dashes=(5, 2.5)),
    "hard exudates": Style(colour="#7ce0b5", dashes=(1.5, 2)),
    "soft exudates": Style(colour="#f0a8dc", dashes=(7, 2, 1.5, 2)),
    "optic disc": Style(colour="#f0e442", dashes=(11, 3)),
    "optic cup": Style(colour="#d8e86a", dashes=(11, 3, 1.5, 3)),
    "vessels": Style(colour="#ff8f8f", dashes=(1, 1.5)),
    "macula": Style(colour="#c5b3ff", dashes=(3, 3)),
    "fovea": Style(colour="#a9d0ff", dashes=(3, 1.5, 1, 1.5)),
}
"""The regions of the common data sets look the same on every page; others take what is free."""
_OTHERS = (
    Style(colour="#ff9e5e", dashes=(7, 2, 1.5, 2, 1.5, 2)),
    Style(colour="#9fe8f0", dashes=(5, 1.5, 5, 4)),
    Style(colour="#dcc48e", dashes=(2, 4)),
    Style(colour="#e9a3ff", dashes=(9, 2, 3, 2)),
    Style(colour="#b6f08a", dashes=(4, 4)),
    Style(colour="#ffd0b0", dashes=(8, 1.5)),
    Style(colour="#8fa8ff", dashes=(2, 1, 2, 4)),
)
_TOUCHED = 0.1
"""The share of a pixel that a region covers where its outline runs: around it rather than on it,
and around a lesion smaller than the pixel too."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outline:
    """A region as it is drawn."""

    name: str
    style: Style
    lines: tuple[Line, ...]
    parts: int
    """Connected parts, touching corners count."""


def outlines_of(case: Case, grid: Grid) -> list[Outline]:
    """The regions of a case, which know how many parts they have on the original."""
    counts = {loss.region: loss.lesions for view in case.views for loss in view.losses}
    return [replace(o, parts=counts.get(o.name, o.parts)) for o in outlines(case.regions, grid)]


def outlines(regions: Sequence[Region], grid: Grid) -> list[Outline]:
    """The regions of one picture, to be drawn at the size of a grid."""
    styles = styles_of([region.name for region in regions])
    return [
        Outline(
            name=region.name,
            style=styles[region.name],
            lines=tuple(contour(_coverage(region, grid), _TOUCHED)),
            parts=_parts(region),
        )
        for region in regions
    ]


def styles_of(names: Sequence[str]) -> dict[str, Style]:
    """A style of its own for each region of a picture, the same in every picture if possible.

    With more regions than styles some are used twice.
    """
    chosen = {name: _STYLES[name] for name in names if name in _STYLES}
    for name in names:
        if name not in chosen:
            start = crc32(name.encode())
            turned = [_OTHERS[(start + turn) % len(_OTHERS)] for turn in range(len(_OTHERS))]
            spare = [*turned, *_STYLES.values()]
            free = [style for style in spare if style not in chosen.values()]
            chosen[name] = (free or turned)[0]
    return chosen


def contour(values: Float[np.ndarray, "row column"], level: float) -> list[Line]:
    """Closed lines around where the values exceed a level."""
    around = np.pad(values, 1, constant_values=min(0.0, float(values.min())))
    # contourpy says (column, row) with pixel centres at whole numbers, and the rim adds one.
    return [np.asarray(line)[:, ::-1] - 0.5 for line in contour_generator(z=around).lines(level)]


def _coverage(region: Region, grid: Grid) -> Float[np.ndarray, "row column"]:
    """The share of each pixel that the region covers."""
    way = Way(steps=(), original=region.grid, prepared=region.grid, picture=grid)
    return way.carry(region.mask.astype(np.float32))


def _parts(region: Region) -> int:
    numbers = np.zeros(region.grid, np.int32)
    ndimage.label(region.mask, structure=np.ones((3, 3)), output=numbers)
    return int(numbers.max())
