"""Pixels into a DICOM object: native, or compressed frame by frame."""

from collections.abc import Callable, Mapping

import imagecodecs
import numpy as np
from jaxtyping import UInt
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

_Encode = Callable[[np.ndarray], bytes | bytearray]

_NATIVE = (
    *(ImplicitVRLittleEndian, ExplicitVRLittleEndian),
    *(DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian),
)


def _jpeg(samples: np.ndarray) -> bytes | bytearray:
    return imagecodecs.jpeg8_encode(samples, level=95, subsampling="422")


def _lossless_jpeg(samples: np.ndarray) -> bytes | bytearray:
    # Predictor 1 serves both syntaxes: it is the only one that .70 allows.
    return imagecodecs.jpeg8_encode(samples, lossless=True, predictor=1)


def _jpeg2000(*, reversible: bool) -> _Encode:
    def encode(samples: np.ndarray) -> bytes | bytearray:
        return imagecodecs.jpeg2k_encode(
            samples,
            level=0 if reversible else 50,  # the peak signal-to-noise ratio in dB
            reversible=reversible,
            codecformat="J2K",
            resolutions=1,
        )

    return encode


_ENCODERS: Mapping[UID, _Encode] = {
    JPEGBaseline8Bit: _jpeg,
    JPEGExtended12Bit: _jpeg,
    JPEGLossless: _lossless_jpeg,
    JPEGLosslessSV1: _lossless_jpeg,
    JPEGLSLossless: imagecodecs.jpegls_encode,
    JPEGLSNearLossless: lambda samples: imagecodecs.jpegls_encode(samples, level=2),
    JPEG2000Lossless: _jpeg2000(reversible=True),
    JPEG2000: _jpeg2000(reversible=False),
    HTJ2KLossless: lambda samples: imagecodecs.htj2k_encode(samples, reversible=True),
}

_LOSSY: Mapping[UID, str] = {
    JPEGBaseline8Bit: "ISO_10918_1",
    JPEGExtended12Bit: "ISO_10918_1",
    JPEGLSNearLossless: "ISO_14495_1",
    JPEG2000: "ISO_15444_1",
}
"""PS3.3 C.7.6.1.1.5.1: the name of each method that loses something."""

_COLORS: Mapping[UID, str] = {
    JPEGBaseline8Bit: "YBR_FULL_422",
    JPEGExtended12Bit: "YBR_FULL_422",
    JPEG2000Lossless: "YBR_RCT",
    JPEG2000: "YBR_ICT",
    HTJ2KLossless: "YBR_RCT",
}
"""PS3.5 8.2: what colours become inside each code stream; RGB in the others."""


def put_pixels(
    written: FileDataset,
    frames: UInt[np.ndarray, "frame row column *channel"],
    transfer_syntax: str,
) -> None:
    """The Image Pixel module (PS3.3 C.7.6.3) and the pixels themselves.

    Raises:
        ValueError: Other pixels than 8 or 16 bit, grey or RGB, or a transfer syntax that is not
            written, or not with such pixels.
    """
    _check(frames)
    syntax = UID(transfer_syntax)
    color = frames.ndim == 4
    bits = 8 * frames.dtype.itemsize
    written.SamplesPerPixel = 3 if color else 1
    written.PhotometricInterpretation = "RGB" if color else "MONOCHROME2"
    if color:
        written.PlanarConfiguration = 0
    written.Rows, written.Columns = frames.shape[1:3]
    written.BitsAllocated = written.BitsStored = bits
    written.HighBit = bits - 1
    written.PixelRepresentation = 0
    written.file_meta.TransferSyntaxUID = syntax
    written.set_original_encoding(
        syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian, "utf-8"
    )
    if syntax in _NATIVE:
        _put_native(written, frames, syntax)
    elif syntax == RLELossless:
        _put_native(written, frames, ExplicitVRLittleEndian)
        written.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        written.compress(RLELossless, generate_instance_uid=False)
    elif syntax in _ENCODERS:
        _put_compressed(written, frames, syntax)
    else:
        known = ", ".join(one.name for one in (*_NATIVE, RLELossless, *_ENCODERS))
        raise ValueError(f"{syntax.name} is not written; written are {known}")


def _put_native(written: FileDataset, frames: np.ndarray, syntax: UID) -> None:
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    stored = frames.astype(frames.dtype.newbyteorder(order)).tobytes()
    written.PixelData = stored + bytes(len(stored) % 2)
    written["PixelData"].VR = "OB" if frames.dtype.itemsize == 1 else "OW"


def _put_compressed(written: FileDataset, frames: np.ndarray, syntax: UID) -> None:
    if frames.dtype.itemsize > 1 and syntax in (JPEGBaseline8Bit, JPEGExtended12Bit):
        raise ValueError(f"{syntax.name} is written from 8 bit, but the pixels are {frames.dtype}")
    encoded = [bytes(_ENCODERS[syntax](np.ascontiguousarray(frame))) for frame in frames]
    written.PixelData = encapsulate(encoded)
    written["PixelData"].VR = "OB"
    if frames.ndim == 4:
        written.PhotometricInterpretation = _COLORS.get(syntax, "RGB")
    if syntax in _LOSSY:
        written.LossyImageCompression = "01"
        written.LossyImageCompressionMethod = _LOSSY[syntax]
        written.LossyImageCompressionRatio = f"{frames.nbytes / sum(map(len, encoded)):.2f}"


def _check(frames: np.ndarray) -> None:
    if frames.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"pixels must be uint8 or uint16, but are {frames.dtype}")
    if not (frames.ndim == 3 or (frames.ndim == 4 and frames.shape[3] == 3)) or frames.size == 0:
        raise ValueError(
            "each picture must be (row, column) or (row, column, 3), "
            f"but the shape of them together is {frames.shape}"
        )
