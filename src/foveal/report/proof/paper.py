"""The look that all plots share: safe for colour-blind readers, and the same bytes every time."""

import io
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foveal.report.panels import INK, PALE

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito 2008, without the yellow that cannot be seen on white."""
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SOFT = "#8a949b"
"""Of controls, diagonals and what else is there to compare with."""
_PANEL = 3.4, 2.7
"""Inches of one panel."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Plot:
    """One figure of the cohort."""

    name: str
    """The stem of its file."""
    title: str
    words: str
    """What it shows, for readers who cannot see it."""
    figure: Figure

    @property
    def uri(self) -> str:
        """As SVG inside a page."""
        return f"data:image/svg+xml;base64,{b64encode(svg(self.figure)).decode()}"


def svg(figure: Figure) -> bytes:
    """The same figure gives the same bytes."""
    data = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "foveal", "svg.fonttype": "path"}):
        figure.savefig(data, format="svg", metadata={"Date": None, "Creator": None})
    return data.getvalue()


def panels(count: int, *, width: float = 1.0, height: float = 1.0) -> tuple[Figure, list[Axes]]:
    """A figure with panels side by side, at most three in a row."""
    columns = min(3, count)
    rows = -(-count // columns)
    size = columns * _PANEL[0] * width, rows * _PANEL[1] * height
    figure = Figure(figsize=size, facecolor="white", layout="constrained")
    axes = [figure.add_subplot(rows, columns, place + 1) for place in range(count)]
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set_color(PALE)
        panel.tick_params(labelsize=7, colors=INK, length=2.5)
    return figure, axes


def named(panel: Axes, *, across: str, up: str, title: str = "") -> None:
    """Name a panel and its axes; text is text, and never a formula."""
    panel.set_xlabel(across, fontsize=7.5, color=INK, parse_math=False)
    panel.set_ylabel(up, fontsize=7.5, color=INK, parse_math=False)
    if title:
        panel.set_title(title, fontsize=8.5, color=INK, loc="left", parse_math=False)


def legend(panel: Axes) -> None:
    """A legend without a frame, where it covers least."""
    made = panel.legend(fontsize=6.5, frameon=False, labelcolor=INK, handlelength=2.6, loc="best")
    for text in made.get_texts():
        text.set_parse_math(False)


def legend_below(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend for all panels, below them, where it covers no line."""
    entries = {}
    for panel in axes:
        lines, names = panel.get_legend_handles_labels()
        entries |= dict(zip(names, lines, strict=True))
    made = figure.legend(
        list(entries.values()), list(entries), fontsize=6.5, frameon=False, labelcolor=INK,
        handlelength=2.6, loc="outside lower left", ncols=4,
    )  # fmt: skip
    for text in made.get_texts():
        text.set_parse_math(False)


def colour(place: int) -> str:
    """Of the so-many-th method."""
    return COLOURS[place % len(COLOURS)]


def dashes(place: int) -> object:
    """Of the so-many-th method; they repeat at another step than the colours do."""
    return DASHES[place % len(DASHES)]


def marker(place: int) -> str:
    """Of the so-many-th method."""
    return MARKERS[place % len(MARKERS)]
