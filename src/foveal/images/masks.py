"""From the samples of a file to masks."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Shaped

from foveal.core import Grid, ImageError
from foveal.images.raster import Raster

_SHOWN = 6
"""How many values an error lists."""


def binary_mask(raster: Raster) -> Bool[np.ndarray, "row column"]:
    """The pixels that are not black, which must all have one value.

    Colours count where there are any: masks painted in red are masks. An alpha channel is only
    looked at when the colours are the same everywhere.

    Raises:
        ImageError: More than one value beside 0.
    """
    colors = _opaque(raster.colors())
    mask = (colors != 0).any(axis=-1)
    painted = colors[mask]
    if len(painted) and not (painted == painted[0]).all():
        advice = (
            "JPEG blurs masks, save them as PNG"
            if raster.facts.get("format") == "JPEG"
            else "a mask has one value beside 0; name the values of a label image with labels=, or "
            "read probabilities with threshold=0.5"
        )
        raise ImageError(f"holds {_listed(colors)}; {advice}")
    return mask


def labelled_masks(
    raster: Raster, labels: Mapping[int, str | None]
) -> dict[str, Bool[np.ndarray, "row column"]]:
    """One mask for each name; values that share a name are joined, `None` is background.

    In a picture with a palette the values are its indices.

    Raises:
        ImageError: Values without a name, or colours where there should be values.
    """
    values = _values(raster)
    check_named(np.unique(values), labels)
    names = dict.fromkeys(name for name in labels.values() if name is not None)
    return {
        name: np.isin(values, [value for value, label in labels.items() if label == name])
        for name in names
    }


def check_named(values: Shaped[np.ndarray, " value"], labels: Mapping[int, str | None]) -> None:
    """Refuse values that nobody has said the meaning of.

    Raises:
        ImageError: Values without a name, other than 0.
    """
    unnamed = np.setdiff1d(values, [0, *labels])
    if unnamed.size:
        raise ImageError(
            f"holds {_listed(unnamed[:, np.newaxis])} without a label; "
            "name it, or give it None if it is background"
        )


def check_grid(found: Grid, wanted: Grid) -> None:
    """Refuse a mask that does not fit its photograph.

    Raises:
        ImageError: Another size, with what it looks like.
    """
    if found == wanted:
        return
    ratios = [side / limit for side, limit in zip(found, wanted, strict=True)]
    looks = ""
    if found == wanted[::-1]:
        looks = "; it looks transposed, turn it upright"
    elif abs(ratios[0] / ratios[1] - 1) < 0.01:
        looks = f"; it looks like a copy at {ratios[0]:.3g} of the size, use the mask at full size"
    raise ImageError(
        f"is {found[0]} x {found[1]} (row x column), but its photograph is "
        f"{wanted[0]} x {wanted[1]}{looks}"
    )


def _opaque(
    colors: Shaped[np.ndarray, "row column channel"],
) -> Shaped[np.ndarray, "row column channel_out"]:
    """The colours without alpha, or alpha alone when they are the same everywhere."""
    if colors.shape[-1] not in (2, 4):
        return colors
    hues, alpha = colors[..., :-1], colors[..., -1:]
    return alpha if (hues == hues[0, 0]).all() else hues


def _values(raster: Raster) -> Shaped[np.ndarray, "row column"]:
    if raster.palette is not None:
        return raster.samples[..., 0]
    colors = _opaque(raster.samples)
    if not (colors == colors[..., :1]).all():
        raise ImageError("holds colours; a label image has one grey value or palette index each")
    return colors[..., 0]


def _listed(colors: Shaped[np.ndarray, "*pixel channel"]) -> str:
    """The values in words, colours as triples."""
    grey = (colors == colors[..., :1]).all()
    pixels = colors.reshape(-1, colors.shape[-1])[:, : 1 if grey else None]
    # One number a colour: sorting rows of millions of pixels takes ten times as long.
    numbers = pixels @ (2.0 ** (16 * np.arange(pixels.shape[1])[::-1]))
    places = np.unique(numbers, return_index=True)[1]
    values = pixels[places[:_SHOWN]].tolist()
    shown = [str(value[0]) if grey else str(tuple(value)) for value in values]
    more = ", ..." if len(places) > _SHOWN else ""
    return f"{len(places)} value{'s' if len(places) > 1 else ''} ({', '.join(shown)}{more})"
