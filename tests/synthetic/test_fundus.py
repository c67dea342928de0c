"""Rendered eyes: what is promised about pixels, masks and grades."""

from dataclasses import replace
from math import pi

import numpy as np
import pytest

from foveal.synthetic import draw_fundus, fundus, render, without
from foveal.synthetic.devices import DEVICES
from foveal.synthetic.fundus import VISIBLE_LEVELS

SIZE = 256
SEVERE = draw_fundus(21, grade=3, laterality="right", device="rose")
WORST = draw_fundus(8, grade=4, laterality="right", device="rose")
"""An eye with every kind of lesion."""


@pytest.fixture(scope="module")
def severe():
    return render(SEVERE, size=SIZE)


@pytest.fixture(scope="module")
def worst():
    return render(WORST, size=SIZE)


def masks(eye):
    return {region.name: region.mask for region in eye.regions}


def levels(eye):
    return np.round(eye.image.pixels * 255).astype(int)


def test_the_same_seed_gives_the_same_eye():
    one, other = (fundus(5, size=128) for _ in range(2))
    assert one.spec == other.spec
    np.testing.assert_array_equal(one.image.pixels, other.image.pixels)


def test_what_is_not_given_is_what_giving_it_would_draw():
    drawn = fundus(6, size=64)
    given = fundus(
        6,
        grade=drawn.grade,
        laterality=drawn.image.laterality,
        device=drawn.spec.device.name,
        size=64,
    )
    assert drawn.spec == given.spec


def test_a_photograph_is_8_bit_colour_and_says_where_it_is_from(severe):
    pixels = severe.image.pixels
    assert pixels.shape == (3, SIZE, SIZE)
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels * 255, np.round(pixels * 255), atol=1e-4)
    assert severe.image.modality == "fundus"
    assert severe.image.laterality == "right"
    assert dict(severe.image.facts) == {"device": "rose", "seed": 21}


def test_the_retina_is_red_before_green_before_blue(severe):
    red, green, blue = severe.image.pixels[:, masks(severe)["field"]].mean(axis=1)
    assert red > green > blue


def test_anatomy_does_not_depend_on_grade_side_and_device():
    one = draw_fundus(8, grade=0, laterality="right", device="warm")
    other = draw_fundus(8, grade=4, laterality="left", device="handheld")
    assert (one.disc, one.ground, one.vessels) == (other.disc, other.ground, other.vessels)


@pytest.mark.parametrize("kind", ["microaneurysms", "haemorrhages", "hard exudates"])
def test_a_mask_holds_the_pixels_that_change_when_the_lesions_are_taken_out(worst, kind):
    change = np.abs(levels(worst) - levels(render(without(WORST, kind), size=SIZE))).max(axis=0)
    np.testing.assert_array_equal(masks(worst)[kind], change >= VISIBLE_LEVELS)


def test_every_kind_of_lesion_shows_and_is_outlined(worst):
    lesions = {region.name for region in worst.regions if region.kind == "lesion"}
    assert lesions == {lesion.kind for lesion in WORST.lesions}
    assert len(lesions) == 6


def test_without_its_lesions_the_eye_is_the_same_elsewhere(worst):
    """Two lesions that are invisible alone may show together, so a few levels are allowed."""
    healthy = render(without(WORST), size=SIZE)
    outside = ~np.any([r.mask for r in worst.regions if r.kind == "lesion"], axis=0)
    change = np.abs(levels(worst) - levels(healthy)).max(axis=0)
    assert healthy.grade == 0
    assert all(region.kind != "lesion" for region in healthy.regions)
    assert change[outside].max() < 2 * VISIBLE_LEVELS
    assert (change[outside] > 0).mean() < 0.2


def test_a_planted_microaneurysm_is_found_where_it_was_planted(severe):
    healthy = without(SEVERE)
    (lesion, *_) = (x for x in SEVERE.lesions if x.kind == "microaneurysms")
    spot = replace(lesion.spots[0], row=-5.0, column=3.0, strength=1.0, radius=0.2)
    planted = render(replace(healthy, lesions=(replace(lesion, spots=(spot,)),)), size=SIZE)
    rows, columns = np.nonzero(masks(planted)["microaneurysms"])
    scale = SEVERE.device.diameter * SIZE / SEVERE.device.field_deg
    expected = (np.array([-5.0, 3.0]) - SEVERE.exposure.gaze) * scale + SIZE / 2 - 0.5
    np.testing.assert_allclose([rows.mean(), columns.mean()], expected, atol=0.5)
    assert planted.grade == 1


