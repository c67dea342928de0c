"""One figure for a series: the visits in a row, their maps on one scale, and the changes."""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from foveal.report.colour import POSITIVE, SIGNED, Scale, overlay
from foveal.report.outlines import contour
from foveal.report.panels import INK, PALE, Slot
from foveal.report.series import BY_CHANCE, SeriesMap, Step
from foveal.report.words import number, percent, target_in_words

_EDGE, _GAP, _TOP, _BETWEEN, _BELOW, _LINE = 0.12, 0.12, 0.62, 0.68, 0.46, 0.15
"""In inches: around all panels, between them, above the first row, above the changes, below them,
and a line of the words at the bottom."""
_WIDEST, _NARROWEST, _WHOLE, _LEAST = 2.6, 1.4, 11.2, 5.4
"""In inches: of a panel, of a row of them where they are many, and of the figure at least."""
_LETTERS = 16
"""Of the words at the bottom, that fit in an inch."""
_BEYOND = 2.0
"""Thresholds at which the colours of a change end."""
_HONEST = "A change of a map is a change of what the model looks at, and no measurement of disease."

Picture = UInt8[np.ndarray, "row column 3"]
Map = Float[np.ndarray, "row column"]


def series_figure(series: SeriesMap, *, notes: Sequence[str] = (), alpha: float = 0.5) -> Figure:
    """The visits as they lie on the first one, below them their maps, below these the changes.

    All maps share one scale, and all changes another one. With repeats the colours of a change are
    in noise floors, and a line runs around what exceeds the threshold; without them they are in the
    map's unit.

    Args:
        series: One method's maps.
        notes: Further words below, such as which visits are missing and why.
        alpha: Opacity of the colours in [0, 1].
    """
    scale = _change_scale(series)
    columns = max(len(series.numbers), len(series.steps))
    width = min(max(_WHOLE / columns, _NARROWEST), _WIDEST)
    wide = max(columns * (width + _GAP) - _GAP + 2 * _EDGE, _LEAST)
    height = width * series.values.shape[1] / series.values.shape[2]
    words = [fill(text, int(wide * _LETTERS)) for text in (*_words(series, scale), *notes)]
    lines = sum(text.count("\n") + 1 for text in words)
    bottom = _TOP + 2 * height + _GAP + _BETWEEN
    tall = bottom + height + _BELOW + _LINE * lines
    figure = Figure(figsize=(wide, tall), facecolor="white")

    def row(top: float) -> list[Slot]:
        lefts = [_EDGE + place * (width + _GAP) for place in range(columns)]
        return [
            Slot(figure=figure, left=left, top=top, width=width, height=height) for left in lefts
        ]

    photographs, maps, changes = row(_TOP), row(_TOP + height + _GAP), row(bottom)
    heading = f"{series.name} for {target_in_words(series.target)}"
    photographs[0].write(heading, 0.1 - _TOP, size=11, colour=INK)
    _draw_visits(series, photographs, maps, alpha)
    _draw_changes(series, changes, scale, alpha)
    changes[0].write("\n".join(words), height + _BELOW, size=7, colour=PALE)
    return figure


def _draw_visits(
    series: SeriesMap, photographs: Sequence[Slot], maps: Sequence[Slot], alpha: float
) -> None:
    scale = _map_scale(series)
    for place, visit in enumerate(series.numbers):
        picture, values = series.pictures[place], series.values[place]
        _show(photographs[place], picture)
        photographs[place].write(f"Visit {visit}", -0.04, size=9, colour=INK, above=True)
        _show(maps[place], _over(picture, values, scale, alpha))
    if scale is not None:
        _draw_bar(maps[0], scale)


def _draw_changes(
    series: SeriesMap, slots: Sequence[Slot], scale: Scale | None, alpha: float
) -> None:
    for slot, step in zip(slots, series.steps, strict=False):
        grey = series.pictures[series.numbers.index(step[1])].mean(axis=2, keepdims=True)
        picture = np.repeat(grey.astype(np.uint8), 3, axis=2)
        drawn = _drawn(series, step)
        axes = _show(slot, _over(picture, drawn, scale, min(1.0, 1.6 * alpha), by_value=True))
        changed = series.changed(step)
        for line in [] if changed is None else contour(changed.astype(np.float32), 0.5):
            axes.plot(line[:, 1], line[:, 0], color="black", linewidth=1.8, alpha=0.5)
            axes.plot(line[:, 1], line[:, 0], color="white", linewidth=0.9)
        slot.write(_step_words(series, step), -0.04, size=9, colour=INK, above=True)
    if scale is not None:
        _draw_bar(slots[0], scale)


