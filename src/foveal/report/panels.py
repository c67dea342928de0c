"""The panels of a figure: the original with its outlines_of, and one map with its scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from foveal.core import Grid
from foveal.report.carry import Way, way_of
from foveal.report.colour import Scale, evidence, overlay
from foveal.report.describe import resolution, scale_bar, share_against
from foveal.report.drawing import FRACTIONS, Drawing
from foveal.report.outlines import FIELD, Line, Style, contour, outlines_of
from foveal.report.words import map_name, no_map, number, percent, target_in_words
from foveal.store import Case, Explained, View

INK = "#20262b"
PALE = "#59626a"
_LETTERS = 58
"""That fit below a panel in one line."""
_HALF_LETTERS = 26
"""How long a name may be for two to stand side by side in a legend."""

Picture = UInt8[np.ndarray, "row column 3"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Slot:
    """The place of one panel in a figure: of its picture, in inches from the top left corner."""

    figure: Figure
    left: float
    top: float
    width: float
    height: float

    def axes(self, top: float = 0.0, height: float | None = None) -> Axes:
        """Axes as wide as the picture, so far below its top edge; by default the picture's own."""
        across, down = self.figure.get_size_inches()
        tall = self.height if height is None else height
        bottom = 1 - (self.top + top + tall) / down
        return self.figure.add_axes((self.left / across, bottom, self.width / across, tall / down))

    def write(
        self, text: str, top: float, *, size: float, colour: str, above: bool = False
    ) -> None:
        """Text at the picture's left edge, its own top (or bottom) edge so far below the top."""
        across, down = self.figure.get_size_inches()
        self.figure.text(
            self.left / across,
            1 - (self.top + top) / down,
            text,
            fontsize=size,
            color=colour,
            va="bottom" if above else "top",
            linespacing=1.35,
            parse_math=False,
        )


def draw_original(slot: Slot, case: Case, picture: Picture) -> None:
    """The picture with the field of view, the expert's regions, a legend and a scale bar."""
    panel = slot.axes()
    grid = _show(panel, picture)
    slot.write("Original", -0.06, size=9, colour=INK, above=True)
    drawn = []
    if case.views and not case.views[0].field.all():
        inside = way_of(case, case.views[0], grid).carry(case.views[0].field.astype(np.float32))
        drawn.append(_draw_lines(panel, contour(inside, 0.5), FIELD, "field of view"))
    for outline in outlines_of(case, grid):
        name = f"{outline.name} ({outline.parts})"
        drawn.append(_draw_lines(panel, outline.lines, outline.style, name))
    if drawn:
        _draw_legend(panel, drawn)
    _draw_scale_bar(panel, case, grid)


def draw_map(
    slot: Slot, case: Case, picture: Picture, view: View, explained: Explained, how: Drawing
) -> None:
    """One map over the picture, with its scale in raw units, or the reason why there is none."""
    made, scale = explained.attribution, how.scale(explained)
    panel = slot.axes()
    several = f" of {view.model}" if len(case.views) > 1 else ""
    heading = f"{map_name(explained.key, made)}\nfor {target_in_words(made.target)}{several}"
    slot.write(heading, -0.06, size=9, colour=INK, above=True)
    if scale is None:
        _show(panel, picture)
        reason = fill(f"No map: {no_map(made)}.", _LETTERS)
        slot.write(reason, slot.height + 0.1, size=7, colour=INK)
        return
    way = way_of(case, view, (picture.shape[0], picture.shape[1]))
    values = way.carry(evidence(made))
    if not how.contours:
        picture = overlay(
            picture, values, scale, alpha=how.alpha, by_value=how.by_value, seen=way.seen
        )
    _show(panel, picture)
    if how.contours:
        _draw_heights(panel, values, scale)
    _draw_scale(slot, scale)
    words = _small_print(case, explained, scale, way)
    slot.write(words, slot.height + 0.36, size=6.5, colour=PALE)


def _show(panel: Axes, picture: Picture) -> Grid:
    rows, columns = picture.shape[:2]
    panel.imshow(picture, extent=(0, columns, rows, 0), interpolation="antialiased", aspect="auto")
    panel.set_axis_off()
    return rows, columns


