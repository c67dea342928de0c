"""Plots of a model's answers: confusion, reliability, risk against coverage, and place."""

from collections.abc import Iterator, Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from foveal.report.panels import INK
from foveal.report.proof.paper import SOFT, Plot, colour, dashes, legend, marker, named, panels
from foveal.report.proof.performance import Performance
from foveal.report.proof.place import Placed
from foveal.report.proof.plots_of_maps import Label
from foveal.report.proof.readings import Reading
from foveal.report.proof.say import question
from foveal.report.proof.trust import Trust
from foveal.report.words import number, percent

_DRAWN = 2000
"""Points of a scatter plot; of more images so many are drawn evenly."""


def model_plots(
    performances: Sequence[Performance], trusts: Sequence[Trust], label: Label
) -> Iterator[Plot]:
    """All plots of the models."""
    for place, (how_good, how_sure) in enumerate(zip(performances, trusts, strict=True)):
        yield _confusion(how_good, place)
        yield _reliability(how_sure, place)
        yield _risk(how_sure, place)
        if how_sure.placed:
            yield _places(how_sure, place, label)


def _confusion(found: Performance, place: int) -> Plot:
    """Counts, coloured by the share of each true class."""
    counts = found.confusion
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 0.85 + 0.1 * len(found.classes)
    figure, (panel,) = panels(1, width=side, height=1.1 * side)
    panel.imshow(shares, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        ink = "black" if shares[row, column] > 0.5 else "white"
        panel.text(column, row, str(count), ha="center", va="center", fontsize=8, color=ink)
    names = [fill(name, 14) for name in found.classes]
    panel.set_xticks(range(len(names)), labels=names, rotation=30, ha="right", parse_math=False)
    panel.set_yticks(range(len(names)), labels=names, parse_math=False)
    panel.spines[:].set_visible(False)
    named(panel, across="predicted", up="true")
    right = int(np.trace(counts))
    return Plot(
        name=f"confusion-{place}",
        title="Confusion: images by true and predicted class; lighter is a larger share of the "
        "true class",
        words=f"{right} of {int(counts.sum())} images lie on the diagonal.",
        figure=figure,
    )


def _reliability(found: Trust, place: int) -> Plot:
    figure, axes = panels(len(found.readings), width=1.15, height=1.3)
    for turn, (panel, reading) in enumerate(zip(axes, found.readings, strict=True)):
        _reliable(panel, reading, turn)
    said = [
        f"{reading.name}: ECE {_number(reading.top.ece)}, against {_number(reading.top.null_mean)} "
        "for perfect calibration"
        for reading in found.readings
    ]
    return Plot(
        name=f"reliability-{place}",
        title="Reliability: how often the named class was right. Grey: where a perfectly "
        "calibrated model would lie 95 times in 100; bars: intervals; line: without bins",
        words=f"{'; '.join(said)}.",
        figure=figure,
    )


def _reliable(panel: Axes, reading: Reading, turn: int) -> None:
    said = np.array([one.probability for one in reading.bins])
    low, high = np.array([one.band for one in reading.bins]).T
    panel.plot([0, 1], [0, 1], color=SOFT, linewidth=0.9, linestyle=(0, (2, 2)))
    panel.vlines(said, low, high, color=SOFT, linewidth=5, alpha=0.35)
    for one in reading.bins:
        found = one.frequency
        if found.low is not None and found.high is not None:
            panel.vlines(one.probability, found.low, found.high, color=colour(turn), linewidth=1)
    panel.plot(
        said,
        np.array([one.frequency.estimate for one in reading.bins], dtype=np.float64),
        linestyle="none", marker=marker(turn), markersize=4, color=colour(turn),
    )  # fmt: skip
    if reading.smooth:
        panel.plot(*np.array(reading.smooth).T, color=INK, linewidth=1)
    panel.set(xlim=(0, 1.02), ylim=(-0.02, 1.02))
    named(
        panel,
        across="probability of the named class",
        up="share that was right",
        title=reading.name.capitalize(),
    )


def _risk(found: Trust, place: int) -> Plot:
    figure, (panel,) = panels(1, width=1.3, height=1.2)
    coverage, risk = found.curve.coverage, found.curve.risk
    chosen = np.unique(np.linspace(0, len(coverage) - 1, min(_DRAWN, len(coverage))).astype(int))
    panel.step(
        100 * coverage[chosen], 100 * risk[chosen], where="post", color=colour(0), linewidth=1.5,
        label="least sure deferred first",
    )  # fmt: skip
    panel.axhline(
        100 * float(risk[-1]), color=SOFT, linewidth=1, linestyle=(0, (4, 2)),
        label="deferred at random",
    )  # fmt: skip
    for turn, kept in enumerate(found.kept):
        if kept.coverage is not None and kept.coverage.estimate is not None and kept.risk:
            at = kept.coverage.estimate, kept.risk.estimate
            if at[1] is not None:
                panel.plot(
                    100 * at[0], 100 * at[1], marker=marker(turn + 1), linestyle="none",
                    markersize=5, color=colour(turn + 1), label=_rule(kept.deferral.rule),
                )  # fmt: skip
    panel.set(xlim=(0, 101), ylim=(0, max(5.0, 110 * float(risk.max()))))
    named(panel, across="% of answers kept (coverage)", up="% of kept answers wrong (risk)")
    legend(panel)
    whole = percent(float(risk[-1]))
    return Plot(
        name=f"risk-{place}",
        title="Risk against coverage; marks: thresholds, on the patients that judge them",
        words=f"With all answers kept {whole} are wrong; "
        f"{found.areas[0][0]} {_number(found.areas[0][2].estimate)}.",
        figure=figure,
    )


def _places(found: Trust, place: int, label: Label) -> Plot:
    figure, axes = panels(len(found.placed))
    for panel, one in zip(axes, found.placed, strict=True):
        _scatter(panel, one, found.threshold)
        named(panel, across="confidence", up="relevance mass on lesions", title=label(one.method))
    legend(axes[0])
    said = [
        f"{label(one.method)} for {question(one.target)}: rank correlation "
        f"{_number(one.correlation.all.estimate)}"
        for one in found.placed
    ]
    return Plot(
        name=f"place-{place}",
        title="Confidence against place: images with outlined lesions; vertical line: the "
        "threshold of the decisions",
        words=f"{'; '.join(said)}.",
        figure=figure,
    )


def _scatter(panel: Axes, one: Placed, threshold: float | None) -> None:
    count = len(one.mass)
    drawn = np.unique(np.linspace(0, count - 1, min(_DRAWN, count)).astype(int))
    for turn, (name, right) in enumerate((("right", True), ("wrong", False))):
        rows = drawn[one.right[drawn] == right]
        panel.plot(
            one.confidence[rows], one.mass[rows], linestyle="none", marker=marker(2 * turn),
            markersize=3.5, alpha=0.7, color=colour(turn), label=name,
        )  # fmt: skip
    if threshold is not None:
        panel.axvline(threshold, color=SOFT, linewidth=1, linestyle=dashes(1))
    panel.set(ylim=(0, None))
    panel.xaxis.set_major_locator(MaxNLocator(4))


def _rule(rule: str) -> str:
    return {
        "coverage": "threshold for a coverage",
        "risk": "threshold for a risk",
        "sgr": "threshold with a guarantee",
    }[rule]


def _number(value: float | None) -> str:
    return "not known" if value is None else number(value)
