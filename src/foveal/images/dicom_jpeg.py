"""JPEG as DICOM holds it (PS3.5 8.2.1), lossless and 12 bit included, each colour converted once.

It takes the place of pydicom's own decoders: they have none for lossless JPEG without another
package, none for 12 bit, and overlook an Adobe marker that contradicts the header about colours.
"""

from collections.abc import Iterator, Mapping

import imagecodecs
import numpy as np
from pydicom.pixels.decoders.base import Decoder, DecodeRunner
from pydicom.uid import (
    UID,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
)

_SYNTAXES = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1)

DECODER_DEPENDENCIES = dict.fromkeys(_SYNTAXES, ("imagecodecs",))
"""What pydicom asks a plugin for."""

_ADOBE, _SCAN = 0xEE, 0xDA
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
"""Markers that start a frame of JPEG (T.81 table B.1) or JPEG-LS (T.87); the three left out are
tables."""

_ADOBE_COLORS = {0: "RGB", 1: "YBR_FULL"}
"""Its last byte, for three components."""


def is_available(_: str) -> bool:
    """Always: imagecodecs comes with this package, and with it libjpeg-turbo 3."""
    return True


def decode_frame(source: bytes, runner: DecodeRunner) -> memoryview:
    """One frame, as grey levels or RGB; pydicom copies it, so it need not be bytes of its own."""
    segments = list(_segments(source))
    if runner.samples_per_pixel == 1:
        samples = imagecodecs.jpeg8_decode(source)
    else:
        said = next(
            (
                _ADOBE_COLORS.get(body[11])
                for marker, body in segments
                if marker == _ADOBE and body.startswith(b"Adobe") and len(body) > 11
            ),
            None,
        )
        ybr = (said or str(runner.photometric_interpretation)).startswith("YBR")
        samples = imagecodecs.jpeg8_decode(
            source, colorspace="YCBCR" if ybr else "RGB", outcolorspace="RGB"
        )
        runner.set_option("photometric_interpretation", "RGB")
        runner.set_option("planar_configuration", 0)
    runner.set_option("bits_allocated", 8 * samples.dtype.itemsize)
    return np.ascontiguousarray(samples).data.cast("B")


def stream_grid(source: bytes) -> tuple[int, int] | None:
    """Rows and columns that a JPEG, JPEG-LS or JPEG 2000 stream says it has.

    `None` where it says nothing: a decoder takes memory for what it says, whatever the DICOM header
    says.
    """
    start = source[:200].find(b"\xff\x4f\xff\x51")  # T.800 A.5.1: SOC, then SIZ
    if start >= 0 and len(source) >= start + 24:
        end_column, end_row, column, row = (
            int.from_bytes(source[start + place : start + place + 4], "big")
            for place in (8, 12, 16, 20)
        )
        return end_row - row, end_column - column
    for marker, body in _segments(source):
        if marker in _FRAMES and len(body) >= 5:
            return int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    return None


def _segments(source: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and body of each segment before the first scan (T.81 B.1.1)."""
    place = 2 if source.startswith(b"\xff\xd8") else len(source)
    while place + 4 <= len(source) and source[place] == 0xFF:
        marker = source[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        length = int.from_bytes(source[place + 2 : place + 4], "big")
        if marker == _SCAN or length < 2:
            return
        yield marker, source[place + 4 : place + 2 + length]
        place += 2 + length


def _decoder(syntax: UID) -> Decoder:
    decoder = Decoder(syntax)
    decoder.add_plugin("imagecodecs", (__name__, decode_frame.__name__))
    return decoder


DECODERS: Mapping[str, Decoder] = {syntax: _decoder(syntax) for syntax in _SYNTAXES}
"""Instances of our own: pydicom's are left as they are."""
