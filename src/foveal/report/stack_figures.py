"""One figure for a volume: a strip of sections, the map from above, and the cut across them."""

from textwrap import fill

import numpy as np
from jaxtyping import Bool, Float, UInt8
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from foveal.report.colour import POSITIVE, Scale, overlay
from foveal.report.panels import INK, PALE, Slot
from foveal.report.stacks import Stack, evenly
from foveal.report.words import number, percent

_STRIP = 6
"""Sections in the strip at most."""
_WIDTH, _GAP, _TOP, _BETWEEN = 11.2, 0.12, 0.62, 0.55
"""In inches: of the figure, between panels, above the first row, between the rows."""
_TALLEST = 2.6
"""Height of the second row's panels at most, in inches."""
_BLANK = 0.12
"""Brightness of what is unknown in the pictures from above."""


def stack_scale(stack: Stack) -> Scale | None:
    """One scale for all sections, up to the 99.9th percentile of the positive values.

    `None` where none is positive.
    """
    if stack.limit <= 0:
        return None
    return Scale(
        limit=stack.upper,
        signed=False,
        scaling="p99.9",
        largest=stack.limit,
        colormap=POSITIVE,
    )


def section_overlay(stack: Stack, place: int, scale: Scale | None) -> UInt8[np.ndarray, "r c 3"]:
    """One section with its map over it; plain where it has none."""
    return _over(stack.pictures[place], stack.values[place], scale)


def stack_figure(stack: Stack, heading: str, *, alpha: float = 0.5) -> Figure:
    """A strip of sections with their maps on one scale, and the whole volume below.

    Below stand the eye from above, its map, the cut across all sections at the hottest column, and
    the share that each section has of the map.

    From above, a column of a section is the mean over the rows inside the retina (or inside what
    the model saw, where the retina is not known). Panels keep the eye's proportions where the
    spacing is known; otherwise a pixel is square and the words below say so.
    """
    scale = stack_scale(stack)
    shown = evenly(len(stack.numbers), _STRIP)
    across = (_WIDTH - _GAP) / len(shown) - _GAP
    rows, columns = stack.pictures.shape[1:]
    tall = min(across * rows / columns * stack.section_aspect, _TALLEST)
    second = _TOP + tall + _BETWEEN
    figure = Figure(figsize=(_WIDTH, second + _TALLEST + 0.75), facecolor="white")
    first = Slot(figure=figure, left=_GAP, top=_TOP, width=across, height=tall)
    first.write(heading, 0.1 - _TOP, size=11, colour=INK)
    for place, section in enumerate(shown):
        left = _GAP + place * (across + _GAP)
        slot = Slot(figure=figure, left=left, top=_TOP, width=across, height=tall)
        _show(slot.axes(), _over(stack.pictures[section], stack.values[section], scale, alpha))
        slot.write(f"{stack.numbers[section]}", -0.03, size=8, colour=INK, above=True)
    _second_row(figure, stack, scale, second, alpha)
    return figure


def _second_row(
    figure: Figure, stack: Stack, scale: Scale | None, top: float, alpha: float
) -> None:
    width = (_WIDTH - 5 * _GAP) / 4
    slots = [
        Slot(figure=figure, left=_GAP + n * (width + _GAP), top=top, width=width, height=_TALLEST)
        for n in range(4)
    ]
    fundus = _bytes(stack.fundus)
    above, seen = stack.en_face, np.isfinite(stack.en_face)
    largest = float(np.nanmax(above, initial=0.0, where=seen))
    own = None if largest <= 0 else _to(largest)
    _panel(slots[0], fundus, stack.aspect, "From above")
    tall = _panel(slots[1], _over(fundus, above, own, alpha), stack.aspect, "Its map")
    _panel(slots[2], _cut(stack, scale, alpha), _cut_aspect(stack), _cut_name(stack))
    _draw_shares(slots[3], stack)
    _scale_bar(slots[1], own, tall)
    slots[0].write(fill(_words(stack), 150), _TALLEST + 0.38, size=7, colour=PALE)


def _panel(
    slot: Slot, picture: UInt8[np.ndarray, "r c 3"], aspect: float | None, name: str
) -> float:
    """Gives the height that the picture takes up, in inches."""
    rows, columns = picture.shape[:2]
    filling = slot.height / slot.width * columns / rows
    _show(slot.axes(), picture, filling if aspect is None else aspect)
    slot.write(name, -0.05, size=9, colour=INK, above=True)
    return slot.height if aspect is None else min(slot.height, slot.height * aspect / filling)


