"""Colours carried to a reference, worked out in closed form where it can be."""

import json

import numpy as np
import pytest
from skimage import color

from foveal.core import Image, ImageError
from foveal.images import color_reference, find_field, prepare, revive

RNG = np.random.default_rng(0)


def disc(rows=120, columns=160, radius=55.0):
    row, column = np.mgrid[:rows, :columns] + 0.5
    return np.hypot(row - rows / 2, column - columns / 2) <= radius


def eye(shade, spread=0.05, seed=0):
    """A smooth retina of one shade with blotches that differ by channel."""
    field = disc()
    row, column = np.indices(field.shape) / 20
    waves = [np.sin(row + seed), np.cos(column + seed), np.sin(row + column)]
    pixels = np.array(shade)[:, np.newaxis, np.newaxis] * (1 + spread * np.stack(waves))
    return Image(pixels=(pixels * field).astype(np.float32), modality="fundus")


PALE, DARK = eye((0.7, 0.5, 0.35)), eye((0.5, 0.25, 0.12), spread=0.1, seed=2)


def recolored(image, **settings):
    prepared, field = prepare(image, [{"step": "color", **settings}])
    return prepared, field.mask


def lab_inside(pixels, field):
    return color.rgb2lab(pixels, channel_axis=0)[:, field]


def test_a_reference_is_the_mean_and_spread_of_the_field():
    field = find_field(PALE)

    reference = color_reference(PALE, field)

    inside = lab_inside(PALE.pixels, field)
    np.testing.assert_allclose(reference["mean"], inside.mean(axis=1), atol=0.02)
    np.testing.assert_allclose(reference["sd"], inside.std(axis=1), atol=0.02)
    assert json.loads(json.dumps(reference)) == reference


def test_the_field_gets_the_mean_and_the_spread_of_the_reference():
    reference = color_reference(PALE, find_field(PALE))

    changed, field = recolored(DARK, reference=reference)

    inside = lab_inside(changed.pixels, field)
    np.testing.assert_allclose(inside.mean(axis=1), reference["mean"], atol=0.1)
    np.testing.assert_allclose(inside.std(axis=1), reference["sd"], atol=0.1)
    np.testing.assert_array_equal(changed.pixels[:, ~field], DARK.pixels[:, ~field])


@pytest.mark.parametrize("method", ["reinhard", "macenko"])
def test_a_picture_that_is_its_own_reference_stays_as_it_is(method):
    reference = color_reference(PALE, find_field(PALE))

    changed, _ = recolored(PALE, reference=reference, method=method)

    # Two colours of absorption cannot say all of three channels; two shades of blotches remain.
    np.testing.assert_allclose(
        changed.pixels, PALE.pixels, atol=1e-3 if method == "reinhard" else 0.05
    )


def stained(basis, strengths):
    """A field that two layers of known colour and thickness darken, exactly."""
    field = disc()
    amounts = np.stack([RNG.uniform(0, strength, field.shape) for strength in strengths])
    amounts[:, ::7] *= np.array([1, 0])[:, np.newaxis, np.newaxis]
    amounts[:, 1::7] *= np.array([0, 1])[:, np.newaxis, np.newaxis]
    density = np.tensordot(np.array(basis).T, amounts, axes=1)
    return Image(pixels=(np.exp(-density) * field).astype(np.float32), modality="fundus")


FIRST = np.array([[0.8, 0.5, 0.33], [0.1, 0.7, 0.7]])
SECOND = np.array([[0.6, 0.7, 0.39], [0.2, 0.5, 0.84]])
FIRST, SECOND = (basis / np.linalg.norm(basis, axis=1, keepdims=True) for basis in (FIRST, SECOND))


def test_the_colours_of_two_layers_are_found():
    image = stained(FIRST, (1.5, 1.2))

    reference = color_reference(image, find_field(image))

    np.testing.assert_allclose(np.reshape(reference["basis"], (2, 3)), FIRST, atol=0.03)
    np.testing.assert_allclose(reference["strength"], (1.5, 1.2), rtol=0.06)


def test_macenko_swaps_the_colours_and_strengths_of_the_layers():
    image = stained(FIRST, (1.5, 1.2))
    reference = {"basis": [float(value) for value in SECOND.ravel()], "strength": [0.9, 1.8]}

    changed, field = recolored(image, reference=reference, method="macenko")

    amounts = np.linalg.pinv(FIRST.T) @ -np.log(image.pixels[:, field])
    wanted = np.exp(-SECOND.T @ (amounts * np.array([[0.9 / 1.5], [1.8 / 1.2]])))
    assert np.abs(changed.pixels[:, field] - wanted).mean() < 0.02


def test_the_reference_lives_in_the_step_as_plain_numbers():
    reference = color_reference(PALE, find_field(PALE))

    changed, _ = recolored(DARK, reference=reference)

    stored = json.loads(json.dumps(changed.steps[0].numbers()))
    assert stored["reference_first"] == reference["mean"]
    np.testing.assert_array_equal(revive(stored).pixels_forward(DARK.pixels), changed.pixels)


WRONG = [
    pytest.param({"reference": None}, ValueError, "3 numbers under 'mean'", id="none"),
    pytest.param(
        {"reference": {"mean": [1, 2], "sd": [1, 1, 1]}}, ValueError, "3 numbers", id="too few"
    ),
    pytest.param(
        {"reference": {"mean": [1, 2, 3], "sd": [1, 1, -1]}},
        ValueError,
        "sd must be",
        id="negative",
    ),
    pytest.param(
        {"reference": {"mean": [1, 2, 3], "sd": [1, 1, 1]}, "method": "macenko"},
        ValueError,
        "6 numbers under 'basis'",
        id="of the other method",
    ),
    pytest.param({"reference": {}, "method": "gan"}, ValueError, "method must be", id="no method"),
]


@pytest.mark.parametrize(("settings", "kind", "message"), WRONG)
def test_wrong_references_are_named(settings, kind, message):
    with pytest.raises(kind, match=message):
        recolored(PALE, **settings)


def test_an_empty_field_has_no_colours():
    with pytest.raises(ValueError, match="field of view is empty"):
        color_reference(PALE, np.zeros(PALE.grid, bool))


def test_a_grey_picture_has_no_colours_to_change():
    grey = Image(pixels=PALE.pixels[:1])
    reference = color_reference(PALE, find_field(PALE))

    with pytest.raises(ImageError, match="is grey"):
        recolored(grey, reference=reference)
