"""PNG, JPEG and TIFF: the numbers that were written are the numbers that are read."""

import hashlib
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage
from PIL import ImageCms, ImageOps

from foveal.core import ImageError
from foveal.images import read

RNG = np.random.default_rng(0)
GREY8 = RNG.integers(0, 256, (5, 7), dtype=np.uint8)
RGB8 = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
ALPHA8 = RNG.integers(0, 255, (5, 7), dtype=np.uint8)
OPAQUE8 = np.full((5, 7), 255, np.uint8)
GREY16 = RNG.integers(0, 65536, (5, 7), dtype=np.uint16)
RGB16 = RNG.integers(0, 65536, (5, 7, 3), dtype=np.uint16)
ALPHA16 = RNG.integers(0, 65535, (5, 7), dtype=np.uint16)
BITS = GREY8 > 127
UNIT = RNG.random((5, 7, 3), dtype=np.float32)


def display(samples, full_scale):
    """Channel first, as shares of white, in float64."""
    shares = samples.astype(np.float64) / full_scale
    return shares[np.newaxis] if samples.ndim == 2 else shares.transpose(2, 0, 1)


def pillow(samples, **options):
    return lambda path: PillowImage.fromarray(samples).save(path, **options)


def palette(**options):
    def write(path):
        picture = PillowImage.fromarray(GREY8 % 4, "P")
        picture.putpalette([0, 0, 0, 255, 0, 0, 10, 20, 30, 255, 255, 255])
        picture.save(path, **options)

    return write


def codec(samples):
    return lambda path: path.write_bytes(imagecodecs.png_encode(samples))


def tiff(samples, **options):
    return lambda path: tifffile.imwrite(path, samples, **options)


PALETTE = np.array([[0, 0, 0], [255, 0, 0], [10, 20, 30], [255, 255, 255]])[GREY8 % 4]
LAID_OVER_BLACK = display(RGB8, 255) * display(ALPHA8, 255)
RGBA8, GREY_ALPHA8 = np.dstack([RGB8, ALPHA8]), np.dstack([GREY8, ALPHA8])

EXACT = [
    pytest.param("png", pillow(BITS), display(BITS, 1), id="PNG 1 bit"),
    pytest.param("png", pillow(GREY8), display(GREY8, 255), id="PNG grey"),
    pytest.param("png", pillow(RGB8), display(RGB8, 255), id="PNG RGB"),
    pytest.param("png", pillow(RGBA8), LAID_OVER_BLACK, id="PNG RGB with alpha"),
    pytest.param(
        "png",
        pillow(GREY_ALPHA8),
        display(GREY8, 255) * display(ALPHA8, 255),
        id="PNG grey with alpha",
    ),
    pytest.param(
        "png", pillow(np.dstack([RGB8, OPAQUE8])), display(RGB8, 255), id="PNG opaque alpha"
    ),
    pytest.param("png", palette(), display(PALETTE, 255), id="PNG palette"),
    pytest.param(
        "png",
        palette(transparency=1),
        display(PALETTE * (GREY8 % 4 != 1)[..., np.newaxis], 255),
        id="PNG palette with a transparent entry",
    ),
    pytest.param(
        "png",
        pillow(GREY8, transparency=int(GREY8.max())),
        display(np.where(GREY8.max() == GREY8, 0, GREY8), 255),
        id="PNG grey with a transparent value",
    ),
    pytest.param("png", codec(GREY16), display(GREY16, 65535), id="PNG 16 bit grey"),
    pytest.param("png", codec(RGB16), display(RGB16, 65535), id="PNG 16 bit RGB"),
    pytest.param(
        "png",
        codec(np.dstack([RGB16, ALPHA16])),
        display(RGB16, 65535) * display(ALPHA16, 65535),
        id="PNG 16 bit RGB with alpha",
    ),
    pytest.param("tif", pillow(BITS), display(BITS, 1), id="TIFF 1 bit"),
    pytest.param("tif", pillow(BITS, compression="group4"), display(BITS, 1), id="TIFF fax"),
    pytest.param("tif", pillow(GREY8), display(GREY8, 255), id="TIFF grey"),
    pytest.param("tif", tiff(RGB8, compression="lzw"), display(RGB8, 255), id="TIFF RGB LZW"),
    pytest.param("tif", palette(), display(PALETTE, 255), id="TIFF palette"),
    pytest.param("tif", pillow(RGBA8), LAID_OVER_BLACK, id="TIFF alpha to be applied"),
    pytest.param(
        "tif",
        tiff(RGBA8, photometric="rgb", extrasamples=["assocalpha"]),
        display(RGB8, 255),
        id="TIFF alpha applied by the writer",
    ),
    pytest.param(
        "tif",
        tiff(RGBA8, photometric="rgb", extrasamples=["unspecified"]),
        display(RGB8, 255),
        id="TIFF fourth channel that is no alpha",
    ),
    pytest.param("tif", tiff(GREY16), display(GREY16, 65535), id="TIFF 16 bit grey"),
    pytest.param(
        "tif", tiff(RGB16, byteorder=">"), display(RGB16, 65535), id="TIFF 16 bit big-endian"
    ),
    pytest.param(
        "tif",
        tiff(RGB16.transpose(2, 0, 1).copy(), planarconfig="separate", photometric="rgb"),
        display(RGB16, 65535),
        id="TIFF 16 bit in planes",
    ),
    pytest.param("tif", tiff(RGB16, bigtiff=True), display(RGB16, 65535), id="BigTIFF"),
    pytest.param(
        "tif",
        tiff(GREY16, photometric="miniswhite"),
        1 - display(GREY16, 65535),
        id="TIFF white is zero",
    ),
    pytest.param("tif", tiff(UNIT, photometric="rgb"), display(UNIT, 1), id="TIFF float in [0, 1]"),
]


