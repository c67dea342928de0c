"""The field of view on pictures whose field is drawn here, so that it is known exactly."""

import numpy as np
import pytest
from PIL import Image as PillowImage

from foveal.core import Image, ImageError
from foveal.images import find_field, prepare

ROWS, COLUMNS = 300, 400


def disc(rows=ROWS, columns=COLUMNS, radius=140.0, center=None):
    row, column = np.mgrid[:rows, :columns] + 0.5
    middle = center or (rows / 2, columns / 2)
    return np.hypot(row - middle[0], column - middle[1]) <= radius


def photograph(field, brightness=(0.7, 0.4, 0.2), surround=0.0, noise=0.0, seed=0):
    """An even retina in its field, the surround around it, sensor noise over both."""
    colors = np.array(brightness, np.float64)[:, np.newaxis, np.newaxis]
    pixels = np.where(field, colors, surround)
    pixels += np.random.default_rng(seed).normal(0, noise, pixels.shape)
    return Image(pixels=pixels.clip(0, 1).astype(np.float32), modality="fundus")


def agreement(found, drawn):
    return (found & drawn).sum() / (found | drawn).sum()


def vignetted(field):
    row, column = np.mgrid[:ROWS, :COLUMNS] + 0.5
    fall = 1 - 0.6 * (np.hypot(row - ROWS / 2, column - COLUMNS / 2) / 140) ** 2
    image = photograph(field)
    return Image(pixels=(image.pixels * np.where(field, fall, 1)).clip(0, 1).astype(np.float32))


def flared(field):
    image = photograph(field, brightness=(0.12, 0.06, 0.03))
    image.pixels[:, 100:160, 100:160] = 1.0
    return image


def compressed(field, tmp_path):
    image = photograph(field, noise=0.02)
    path = tmp_path / "eye.jpg"
    samples = (image.pixels * 255).round().astype(np.uint8).transpose(1, 2, 0)
    PillowImage.fromarray(samples).save(path, quality=40)
    with PillowImage.open(path) as picture:
        pixels = np.asarray(picture, np.float32).transpose(2, 0, 1) / np.float32(255)
    return Image(pixels=pixels)


def clipped_with_tab():
    """A disc cut off above and below, with the tab by which some cameras mark the way up."""
    field = disc(radius=180)
    field[40:60, 330:350] = True
    return field


DRAWN = [
    pytest.param(disc(), lambda field, _: photograph(field), 1.0, id="a disc"),
    pytest.param(
        clipped_with_tab(), lambda field, _: photograph(field), 1.0, id="clipped, with a tab"
    ),
    pytest.param(
        disc(),
        lambda field, _: photograph(field, brightness=(0.08, 0.05, 0.03), noise=0.004),
        0.995,
        id="a dark eye",
    ),
    pytest.param(
        disc(), lambda field, _: photograph(field, brightness=(0.7,)), 1.0, id="a grey picture"
    ),
    pytest.param(
        disc(),
        lambda field, _: photograph(field, brightness=(0.0, 0.5, 0.1)),
        1.0,
        id="without red light",
    ),
    pytest.param(
        disc(),
        lambda field, _: photograph(field, surround=0.05, noise=0.01),
        1.0,
        id="scattered light and noise around it",
    ),
    pytest.param(disc(), lambda field, _: vignetted(field), 1.0, id="a vignetted rim"),
    pytest.param(disc(), lambda field, _: flared(field), 1.0, id="a flare in a dark eye"),
    pytest.param(disc(), compressed, 0.98, id="JPEG at low quality"),
]


@pytest.mark.parametrize(("field", "draw", "least"), DRAWN)
def test_the_drawn_field_is_found(tmp_path, field, draw, least):
    assert agreement(find_field(draw(field, tmp_path)), field) >= least


def test_a_large_field_is_found_to_the_pixel():
    field = disc(1100, 1700, radius=540.3, center=(551.2, 840.9))

    np.testing.assert_array_equal(find_field(photograph(field)), field)


def test_dark_lesions_belong_to_the_field():
    field = disc()
    image = photograph(field)
    image.pixels[:, 140:170, 180:230] = 0.0

    np.testing.assert_array_equal(find_field(image), field)


def test_text_outside_is_not_the_field():
    field = disc()
    image = photograph(field)
    image.pixels[:, 5:15, 5:60:3] = 1.0

    np.testing.assert_array_equal(find_field(image), field)


