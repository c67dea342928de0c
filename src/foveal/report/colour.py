"""How raw values become colours, and how colours lie over a photograph.

The map stays raw: what is scaled here is the drawing, and the scale is written beside it.
"""

import warnings
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

import matplotlib as mpl
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from foveal.core import Attribution, FovealWarning

Scaling = Literal["maximum", "p99.9"]

POSITIVE = "cividis"
"""Evidence for the target. Perceptually uniform, and the same to colour-blind readers (Nunez et
al. 2018)."""
SIGNED = "vanimo"
"""Evidence against, none, and for: pink, black, green, safe for colour-blind readers (Crameri et
al. 2020) and unlike a retina. Dark in the middle: a pale one would wash the photograph out where
there is no evidence."""
_UNEVEN = ("jet", "rainbow", "gist_rainbow", "hsv", "nipy_spectral", "gist_ncar")
_LEVELS = 256


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Which raw value has which colour.

    Raises:
        ValueError: A limit that is not positive, or an unknown colour map.
    """

    limit: float
    """The raw value at the end of the colours; larger ones look the same."""
    signed: bool
    """From -limit to limit with zero in the middle, else from 0: what is negative looks like 0."""
    scaling: Scaling
    """What the limit is: the map's largest value, or its 99.9th percentile (of absolute values
    where signed)."""
    largest: float
    """The map's largest raw value (in absolute terms where signed)."""
    colormap: str

    def __post_init__(self) -> None:
        if not self.limit > 0:
            raise ValueError(f"the limit of a scale must be positive, but is {self.limit}")
        if self.colormap not in mpl.colormaps:
            near = get_close_matches(self.colormap, list(mpl.colormaps), n=3) or [POSITIVE, SIGNED]
            raise ValueError(
                f"there is no colour map {self.colormap!r}; near names: {', '.join(near)}"
            )

    @property
    def low(self) -> float:
        """The raw value at the start of the colours."""
        return -self.limit if self.signed else 0.0

    @property
    def clipped(self) -> bool:
        """Whether some values lie beyond the end of the colours."""
        return self.largest > self.limit

    def levels(self, values: Float[np.ndarray, "*grid"]) -> Int[np.ndarray, "*grid"]:
        """The place of each value among the 256 colours."""
        share = np.clip((values - self.low) / (self.limit - self.low), 0, 1)
        return np.minimum((share * _LEVELS).astype(np.intp), _LEVELS - 1)

    def strength(self, values: Float[np.ndarray, "*grid"]) -> Float[np.ndarray, "*grid"]:
        """How far from no evidence each value is, as a share of the limit."""
        return np.clip(np.abs(values) if self.signed else values, 0, self.limit) / self.limit

    def hex(self, value: float) -> str:
        """The colour of one value as `#rrggbb`."""
        return "#" + self.colours[self.levels(np.array([value]))].tobytes().hex()

    @property
    def colours(self) -> UInt8[np.ndarray, "level 3"]:
        """Red, green and blue of all levels."""
        table = mpl.colormaps[self.colormap](np.arange(_LEVELS) / (_LEVELS - 1))
        return np.rint(255 * table[:, :3]).astype(np.uint8)


def evidence(attribution: Attribution) -> Float[np.ndarray, "row column"]:
    """The raw map on its native rows and columns; channels are summed with their sign."""
    values = attribution.map
    return values if values.ndim == 2 else values.sum(axis=0)


def shows_sign(attribution: Attribution) -> bool:
    """Whether a map is drawn with both signs unless someone asks otherwise.

    A map with the input's channels is a gradient: its sign says which way a pixel would have to
    change, so half of it would be lost. Other maps are drawn as their papers do, positive only, and
    so are squares and variances of gradients, which have no sign.
    """
    return _is_gradient(attribution) and bool((attribution.map < 0).any())


def _is_gradient(attribution: Attribution) -> bool:
    """Whether a map has the input's channels."""
    return attribution.map.ndim == 3


def scale_of(
    attribution: Attribution,
    *,
    signed: bool | None = None,
    scaling: Scaling | None = None,
    colormap: str | None = None,
) -> Scale | None:
    """The scale that a map is drawn with; `None` where there is a reason or nothing to draw.

    Args:
        attribution: Its native values set the limit, so that pictures of every size agree.
        signed: Whether evidence against is drawn; by default for gradients only.
        scaling: The map's maximum by default; for gradients, whose few largest values would leave
            the rest in the dark, the 99.9th percentile.
        colormap: A name that matplotlib knows; cividis, or for signed maps vanimo, by default.

    Raises:
        ValueError: An unknown colour map.
    """
    signed = shows_sign(attribution) if signed is None else signed
    scaling = scaling or ("p99.9" if _is_gradient(attribution) else "maximum")
    colormap = colormap or (SIGNED if signed else POSITIVE)
    if colormap.removesuffix("_r") in _UNEVEN:
        warnings.warn(
            f"{colormap} shows edges where there are none, and its order is lost to colour-blind "
            f"readers; {POSITIVE} and {SIGNED} do not have these faults",
            FovealWarning,
            stacklevel=2,
        )
    values = evidence(attribution)
    values = np.abs(values) if signed else np.maximum(values, 0)
    largest = float(values.max())
    if attribution.reason is not None or not largest > 0:
        return None
    limit = largest if scaling == "maximum" else float(np.percentile(values, 99.9)) or largest
    return Scale(limit=limit, signed=signed, scaling=scaling, largest=largest, colormap=colormap)


def overlay(
    picture: UInt8[np.ndarray, "row column channel"],
    values: Float[np.ndarray, "map_row map_column"],
    scale: Scale,
    *,
    alpha: float = 0.5,
    by_value: bool = False,
    seen: Bool[np.ndarray, "map_row map_column"] | None = None,
) -> UInt8[np.ndarray, "row column 3"]:
    """A map over a photograph: (1 - alpha) picture + alpha colour, in display space.

    Args:
        picture: With one or three channels.
        values: Raw values on the picture's grid.
        scale: From `scale_of`.
        alpha: Opacity of the colours in [0, 1].
        by_value: Whether the opacity falls with the value, from `alpha` at the end of the scale to
            nothing at zero.
        seen: Pixels that the model saw; others stay plain, since no value belongs to them.

    Raises:
        ValueError: An opacity outside [0, 1], or grids that differ.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be in [0, 1], but is {alpha}")
    if picture.shape[:2] != values.shape:
        raise ValueError(
            f"the picture is {picture.shape[:2]} (row, column), but the map is {values.shape}; "
            "carry the map onto the picture's grid first"
        )
    opacity = alpha * scale.strength(values) if by_value else np.full(values.shape, alpha)
    if seen is not None:
        opacity = np.where(seen, opacity, 0.0)
    share = opacity.astype(np.float32)[:, :, np.newaxis]
    colours = scale.colours[scale.levels(values)]
    return np.rint((1 - share) * picture + share * colours).astype(np.uint8)
