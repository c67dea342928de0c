"""Every file that cannot be read says which it is, what was found and what to do."""

import io
import struct
import tracemalloc
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage

from foveal.core import ImageError
from foveal.images import read

RNG = np.random.default_rng(0)
RGB8 = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)


def encoded(kind, samples=RGB8, **options):
    buffer = io.BytesIO()
    PillowImage.fromarray(samples).save(buffer, kind, **options)
    return buffer.getvalue()


def huge_png():
    """A header of 60,000 x 60,000 colours and nothing behind it."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    checked = header + struct.pack(">I", zlib.crc32(header))
    empty = b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + checked + bytes(4) + empty


def tiff(samples, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, **options)
    return buffer.getvalue()


def with_preview_cut_off():
    """A JPEG cut off after the end of the preview in its EXIF data."""
    preview = encoded("JPEG", RGB8[:16, :16])
    whole = encoded("JPEG", exif=b"Exif\0\0II*\0" + struct.pack("<IHI", 8, 0, 0) + preview)
    return whole[: whole.rfind(b"\xff\xd9")]


FILES = [
    pytest.param(b"", "is empty", id="an empty file"),
    pytest.param(b"eye,grade\n7,2\n", "is a text file", id="a text file"),
    pytest.param("Auge für Auge".encode(), "is a text file", id="text that is not ASCII"),
    pytest.param(b"a" + "ü".encode() * 400, "is a text file", id="text cut within a letter"),
    pytest.param(b"%PDF-1.7", "is a PDF document", id="a document"),
    pytest.param(b"PK\x03\x04" + bytes(40), "is a ZIP archive", id="an archive"),
    pytest.param(b"\x08\0\x05\0CS", "no kind known.*assume_dicom=True", id="bytes with zeros"),
    pytest.param(bytes(range(256)), "no kind known.*assume_dicom=True", id="unknown bytes"),
    pytest.param(huge_png(), "60000 x 60000.*raise max_pixels", id="a huge PNG header"),
    pytest.param(encoded("PNG")[:5000], "cannot be decoded.*damaged", id="half a PNG"),
    pytest.param(encoded("PNG")[:20], "cannot be decoded.*damaged", id="a PNG without a header"),
    pytest.param(
        imagecodecs.png_encode(RGB8.astype(np.uint16))[:2000],
        "cannot be decoded.*damaged",
        id="half a 16-bit PNG",
    ),
    pytest.param(encoded("JPEG")[:3000], "was cut off", id="half a JPEG"),
    pytest.param(encoded("JPEG")[:-2], "was cut off", id="a JPEG without its end"),
    pytest.param(with_preview_cut_off(), "was cut off", id="half a JPEG with a whole preview"),
    pytest.param(encoded("JPEG")[:100], "cannot be decoded.*damaged", id="the start of a JPEG"),
    pytest.param(
        tiff(RGB8, photometric="rgb")[:5000], "cannot be decoded.*damaged", id="half a TIFF"
    ),
    pytest.param(
        tiff(RGB8, photometric="rgb")[:9], "cannot be decoded.*damaged", id="the start of a TIFF"
    ),
    pytest.param(
        tiff(RGB8.astype(np.float32), photometric="rgb"),
        "from 0 to 255.*scale them to",
        id="a float TIFF in 0-255",
    ),
    pytest.param(tiff(np.full((4, 4), np.nan, np.float32)), "from nan to nan", id="a TIFF of NaN"),
    pytest.param(tiff(RGB8[..., 0].astype(np.int16)), "signed samples", id="a signed TIFF"),
    pytest.param(
        tiff(RGB8, photometric="cielab"), "holds CIELAB samples", id="a TIFF in Lab colours"
    ),
    pytest.param(tiff(RGB8, photometric="ycbcr"), "holds YCBCR samples", id="a TIFF in raw YCbCr"),
    pytest.param(
        tiff(RGB8, photometric="minisblack", planarconfig="contig"),
        "3 samples a pixel, of which 2 are extra",
        id="a TIFF with three greys a pixel",
    ),
    pytest.param(
        tiff(np.dstack([RGB8, RGB8[..., 0]]).astype(np.uint16), photometric="separated"),
        "uint16 CMYK",
        id="a TIFF in 16-bit inks",
    ),
    pytest.param(
        tiff(np.zeros((16, 16, 16), np.uint8), photometric="minisblack", volumetric=True),
        "axes ZYX",
        id="a TIFF volume",
    ),
]


@pytest.mark.parametrize(("content", "message"), FILES)
def test_a_bad_file_is_refused_by_name_with_the_reason(tmp_path, content, message):
    path = tmp_path / "eye.jpg"
    path.write_bytes(content)

    with pytest.raises(ImageError, match=f"(?s)^{path}: .*{message}") as caught:
        read(path)
    assert "eye.jpg" not in str(caught.value.__cause__)


def test_the_words_of_the_library_stand_in_the_named_error_alone(tmp_path):
    path = tmp_path / "eye.png"
    path.write_bytes(encoded("PNG")[:20])

    with pytest.raises(ImageError, match=r"export it again \(.+\)$") as caught:
        read(path)
    nameless = str(caught.value.__cause__)
    assert nameless.endswith("it may be damaged, copy or export it again")
    assert str(caught.value).startswith(f"{path}: {nameless} (")


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(ImageError, match="there is no such file"):
        read(tmp_path / "eye.png")
    with pytest.raises(ImageError, match="is a folder"):
        read(tmp_path)


def test_a_file_that_may_not_be_opened_says_so(tmp_path, monkeypatch):
    path = tmp_path / "eye.png"
    path.write_bytes(encoded("PNG"))

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(ImageError, match="cannot be opened: Permission denied"):
        read(path)


def test_a_huge_picture_is_refused_before_memory_is_taken_for_it(tmp_path):
    path = tmp_path / "eye.png"
    path.write_bytes(huge_png())

    tracemalloc.start()
    with pytest.raises(ImageError, match="60000 x 60000"):
        read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_the_limit_on_pixels_is_the_callers(tmp_path, kind):
    path = tmp_path / "eye"
    path.write_bytes(encoded(kind))

    assert read(path, max_pixels=64 * 64).grid == (64, 64)
    with pytest.raises(ImageError, match="64 x 64"):
        read(path, max_pixels=64 * 64 - 1)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_format_without_frames_has_only_the_first(tmp_path, kind):
    path = tmp_path / "eye"
    path.write_bytes(encoded(kind))

    assert read(path, frame=1).grid == (64, 64)
    with pytest.raises(ImageError, match="holds 1 picture, counted from 1, so there is no frame 2"):
        read(path, frame=2)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_whatever_byte_is_wrong_the_answer_is_an_image_or_an_image_error(tmp_path, kind):
    whole = encoded(kind, RGB8[:8, :8])
    path = tmp_path / "eye"
    outcomes = set()
    for place in RNG.integers(4, len(whole), 200):
        damaged = bytearray(whole)
        damaged[place] ^= int(RNG.integers(1, 256))
        path.write_bytes(damaged)
        try:
            read(path, max_pixels=10_000)
            outcomes.add("read")
        except ImageError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}
