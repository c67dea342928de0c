"""Vessels against drawn ones, whose walls are known."""

from dataclasses import replace

import numpy as np
import pytest

from foveal.core import Image, ModelError, Region
from foveal.images.anatomy import Structure, vessels_of
from foveal.synthetic import draw_fundus, render, without

SIZE = 400


@pytest.fixture(scope="module")
def eye():
    return render(without(draw_fundus(11, grade=0, device="crisp")), size=SIZE)


def drawn(eye):
    return next(region for region in eye.regions if region.name == "vessels")


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def test_vessels_of_a_drawn_eye_are_found_far_above_chance(eye):
    found = vessels_of(eye.image)
    truth = drawn(eye).mask
    assert found.mask.shape == truth.shape
    # A random mask of that area would have this Dice.
    chance = truth.mean()
    assert dice(found.mask, truth) > max(0.5, 4 * chance)
    assert found.source == "heuristic"
    assert 0.5 <= found.confidence <= 0.78


def test_vessels_are_the_same_in_the_mirrored_photograph(eye):
    mirrored = replace(eye.image, pixels=np.ascontiguousarray(eye.image.pixels[:, :, ::-1]))
    assert dice(vessels_of(mirrored).mask[:, ::-1], vessels_of(eye.image).mask) > 0.97


def test_noise_without_vessels_gives_none_and_a_reason():
    rows, columns = np.mgrid[:200, :200]
    field = np.hypot(rows - 99.5, columns - 99.5) < 95
    noise = np.random.default_rng(0).normal(0.4, 0.02, (3, 200, 200))
    image = Image(pixels=(noise * field).clip(0, 1).astype(np.float32), modality="fundus")
    found = vessels_of(image)
    assert found.mask is None
    assert found.region is None
    assert "Dice" in found.reason


def test_a_mask_goes_before_a_model_and_a_model_before_looks(eye):
    mask, other = drawn(eye), np.eye(SIZE, dtype=bool)
    given = vessels_of(eye.image, regions=[mask], model=lambda image: other)
    assert (given.source, given.confidence) == ("mask", 1.0)
    assert (given.mask == mask.mask).all()
    assert given.region.kind == "anatomy"
    for answer in (other, other.astype(np.uint8), {"vessels": other}):
        asked = vessels_of(eye.image, model=lambda image, answer=answer: answer)
        assert (asked.source, asked.confidence) == ("model", None)
        assert (asked.mask == other).all()


def test_a_model_without_vessels_leaves_them_out_and_says_so(eye):
    found = vessels_of(eye.image, model=lambda image: {"disc": np.eye(SIZE, dtype=bool)})
    assert found.mask is None
    assert "gave disc, but no vessels" in found.reason


def test_a_model_that_gives_probabilities_is_told_so(eye):
    with pytest.raises(ModelError, match="threshold it first"):
        vessels_of(eye.image, model=lambda image: np.full((SIZE, SIZE), 0.3))


@pytest.mark.parametrize(
    "made",
    [
        pytest.param({"mask": None}, id="no mask and no reason"),
        pytest.param({"mask": np.eye(3, dtype=bool)}, id="a mask from nowhere"),
        pytest.param(
            {"mask": np.eye(3, dtype=bool), "source": "mask", "confidence": 2.0}, id="too sure"
        ),
    ],
)
def test_structures_that_cannot_be_are_refused(made):
    with pytest.raises(ValueError, match=r"needs a mask|confidence"):
        Structure(name="vessels", **made)


def test_regions_of_other_names_do_not_count(eye):
    other = Region(name="veins", mask=np.ones((SIZE, SIZE), bool))
    assert vessels_of(eye.image, regions=[other]).source == "heuristic"
