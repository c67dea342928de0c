"""Noise, scale and side: steps whose effect can be told exactly."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from foveal.core import Image, ImageError
from foveal.images import (
    find_field,
    is_mirrored,
    map_to_original,
    map_to_prepared,
    noise_level,
    points_to_original,
    points_to_prepared,
    prepare,
)

RNG = np.random.default_rng(0)


def disc(rows, columns, radius):
    row, column = np.mgrid[:rows, :columns] + 0.5
    return np.hypot(row - rows / 2, column - columns / 2) <= radius


def eye(rows=90, columns=120, radius=40.0, **known):
    field = disc(rows, columns, radius)
    pixels = np.where(field, RNG.uniform(0.4, 0.8, (3, rows, columns)), 0)
    return Image(pixels=pixels.astype(np.float32), modality="fundus", **known)


def after(image, **asked):
    prepared, _ = prepare(image, [asked])
    return prepared


@pytest.mark.parametrize("sigma", [0.005, 0.02, 0.05])
def test_the_noise_is_found_as_strong_as_it_was_added(sigma):
    field = disc(200, 200, 90)
    row, column = np.indices(field.shape) / 30
    smooth = 0.5 + 0.1 * np.sin(row) * np.cos(column)
    noisy = (smooth + RNG.normal(0, sigma, (3, 200, 200))).astype(np.float32)
    noisy[:, 70:] += 0.1  # a straight edge is no noise
    noisy[:, ~field] = 0

    assert noise_level(noisy, field) == pytest.approx(sigma, rel=0.06)


def test_a_field_without_inner_pixels_has_no_noise_to_see():
    assert noise_level(np.ones((1, 5, 5), np.float32), np.eye(5, dtype=bool)) == 0


DENOISED = [
    pytest.param({"method": "gaussian", "size": 1.5}, 0.3, id="gaussian"),
    pytest.param({"method": "median"}, 0.55, id="median"),
    pytest.param({"method": "nl-means"}, 0.5, id="nl-means"),
]


@pytest.mark.parametrize(("settings", "left"), DENOISED)
def test_denoising_leaves_less_noise_and_the_shades(settings, left):
    field = disc(64, 64, 28)
    clean = np.where(field, 0.5, 0)
    noisy = (clean + RNG.normal(0, 0.03, (3, 64, 64)) * field).clip(0, 1).astype(np.float32)
    inner = disc(64, 64, 20)

    prepared = after(Image(pixels=noisy, modality="fundus"), step="denoise", **settings)

    error = (prepared.pixels - clean)[:, inner].std()
    assert error < left * (noisy - clean)[:, inner].std()
    assert prepared.steps[0].numbers()["noise"] == pytest.approx(0.03, rel=0.1)


def test_a_gaussian_and_a_median_are_those_of_scipy():
    image = eye()

    blurred = after(image, step="denoise", method="gaussian", size=2.0)
    middle = after(image, step="denoise", method="median", size=5)

    for channel, soft, central in zip(image.pixels, blurred.pixels, middle.pixels, strict=True):
        np.testing.assert_allclose(soft, ndimage.gaussian_filter(channel, 2.0), atol=1e-6)
        np.testing.assert_array_equal(central, ndimage.median_filter(channel, 5))


@pytest.mark.parametrize(
    ("spacing", "mm", "grid", "found"),
    [
        pytest.param((0.01, 0.01), 0.02, (45, 60), (0.02, 0.02), id="half as fine"),
        pytest.param((0.01, 0.02), 0.01, (90, 240), (0.01, 0.01), id="columns were wider"),
        pytest.param((0.01, 0.01), 0.013, (69, 92), (0.9 / 69, 1.2 / 92), id="whole pixels"),
        pytest.param((0.01, 0.02), [0.02, 0.04], (45, 60), (0.02, 0.04), id="axial and lateral"),
    ],
)
def test_spacing_gives_pixels_of_the_size_asked(spacing, mm, grid, found):
    prepared = after(eye(spacing_mm=spacing), step="spacing", mm=mm)

    assert prepared.grid == grid
    assert prepared.spacing_mm == pytest.approx(found)


def test_spacing_needs_an_image_that_knows_its_own():
    with pytest.raises(ImageError, match="how large its pixels are"):
        after(eye(), step="spacing", mm=0.01)


SIZES = [
    pytest.param({"diameter": 40}, (45, 60), id="a diameter"),
    pytest.param({"pixels_per_degree": 2, "field_deg": 40}, (90, 120), id="by degrees"),
]


@pytest.mark.parametrize(("settings", "grid"), SIZES)
def test_field_size_scales_the_field_to_the_size_asked(settings, grid):
    prepared = after(eye(), step="field-size", **settings)

    assert prepared.grid == grid
    columns = np.flatnonzero(find_field(prepared).any(axis=0))
    asked = prepared.steps[0].numbers()["diameter"]
    assert columns[-1] + 1 - columns[0] == pytest.approx(asked, abs=2)


def test_a_clipped_disc_counts_with_its_whole_diameter():
    whole, clipped = eye(120, 120, 50.0), eye(80, 120, 50.0)

    sizes = [after(image, step="field-size", diameter=50).grid for image in (whole, clipped)]

    assert sizes == [(60, 60), (40, 60)]


def test_shrinking_does_not_fold_fine_stripes_into_coarse_ones():
    field = disc(240, 240, 110)
    stripes = np.where(field, 0.5 + 0.4 * (-1.0) ** np.arange(240), 0)
    image = Image(pixels=stripes[np.newaxis].astype(np.float32))

    small = after(image, step="field-size", diameter=220 / 3).pixels[0]

    # Weights 1, 2, 3, 2, 1 leave a ninth of the stripes; every third pixel would show all of them.
    np.testing.assert_allclose(np.abs(small[disc(80, 80, 30)] - 0.5), 0.4 / 9, atol=1e-4)


WRONG = [
    pytest.param({"step": "field-size"}, "needs diameter, or", id="nothing"),
    pytest.param(
        {"step": "field-size", "diameter": 90, "field_deg": 45}, "not both ways", id="both ways"
    ),
    pytest.param({"step": "field-size", "pixels_per_degree": 9}, "field_deg", id="no angle"),
    pytest.param({"step": "spacing", "mm": 0}, "mm must be a number", id="no size"),
    pytest.param({"step": "spacing", "mm": [1, 2, 3]}, "one number, or two", id="three sizes"),
    pytest.param({"step": "flip", "to": "up"}, "to must be one of right, left", id="no side"),
    pytest.param({"step": "denoise", "method": "dncnn"}, "gaussian, median", id="no method"),
    pytest.param({"step": "denoise", "method": "median", "size": 4}, "odd", id="an even median"),
]


@pytest.mark.parametrize(("asked", "message"), WRONG)
def test_wrong_settings_of_fundus_steps_are_named(asked, message):
    with pytest.raises(ValueError, match=message):
        after(eye(laterality="left", spacing_mm=(0.01, 0.01)), **asked)


def test_an_image_that_would_become_huge_is_refused():
    with pytest.raises(ImageError, match="would become"):
        after(eye(spacing_mm=(5.0, 5.0)), step="spacing", mm=1e-4)


FLIPS = [
    pytest.param("left", "right", True, id="a left eye turned"),
    pytest.param("right", "right", False, id="a right eye kept"),
    pytest.param("right", "left", True, id="to the left"),
]


@pytest.mark.parametrize(("laterality", "to", "mirrored"), FLIPS)
def test_a_flip_turns_the_eyes_of_one_side_and_nothing_else(laterality, to, mirrored):
    image = eye(laterality=laterality, spacing_mm=(0.01, 0.02))

    prepared = after(image, step="flip", to=to)

    expected = image.pixels[:, :, ::-1] if mirrored else image.pixels
    np.testing.assert_array_equal(prepared.pixels, expected)
    assert prepared.laterality == laterality
    assert prepared.spacing_mm == pytest.approx((0.01, 0.02))
    assert is_mirrored(prepared.steps) is mirrored
    points = np.array([[10.5, 0.0], [3.0, 120.0]])
    there = points_to_prepared(points, prepared.steps)
    np.testing.assert_allclose(there[:, 1], [120.0, 0.0] if mirrored else [0.0, 120.0])
    np.testing.assert_allclose(points_to_original(there, prepared.steps), points)
    values = RNG.normal(size=image.grid).astype(np.float32)
    carried = map_to_prepared(values, prepared.steps)
    np.testing.assert_array_equal(carried, values[:, ::-1] if mirrored else values)
    np.testing.assert_array_equal(map_to_original(carried, prepared.steps), values)


def test_flipping_again_does_not_turn_back():
    twice, _ = prepare(eye(laterality="left"), [{"step": "flip"}, {"step": "flip"}])

    assert [step.mirrored for step in twice.steps] == [True, False]
    assert is_mirrored(twice.steps)


@pytest.mark.parametrize("laterality", ["unknown", "both"])
def test_an_eye_of_no_known_side_is_an_error_or_kept_as_asked(laterality):
    image = replace(eye(), laterality=laterality)

    with pytest.raises(ImageError, match="which eye it shows"):
        after(image, step="flip")
    kept = after(image, step="flip", unknown="keep")

    np.testing.assert_array_equal(kept.pixels, image.pixels)
    assert kept.steps[0].numbers()["mirrored"] is False