def _draw_lines(panel: Axes, lines: Sequence[Line], style: Style, name: str) -> Line2D:
    """All lines of one style, with a dark rim that keeps them visible on bright ground."""
    curves = [Path(line[:, ::-1]) for line in lines]
    curve = Path.make_compound_path(*curves) if curves else Path(np.empty((0, 2)))
    dashes = (0, style.dashes) if style.dashes else "-"
    # As artists, not patches: these would look for the limits of each of a thousand lesions.
    panel.add_artist(PathPatch(curve, fill=False, edgecolor="black", linewidth=1.8, alpha=0.45))
    panel.add_artist(
        PathPatch(curve, fill=False, edgecolor=style.colour, linewidth=0.9, linestyle=dashes)
    )
    return Line2D([], [], color=style.colour, linewidth=1.2, linestyle=dashes, label=name)


def _draw_heights(panel: Axes, values: Float[np.ndarray, "row column"], scale: Scale) -> None:
    """Lines at fractions of the scale, those of evidence against dashed."""
    for sign in (1, -1) if scale.signed else (1,):
        for fraction in FRACTIONS:
            height = fraction * scale.limit
            dashes = () if sign > 0 else (3, 2)
            style = Style(colour=scale.hex(sign * height), dashes=dashes)
            _draw_lines(panel, contour(sign * values, height), style, "")


def _draw_legend(panel: Axes, drawn: Sequence[Line2D]) -> None:
    legend = panel.legend(
        handles=drawn,
        fontsize=6.5,
        ncols=2 if max(len(str(line.get_label())) for line in drawn) <= _HALF_LETTERS else 1,
        loc="upper left",
        bbox_to_anchor=(0, 0, 1, -0.03),
        mode="expand",
        borderaxespad=0,
        handlelength=4,
        labelcolor="white",
        facecolor="#30373d",
        edgecolor="none",
        framealpha=1,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _draw_scale(slot: Slot, scale: Scale) -> None:
    """The colours, with raw values at the ends."""
    beyond = {(True, True): "both", (True, False): "max"}.get((scale.clipped, scale.signed))
    mappable = ScalarMappable(Normalize(scale.low, scale.limit), scale.colormap)
    bar = slot.figure.colorbar(
        mappable,
        cax=slot.axes(top=slot.height + 0.06, height=0.09),
        orientation="horizontal",
        extend=beyond or "neither",
    )
    ticks = [scale.low, 0.0, scale.limit] if scale.signed else [0.0, scale.limit]
    bar.set_ticks(ticks, labels=[number(tick) for tick in ticks], fontsize=7, color=INK)
    bar.ax.tick_params(length=2, pad=1.5, color=PALE)
    labels = bar.ax.get_xticklabels()
    labels[0].set_horizontalalignment("left")
    labels[-1].set_horizontalalignment("right")
    bar.ax.spines[:].set_visible(False)


def _small_print(case: Case, explained: Explained, scale: Scale, way: Way) -> str:
    made = explained.attribution
    end = "the map's maximum" if scale.scaling == "maximum" else "the map's 99.9th percentile"
    lines = [f"Raw values up to {end}; a scale of its own."]
    if made.layer is not None:
        lines.append(f"Layer {made.layer}; {resolution(case, made, way)}.")
    against = share_against(made)
    if not scale.signed and against >= 0.005:
        lines.append(f"{percent(against)} of the map is evidence against; it is not drawn.")
    return "\n".join(fill(line, _LETTERS) for line in lines)


def _draw_scale_bar(panel: Axes, case: Case, grid: Grid) -> None:
    bar = scale_bar(case, grid[1])
    if bar is None:
        return
    length, text = bar
    rows, columns = grid
    end, bottom = 0.97 * columns, 0.96 * rows
    line = Rectangle((end - length, bottom), length, 0.012 * rows, color="white", linewidth=0)
    panel.add_artist(line)
    middle = end - length / 2, bottom - 0.01 * rows
    panel.text(*middle, text, color="white", fontsize=7, ha="center", va="bottom")
