"""Plots of the methods: ranks, boxes with pairs, and removal curves between their controls."""

from collections.abc import Callable, Iterator, Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes

from foveal.report.families import headline
from foveal.report.panels import INK
from foveal.report.proof.matches import Match, MatchRow
from foveal.report.proof.paper import (
    SOFT,
    Plot,
    colour,
    dashes,
    legend_below,
    marker,
    named,
    panels,
)
from foveal.report.proof.removal import MeanCurve, Removal
from foveal.report.proof.say import question
from foveal.report.words import counted, listed, measure_name, number

Label = Callable[[str], str]
"""What a map's name in the run is in words."""
_PAIRS = 60
"""Patients up to which each is drawn as a line through the methods."""
_BOXES = 6
"""Measures whose numbers are drawn."""
_LETTERS = 18
_ENDS = {"deletion_auc": "removed, most relevant first", "insertion_auc": "put back"}


def map_plots(
    compared: Sequence[Match], removed: Sequence[Removal], label: Label
) -> Iterator[Plot]:
    """All plots of the methods, question by question."""
    for place, match in enumerate(compared):
        for plot in (_ranks(match, place, label), _boxes(match, place, label)):
            if plot is not None:
                yield plot
        own = [r for r in removed if (r.model, r.target) == (match.model, match.target)]
        if own:
            yield _curves(match, own, place, label)


def _ranks(match: Match, place: int, label: Label) -> Plot | None:
    """Methods by measures: a cell is the mean rank over the patients."""
    rows = [r for r in match.rows if sum(s.rank is not None for s in r.contest.standings) > 1]
    if not rows:
        return None
    ranks = np.array([[s.rank for s in row.contest.standings] for row in rows], dtype=np.float64)
    figure, (panel,) = panels(
        1, width=0.75 + 0.22 * len(match.methods), height=0.4 + 0.075 * len(rows)
    )
    panel.imshow(-ranks, cmap="cividis", vmin=-len(match.methods), vmax=-1, aspect="auto")
    middle = -(1 + len(match.methods)) / 2
    for (row, column), rank in np.ndenumerate(ranks):
        mean = rows[row].shared[column]
        ink = "white" if -rank <= middle else "black"  # black too where there is no rank
        text = "none" if mean is None else number(mean)
        panel.text(column, row, text, ha="center", va="center", fontsize=6.5, color=ink)
    names = [fill(label(key), _LETTERS) for key in match.methods]
    panel.set_xticks(range(len(names)), labels=names, parse_math=False)
    arrows = {"higher": "↑", "lower": "↓", "context": ""}
    measures = [f"{_named(row)} {arrows[row.direction]}" for row in rows]
    panel.set_yticks(range(len(rows)), labels=measures, parse_math=False)
    panel.spines[:].set_visible(False)
    best = [
        f"{_named(row)}: {label(match.methods[int(np.nanargmin(own))])}"
        for row, own in zip(rows, ranks, strict=True)
    ]
    return Plot(
        name=f"methods-{place}",
        title="Methods by measures: the lighter, the better the mean rank; numbers are means over "
        "the images with a number of every method in the row",
        words=f"Best mean rank by measure. {'; '.join(best)}.",
        figure=figure,
    )


def _boxes(match: Match, place: int, label: Label) -> Plot | None:
    """Each method's numbers patient by patient, with a line through those of one patient."""
    first = headline(dict.fromkeys(row.measure for row in match.rows))
    rows = [row for name in first for row in match.rows if row.measure == name and len(row.means)]
    rows = rows[:_BOXES]
    if not rows:
        return None
    figure, axes = panels(len(rows))
    for panel, row in zip(axes, rows, strict=True):
        _box(panel, row, [label(key) for key in match.methods])
    said = [
        f"{_named(row)}: "
        + ", ".join(
            f"{label(match.methods[turn])} median {number(float(np.median(row.means[:, turn])))}"
            for turn in _there(row)
        )
        for row in rows
    ]
    return Plot(
        name=f"boxes-{place}",
        title=f"Means by {match.unit}, over images with a number of every method that is drawn: "
        "boxes from quartile to quartile, whiskers over all within 1.5 times that, a thin line for "
        f"each {match.unit} where there are at most {_PAIRS}",
        words=f"{'; '.join(said)}.",
        figure=figure,
    )


