"""Every step before and after, small enough to draw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from foveal.core import AbstractStep
from foveal.images.preparation.resample import bilinear


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """What one step made of the pixels; both pictures have at most the side that was asked for."""

    name: str
    before: Float[np.ndarray, "channel row column"]
    after: Float[np.ndarray, "channel row_out column_out"]
    numbers: Mapping[str, object]
    """As the step is stored."""
    reversible: str
    """What of the step can be taken back, in words; empty where the step does not say."""


def stages(
    pixels: Float[np.ndarray, "channel row column"],
    steps: Sequence[AbstractStep],
    *,
    side: int = 320,
) -> list[Stage]:
    """Each step before and after, in order.

    Args:
        pixels: Of the original, before the first step.
        steps: As a prepared image holds them, or revived from a store.
        side: The longer side of the pictures in pixels, at most; all steps work at full size.

    Raises:
        ValueError: Pixels that are not on the grid on which the first step works.
    """
    if steps and pixels.shape[1:] != steps[0].source:
        raise ValueError(
            f"the first step works on {steps[0].source} pixels (row, column), but the picture has "
            f"{pixels.shape[1:]}; give the original"
        )
    shown, before = [], _small(pixels, side)
    for step in steps:
        pixels = step.pixels_forward(pixels)
        after = _small(pixels, side)
        shown.append(
            Stage(
                name=step.name,
                before=before,
                after=after,
                numbers=step.numbers(),
                reversible=getattr(step, "reversible", ""),
            )
        )
        before = after
    return shown


def _small(
    pixels: Float[np.ndarray, "channel row column"], side: int
) -> Float[np.ndarray, "channel row_out column_out"]:
    scale = min(1.0, side / max(pixels.shape[1:]))
    rows, columns = (max(1, round(length * scale)) for length in pixels.shape[1:])
    return np.stack([bilinear(channel, (rows, columns)) for channel in pixels]).clip(0, 1)
