"""The field of view of every kind of camera, on fields that are drawn here or by the renderer."""

import numpy as np
import pytest
from scipy import ndimage

from foveal.core import Image
from foveal.images import Illumination, find_field
from foveal.synthetic import fundus
from foveal.synthetic.devices import DEVICES

ROWS, COLUMNS = 310, 390
ROW, COLUMN = np.mgrid[:ROWS, :COLUMNS] + 0.5
RED, GREEN = (0.6, 0.3, 0.15), (0.35, 0.45, 0.02)


def disc(row, column, radius):
    return np.hypot(ROW - row, COLUMN - column) <= radius


def oval():
    """The field of an ultra-wide scanning camera."""
    return np.hypot((ROW - ROWS / 2) / ROWS, (COLUMN - COLUMNS / 2) / COLUMNS) <= 0.47


def lobed():
    """The oval with its four corners cut in."""
    corners = [disc(row, column, 90) for row in (0, ROWS) for column in (0, COLUMNS)]
    return oval() & ~np.any(corners, axis=0)


def montage():
    """Several photographs of one eye put together."""
    middles = [(115, 125), (115, 225), (190, 165), (190, 265)]
    return np.any([disc(*middle, 75) for middle in middles], axis=0)


def notched():
    field = disc(ROWS / 2, COLUMNS / 2, 140)
    return field & ~((np.abs(ROW - ROWS / 2) < 8) & (COLUMN > COLUMNS / 2 + 130))


def box():
    field = np.zeros((ROWS, COLUMNS), bool)
    field[30:280, 70:320] = True
    return field


def photograph(field, color, *, surround=0.0, vignette=0.6, noise=0.008):
    """A blotchy, noisy retina that darkens to its rim, in an even surround."""
    rng = np.random.default_rng(0)
    blotches = ndimage.gaussian_filter(rng.standard_normal(field.shape), 8)
    fall = 1 - vignette * ((ROW / ROWS - 0.5) ** 2 + (COLUMN / COLUMNS - 0.5) ** 2) / 0.25
    pixels = np.array(color)[:, np.newaxis, np.newaxis] * fall * (1 + blotches * 2)
    pixels += rng.normal(0, noise, pixels.shape)
    return np.where(field, pixels, np.reshape(surround, (-1, 1, 1))).clip(0, 1).astype(np.float32)


def lashes(pixels):
    """Dark hairs from the lower edge upwards."""
    hairs = np.zeros(pixels.shape[1:], bool)
    for column in range(100, 300, 14):
        hairs |= (np.abs(COLUMN - column - (ROWS - ROW) / 3) < 2) & (ROW > ROWS - 70)
    return np.where(hairs, pixels * np.float32(0.15), pixels)


def agreement(found, drawn):
    return (found & drawn).sum() / (found | drawn).sum()


WIDE = photograph(oval(), GREEN)
DISC = disc(ROWS / 2, COLUMNS / 2, 140)
WHOLE = np.ones((ROWS, COLUMNS), bool)
SHAPES = [
    pytest.param(WIDE, oval(), 0.999, id="ultra-wide, without blue"),
    pytest.param(lashes(WIDE), oval(), 0.97, id="ultra-wide behind lashes"),
    pytest.param(photograph(lobed(), GREEN), lobed(), 0.999, id="ultra-wide, four lobes"),
    pytest.param(
        photograph(oval(), GREEN, surround=(0.03, 0.05, 0.02)), oval(), 0.999, id="greenish black"
    ),
    pytest.param(photograph(montage(), RED), montage(), 0.999, id="a montage"),
    pytest.param(photograph(notched(), RED), notched(), 0.998, id="a notch cut in"),
    pytest.param(photograph(box(), RED), box(), 0.999, id="a square in black"),
    pytest.param(photograph(WHOLE, RED, vignette=0.4), WHOLE, 1.0, id="a square without surround"),
    pytest.param(
        photograph(disc(ROWS / 2, COLUMNS / 2, 180), RED),
        disc(ROWS / 2, COLUMNS / 2, 180),
        0.999,
        id="clipped above and below",
    ),
    pytest.param(photograph(DISC, RED)[:1] * 0.3, DISC, 0.99, id="dark autofluorescence"),
    pytest.param(photograph(DISC, RED, surround=1.0), DISC, 0.999, id="on white paper"),
    pytest.param(photograph(DISC, RED, surround=0.5), DISC, 0.999, id="on grey"),
    pytest.param(
        photograph(oval(), GREEN, surround=(0.9, 0.2, 0.2)), oval(), 0.999, id="on a colour"
    ),
]


@pytest.mark.parametrize(("pixels", "field", "least"), SHAPES)
def test_the_field_of_any_camera_is_found(pixels, field, least):
    assert agreement(find_field(Image(pixels=pixels, modality="fundus")), field) >= least


@pytest.mark.parametrize("device", DEVICES)
def test_the_field_of_a_rendered_camera_is_found(device):
    eye = fundus(3, device=device, size=128)
    (field,) = (region.mask for region in eye.regions if region.kind == "field")

    assert agreement(find_field(eye.image), field) >= 0.985


def test_the_field_is_found_again_after_ben_grahams_grey():
    image = Image(pixels=photograph(DISC, RED), modality="fundus")
    step = Illumination.fit(image, find_field(image), method="ben-graham")

    again = find_field(Image(pixels=step.pixels_forward(image.pixels), modality="fundus"))

    assert agreement(again, DISC) >= 0.99


def test_a_flat_retina_that_fills_the_image_is_no_paper():
    pixels = photograph(WHOLE, RED, vignette=0.0)

    assert find_field(Image(pixels=pixels, modality="fundus")).all()
