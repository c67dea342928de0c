"""What a map shows, in words, for readers who cannot see it and for those who can."""

from math import floor, log10

import numpy as np
from jaxtyping import Float

from foveal.core import Attribution
from foveal.report.carry import Way
from foveal.report.colour import Scale, evidence
from foveal.report.words import (
    listed,
    map_name,
    no_map,
    number,
    percent,
    target_in_words,
)
from foveal.store import ALL_LESIONS, Case, Explained, View

_CENTRE = 0.2
"""Within this share of the field's half side from its middle, a point is called central."""
_REGIONS = 2
"""Regions that a description names, those with the most evidence."""


def description(case: Case, view: View, explained: Explained, scale: Scale | None, way: Way) -> str:
    """One sentence: method and target, where the map is strongest, and which regions it meets."""
    made = explained.attribution
    start = f"{map_name(explained.key, made)} for {target_in_words(made.target)}"
    if scale is None:
        return f"{start}: no map, since {no_map(made)}."
    values = evidence(made)
    found = [f"strongest {place(case, view, values, way)}"]
    if scale.signed and values.min() < 0:
        found.append(f"strongest evidence against {place(case, view, -values, way)}")
    return f"{start}: {'; '.join(found + shares_in_regions(explained))}."


def place(case: Case, view: View, values: Float[np.ndarray, "row column"], way: Way) -> str:
    """Where the largest value lies, as seen from the middle of the field of view."""
    native = values.shape[0], values.shape[1]
    peak = np.array(np.unravel_index(int(values.argmax()), native)) + 0.5
    row, column = (peak * way.prepared / native).astype(int)
    if not view.field[row, column]:
        return "outside the field of view"
    (point,) = way.points(peak[np.newaxis], native)
    first, last = _box(view, way)
    down, right = ((point - (first + last) / 2) / ((last - first) / 2)).tolist()
    if np.hypot(down, right) <= _CENTRE:
        return "near the centre of the field"
    side = _sideways(case, rightwards=right > 0)
    part = "quadrant" if side in ("temporal", "nasal") else "part"
    return f"in the {'lower' if down > 0 else 'upper'} {side} {part}"


def shares_in_regions(explained: Explained) -> list[str]:
    """Where the positive evidence lies, in one phrase; none where that was not measured."""
    found = {
        measured.region: measured.score.value
        for measured in explained.scores
        if measured.score.name == "relevance_mass"
        and measured.region is not None
        and measured.score.value is not None
    }
    if len(found) > 1:
        found.pop(ALL_LESIONS, None)
    most = sorted(found, key=lambda region: -found[region])[:_REGIONS]
    named = [f"{percent(found[region])} in {region}" for region in most if found[region] >= 0.005]
    if not found or named:
        return [f"of the positive evidence {listed(named)}"] if named else []
    return [f"less than {percent(0.01)} of the positive evidence in any outlined region"]


def share_against(attribution: Attribution) -> float:
    """The share of a map's absolute values that speak against the target."""
    values = evidence(attribution)
    total = float(np.abs(values).sum())
    return float(-values[values < 0].sum()) / total if total > 0 else 0.0


def resolution(case: Case, attribution: Attribution, way: Way) -> str:
    """What one cell of the native map covers: nothing smaller can be told apart."""
    rows, columns = way.cell(evidence(attribution).shape)
    text = f"one cell covers {number(rows)} × {number(columns)} pixels of the original"
    if case.spacing_mm is None:
        return text
    row_mm, column_mm = case.spacing_mm
    return f"{text} ({number(rows * row_mm)} × {number(columns * column_mm)} mm)"


def scale_bar(case: Case, columns: int) -> tuple[float, str] | None:
    """Length in the pixels of a picture so wide, and in words; `None` without a known spacing.

    The longest of 1, 2, 5, 10, ... that takes at most a quarter of the picture. Across columns:
    rows may be spaced otherwise, as in OCT.
    """
    if case.spacing_mm is None or case.grid is None:
        return None
    pixel_mm = case.spacing_mm[1] * case.grid[1] / columns
    room = columns * pixel_mm / 4
    ten = 10.0 ** floor(log10(room))
    length = max(step * ten for step in (1, 2, 5) if step * ten <= room)
    text = f"{number(length)} mm" if length >= 1 else f"{number(1000 * length)} µm"
    return length / pixel_mm, text


def _sideways(case: Case, *, rightwards: bool) -> str:
    """In a fundus photograph of a right eye the nose is on the right, as the examiner sees it."""
    if case.modality != "fundus" or case.laterality not in ("right", "left"):
        return "right" if rightwards else "left"
    return "nasal" if rightwards == (case.laterality == "right") else "temporal"


def _box(view: View, way: Way) -> Float[np.ndarray, "corner 2"]:
    """First and last corner of the box around the field, on the original."""
    spans = [np.flatnonzero(view.field.any(axis=axis)) for axis in (1, 0)]
    corners = np.array([[s[0] for s in spans], [s[-1] + 1 for s in spans]], dtype=np.float64)
    return way.points(corners, way.prepared)
