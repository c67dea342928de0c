"""The pictures of a case as the page holds them: images as text, outlines as paths, and words."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from foveal.core import Grid
from foveal.report.carry import Way, way_of
from foveal.report.colour import Scale, evidence, scale_of, shows_sign
from foveal.report.describe import description, resolution, scale_bar, share_against
from foveal.report.drawing import FRACTIONS, small_picture
from foveal.report.examined import region_in_legend
from foveal.report.inline import colours_uri, picture_uri, svg_path
from foveal.report.outlines import FIELD, contour, outlines_of
from foveal.report.words import counted, listed, map_name, no_map, number, percent, title
from foveal.store import Case, Explained, View

_PICTURE_SIDE = 640
"""Larger side of a page's photographs in pixels."""
_MAP_SIDE = 480
"""Larger side of the maps' colours; they are stretched over the photograph."""
_STOPS = 9
"""Colours that a scale is drawn with."""
_WORTH_SAYING = 0.005
"""The least share of a map that is told when it is not drawn."""


@dataclass(frozen=True, kw_only=True)
class DrawnLine:
    """Lines of one kind, as an SVG path in tenths of the picture's pixels."""

    label: str
    colour: str
    dashes: str
    path: str


@dataclass(frozen=True, kw_only=True)
class PictureSheet:
    """The original with its outlines."""

    uri: str
    rows: int
    columns: int
    alt: str
    outlines: tuple[DrawnLine, ...]
    bar: tuple[float, str] | None
    """Length of the scale bar in the picture's pixels, and its words."""


@dataclass(frozen=True, kw_only=True)
class ScaleSheet:
    """The colours of a map with raw values at the ends."""

    colours: tuple[str, ...]
    ticks: tuple[str, ...]
    end: str
    """What the end of the scale is."""
    clipped: bool
    """Whether larger values look like the end."""


@dataclass(frozen=True, kw_only=True)
class MapSheet:
    """One map, or the reason why there is none."""

    name: str
    alt: str
    reason: str | None = None
    uri: str | None = None
    scale: ScaleSheet | None = None
    heights: tuple[DrawnLine, ...] = ()
    small_print: tuple[str, ...] = ()


def picture_sheet(case: Case) -> PictureSheet:
    """The original of a case, with its field of view and regions.

    Raises:
        ValueError: A case that failed: it has no picture.
    """
    picture = small_picture(case, _PICTURE_SIDE)
    grid = picture.shape[0], picture.shape[1]
    drawn = list(_outlines(case, grid))
    shown = f" with outlines: {listed([line.label for line in drawn])}" if drawn else ""
    return PictureSheet(
        uri=picture_uri(picture),
        rows=grid[0],
        columns=grid[1],
        alt=f"{title(case)}{shown}.",
        outlines=tuple(drawn),
        bar=scale_bar(case, grid[1]),
    )


def map_grid(picture: PictureSheet) -> Grid:
    """The grid on which maps over a picture are made."""
    share = min(1.0, _MAP_SIDE / max(picture.rows, picture.columns))
    return max(1, round(picture.rows * share)), max(1, round(picture.columns * share))


def map_sheet(
    case: Case, view: View, explained: Explained, way: Way, picture: PictureSheet
) -> MapSheet:
    """One map over the picture of its case."""
    made = explained.attribution
    scale = scale_of(made)
    name = map_name(explained.key, made)
    alt = description(case, view, explained, scale, way)
    small = () if made.layer is None else (f"Layer {made.layer}: {resolution(case, made, way)}.",)
    if scale is None:
        return MapSheet(name=name, alt=alt, reason=no_map(made), small_print=small)
    values, against = way.carry(evidence(made)), share_against(made)
    if not scale.signed and against >= _WORTH_SAYING:
        small += (f"{percent(against)} of the map is evidence against; it is not drawn.",)
    return MapSheet(
        name=name,
        alt=alt,
        uri=colours_uri(values, scale, way.seen),
        scale=_scale_sheet(scale),
        # Around the noise of a gradient, lines tell nothing.
        heights=() if shows_sign(made) else tuple(_heights(values, scale, picture)),
        small_print=small,
    )


def _outlines(case: Case, grid: Grid) -> Iterator[DrawnLine]:
    if case.views and not case.views[0].field.all():
        view = case.views[0]
        field = way_of(case, view, grid).carry(view.field.astype(np.float32))
        yield DrawnLine(
            label="field of view",
            colour=FIELD.colour,
            dashes=_dashes(FIELD.dashes),
            path=svg_path(contour(field, 0.5)),
        )
    for outline in outlines_of(case, grid):
        yield DrawnLine(
            label=f"{region_in_legend(case, outline.name)} ({counted(outline.parts, 'area')})",
            colour=outline.style.colour,
            dashes=_dashes(outline.style.dashes),
            path=svg_path(outline.lines),
        )


def _heights(
    values: Float[np.ndarray, "row column"], scale: Scale, picture: PictureSheet
) -> Iterator[DrawnLine]:
    """Lines where a map reaches fractions of its scale."""
    larger = np.array([picture.rows, picture.columns]) / values.shape
    for fraction in FRACTIONS:
        height = fraction * scale.limit
        yield DrawnLine(
            label=percent(fraction),
            colour=scale.hex(height),
            dashes="",
            path=svg_path(line * larger for line in contour(values, height)),
        )


def _scale_sheet(scale: Scale) -> ScaleSheet:
    middle = (number(0.0),) if scale.signed else ()
    return ScaleSheet(
        colours=tuple(scale.hex(float(v)) for v in np.linspace(scale.low, scale.limit, _STOPS)),
        ticks=(number(scale.low), *middle, number(scale.limit)),
        end="maximum" if scale.scaling == "maximum" else "99.9th percentile",
        clipped=scale.clipped,
    )


def _dashes(lengths: tuple[float, ...]) -> str:
    return " ".join(f"{length:g}" for length in lengths)
