"""Draws vessels and spots as optical layers: how much of each stands in front of every pixel."""

from collections.abc import Iterable, Iterator
from math import ceil, cos, sin

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from foveal.synthetic.spec import Spot, Vessel
from foveal.synthetic.view import View

Plane = Float[np.ndarray, "row column"]
Segments = Float[np.ndarray, "segment 5"]
"""Row and column of both ends and the radius, in pixels."""

FULL_DEPTH = 0.075
"""Radius at which a vessel takes 63 % of the light that a wide one takes."""


def vessel_layers(view: View, vessels: Iterable[Vessel]) -> tuple[Plane, Plane]:
    """Blood in the line of sight as a share of a wide vessel's, and the place across the vessel.

    The place is 1 on the centre line and falls to 0 at the wall and outside. No vessel is drawn
    narrower than 1.4 pixels, but a thin one takes less light.
    """
    shape = len(view.rows), len(view.columns)
    blood, place = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for segments in _by_width(_segments(view, vessels), shape):
        index, distance, radius = _around(segments, shape)
        inside = np.clip(radius - distance + 0.5, 0, np.minimum(1, 2 * radius))
        across = np.maximum(1 - distance / np.maximum(radius, 0.7), 0)
        depth = 1 - np.exp(radius * (-1 / (view.pixels_per_unit * FULL_DEPTH)))
        np.maximum.at(blood.reshape(-1), index, inside * depth * (0.55 + 0.45 * np.sqrt(across)))
        np.maximum.at(place.reshape(-1), index, across)
    return blood, place


def _segments(view: View, vessels: Iterable[Vessel]) -> Segments:
    pieces = [np.zeros((0, 5), np.float32)]
    for vessel in vessels:
        curve = _smooth(view, vessel).astype(np.float32)
        pieces.append(np.column_stack([curve[:-1, :2], curve[1:]]))
    return np.concatenate(pieces)


def _smooth(view: View, vessel: Vessel) -> Float[np.ndarray, "place 3"]:
    """Row, column and radius in pixels along a Catmull-Rom curve through the vessel's points.

    Reference:
        Catmull and Rom 1974, A class of local interpolating splines.
    """
    radii = np.array(vessel.radii) * view.pixels_per_unit
    knots = np.column_stack([view.to_pixels(np.array(vessel.points)), radii])
    padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    before, start, end, after = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    longest = float(np.hypot(*(end - start)[:, :2].T).max())
    pieces = max(1, round(longest / max(2.0, radii.mean())))
    t = (np.arange(pieces) / pieces)[:, None, None]
    curve = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    return np.concatenate([curve.transpose(1, 0, 2).reshape(-1, 3), knots[-1:]])


def _by_width(segments: Segments, shape: tuple[int, int]) -> Iterator[Segments]:
    """Groups of segments in the picture that fit into windows of one size."""
    limits = np.array(shape)
    reach = np.ceil(segments[:, 4] + 2).astype(int)
    middle = (segments[:, :2] + segments[:, 2:4]) / 2
    visible = ((middle > -reach[:, None]) & (middle < limits + reach[:, None])).all(axis=1)
    for size in np.unique(reach[visible]):
        yield segments[visible & (reach == size)]


def _around(
    segments: Segments, shape: tuple[int, int]
) -> tuple[Int[np.ndarray, " near"], Float[np.ndarray, " near"], Float[np.ndarray, " near"]]:
    """The pixels near each segment: flat index, distance from the segment, its radius."""
    row, column, end_row, end_column, radius = (part[:, None] for part in segments.T)
    down, right = end_row - row, end_column - column
    half = ceil(float(radius.max() + np.hypot(down, right).max() / 2 + 1))
    window = np.arange(-half, half + 1)
    rows = np.round((row + end_row) / 2).astype(int) + np.repeat(window, len(window))
    columns = np.round((column + end_column) / 2).astype(int) + np.tile(window, len(window))
    from_row, from_column = rows.astype(np.float32) - row, columns.astype(np.float32) - column
    length = np.maximum(down**2 + right**2, np.float32(1e-12))
    share = np.clip((from_row * down + from_column * right) / length, 0, 1)
    distance = np.hypot(from_row - share * down, from_column - share * right)
    near = (distance < radius + 1) & (rows >= 0) & (rows < shape[0])
    near &= (columns >= 0) & (columns < shape[1])
    return (
        (rows * shape[1] + columns)[near],
        distance[near],
        np.broadcast_to(radius, distance.shape)[near],
    )


def spot_layer(view: View, spots: Iterable[Spot], grain: Plane) -> Plane:
    """How much of the spots shows at every pixel, in [0, 1]; `grain` makes borders ragged."""
    layer = np.zeros((len(view.rows), len(view.columns)), np.float32)
    for spot in spots:
        rows, columns = _window(view, spot)
        patch = layer[rows, columns]
        cover = _cover(view, spot, rows, columns, grain[rows, columns])
        np.maximum(patch, spot.strength * cover, out=patch)
    return layer


def _window(view: View, spot: Spot) -> tuple[slice, slice]:
    row, column = np.round(view.to_pixels(np.array([[spot.row, spot.column]]))[0]).astype(int)
    reach = spot.radius * spot.stretch * (1 + 4 * spot.rough + spot.soft)
    half = ceil(reach * view.pixels_per_unit) + 2
    return (
        slice(max(0, row - half), max(0, row + half + 1)),
        slice(max(0, column - half), max(0, column + half + 1)),
    )


def _cover(view: View, spot: Spot, rows: slice, columns: slice, grain: Plane) -> Plane:
    down = view.rows[rows, None] - spot.row
    across = view.columns[None, columns] - spot.column
    along = (down * cos(spot.angle) + across * sin(spot.angle)) / spot.stretch
    aside = across * cos(spot.angle) - down * sin(spot.angle)
    place = np.hypot(along, aside) / spot.radius + spot.rough * grain
    # A border is never sharper than the pixels that show it.
    soft = max(spot.soft, 0.8 / (spot.radius * view.pixels_per_unit))
    cover = smoothstep((1 - place) / soft + 0.5)
    if spot.level is None:
        return cover
    below = down + spot.row - spot.level
    return cover * np.clip(below * view.pixels_per_unit + 0.5, 0, 1)


def smoothstep(values: ArrayLike) -> np.ndarray:
    """0 below 0, 1 above 1, and a smooth rise between."""
    t = np.clip(values, 0, 1)
    return t * t * (3 - 2 * t)