@pytest.mark.parametrize(("suffix", "write", "expected"), EXACT)
def test_every_sample_is_read_as_its_share_of_white(tmp_path, suffix, write, expected):
    path = tmp_path / f"eye.{suffix}"
    write(path)

    pixels = read(path).pixels

    assert pixels.dtype == np.float32
    assert pixels.flags.c_contiguous
    np.testing.assert_allclose(pixels, expected, rtol=2e-7)


@pytest.mark.parametrize("write", [palette(), pillow(RGB8), codec(RGB16), tiff(RGB16)])
def test_the_content_decides_who_reads_not_the_suffix(tmp_path, write):
    (tmp_path / "eye").mkdir()
    path = tmp_path / "eye" / "eye.dat"
    write_as = path.with_suffix(".tif" if "tiff" in write.__qualname__ else ".png")
    write(write_as)
    write_as.rename(path)

    assert read(path).pixels.shape == (3, 5, 7)


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_is_the_light_that_the_inks_leave(tmp_path, suffix):
    inks = np.tile(np.array([0, 64, 128, 32], np.uint8), (16, 16, 1))
    path = tmp_path / f"eye.{suffix}"
    PillowImage.fromarray(inks, "CMYK").save(path)

    image = read(path)

    left = (1 - inks[0, 0, :3] / 255) * (1 - inks[0, 0, 3] / 255)
    np.testing.assert_allclose(image.pixels[:, 8, 8], left, atol=2 / 255)
    assert image.facts["color"] == "cmyk"


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@pytest.mark.parametrize("samples", [GREY8, RGB8], ids=["grey", "RGB"])
def test_jpeg_is_decoded_as_pillow_does(tmp_path, samples, options):
    path = tmp_path / "eye.jpg"
    PillowImage.fromarray(samples).save(path, **options)

    with PillowImage.open(path) as reference:
        expected = display(np.asarray(reference), 255)
    np.testing.assert_allclose(read(path).pixels, expected, rtol=2e-7)


ORIENTED = RGB8[:3, :5]  # more columns than rows, and no symmetry, so that every turn shows


def jpeg_sized(samples):
    """Blocks of 16 x 16, which JPEG keeps apart."""
    return samples.repeat(16, axis=0).repeat(16, axis=1)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_does(tmp_path, suffix, orientation):
    path = tmp_path / f"eye.{suffix}"
    picture = PillowImage.fromarray(jpeg_sized(ORIENTED))
    exif = picture.getexif()
    exif[274] = orientation
    picture.save(path, exif=exif, **({"quality": 95} if suffix == "jpg" else {}))

    image = read(path)

    with PillowImage.open(path) as stored:
        upright = np.asarray(ImageOps.exif_transpose(stored))
    np.testing.assert_allclose(image.pixels, display(upright, 255), rtol=2e-7)
    assert image.facts.get("orientation", 1) == orientation


