"""Light evened out: against closed forms, slow twins and scikit-image, and on synthetic eyes."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import color

from foveal.core import Image
from foveal.images import Illumination, find_field, intensity_cv, prepare
from foveal.images.preparation.background import background, enlarged, field_diameter
from foveal.images.preparation.clahe import clahe
from foveal.images.preparation.lab import by_bands, from_lab, lightness, to_lab
from foveal.measures import intensity_cv as measured_cv

RNG = np.random.default_rng(0)


def disc(rows=240, columns=320, radius=110.0):
    row, column = np.mgrid[:rows, :columns] + 0.5
    return np.hypot(row - rows / 2, column - columns / 2) <= radius


def retina(field, shading=1.0, seed=0):
    """An even retina with fine texture under a smooth light."""
    texture = 1 + 0.1 * np.random.default_rng(seed).standard_normal(field.shape)
    colors = np.array([0.55, 0.3, 0.15])[:, np.newaxis, np.newaxis]
    pixels = (colors * texture * shading).clip(0.02, 1) * field
    return Image(pixels=pixels.astype(np.float32), modality="fundus")


def slope(grid):
    """Light from one side, three times as strong there as on the other."""
    return np.broadcast_to(np.linspace(0.5, 1.5, grid[1]), grid)


def evened(image, **settings):
    prepared, _ = prepare(image, [{"step": "illumination", **settings}])
    return prepared


def test_the_background_takes_the_light_out_and_keeps_hue_and_mean_level():
    field = disc()
    image = retina(field, slope(field.shape))

    even = evened(image, method="background")

    flat = intensity_cv(retina(field).pixels, field)
    assert intensity_cv(image.pixels, field) > 1.9 * flat
    assert intensity_cv(even.pixels, field) < 1.3 * flat
    ratio = even.pixels[:, field] / image.pixels[:, field]
    np.testing.assert_allclose(ratio[0], ratio[1], rtol=1e-5)
    assert even.pixels[:, field].mean() == pytest.approx(image.pixels[:, field].mean(), rel=0.1)
    np.testing.assert_array_equal(even.pixels[:, ~field], image.pixels[:, ~field])


def test_an_evenly_lit_eye_stays_as_it_is():
    field = disc()
    pixels = np.where(field, np.full((3, 1, 1), 0.4), 0).astype(np.float32)

    even = evened(Image(pixels=pixels), method="background")

    np.testing.assert_allclose(even.pixels, pixels, atol=1e-5)


def test_half_the_strength_is_the_root_of_the_gain():
    image = retina(disc(), slope((240, 320)))
    gains = [
        evened(image, method="background", strength=strength).pixels[0, 60:180, 110:210]
        / image.pixels[0, 60:180, 110:210]
        for strength in (0.0, 0.5, 1.0)
    ]

    np.testing.assert_allclose(gains[0], 1, rtol=1e-6)
    np.testing.assert_allclose(gains[1] ** 2, gains[2], rtol=1e-4)


@pytest.mark.parametrize("sigma", [4.0, 25.0, 60.0])
def test_the_quick_background_is_the_slow_one(sigma):
    field = disc()
    pixels = retina(field, slope(field.shape)).pixels

    quick = background(pixels, field, sigma)

    weight = ndimage.gaussian_filter(field.astype(float), sigma, mode="constant", truncate=6)
    for channel, reduced in zip(pixels, quick, strict=True):
        light = ndimage.gaussian_filter(
            (channel * field).astype(float), sigma, mode="constant", truncate=6
        )
        np.testing.assert_allclose(
            enlarged(reduced, field.shape)[field], (light / weight.clip(1e-9))[field], atol=0.004
        )


def test_ben_grahams_recipe_is_the_one_of_his_report_away_from_the_rim():
    field = disc(radius=115.0)
    image = retina(field, slope(field.shape))

    even = evened(image, method="ben-graham").pixels

    sigma = field_diameter(field) / 2 / 30
    inner = disc(radius=115.0 - 4 * sigma)
    for channel, found in zip(image.pixels, even, strict=True):
        blurred = ndimage.gaussian_filter(channel, sigma)
        expected = (4 * channel - 4 * blurred + 0.5).clip(0, 1)
        np.testing.assert_allclose(found[inner], expected[inner], atol=0.01)
    assert (even[:, ~field] == 0.5).all()


def slow_clahe(values, field, clip, tiles):
    """Pixel by pixel after Zuiderveld 1994, missing pixels of a tile as the field's average."""
    rows, columns = values.shape
    tile_row, tile_column = (np.arange(side) * tiles // side for side in values.shape)
    whole, _ = np.histogram(values[field], 256, (0, 1))
    curves = {}
    for one in range(tiles):
        for other in range(tiles):
            tile = np.ix_(tile_row == one, tile_column == other)
            counts, _ = np.histogram(values[tile][field[tile]], 256, (0, 1))
            counts = counts + (field[tile].size - counts.sum()) * whole / whole.sum()
            shares = counts / field[tile].size
            cut = np.minimum(shares, clip / 256)
            cut += (shares.sum() - cut.sum()) / 256
            curves[one, other] = np.concatenate([[0], np.cumsum(cut)])
    equalised = np.zeros(values.shape)
    for row in range(rows):
        for column in range(columns):
            places = []
            for index, side in ((row, rows), (column, columns)):
                at = min(max((index + 0.5) * tiles / side - 0.5, 0), tiles - 1)
                low = min(int(at), tiles - 2) if tiles > 1 else 0
                places.append(((low, 1 - at + low), (min(low + 1, tiles - 1), at - low)))
            equalised[row, column] = sum(
                weight
                * other_weight
                * np.interp(values[row, column] * 256, np.arange(257), curves[one, other])
                for one, weight in places[0]
                for other, other_weight in places[1]
            )
    return equalised


@pytest.mark.parametrize(
    ("grid", "clip", "tiles"), [((32, 40), 2.0, 4), ((24, 24), 40.0, 2), ((17, 23), 3.0, 3)]
)
def test_clahe_is_its_slow_twin(grid, clip, tiles):
    values = RNG.random(grid).astype(np.float32) ** 2
    field = disc(*grid, radius=min(grid) * 0.45)

    found = clahe(values, field, clip=clip, tiles=tiles)

    np.testing.assert_allclose(found, slow_clahe(values, field, clip, tiles), atol=0.02)


def test_one_tile_without_a_limit_is_the_cumulative_share():
    values = RNG.random((50, 60)).astype(np.float32)
    below = values.ravel().argsort().argsort().reshape(values.shape) / values.size

    found = clahe(values, np.ones(values.shape, bool), clip=256, tiles=1)

    np.testing.assert_allclose(found, below, atol=0.01)


def test_clahe_leaves_the_colours_and_the_surround():
    field = disc()
    image = retina(field, slope(field.shape))

    even = evened(image, method="clahe").pixels

    before, after = color.rgb2lab(image.pixels, channel_axis=0), color.rgb2lab(even, channel_axis=0)
    shown = field & (even > 0.02).all(axis=0) & (even < 0.98).all(axis=0)
    np.testing.assert_allclose(after[1:, shown], before[1:, shown], atol=0.1)
    assert after[0][field].std() > before[0][field].std()
    np.testing.assert_array_equal(even[:, ~field], image.pixels[:, ~field])


@pytest.mark.parametrize("method", ["background", "ben-graham", "clahe"])
def test_a_grey_picture_stays_grey(method):
    grey = retina(disc(), slope((240, 320))).pixels[:1]

    assert evened(Image(pixels=grey), method=method).pixels.shape == grey.shape


def test_lab_is_that_of_scikit_image_and_comes_back():
    pixels = RNG.random((3, 70, 50)).astype(np.float32)
    lab = to_lab(pixels)

    np.testing.assert_allclose(lab, color.rgb2lab(pixels, channel_axis=0), atol=0.01)
    np.testing.assert_allclose(lightness(pixels), lab[0], atol=1e-3)
    np.testing.assert_allclose(from_lab(lab), pixels, atol=1e-4)


def test_working_by_bands_changes_nothing(monkeypatch):
    monkeypatch.setattr("foveal.images.preparation.lab._BAND", 100)
    pixels = RNG.random((3, 31, 40)).astype(np.float32)

    np.testing.assert_array_equal(by_bands(lambda band: band * 2, pixels), pixels * 2)
    np.testing.assert_array_equal(by_bands(lambda band: band[0], pixels), pixels[0])


def test_the_coefficient_of_variation_is_the_measures():
    pixels = RNG.random((3, 20, 30)).astype(np.float32)
    field = disc(20, 30, 9.0)

    light = 0.2126 * pixels[0] + 0.7152 * pixels[1] + 0.0722 * pixels[2]
    expected = light[field].std() / light[field].mean()
    assert intensity_cv(pixels, field) == pytest.approx(expected, rel=1e-5)
    assert measured_cv(pixels, field=field).value == pytest.approx(expected, rel=1e-5)
    assert intensity_cv(np.zeros_like(pixels), field) is None


WRONG = [
    pytest.param({"method": "homomorphic"}, "method must be one of", id="an unknown method"),
    pytest.param({"method": "clahe", "sigma": 1}, "no setting 'sigma'", id="another's setting"),
    pytest.param({"method": "clahe", "clip": 0.5}, "clip must be a number", id="too low"),
    pytest.param({"method": "background", "strength": "much"}, "strength must be", id="a word"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        evened(retina(disc()), **settings)


def test_the_step_is_found_again_on_the_field_of_each_picture():
    image = retina(disc(), slope((240, 320)))
    step = Illumination.fit(image, find_field(image), method="background")

    assert step.sigma_px == pytest.approx(0.25 * 220 / 2)
    assert "pixels not" in step.reversible
