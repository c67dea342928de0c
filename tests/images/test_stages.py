"""Every step shown before and after, and what is no step."""

import json
from itertools import pairwise

import numpy as np
import pytest

from foveal.core import Image, StoreError
from foveal.images import AbstractPreparation, prepare, revive, stages
from foveal.images.preparation.registry import _STEPS

STEPS = [
    {"step": "field-of-view"},
    {"step": "illumination", "method": "background"},
    {"step": "resize", "size": [32, 32]},
]


def eye(rows=60, columns=80):
    row, column = np.mgrid[:rows, :columns] + 0.5
    field = np.hypot(row - rows / 2, column - columns / 2) <= 25
    pixels = field * np.random.default_rng(0).uniform(0.4, 0.8, (3, rows, columns))
    return Image(pixels=pixels.astype(np.float32), modality="fundus")


def test_every_step_is_shown_before_and_after_also_from_the_store():
    image = eye()
    prepared, _ = prepare(image, STEPS)
    stored = json.loads(json.dumps([step.numbers() for step in prepared.steps]))

    shown = stages(image.pixels, [revive(numbers) for numbers in stored])

    assert [stage.name for stage in shown] == [step["step"] for step in STEPS]
    np.testing.assert_array_equal(shown[0].before, image.pixels)
    np.testing.assert_array_equal(shown[-1].after, prepared.pixels)
    for one, other in pairwise(shown):
        np.testing.assert_array_equal(one.after, other.before)
    assert [stage.numbers for stage in shown] == [step.numbers() for step in prepared.steps]


def test_stages_are_no_larger_than_asked():
    image = eye()
    prepared, _ = prepare(image, STEPS)

    shown = stages(image.pixels, prepared.steps, side=20)

    assert [stage.before.shape for stage in shown] == [(3, 15, 20), (3, 20, 20), (3, 20, 20)]
    assert shown[0].before.mean() == pytest.approx(image.pixels.mean(), rel=0.02)


def test_stages_start_with_the_original():
    prepared, _ = prepare(eye(), STEPS)

    with pytest.raises(ValueError, match="give the original"):
        stages(prepared.pixels, prepared.steps)


@pytest.mark.parametrize("step", _STEPS.values(), ids=_STEPS)
def test_every_step_says_what_can_be_taken_back(step):
    assert issubclass(step, AbstractPreparation)
    assert "exact" in step.reversible


GRIDS = {"source": [9, 9], "target": [9, 9]}
LIGHT = {"step": "illumination", **GRIDS, "sigma_px": 3.0, "strength": 1.0, "level": 0.4,
         "clip": None, "tiles": None, "modality": "fundus"}  # fmt: skip
TONE = {"step": "color", **GRIDS, "method": "reinhard", "own_first": [50, 1, 1],
        "own_second": [9, 5, 5], "reference_first": [50, 1, 1], "reference_second": [9, 5, 5],
        "modality": "fundus"}  # fmt: skip
DAMAGED = [
    pytest.param({**LIGHT, "method": "sun"}, "method must be", id="an unknown method"),
    pytest.param({**LIGHT, "method": "clahe"}, "needs clip", id="a number is missing"),
    pytest.param({**TONE, "own_second": [9, 5]}, "3 numbers under 'sd'", id="too few numbers"),
    pytest.param({**TONE, "target": [9, 8]}, "keeps the grid", id="another grid"),
    pytest.param(
        {"step": "denoise", **GRIDS, "method": "median", "size": 4, "noise": 0.1}, "odd", id="even"
    ),
    pytest.param(
        {"step": "flip", "source": [9, 9], "target": [8, 9], "to": "right", "laterality": "left",
         "mirrored": True}, "keeps the grid", id="a flip to another grid"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("stored", "message"), DAMAGED)
def test_a_damaged_step_is_not_revived(stored, message):
    with pytest.raises(StoreError, match=message):
        revive(stored)


AUGMENTATIONS = [
    "RandomHorizontalFlip",
    "RandomElasticDeformation",
    "RandFlipd",
    "RandGaussianNoised",
    "random-rotation",
    "color_jitter",
    "ColorJitter",
    "mixup",
    "ElasticTransform",
]


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentation_is_refused_and_told_where_it_belongs(name):
    with pytest.raises(ValueError, match=f"'{name}' is augmentation, which belongs to training"):
        prepare(eye(), [{"step": name}])


@pytest.mark.parametrize("name", ["flop", "rescale"])
def test_other_unknown_steps_are_not_taken_for_augmentation(name):
    with pytest.raises(ValueError, match="there is no preparation step"):
        prepare(eye(), [{"step": name}])
