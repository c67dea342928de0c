"""Photographs: decoded to pixels, turned upright, and written as PNG with nothing but pixels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
from jaxtyping import Shaped, UInt
from PIL import Image as PillowImage

from foveal.core import Image, ImageError
from foveal.images.deidentification.looking import NO_SURROUND, Ocr, look
from foveal.images.photo import decode
from foveal.images.raster import Raster, display

_MASK_VALUES = 64
"""More different samples than any mask has labels."""


class NoPictureError(ImageError):
    """A sound file that shows nothing, so that leaving it out is no failure."""


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """A file's new content and what a person must look at before it leaves."""

    data: bytes
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    actions: Mapping[str, int] = field(default_factory=dict)
    """How often what was done to which attribute."""


def clean_photograph(
    path: Path, content: str, *, mask: bool, blank_outside: bool, ocr: Ocr | None, max_pixels: int
) -> Cleaned:
    """A PNG of the pixels alone: 8 or 16 bit, upright, an alpha channel laid over black.

    Colour profiles are dropped: they can name a place, a person or a device. Samples stay as they
    are, so colours look as they do to a reader that ignores profiles, as `read` does.

    Args:
        path: The file.
        content: "PNG", "JPEG" or "TIFF".
        mask: Whether it lies beside a photograph as its mask; then labels and palettes stay, and
            nobody looks for text, which lesions resemble.
        blank_outside: Make everything outside the field black.
        ocr: Reads text, if there is such a reader.
        max_pixels: Larger pictures are refused by their header.

    Raises:
        ImageError: What `read` refuses, and samples that a PNG cannot hold.
    """
    raster = decode(path, content, frame=None, max_pixels=max_pixels)
    notes = ("a colour profile was dropped",) if "icc" in raster.facts else ()
    if mask and _few_values(raster.samples):
        return Cleaned(data=_mask_png(raster), notes=notes)
    samples = _png_samples(raster)
    seen = look(Image(pixels=display(raster)[0]), ocr=ocr)
    if not seen.surround:
        return Cleaned(data=_png(samples), reasons=(NO_SURROUND, *seen.text), notes=notes)
    if not blank_outside:
        return Cleaned(data=_png(samples), reasons=seen.text, notes=notes)
    samples = samples * seen.field[..., np.newaxis].astype(samples.dtype)
    notes += ("made black outside the field",)
    return Cleaned(data=_png(samples), reasons=() if seen.outside_only else seen.text, notes=notes)


def _png_samples(raster: Raster) -> UInt[np.ndarray, "row column channel"]:
    """Grey or colours of 8 or 16 bit over the full range, without alpha."""
    samples = raster.colors()
    if samples.dtype.kind != "u" or samples.dtype.itemsize > 2:
        raise ImageError(f"holds {samples.dtype} samples, which no PNG holds; save 8 or 16 bit")
    channels = samples.shape[-1]
    if channels in (2, 4) and not (samples[..., -1] == raster.full_scale).all():
        hidden = samples[..., :-1] * (samples[..., -1:] / raster.full_scale)
        samples = np.round(hidden).astype(samples.dtype)
    samples = samples[..., : channels - (channels in (2, 4))]
    full = np.iinfo(samples.dtype).max
    if raster.full_scale == full:
        return samples
    return np.round(samples * (full / raster.full_scale)).astype(samples.dtype)


def _mask_png(raster: Raster) -> bytes:
    """Labels as they are: indices with their palette, or a mask that is drawn in alpha alone."""
    if raster.palette is not None and raster.samples.dtype == np.uint8:
        picture = PillowImage.fromarray(raster.samples[..., 0], "L").convert("P")
        picture.putdata(raster.samples[..., 0].ravel())
        picture.putpalette(raster.palette[:, :3].tobytes())
        written = BytesIO()
        picture.save(written, "PNG")
        return written.getvalue()
    hues, alpha = raster.samples[..., :-1], raster.samples[..., -1:]
    if raster.samples.shape[-1] in (2, 4) and (hues == hues[0, 0]).all():
        return _png(alpha)
    if raster.full_scale == 1.0 or raster.samples.shape[-1] in (2, 4):
        return _png(_png_samples(raster))
    return _png(raster.samples)


def _png(samples: Shaped[np.ndarray, "row column channel"]) -> bytes:
    if samples.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"holds {samples.dtype} samples, which no PNG holds; save 8 or 16 bit")
    grey = samples.shape[-1] == 1
    whole = np.ascontiguousarray(samples[..., 0] if grey else samples)
    return bytes(imagecodecs.png_encode(whole))


def _few_values(samples: Shaped[np.ndarray, "row column channel"]) -> bool:
    return samples.dtype.kind == "u" and len(np.unique(samples)) <= _MASK_VALUES
