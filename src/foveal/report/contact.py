"""All maps of one wall on one small picture, for slides and for a first look."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten, wrap

from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from foveal.report.carry import Way, way_of
from foveal.report.colour import POSITIVE, SIGNED, evidence, scale_of
from foveal.report.drawing import small_picture
from foveal.report.exhibits import Exhibit, Wall, by_family, cost_in_letters, grid_in_words
from foveal.report.panels import INK, PALE, Picture, Slot
from foveal.report.thumbnails import small_overlay
from foveal.report.words import (
    answer_in_words,
    listed,
    map_name,
    method_name,
    no_map,
    target_in_words,
    title,
)

_SIDE = 400
"""Larger side of a panel's picture in pixels."""
_COLUMNS, _FEWEST = 8, 4
"""Panels in a row, and panels that a sheet has room for even where there are fewer."""
_WIDTH, _GAP, _ABOVE, _BELOW, _HEADING, _LINE = 1.85, 0.14, 0.2, 0.36, 0.62, 0.155
"""In inches: of a picture, between panels, the words above and below each, the heading, and a line
of the list of methods without a map."""
_LETTERS = 19
"""Of that list, that fit in an inch."""
_QUALITY, _DPI = 80, 120


def contact_sheet(wall: Wall) -> Figure:
    """The original and every map over it in one grid, family after family.

    Below each stand the native grid and what it cost; methods without a map are listed at the
    bottom with their reasons. Every map has a scale of its own.

    Raises:
        ValueError: A case that failed: it has no picture.
    """
    ordered = [one for _, own in by_family(wall.exhibits) for one in own]
    shown = [one for one in ordered if one.explained is not None]
    wide = max(min(_COLUMNS, 1 + len(shown)), _FEWEST) * (_WIDTH + _GAP) + _GAP
    lines = _refusals([one for one in ordered if one.explained is None], int(wide * _LETTERS))
    picture = small_picture(wall.case, _SIDE)
    way = way_of(wall.case, wall.view, (picture.shape[0], picture.shape[1]))
    original, *slots = _slots(1 + len(shown), wide, picture.shape[0] / picture.shape[1], len(lines))
    _write_heading(original, wall)
    _draw(original, picture, "Original")
    _draw_colours(original)
    for slot, exhibit in zip(slots, shown, strict=True):
        _draw_exhibit(slot, wall, exhibit, picture, way)
    _write_lines(original, lines)
    return original.figure


def save_sheet(figure: Figure, path: Path) -> None:
    """Write a contact sheet as JPEG."""
    settings = {"quality": _QUALITY, "optimize": True}
    figure.savefig(path, format="jpeg", dpi=_DPI, pil_kwargs=settings)


def _slots(count: int, wide: float, shape: float, lines: int) -> list[Slot]:
    columns = min(_COLUMNS, count)
    height = _WIDTH * shape
    across, down = _WIDTH + _GAP, _ABOVE + height + _BELOW
    rows = -(-count // columns)
    tall = _HEADING + rows * down + _LINE * lines + 0.3
    figure = Figure(figsize=(wide, tall), facecolor="white")
    return [
        Slot(
            figure=figure,
            left=_GAP + number % columns * across,
            top=_HEADING + number // columns * down + _ABOVE,
            width=_WIDTH,
            height=height,
        )
        for number in range(count)
    ]


def _write_heading(first: Slot, wall: Wall) -> None:
    said = answer_in_words(wall.view.prediction.label)
    heading = f"{wall.case.id}  ·  {title(wall.case)}  ·  {wall.view.model} says: {said}"
    first.write(heading, 0.1 - first.top, size=11, colour=INK)
    asked = (
        f"Why {target_in_words(wall.target)}? Each map has a scale of its own, from zero to its "
        "maximum, on the input's grid to the strongest 1 % of what is drawn. F and B: images sent "
        "forward and backward."
    )
    first.write(asked, 0.34 - first.top, size=8, colour=PALE)


def _draw(slot: Slot, picture: Picture, name: str) -> None:
    panel = slot.axes()
    panel.imshow(picture, interpolation="antialiased", aspect="auto")
    panel.set_axis_off()
    slot.write(name, -0.03, size=8, colour=INK, above=True)


def _draw_exhibit(slot: Slot, wall: Wall, exhibit: Exhibit, picture: Picture, way: Way) -> None:
    if exhibit.explained is None:
        return
    made = exhibit.explained.attribution
    scale = scale_of(made)
    if scale is None:
        words = shorten(f"No map: {no_map(made)}", 44, placeholder=" ...")
    else:
        values = way.carry(evidence(made))
        fine = evidence(made).shape == wall.view.field.shape
        picture = small_overlay(picture, values, scale, way.seen, fine=fine)
        words = grid_in_words(made, wall.view)
    _draw(slot, picture, map_name(exhibit.explained.key, made))
    below = f"{words}\n{cost_in_letters(exhibit)}"
    slot.write(below, slot.height + 0.04, size=5.5, colour=PALE)


def _draw_colours(slot: Slot) -> None:
    """What the colours mean, below the original."""
    for place, (colormap, low, words) in enumerate(
        ((POSITIVE, 0.0, "none to most for"), (SIGNED, -1.0, "against, none, for"))
    ):
        bar = ScalarMappable(Normalize(low, 1), colormap)
        left, width = slot.left + place * slot.width * 0.52, slot.width * 0.46
        part = Slot(figure=slot.figure, left=left, top=slot.top, width=width, height=slot.height)
        axes = part.axes(top=slot.height + 0.06, height=0.07)
        slot.figure.colorbar(bar, cax=axes, orientation="horizontal").set_ticks([])
        part.write(words, slot.height + 0.16, size=5.5, colour=PALE)


def _refusals(refused: Sequence[Exhibit], letters: int) -> list[str]:
    """The methods without a map and why, each reason once."""
    reasons = {one.refusal: [] for one in refused}
    for one in refused:
        reasons[one.refusal].append(method_name(one.method))
    return [
        line
        for reason, names in reasons.items()
        for line in wrap(f"No map by {listed(names)}: {reason}", letters)
    ]


def _write_lines(first: Slot, lines: Sequence[str]) -> None:
    _, tall = first.figure.get_size_inches()
    top = tall - first.top - _LINE * len(lines) - 0.15
    first.write("\n".join(lines), top, size=7, colour=PALE)
