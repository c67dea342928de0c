"""The fovea by its looks: dark, without vessels, temporal of the disc and a little below it."""

from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np
from scipy import ndimage

from foveal.core import Laterality
from foveal.images.anatomy.disc import FoundDisc
from foveal.images.anatomy.lines import Lines, inner_field
from foveal.images.anatomy.reduced import Plane, Reduced, smooth_inside

_AWAY, _AWAY_SPREAD = 5.1, 0.9
"""Distance from the disc's centre in disc radii: 4.5 to 4.9 mm with discs of 1.7 to 1.9 mm."""
_BELOW, _BELOW_SPREAD = 6.5, 5.0
"""Degrees below the disc."""
_OFF_CENTRE = 0.3
"""Distance from the middle of the field, as a share of its longer side: photographs are aimed at
the macula, at the disc or between them."""
_TOLD = 2.0
"""Head start of the side that the image is said to be of."""
_DARKNESS = 2.0
"""Weight of the darkness, in standard deviations, beside vessels and place."""


@dataclass(frozen=True, kw_only=True)
class FoundFovea:
    """The best place for the fovea on the working grid."""

    row: float
    column: float
    temporal: int
    """-1 where it lies left of the disc, as in a right eye; 1 where right of it."""
    margin: float
    """By how much it beats what is more than half a disc diameter away: the more, the surer."""
    side_margin: float
    """By how much it beats the best place on the disc's other side."""


def find_fovea(
    view: Reduced, lines: Lines, disc: FoundDisc, laterality: Laterality
) -> FoundFovea | None:
    """The place that looks most like a fovea; `None` where the field does not reach so far.

    A place scores by how dark its green channel is at the size of the fovea against its
    surroundings, in standard deviations, by how few vessels it has, and by how usual its distance
    and direction from the disc are. What the image is said to be of counts, but does not decide:
    a mirrored photograph is found out.
    """
    looks = _looks(view, lines, disc.radius) + _usual_aim(view)
    inner = inner_field(view.field, 0.3 * disc.radius)
    told = {"right": -1, "left": 1}.get(laterality)
    scores = {
        side: np.where(inner, looks + usual_place(view.field.shape, disc, side), -np.inf)
        for side in (-1, 1)
    }
    best = max(scores, key=lambda side: scores[side].max() + _TOLD * (side == told))
    score = scores[best]
    if not np.isfinite(score.max()):
        return None
    row, column = np.unravel_index(score.argmax(), score.shape)
    rows, columns = np.indices(score.shape)
    elsewhere = score[np.hypot(rows - row, columns - column) > disc.radius]
    return FoundFovea(
        row=float(row) + 0.5,
        column=float(column) + 0.5,
        temporal=best,
        margin=float(score.max() - elsewhere.max()),
        side_margin=float(score.max() - scores[-best].max()),
    )


def usual_place(shape: tuple[int, ...], disc: FoundDisc, temporal: int) -> Plane:
    """Logarithm of how usual a place is for a fovea, 0 at the most usual one."""
    rows, columns = np.indices(shape) + 0.5
    down, out = (rows - disc.row) / disc.radius, temporal * (columns - disc.column) / disc.radius
    away = (np.hypot(down, out) - _AWAY) / _AWAY_SPREAD
    below = (np.degrees(np.arctan2(down, out)) - _BELOW) / _BELOW_SPREAD
    return -(away**2 + below**2) / 2


def most_usual(disc: FoundDisc, temporal: int) -> tuple[float, float]:
    """Where the fovea of an average eye lies."""
    turn = radians(_BELOW)
    return (
        disc.row + _AWAY * disc.radius * sin(turn),
        disc.column + temporal * _AWAY * disc.radius * cos(turn),
    )


def _usual_aim(view: Reduced) -> Plane:
    """Logarithm of how usual it is to aim so far from a fovea, 0 in the middle of the field."""
    middle = np.argwhere(view.field).mean(axis=0)
    rows, columns = np.indices(view.field.shape)
    away = np.hypot(rows - middle[0], columns - middle[1]) / view.span
    return -((away / _OFF_CENTRE) ** 2) / 2


def _looks(view: Reduced, lines: Lines, radius: float) -> Plane:
    center = smooth_inside(view.green, view.field, 0.35 * radius)
    around = smooth_inside(view.green, view.field, 1.2 * radius)
    dark = around - center
    spread = float(dark[view.field].std())
    vessels = ndimage.gaussian_filter(lines.strength, 0.35 * radius)
    usual = float(vessels[view.field].mean())
    return _DARKNESS * dark / max(spread, 1e-6) - vessels / max(usual, 1e-6)
