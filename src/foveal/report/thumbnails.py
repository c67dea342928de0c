"""Maps over pictures so small that several of a map's pixels share one."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, UInt8

from foveal.report.colour import Scale, overlay

_FULL = 99.0
"""The percentile of what is drawn that has the full colour."""


def small_overlay(
    picture: UInt8[np.ndarray, "row column 3"],
    values: Float[np.ndarray, "row column"],
    scale: Scale,
    seen: Bool[np.ndarray, "row column"],
    *,
    fine: bool,
) -> UInt8[np.ndarray, "row column 3"]:
    """A map over a small picture. Signed colours are dark at zero, so they grow with the value.

    Args:
        picture: In display units.
        values: The map on the picture's grid.
        scale: Of the map at its own size.
        seen: Pixels that the model saw.
        fine: Whether the map has a value for each of the model's pixels. These fade where several
            share one, so the strongest 1 % of what is drawn has the full colour.
    """
    if fine:
        limit = float(np.percentile(np.abs(values)[seen], _FULL))
        scale = replace(scale, limit=min(limit, scale.limit) or scale.limit)
    if scale.signed:
        return overlay(picture, values, scale, alpha=1.0, by_value=True, seen=seen)
    return overlay(picture, values, scale, seen=seen)