def _show(axes: Axes, picture: UInt8[np.ndarray, "r c 3"], aspect: float | None = None) -> None:
    axes.imshow(picture, interpolation="nearest", aspect="auto" if aspect is None else aspect)
    axes.set_anchor("NW")
    axes.set_axis_off()


def _over(
    picture: UInt8[np.ndarray, "row column"] | UInt8[np.ndarray, "row column 3"],
    values: Float[np.ndarray, "row column"],
    scale: Scale | None,
    alpha: float = 0.5,
) -> UInt8[np.ndarray, "row column 3"]:
    coloured = picture if picture.ndim == 3 else np.repeat(picture[:, :, np.newaxis], 3, axis=2)
    seen: Bool[np.ndarray, "row column"] = np.isfinite(values)
    if scale is None or not seen.any():
        return coloured
    return overlay(coloured, np.where(seen, values, 0), scale, alpha=alpha, seen=seen)


def _cut(stack: Stack, scale: Scale | None, alpha: float) -> UInt8[np.ndarray, "row section 3"]:
    """What lies in one column of every section."""
    column = _cut_column(stack)
    values = np.ascontiguousarray(stack.values[:, :, column].T)
    return _over(np.ascontiguousarray(stack.pictures[:, :, column].T), values, scale, alpha)


def _cut_column(stack: Stack) -> int:
    hottest = stack.hottest
    return stack.pictures.shape[2] // 2 if hottest is None else hottest[2]


def _cut_name(stack: Stack) -> str:
    where = "the middle column" if stack.hottest is None else "the hottest column"
    return f"Across the sections, {where}"


def _cut_aspect(stack: Stack) -> float | None:
    """Of the cut a row is a row, and a column is a section."""
    return None if stack.aspect is None else stack.section_aspect / stack.aspect


def _draw_shares(slot: Slot, stack: Stack) -> None:
    part = Slot(
        figure=slot.figure,
        left=slot.left + 0.5,
        top=slot.top,
        width=slot.width - 0.6,
        height=slot.height - 0.3,
    )
    axes = part.axes()
    slot.write("Share of the map in each section", -0.05, size=9, colour=INK, above=True)
    axes.plot(stack.numbers, 100 * stack.shares, color="#0a5a6c", linewidth=1.4, marker=".")
    level = 100 / len(stack.numbers)
    axes.axhline(level, color=PALE, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("section", fontsize=8, color=INK)
    axes.set_ylabel("% (dashed: chance)", fontsize=8, color=INK)
    axes.tick_params(labelsize=7, colors=PALE)
    axes.spines[["top", "right"]].set_visible(False)


def _scale_bar(slot: Slot, scale: Scale | None, below: float) -> None:
    if scale is None:
        return
    bar = slot.figure.colorbar(
        ScalarMappable(Normalize(0, scale.limit), scale.colormap),
        cax=slot.axes(top=below + 0.06, height=0.09),
        orientation="horizontal",
    )
    bar.set_ticks([0.0, scale.limit], labels=[number(0.0), number(scale.limit)], fontsize=7)
    bar.ax.tick_params(length=2, pad=1.5, color=PALE)
    bar.ax.get_xticklabels()[-1].set_horizontalalignment("right")
    bar.ax.spines[:].set_visible(False)


def _words(stack: Stack) -> str:
    scale = stack_scale(stack)
    said = (
        "No section has positive values."
        if scale is None
        else f"All sections share a scale from 0 to {number(scale.limit)}: the 99.9th percentile "
        "of the positive raw values."
    )
    hottest = stack.hottest
    if hottest is not None:
        section = hottest[0]
        share = percent(float(stack.shares[section]))
        said += f" The largest value lies in section {stack.numbers[section]}, which has {share}."
    said += f" From above, section {stack.numbers[0]} is on top, whichever way they run in the eye."
    if stack.aspect is None:
        said += " The distance of the sections is not known: proportions from above are not true."
    return said


def _to(largest: float) -> Scale:
    return Scale(limit=largest, signed=False, scaling="maximum", largest=largest, colormap=POSITIVE)


def _bytes(values: Float[np.ndarray, "row column"]) -> UInt8[np.ndarray, "row column 3"]:
    """Brightness as a picture; what is unknown is dark."""
    grey = np.rint(255 * np.where(np.isfinite(values), values, _BLANK)).astype(np.uint8)
    return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
