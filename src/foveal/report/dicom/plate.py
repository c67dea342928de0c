"""The picture of a secondary capture: the map over the eye, with its scale and what it is not."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from foveal.report.colour import Scale, overlay
from foveal.report.dicom.shown import Shown
from foveal.report.words import number

WARNING = "AI explanation - not for diagnosis"
_SMALLEST, _LARGEST = 512, 1600
"""Larger side of the picture in pixels: words must be readable, and no viewer needs more."""
_INK, _GROUND = (235, 238, 240), (16, 20, 24)
_LETTER = 1 / 38
"""Height of the letters as a share of the picture's larger side."""


def plate(shown: Shown, scale: Scale, name: str) -> UInt8[np.ndarray, "row column 3"]:
    """The warning above, the picture with the map's colours, below what it is and its scale.

    Nothing is written over the eye.
    """
    picture, values, seen = _at_size(shown)
    drawn = PillowImage.fromarray(overlay(picture, values, scale, seen=seen))
    letter = max(12, round(max(drawn.size) * _LETTER))
    words = ImageFont.load_default(letter)
    lines = [
        *_wrapped(name, words, drawn.width - letter),
        *_wrapped(_end(scale), words, drawn.width),
    ]
    band = round(1.8 * letter)
    below = round((1.3 * len(lines) + 3.4) * letter)
    whole = PillowImage.new("RGB", (drawn.width, drawn.height + band + below), _GROUND)
    whole.paste(drawn, (0, band))
    pen = ImageDraw.Draw(whole)
    pen.text((letter // 2, letter // 3), WARNING, font=words, fill=(255, 208, 92))
    top = band + drawn.height + letter // 3
    for line in lines:
        pen.text((letter // 2, top), line, font=words, fill=_INK)
        top += round(1.3 * letter)
    _draw_scale(whole, scale, _Place(top + letter // 4, letter, words))
    return np.asarray(whole)


class _Place(NamedTuple):
    top: int
    letter: int
    words: ImageFont.FreeTypeFont | ImageFont.ImageFont


def _at_size(
    shown: Shown,
) -> tuple[UInt8[np.ndarray, "r c 3"], Float[np.ndarray, "r c"], np.ndarray]:
    """Picture, values and seen pixels, at a size for reading."""
    rows, columns = shown.grid
    larger = max(rows, columns)
    share = min(max(larger, _SMALLEST), _LARGEST) / larger
    size = max(1, round(columns * share)), max(1, round(rows * share))
    box = PillowImage.Resampling.BOX if share < 1 else PillowImage.Resampling.BILINEAR
    picture = PillowImage.fromarray(shown.picture).resize(size, box)
    values = PillowImage.fromarray(shown.values.astype(np.float32)).resize(size, box)
    seen = PillowImage.fromarray(shown.seen).resize(size, PillowImage.Resampling.NEAREST)
    return np.asarray(picture), np.asarray(values), np.asarray(seen)


def _end(scale: Scale) -> str:
    end = "maximum" if scale.scaling == "maximum" else "99.9th percentile"
    kind = "evidence for (right) and against (left)" if scale.signed else "evidence for"
    return f"Colours: raw values of {kind}, up to the map's {end}; a scale of its own"


def _draw_scale(whole: PillowImage.Image, scale: Scale, place: _Place) -> None:
    """The colours, with raw values below their ends."""
    letter, width = place.letter, whole.width - place.letter
    levels = (np.arange(width) * len(scale.colours) // width)[np.newaxis]
    bar = np.repeat(scale.colours[levels], letter, axis=0)
    whole.paste(PillowImage.fromarray(bar), (letter // 2, place.top))
    pen = ImageDraw.Draw(whole)
    ends = {"la": scale.low, "ra": scale.limit, **({"ma": 0.0} if scale.signed else {})}
    for anchor, value in ends.items():
        column = {"l": letter // 2, "m": whole.width // 2, "r": letter // 2 + width}[anchor[0]]
        beyond = "or more " if scale.clipped and value == scale.limit else ""
        text = f"{beyond}{number(value)}".replace("\u202f", " ").replace("−", "-")
        below = place.top + round(1.2 * letter)
        pen.text((column, below), text, font=place.words, fill=_INK, anchor=anchor)


def _wrapped(
    text: str, words: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int
) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and words.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
