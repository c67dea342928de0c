"""One frame of a DICOM object as it is stored, by decoders that no damaged stream brings down."""

from jaxtyping import Integer
from numpy import ndarray
from pydicom import config
from pydicom.dataset import FileDataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.uid import UID, RLELossless

from foveal.core import Grid, ImageError
from foveal.images.dicom_jpeg import DECODERS, stream_grid

_LEFT_OUT = ("gdcm", "pillow")
"""Plugins of pydicom: the first ends the process on damaged streams, the second cannot do colours
of 16 bit. Packages that foveal comes with decode all that they can."""


def decoded_frame(
    dataset: FileDataset, index: int, *, count: int, grid: Grid
) -> Integer[ndarray, "row column *channel"]:
    """Stored grey levels, indices of a palette, or RGB.

    What pydicom raises on damaged pixels comes through as it is.

    Args:
        dataset: The whole object; the caller has checked its size.
        index: Which frame, counted from 0.
        count: Of how many.
        grid: Rows and columns of its header.

    Raises:
        ImageError: A compression that is not read, a stream of another size than the header, or
            levels that are not in the lowest bits.
    """
    stored, high = dataset.get("BitsStored"), dataset.get("HighBit")
    if isinstance(stored, int) and isinstance(high, int) and high != stored - 1:
        raise ImageError(  # retired in 2014 (PS3.5 8.1.1), and decoders take the bits as they are
            f"keeps levels of {stored} bits below bit {high} and not in the lowest; export it again"
        )
    syntax = UID(str(dataset.file_meta.TransferSyntaxUID), validation_mode=config.IGNORE)
    decoder = _decoder(syntax)
    plugin = _plugins(decoder)[0] if syntax.is_encapsulated else ""
    if plugin:
        _check_stream(dataset, index, count, grid)
    frame, told = decoder.as_array(dataset, index=index, decoding_plugin=plugin)
    if str(told["photometric_interpretation"]).startswith("YBR"):
        color = dataset.PhotometricInterpretation
        raise ImageError(f"holds {color} colours that its compression has not; export it as RGB")
    return frame


def _decoder(syntax: UID) -> Decoder:
    if syntax in DECODERS:
        return DECODERS[syntax]
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise ImageError(
            f"is compressed as {syntax.name}, which is not read; export it uncompressed"
        ) from None
    if not decoder.is_available or (syntax.is_encapsulated and not _plugins(decoder)):
        raise ImageError(
            f"is compressed as {syntax.name}, and a package that foveal came with is missing "
            f"({'; '.join(decoder.missing_dependencies)}); install foveal again"
        )
    return decoder


def _plugins(decoder: Decoder) -> list[str]:
    return [name for name in decoder.available_plugins if name not in _LEFT_OUT]


def _check_stream(dataset: FileDataset, index: int, count: int, grid: Grid) -> None:
    """Refuse a stream that would take more memory than its header admits."""
    if dataset.file_meta.TransferSyntaxUID == RLELossless:
        return
    found = stream_grid(get_frame(dataset.PixelData, index, number_of_frames=count))
    if found is not None and found != grid:
        raise ImageError(
            f"says it is {grid[0]} x {grid[1]} (row x column), but its compressed picture is "
            f"{found[0]} x {found[1]}; export it again"
        )