def _box(panel: Axes, row: MatchRow, names: Sequence[str]) -> None:
    there = _there(row)
    means = row.means[:, there]
    if len(means) <= _PAIRS:
        panel.plot(range(len(there)), means.T, color=SOFT, linewidth=0.5, alpha=0.6, zorder=1)
    drawn = panel.boxplot(
        list(means.T),
        positions=range(len(there)),
        widths=0.45,
        showfliers=False,
        patch_artist=True,
        medianprops={"color": INK, "linewidth": 1.4},
        zorder=2,
    )
    for turn, patch in zip(there, drawn["boxes"], strict=True):
        patch.set(facecolor=colour(turn), alpha=0.55, edgecolor=INK, linewidth=0.7)
    levels = [row.chance[turn] for turn in there]
    chances = [(at, chance) for at, chance in enumerate(levels) if chance is not None]
    for at, chance in chances:
        panel.hlines(
            chance, at - 0.4, at + 0.4, color=INK, linewidth=1.1, linestyle=(0, (2, 1.5)), zorder=3
        )
    labels = [fill(names[turn], 12) for turn in there]
    panel.set_xticks(range(len(there)), labels=labels, fontsize=6.5, parse_math=False)
    ways = {"higher": "higher is better", "lower": "lower is better", "context": "neither way"}
    dotted = "; dashed: each one’s chance" if chances else ""
    named(panel, across=f"{ways[row.direction]}{dotted}", up="", title=_named(row))


def _there(row: MatchRow) -> list[int]:
    """The places of the methods that have a number."""
    return np.flatnonzero(np.isfinite(row.means).any(axis=0)).tolist()


def _curves(match: Match, own: Sequence[Removal], place: int, label: Label) -> Plot:
    figure, axes = panels(len(own), width=1.3, height=1.15)
    counts = {curve.images for removal in own for curve in (*removal.methods, *removal.controls)}
    uneven = len(counts) > 1

    def entry(name: str, curve: MeanCurve) -> str:
        return f"{name} (n = {curve.images})" if uneven else name

    order = {key: number_ for number_, key in enumerate(match.methods)}
    for panel, removal in zip(axes, own, strict=True):
        percent = 100 * removal.fractions
        for shade, control in enumerate(removal.controls):
            panel.plot(
                percent, control.mean, color=SOFT, linewidth=1.1, linestyle=dashes(shade),
                label=entry(control.name, control),
            )  # fmt: skip
        for curve in removal.methods:
            turn = order[curve.name]
            if curve.low is not None and curve.high is not None:
                panel.fill_between(
                    percent, curve.low, curve.high, color=colour(turn), alpha=0.15, linewidth=0
                )
            panel.plot(
                percent, curve.mean, color=colour(turn), linewidth=1.5, linestyle=dashes(turn),
                marker=marker(turn), markevery=8, markersize=3.5,
                label=entry(label(curve.name), curve),
            )  # fmt: skip
        named(
            panel,
            across=f"% of the field {_ENDS[removal.measure]}",
            up="mean score",
            title=measure_name(removal.measure.removesuffix("_auc")),
        )
        panel.set_xlim(0, 100)
    legend_below(figure, axes)
    images = "so many images each as the legend says" if uneven else counted(max(counts), "image")
    return Plot(
        name=f"curves-{place}",
        title=f"Removal curves for {question(match.target)}, means over {images} with 95 % "
        f"bands by {match.unit}, point by point; grey: controls, which no map made",
        words=" ".join(_courses(removal, label) for removal in own),
        figure=figure,
    )


def _courses(removal: Removal, label: Label) -> str:
    def half(curve: MeanCurve) -> str:
        return f"{number(float(curve.mean[len(curve.mean) // 2]))}"

    methods = [f"{label(curve.name)} {half(curve)}" for curve in removal.methods]
    controls = [f"{curve.name} {half(curve)}" for curve in removal.controls]
    against = f"; controls: {listed(controls)}" if controls else ""
    kind = measure_name(removal.measure.removesuffix("_auc"))
    return f"{kind}, mean score with half of the field changed: {listed(methods)}{against}."


def _named(row: MatchRow) -> str:
    name = measure_name(row.measure)
    return name if row.region is None else f"{name}, {row.region}"
