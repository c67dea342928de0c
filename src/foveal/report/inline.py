"""Pictures and lines as text inside a page, so that it needs no other file."""

import io
from base64 import b64encode
from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image as PillowImage

from foveal.report.colour import Scale
from foveal.report.outlines import Line

_QUALITY = 85
_STEPS = 4
"""Neighbouring levels of a scale that are drawn alike: 64 colours, half the bytes of 256."""


def picture_uri(picture: UInt8[np.ndarray, "row column 3"]) -> str:
    """A photograph as JPEG."""
    return _uri(PillowImage.fromarray(picture), "jpeg", quality=_QUALITY, optimize=True)


def colours_uri(
    values: Float[np.ndarray, "row column"], scale: Scale, seen: Bool[np.ndarray, "row column"]
) -> str:
    """A map's colours as lossless WebP, transparent where the model saw nothing."""
    levels = scale.levels(values) // _STEPS * _STEPS + _STEPS // 2
    opaque = np.where(seen, 255, 0).astype(np.uint8)
    colours = np.where(seen[:, :, np.newaxis], scale.colours[levels], 0).astype(np.uint8)
    layer = PillowImage.fromarray(np.dstack([colours, opaque]))
    return _uri(layer, "webp", lossless=True, method=4)


def svg_path(lines: Iterable[Line]) -> str:
    """Lines as an SVG path in tenths of a pixel: whole numbers, each relative to the last."""
    pieces = []
    for line in lines:
        points = np.rint(10 * line[:, ::-1]).astype(int)
        moves = np.diff(points, axis=0)
        moves = moves[moves.any(axis=1)]
        drawn = "".join(f"{dx} {dy}" if dx < 0 else f" {dx} {dy}" for dx, dy in moves.tolist())
        pieces.append(f"M{points[0, 0]} {points[0, 1]}l{drawn.lstrip()}" if len(moves) else "")
    return "".join(pieces)


def _uri(image: PillowImage.Image, kind: str, **settings: object) -> str:
    data = io.BytesIO()
    image.save(data, kind, **settings)
    return f"data:image/{kind};base64,{b64encode(data.getvalue()).decode()}"