@pytest.mark.parametrize("samples", [RGB8, RGB16], ids=["8 bit", "16 bit"])
def test_a_png_file_may_say_behind_the_picture_how_to_turn_it(tmp_path, samples):
    path = tmp_path / "eye.png"
    data = imagecodecs.png_encode(samples)
    exif = PillowImage.Exif()
    exif[274] = 6
    body = b"eXIf" + exif.tobytes()[6:]  # without the name that JPEG puts before it
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(data[:-12] + chunk + data[-12:])

    image = read(path)

    full_scale = np.iinfo(samples.dtype).max
    expected = display(np.rot90(samples, k=-1), full_scale)
    np.testing.assert_allclose(image.pixels, expected, rtol=2e-7)
    assert image.facts["orientation"] == 6


@pytest.mark.parametrize("lost", [12, 14], ids=["end mark", "half of a checksum"])
def test_a_png_file_that_lacks_nothing_of_its_picture_is_read(tmp_path, lost):
    path = tmp_path / "eye.png"
    path.write_bytes(imagecodecs.png_encode(RGB8)[:-lost])

    np.testing.assert_allclose(read(path).pixels, display(RGB8, 255), rtol=2e-7)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_reaches_16_bit_files(tmp_path, orientation):
    path = tmp_path / "eye.tif"
    tifffile.imwrite(path, RGB16, extratags=[(274, "H", 1, orientation, True)])

    pixels = read(path).pixels

    stored = PillowImage.fromarray(np.arange(35, dtype=np.uint8).reshape(5, 7))
    stored.getexif()[274] = orientation
    places = np.asarray(ImageOps.exif_transpose(stored))
    expected = RGB16.reshape(35, 3)[places]
    np.testing.assert_allclose(pixels, display(expected, 65535), rtol=2e-7)


def test_an_orientation_outside_the_standard_turns_nothing(tmp_path):
    path = tmp_path / "eye.tif"
    tifffile.imwrite(path, RGB16, extratags=[(274, "H", 1, 9, True)])

    np.testing.assert_allclose(read(path).pixels, display(RGB16, 65535), rtol=2e-7)


def test_broken_exif_data_do_not_cost_the_picture(tmp_path):
    path = tmp_path / "eye.png"
    PillowImage.fromarray(RGB8).save(path, exif=b"Exif\0\0nonsense")

    np.testing.assert_allclose(read(path).pixels, display(RGB8, 255), rtol=2e-7)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_colour_profile_is_recorded_and_changes_nothing(tmp_path, suffix):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    plain, tagged = tmp_path / f"plain.{suffix}", tmp_path / f"tagged.{suffix}"
    PillowImage.fromarray(RGB8).save(plain)
    PillowImage.fromarray(RGB8).save(tagged, icc_profile=profile.tobytes())

    assert read(tagged).facts["icc"] == ImageCms.getProfileDescription(profile).strip()
    assert "icc" not in read(plain).facts
    np.testing.assert_array_equal(read(tagged).pixels, read(plain).pixels)


def test_an_unreadable_profile_is_recorded_as_such(tmp_path):
    path = tmp_path / "eye.png"
    PillowImage.fromarray(RGB8).save(path, icc_profile=b"no profile")

    assert read(path).facts["icc"] == "unreadable, 10 bytes"


def test_an_image_remembers_its_file_and_what_was_found_in_it(tmp_path):
    path = tmp_path / "eye.png"
    codec(np.dstack([RGB16, ALPHA16]))(path)

    image = read(path, modality="fundus")

    assert image.source == str(path)
    assert image.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert image.modality == "fundus"
    assert image.steps == ()
    assert image.facts == {
        "format": "PNG",
        "bit_depth": 16,
        "color": "rgb+alpha",
        "alpha": "laid over black",
    }


def test_one_pixel_is_an_image(tmp_path):
    path = tmp_path / "eye.png"
    PillowImage.fromarray(np.array([[51]], np.uint8)).save(path)

    assert read(path).pixels.tolist() == [[[np.float32(0.2)]]]


def test_a_page_of_a_tiff_is_chosen_by_its_number(tmp_path):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.stack([GREY8, GREY8 // 2]), photometric="minisblack")

    np.testing.assert_allclose(read(path, frame=2).pixels, display(GREY8 // 2, 255), rtol=2e-7)
    with pytest.raises(ImageError, match="holds 2 pages; choose one with frame=1 to frame=2"):
        read(path)
    with pytest.raises(ImageError, match="holds 2 pages, counted from 1, so there is no frame 0"):
        read(path, frame=0)


def test_a_preview_is_no_page(tmp_path):
    path = tmp_path / "eye.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(RGB8[:2, :2].copy(), subfiletype=1)
        file.write(RGB8)

    np.testing.assert_allclose(read(path).pixels, display(RGB8, 255), rtol=2e-7)
