"""One frame of a DICOM object, decoded and brought to display units."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Integer
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.processing import apply_color_lut

from foveal.core import Grid, ImageError
from foveal.images import header
from foveal.images.dicom_decoding import decoded_frame
from foveal.images.dicom_objects import DAMAGE
from foveal.images.grey import grey_levels
from foveal.images.raster import Facts, Raster, display, profile_name

_COLORS = ("RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
"""Photometric interpretations that come out of the decoder, or of their palette, as RGB."""

_NO_PIXELS: Mapping[str, str] = {
    "FloatPixelData": "holds floating-point pixels (FloatPixelData), as no photograph or section "
    "does; export the picture itself",
    "DoubleFloatPixelData": "holds floating-point pixels (DoubleFloatPixelData), as no photograph "
    "or section does; export the picture itself",
    "PixelDataProviderURL": "keeps its pixels on a server (PixelDataProviderURL), and none is "
    "asked; export it with its pixels",
}


def frame_count(dataset: Dataset) -> int:
    """How many frames.

    Raises:
        ImageError: A count that is no whole number.
    """
    return max(1, header.whole_number(dataset, "NumberOfFrames", default=1))


def grid(dataset: Dataset) -> Grid:
    """Rows and columns.

    Raises:
        ImageError: Either is missing.
    """
    return header.whole_number(dataset, "Rows"), header.whole_number(dataset, "Columns")


def frame_pixels(
    dataset: FileDataset, index: int
) -> tuple[Float[np.ndarray, "channel row column"], Facts]:
    """One frame in display units, with what was done to its levels and colours.

    Args:
        dataset: The whole object; the caller has checked its size.
        index: Which frame, counted from 0.

    Raises:
        ImageError: No pixels, damaged ones, or a compression or colours that are not read.
    """
    searched = header.places(dataset, index)
    stored = _stored(dataset, index)
    color = str(dataset.PhotometricInterpretation)
    bits = header.whole_number(dataset, "BitsStored")
    facts: Facts = {"bit_depth": bits, "color": color}
    facts |= profile_name(header.first(searched, "ICCProfile"))
    facts |= _overlays(dataset)
    if color in ("MONOCHROME1", "MONOCHROME2"):
        grey, windowing = grey_levels(stored, dataset, searched)
        return grey[np.newaxis], facts | windowing
    full_scale = float(np.iinfo(stored.dtype).max) if color == "PALETTE COLOR" else 2.0**bits - 1
    return display(Raster(samples=stored, full_scale=full_scale, facts=facts))


def _stored(dataset: FileDataset, index: int) -> Integer[np.ndarray, "row column *channel"]:
    """Stored grey levels or RGB."""
    for keyword, problem in _NO_PIXELS.items():
        if keyword in dataset:
            raise ImageError(problem)
    if "PixelData" not in dataset:
        raise ImageError("has no PixelData, so there is no picture in it; export it again")
    color = str(dataset.get("PhotometricInterpretation", ""))
    if color not in (*_COLORS, "MONOCHROME1", "MONOCHROME2"):
        raise ImageError(
            f"holds {color or 'unnamed'} colours, which are not read; export it as RGB"
        )
    count, said = frame_count(dataset), grid(dataset)
    try:
        stored = decoded_frame(dataset, index, count=count, grid=said)
        return apply_color_lut(stored, dataset) if color == "PALETTE COLOR" else stored
    except DAMAGE as error:
        raise ImageError(
            "has pixels that cannot be decoded; it may be damaged, export it again"
        ) from error


def _overlays(dataset: Dataset) -> Facts:
    """PS3.3 C.9.2: groups 6000 to 601E. What is drawn over a picture is no part of it."""
    groups = {tag.group for tag in dataset.keys() if 0x6000 <= tag.group <= 0x601E}  # noqa: SIM118
    return {"overlays": f"{len(groups)}, not drawn"} if groups else {}
