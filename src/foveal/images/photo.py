"""Photographs: PNG, JPEG and TIFF, 8 and 16 bit."""

import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
from jaxtyping import Shaped, UInt
from PIL import Image as PillowImage
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from foveal.core import ImageError
from foveal.images.raster import (
    ORIENTATION,
    Facts,
    Raster,
    check_size,
    frame_index,
    profile_name,
    upright,
)
from foveal.images.tiff import read_tiff

DAMAGE = (
    *(OSError, SyntaxError, ValueError, TypeError, RuntimeError, LookupError),
    *(ArithmeticError, MemoryError, struct.error, zlib.error),
)
"""What Pillow, imagecodecs and tifffile raise on damaged files."""

_TURNED = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")
"""One of these is in a PNG file that says how to turn it, perhaps behind the picture: to look for
it there, Pillow decodes all of it."""

_PNG_COLORS = {0: "grey", 2: "rgb", 3: "palette", 4: "grey+alpha", 6: "rgb+alpha"}


def decode(path: Path, content: str, *, frame: int | None, max_pixels: int) -> Raster:
    """The samples of a PNG, JPEG or TIFF file.

    Args:
        path: The file.
        content: "PNG", "JPEG" or "TIFF", as `identify` found it.
        frame: Which page of a TIFF with several, counted from 1.
        max_pixels: Larger pictures are refused by their header.

    Raises:
        ImageError: A damaged or too large file, or a kind of samples that cannot be shown.
    """
    try:
        match content:
            case "PNG":
                frame_index(frame, 1, word="picture")
                return _png(path, max_pixels)
            case "JPEG":
                frame_index(frame, 1, word="picture")
                return _jpeg(path, max_pixels)
            case _:
                return read_tiff(path, frame, max_pixels)
    except DAMAGE as error:
        raise ImageError(
            f"starts like a {content} file but cannot be decoded; it may be damaged, "
            "copy or export it again"
        ) from error


def _png(path: Path, max_pixels: int) -> Raster:
    with PngImageFile(path) as header:
        check_size(header.height, header.width, max_pixels)
        data = path.read_bytes()
        bit_depth, color = data[24], data[25]  # PNG 11.2.2: the IHDR chunk always comes first
        facts: Facts = {"format": "PNG", "bit_depth": bit_depth, "color": _PNG_COLORS[color]}
        if bit_depth == 16:  # Pillow would cut colours to 8 bit without a word
            samples = imagecodecs.png_decode(data)
            return _raster(samples, header, facts, full_scale=65535.0, turned=_may_be_turned(data))
        if header.mode == "P":
            header.apply_transparency()
            samples = np.asarray(header)
            palette = np.frombuffer(bytes(header.getpalette("RGBA") or ()), np.uint8)
            return _raster(samples, header, facts, palette=palette.reshape(-1, 4))
        if bit_depth == 8 and "transparency" not in header.info:
            samples = _png_samples(data, header)
            return _raster(samples, header, facts, turned=_may_be_turned(data))
        samples = np.asarray(_with_transparency(header))
        if samples.dtype == bool:
            return _raster(samples.astype(np.uint8), header, facts, full_scale=1.0)
        return _raster(samples, header, facts)


def _png_samples(data: bytes, header: ImageFile) -> UInt[np.ndarray, "row column *channel"]:
    """In half of Pillow's time; Pillow also reads a whole picture whose file ends too early."""
    try:
        return imagecodecs.png_decode(data)
    except imagecodecs.PngError:
        return np.asarray(header)


def _may_be_turned(data: bytes) -> bool:
    return any(mark in data for mark in _TURNED)


def _with_transparency(header: ImageFile) -> PillowImage.Image:
    """PNG may name one colour as transparent instead of carrying an alpha channel."""
    if "transparency" not in header.info:
        return header
    return header.convert("RGBA" if header.mode == "RGB" else "LA")


def _jpeg(path: Path, max_pixels: int) -> Raster:
    with JpegImageFile(path) as header:
        check_size(header.height, header.width, max_pixels)
        color = {"L": "grey", "RGB": "rgb", "CMYK": "cmyk"}[header.mode]
        facts: Facts = {"format": "JPEG", "bit_depth": 8, "color": color}
        data = path.read_bytes()
        # The decoder fills what is missing with grey. Only the end marker after the last scan
        # shows that nothing is; an embedded preview has its own before the scan.
        if data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
            raise ImageError("is a JPEG file that was cut off; copy or export it again")
        if color == "cmyk":
            samples = np.asarray(header.convert("RGB"))
        else:
            samples = imagecodecs.jpeg8_decode(data)
        return _raster(samples, header, facts)


def _raster(
    samples: Shaped[np.ndarray, "row column *channel"],
    header: ImageFile,
    facts: Facts,
    *,
    full_scale: float = 255.0,
    palette: UInt[np.ndarray, "entry 4"] | None = None,
    turned: bool = True,
) -> Raster:
    tag = _orientation(header) if turned else None
    samples, orientation = upright(samples.reshape(*samples.shape[:2], -1), tag)
    return Raster(
        samples=samples,
        full_scale=full_scale,
        palette=palette,
        facts=facts | orientation | profile_name(header.info.get("icc_profile")),
    )


def _orientation(header: ImageFile) -> object:
    """The tag's value; broken EXIF data say nothing, and the picture is fine without them."""
    try:
        return header.getexif().get(ORIENTATION)
    except DAMAGE:
        return None
