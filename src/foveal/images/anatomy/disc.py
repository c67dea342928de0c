"""The optic disc by its looks: a bright round patch at which the vessels meet."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.signal import fftconvolve

from foveal.images.anatomy.lines import Lines, dark_lines, inner_field
from foveal.images.anatomy.reduced import Plane, Reduced, local_contrast

SPAN = 256
"""Working size of the field."""
WIDTHS = (0.004, 0.0063, 0.009)
"""Half widths of the vessels that matter here, as shares of the field."""
RADII = (0.055, 0.068, 0.082, 0.096)
"""Disc radii tried, as shares of the field: 3 to 4 degrees in fields of 40 to 55 degrees."""
_MEETING = 4.7
"""Weight of the meeting of vessels beside the brightness, both in their own units."""


@dataclass(frozen=True, kw_only=True)
class FoundDisc:
    """The best place for the disc on the working grid."""

    row: float
    column: float
    radius: float
    margin: float
    """By how much it beats the best place elsewhere: the more, the surer."""


def find_disc(view: Reduced, lines: Lines) -> FoundDisc:
    """The place that looks most like an optic disc; there always is one.

    At each radius tried, a place scores by how much brighter than a ring around it a round patch
    is (red and green, in local standard deviations), and by how far dark lines around it run
    towards it.
    """
    inner = inner_field(view.field, 0.02 * view.span)
    scores = np.stack([np.where(inner, score, -np.inf) for score in _scores(view, lines)])
    size = int(scores.max(axis=(1, 2)).argmax())
    row, column = np.unravel_index(scores[size].argmax(), scores[size].shape)
    radius = RADII[size] * view.span
    rows, columns = np.indices(inner.shape)
    elsewhere = np.hypot(rows - row, columns - column) > 2 * radius
    others = scores.max(axis=0)[elsewhere & inner]
    second = float(others.max()) if others.size else 0.0
    return FoundDisc(
        row=float(row) + 0.5,
        column=float(column) + 0.5,
        radius=radius,
        margin=float(scores.max()) - second,
    )


def disc_lines(view: Reduced) -> Lines:
    """The vessels that show where the disc is, the strongest fiftieth at 1."""
    lines = dark_lines(view, WIDTHS)
    full = float(np.percentile(lines.strength[view.field], 98))
    strength = np.minimum(lines.strength / max(full, 1e-9), 1)
    return Lines(strength=strength, cos2=lines.cos2, sin2=lines.sin2)


def _scores(view: Reduced, lines: Lines) -> Iterator[Plane]:
    sigma = 0.125 * view.span
    bright = (
        local_contrast(view.green, view.field, sigma) + local_contrast(view.red, view.field, sigma)
    ) / 2
    for share in RADII:
        patch, along, aslant = _templates(share * view.span)
        meeting = fftconvolve(lines.strength * lines.cos2, along, mode="same")
        meeting += fftconvolve(lines.strength * lines.sin2, aslant, mode="same")
        yield fftconvolve(bright, patch, mode="same") + _MEETING * meeting


def _templates(radius: float) -> tuple[Plane, Plane, Plane]:
    """A patch on its ring, and the cosine and sine of twice the bearing around a place."""
    reach = int(3 * radius)
    row, column = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(float)
    away = np.maximum(np.hypot(row, column), 1e-9)
    inside, ring = away <= radius, (away > 1.2 * radius) & (away <= 1.9 * radius)
    near: Float[np.ndarray, "row column"] = np.exp(-(((away / radius - 1.2) / 0.7) ** 2))
    near *= away > 0.3 * radius
    near /= near.sum()
    patch = inside / inside.sum() - ring / ring.sum()
    return patch, near * (row**2 - column**2) / away**2, near * 2 * row * column / away**2
