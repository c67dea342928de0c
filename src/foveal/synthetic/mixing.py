"""How layers mix: films take light away, covers hide what lies behind them."""

import numpy as np
from jaxtyping import Float

Plane = Float[np.ndarray, "row column"]
Picture = Float[np.ndarray, "channel row column"]
Colour = tuple[float, float, float]


def planes(colour: Colour) -> Float[np.ndarray, "3 1 1"]:
    return np.array(colour, np.float32)[:, None, None]


def through(density: Colour, amount: Plane) -> Picture:
    """The share of light of each colour that a film lets through (Beer and Lambert)."""
    return np.exp(-planes(density) * amount.astype(np.float32))


def cover(picture: Picture, colour: Colour, amount: Plane) -> Picture:
    return picture + (planes(colour) - picture) * amount.astype(np.float32)
