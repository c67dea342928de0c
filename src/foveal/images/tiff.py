"""TIFF of 8 to 32 bit, through tifffile: Pillow does not keep 16-bit colours."""

from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt
from PIL import Image as PillowImage
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC, TiffFile, TiffPage

from foveal.core import ImageError
from foveal.images.quiet import unlogged
from foveal.images.raster import (
    ORIENTATION,
    Facts,
    Raster,
    check_size,
    frame_index,
    profile_name,
    upright,
)

_COLORS = {
    PHOTOMETRIC.MINISWHITE: ("grey, white is zero", 1),
    PHOTOMETRIC.MINISBLACK: ("grey", 1),
    PHOTOMETRIC.RGB: ("rgb", 3),
    PHOTOMETRIC.PALETTE: ("palette", 1),
    PHOTOMETRIC.SEPARATED: ("cmyk", 4),
    PHOTOMETRIC.YCBCR: ("ycbcr", 3),
}
"""What is read, and how many samples a pixel has before any extra ones."""

_JPEG_COMPRESSIONS = (COMPRESSION.OJPEG, COMPRESSION.JPEG, COMPRESSION.JPEG_LOSSY)

_PREVIEW = 1 | 4
"""Bits of tag 254 (NewSubfileType): a reduced copy, a transparency mask."""


def read_tiff(path: Path, frame: int | None, max_pixels: int) -> Raster:
    """The samples of one page, as they are stored, upright.

    Raises:
        ImageError: Several pages and no `frame`, a too large page, or samples that cannot be shown.
    """
    with unlogged("tifffile"), TiffFile(path) as file:
        return page_raster(_page(file, frame), max_pixels)


def page_raster(page: TiffPage, max_pixels: int) -> Raster:
    """The samples of a page of a file that is open.

    Raises:
        ImageError: A too large page, or samples that cannot be shown.
    """
    check_size(page.imagelength, page.imagewidth, max_pixels)
    color = _color(page)
    samples = page.asarray()
    if page.axes == "SYX":
        samples = np.moveaxis(samples, 0, -1)
    samples, full_scale = _without_extras(samples.reshape(*samples.shape[:2], -1), page)
    palette = _palette(page)
    turned, orientation = upright(samples, page.tags.valueof(ORIENTATION))
    facts: Facts = {"format": "TIFF", "bit_depth": page.bitspersample, "color": color}
    return Raster(
        samples=turned,
        full_scale=255.0 if palette is not None else full_scale,
        palette=palette,
        facts=facts | orientation | profile_name(page.iccprofile),
    )


def _page(file: TiffFile, frame: int | None) -> TiffPage:
    """The page that was asked for, or the only one that is not a preview."""
    pages = full_pages(file)
    return pages[frame_index(frame, len(pages), word="page")]


def full_pages(file: TiffFile) -> list[TiffPage]:
    """The pages that are not previews."""
    # By number: iterating does not end when damaged pages refer to each other.
    every = [file.pages[number] for number in range(len(file.pages))]
    pages = [page for page in every if isinstance(page, TiffPage)]
    return [page for page in pages if not page.subfiletype & _PREVIEW]


def _color(page: TiffPage) -> str:
    """The kind of colours, if they can be shown."""
    color, channels = _COLORS.get(PHOTOMETRIC(page.photometric), (None, 0))
    if color is None or (color == "ycbcr" and page.compression not in _JPEG_COMPRESSIONS):
        raise ImageError(
            f"holds {PHOTOMETRIC(page.photometric).name} samples; "
            "save it as grey, RGB or palette colours"
        )
    if page.samplesperpixel - len(page.extrasamples) != channels or len(page.extrasamples) > 1:
        raise ImageError(
            f"holds {page.samplesperpixel} samples a pixel, of which {len(page.extrasamples)} are "
            f"extra, as {color}; save it as grey or RGB, with or without alpha"
        )
    if page.axes not in ("YX", "YXS", "SYX"):
        raise ImageError(f"holds a picture with axes {page.axes}; save one plane of it")
    return color


def _without_extras(
    samples: Shaped[np.ndarray, "row column channel"], page: TiffPage
) -> tuple[Shaped[np.ndarray, "row column channel_out"], float]:
    """Grey or RGB with zero as black, an alpha channel only if it is still to be applied."""
    kind = samples.dtype.kind
    if kind == "i":
        raise ImageError("holds signed samples, and nothing says what black is; save 8 or 16 bit")
    if kind == "b":
        samples = samples.astype(np.uint8)
    full_scale = 1.0 if kind == "f" else 2.0**page.bitspersample - 1
    color, channels = _COLORS[PHOTOMETRIC(page.photometric)]
    if color == "cmyk":
        return _from_cmyk(samples), full_scale
    if color == "grey, white is zero":
        samples = (full_scale - samples).astype(samples.dtype)
    # Associated alpha (TIFF 6.0, section 18) is multiplied in already, as if laid over black.
    unapplied = EXTRASAMPLE.UNASSALPHA in page.extrasamples
    return samples[..., : channels + unapplied], full_scale


def _from_cmyk(samples: Shaped[np.ndarray, "row column 4"]) -> UInt[np.ndarray, "row column 3"]:
    if samples.dtype != np.uint8:
        raise ImageError(f"holds {samples.dtype} CMYK samples; save it as RGB")
    return np.asarray(PillowImage.fromarray(samples, "CMYK").convert("RGB"))


def _palette(page: TiffPage) -> UInt[np.ndarray, "entry 4"] | None:
    if page.photometric != PHOTOMETRIC.PALETTE or page.colormap is None:
        return None
    entries = page.colormap.T
    # TIFF 6.0 section 5 asks for 16-bit entries; some writers store 8-bit ones.
    colors = (entries >> 8 if entries.max() > 255 else entries).astype(np.uint8)
    return np.column_stack([colors, np.full(len(colors), 255, np.uint8)])