def _drawn(series: SeriesMap, step: Step) -> Map:
    """The change in noise floors, without end where repeats do not differ; else as it is."""
    change = series.changes[step]
    if change.noise_floor is None or change.in_floors is None:
        return change.difference
    endless = np.where(change.difference == 0, 0.0, np.copysign(np.inf, change.difference))
    known = np.isfinite(change.difference) & np.isfinite(change.noise_floor)
    inside = np.where(change.noise_floor > 0, change.in_floors, endless)
    return np.where(known, inside, np.nan)


def _step_words(series: SeriesMap, step: Step) -> str:
    name = f"From visit {step[0]} to {step[1]}"
    share = series.rows()[series.steps.index(step)]["changed"]
    return f"{name}: {percent(share)} changed" if isinstance(share, float) else name


def _map_scale(series: SeriesMap) -> Scale | None:
    positive = series.values[series.values > 0]
    if not positive.size:
        return None
    limit = float(np.percentile(positive, 99.9))
    largest = float(positive.max())
    return Scale(limit=limit, signed=False, scaling="p99.9", largest=largest, colormap=POSITIVE)


def _change_scale(series: SeriesMap) -> Scale | None:
    """To twice the threshold where there is one, else to the 99.9th percentile of all changes."""
    sizes = np.abs(np.stack([_drawn(series, step) for step in series.steps]))
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    if series.threshold is not None:
        limit = _BEYOND * series.threshold
    elif sizes.size:
        limit = float(np.percentile(sizes, 99.9))
    else:
        return None
    largest = float(sizes.max(initial=limit))
    return Scale(limit=limit, signed=True, scaling="p99.9", largest=largest, colormap=SIGNED)


def _over(
    picture: Picture, values: Map, scale: Scale | None, alpha: float, *, by_value: bool = False
) -> Picture:
    seen = ~np.isnan(values)
    if scale is None:
        return picture
    shown = np.where(seen, values, 0.0)
    return overlay(picture, shown, scale, alpha=alpha, by_value=by_value, seen=seen)


def _show(slot: Slot, picture: Picture) -> Axes:
    axes = slot.axes()
    rows, columns = picture.shape[:2]
    axes.imshow(picture, extent=(0, columns, rows, 0), interpolation="antialiased", aspect="auto")
    axes.set_axis_off()
    return axes


def _draw_bar(slot: Slot, scale: Scale) -> None:
    ends = {(True, True): "both", (True, False): "max"}.get((scale.clipped, scale.signed))
    bar = slot.figure.colorbar(
        ScalarMappable(Normalize(scale.low, scale.limit), scale.colormap),
        cax=slot.axes(top=slot.height + 0.06, height=0.09),
        orientation="horizontal",
        extend=ends or "neither",
    )
    ticks = [scale.low, 0.0, scale.limit] if scale.signed else [0.0, scale.limit]
    bar.set_ticks(ticks, labels=[number(tick) for tick in ticks], fontsize=7)
    bar.ax.tick_params(length=2, pad=1.5, color=PALE)
    labels = bar.ax.get_xticklabels()
    labels[0].set_horizontalalignment("left")
    labels[-1].set_horizontalalignment("right")
    bar.ax.spines[:].set_visible(False)


def _words(series: SeriesMap, scale: Scale | None) -> list[str]:
    said = ["Maps: raw values, one scale for all visits; evidence against is not drawn."]
    if series.threshold is None:
        reason = next(iter(series.changes.values())).reason
        said.append(f"Changes in the map's unit, without a noise floor: {reason}.")
    else:
        said.append(
            f"Changes in noise floors of {len(series.repeats)} repeats; a line surrounds more than "
            f"{number(series.threshold)} of them, which {percent(BY_CHANCE)} of unchanged pixels "
            "exceed by chance."
        )
    if scale is not None:
        said.append("Pink: less evidence for the target than before, green: more.")
    return [*said, _HONEST]