@pytest.mark.parametrize("dark", [0.2, 0.0], ids=["with dark vessels", "with a black spot"])
def test_without_a_dark_surround_the_whole_image_is_the_field(dark):
    image = photograph(np.ones((ROWS, COLUMNS), bool), noise=0.05)
    image.pixels[:, 20:28, :20] = dark
    image.pixels[:, ::40] *= 0.6

    assert find_field(image).all()


def slit_lamp(field):
    """A bright eye with a dark lid over it, in a field."""
    pixels = np.where(field, np.array([0.6, 0.5, 0.45])[:, None, None], 0.0)
    pixels[:, 60:120, 120:280] = 0.08
    pixels[:, 90:94, ::7] = 0.005
    return Image(pixels=(pixels * field).astype(np.float32), modality="slit-lamp")


def test_a_slit_lamp_photograph_is_all_field_but_for_the_surround_of_a_round_aperture():
    beam = disc(radius=45) | (np.mgrid[:ROWS, :COLUMNS][1] // 40 == 5)
    assert find_field(slit_lamp(beam)).all()
    assert find_field(slit_lamp(np.ones((ROWS, COLUMNS), bool))).all()
    np.testing.assert_array_equal(find_field(slit_lamp(disc())), disc())


UNSEEN = [
    pytest.param(np.zeros((3, 50, 60)), id="black"),
    pytest.param(np.full((1, 50, 60), 0.5), id="all grey"),
    pytest.param(np.ones((3, 50, 60)), id="white"),
    pytest.param(np.random.default_rng(0).uniform(0, 0.02, (3, 50, 60)), id="black with noise"),
    pytest.param(np.full((3, 1, 1), 0.5), id="one pixel"),
]


@pytest.mark.parametrize("modality", ["fundus", "oct"])
@pytest.mark.parametrize("pixels", UNSEEN)
def test_an_image_that_shows_nothing_has_no_field(pixels, modality):
    image = Image(pixels=pixels.astype(np.float32), modality=modality)

    with pytest.raises(ImageError, match="no field of view"):
        find_field(image)
    with pytest.raises(ImageError, match="no field of view"):
        prepare(image, [{"step": "resize", "size": [8, 8]}])


def section(rows=200, columns=300, seed=0):
    """A bright retina over speckle, as a B-scan shows it."""
    speckle = np.random.default_rng(seed).exponential(0.06, (rows, columns))
    speckle[80:120] += 0.6
    return speckle.clip(0.02, 0.94)


def padded(rows, columns, level):
    """A B-scan with padding in a box, and the field that is left."""
    pixels, field = section(), np.ones((200, 300), bool)
    pixels[rows, columns] = level
    field[rows, columns] = False
    return pixels, field


ALL = slice(None)
SECTIONS = [
    pytest.param(*padded(slice(0, 0), ALL, 1.0), id="no padding"),
    pytest.param(*padded(slice(0, 30), ALL, 1.0), id="a white bar above"),
    pytest.param(*padded(slice(170, None), ALL, 0.0), id="a black bar below"),
    pytest.param(*padded(ALL, slice(0, 2), 1.0), id="a thin white line at the side"),
    pytest.param(*padded(slice(150, None), slice(200, None), 1.0), id="a white corner"),
]


@pytest.mark.parametrize(("pixels", "field"), SECTIONS)
def test_the_scan_of_a_section_is_all_but_its_padding(pixels, field):
    image = Image(pixels=pixels[np.newaxis].astype(np.float32), modality="oct")

    # Two pixels beside the padding go with it, since JPEG blurs its edge.
    assert agreement(find_field(image), field) >= 0.96
    assert not (find_field(image) & ~field).any()


def test_the_scan_of_a_section_has_no_holes_and_no_frame_around_it():
    pixels = np.ones((240, 340))
    pixels[10:230, 10] = pixels[10:230, 329] = pixels[10, 10:330] = pixels[229, 10:330] = 0.3
    pixels[20:220, 20:320] = section()
    pixels[100:112, 100:112] = 1.0
    field = np.zeros(pixels.shape, bool)
    field[20:220, 20:320] = True

    found = find_field(Image(pixels=pixels[np.newaxis].astype(np.float32), modality="oct"))

    assert agreement(found, field) >= 0.96
    assert found[106, 106]


def test_a_section_of_nothing_but_padding_has_no_field():
    stripes = np.repeat([[0.0], [1.0], [0.0]], [20, 20, 20], axis=0) * np.ones((60, 50))

    with pytest.raises(ImageError, match="flat black or white"):
        find_field(Image(pixels=stripes[np.newaxis].astype(np.float32), modality="oct"))