def test_lesions_lie_in_the_field_and_off_the_disc(worst):
    found = masks(worst)
    for region in worst.regions:
        assert not (region.mask & ~found["field"]).any()
        assert region.kind != "lesion" or not (region.mask & found["optic disc"]).any()


def test_anatomy_has_the_area_of_its_ellipse_or_circle(severe):
    spec, found = severe.spec, masks(severe)
    scale = spec.device.diameter * SIZE / spec.device.field_deg
    disc, cup, macula = (
        int(found[name].sum()) / scale**2 for name in ("optic disc", "optic cup", "macula")
    )
    ellipse = pi * spec.disc.radius**2 * spec.disc.aspect
    assert disc == pytest.approx(ellipse, rel=0.06)
    assert cup == pytest.approx(ellipse * spec.disc.cup_ratio**2, rel=0.06)
    assert macula == pytest.approx(pi * (2 * spec.disc.radius) ** 2, rel=0.02)
    assert 0.05 < found["vessels"].sum() / found["field"].sum() < 0.2


def test_the_disc_is_the_brightest_and_the_fovea_darker_than_around(severe):
    healthy = render(without(SEVERE), size=SIZE)
    green, found = healthy.image.pixels[1], masks(healthy)
    row, column = (np.round(np.mean(np.nonzero(found["macula"]), axis=1))).astype(int)
    fovea = np.zeros_like(found["macula"])
    fovea[row - 5 : row + 6, column - 5 : column + 6] = True
    around = found["macula"] & ~fovea & ~found["vessels"]
    assert green[found["optic disc"]].mean() > 1.3 * green[around].mean()
    assert green[fovea].mean() < green[around].mean()


@pytest.mark.parametrize(("side", "nose"), [("right", 1), ("left", -1)])
def test_the_disc_lies_towards_the_nose(side, nose):
    found = masks(render(replace(SEVERE, laterality=side), size=64))
    disc, macula = (np.nonzero(found[name])[1].mean() for name in ("optic disc", "macula"))
    assert (disc - macula) * nose > 10


def test_a_left_eye_mirrors_a_right_eye_but_for_camera_and_chance():
    device = replace(SEVERE.device, notch=False, noise=0.0)
    exposure = replace(SEVERE.exposure, light=(0.1, 0.0))
    right = replace(SEVERE, device=device, exposure=exposure)
    one, other = (render(replace(right, laterality=side), size=SIZE) for side in ("right", "left"))
    assert np.abs(levels(one) - levels(other)[:, :, ::-1]).max() <= 1
    for name, mask in masks(one).items():
        assert (mask != masks(other)[name][:, ::-1]).mean() < 1e-3


def test_a_finer_picture_shows_the_same_eye():
    device = replace(SEVERE.device, noise=0.0)
    coarse, fine = (render(replace(SEVERE, device=device), size=size) for size in (SIZE, 2 * SIZE))
    halved = fine.image.pixels.reshape(3, SIZE, 2, SIZE, 2).mean(axis=(2, 4))
    field = masks(coarse)["field"]
    difference = np.abs(halved - coarse.image.pixels)[:, field]
    assert difference.mean() < 2 / 255
    assert np.percentile(difference, 99) < 12 / 255


def test_devices_differ_in_colour_and_field():
    healthy = without(SEVERE)
    eyes = {
        name: render(replace(healthy, device=device), size=SIZE) for name, device in DEVICES.items()
    }
    blues = {name: eye.image.pixels[2][masks(eye)["field"]].mean() for name, eye in eyes.items()}
    fields = {int(masks(eye)["field"].sum()) for eye in eyes.values()}
    assert blues["warm"] < blues["crisp"] < blues["rose"]
    assert len(fields) == len(DEVICES) >= 3


WRONG = [
    pytest.param({"grade": 5}, r"grade must be one of \[0, 1, 2, 3, 4\], but is 5", id="grade"),
    pytest.param({"device": "x"}, r"device must be one of \['warm', .*\], but is 'x'", id="device"),
    pytest.param({"size": 32}, "size must be at least 64 rows, but is 32", id="size"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_what_cannot_be_rendered_is_refused_with_what_can(arguments, message):
    with pytest.raises(ValueError, match=message):
        fundus(1, **arguments)
