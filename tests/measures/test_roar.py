"""Remove and retrain, on a training that takes a millisecond."""

import numpy as np
import pytest

from foveal.measures import roar, roar_controls

RANDOM = np.random.default_rng(6)
LABELS = RANDOM.integers(0, 2, 240)
SIGN = (slice(2, 4), slice(5, 7))
IMAGES = 0.4 + 0.1 * RANDOM.standard_normal((240, 1, 8, 8))
IMAGES[(slice(None), 0, *SIGN)] += 0.25 * LABELS[:, None, None]
IMAGES = IMAGES.clip(0, 1)
TRUE = np.zeros((240, 8, 8))
TRUE[(slice(None), *SIGN)] = 1 + RANDOM.random((240, 2, 2))
ASKED = {"fractions": (0.1, 0.5), "seeds": (0, 1, 2)}


def train(images: np.ndarray, seed: int) -> float:
    """Nearest class mean on two thirds, accuracy on the rest."""
    order = np.random.default_rng(seed).permutation(240)
    learnt, held = order[:160], order[160:]
    flat = images.reshape(240, -1)
    means = [flat[learnt][LABELS[learnt] == label].mean(axis=0) for label in (0, 1)]
    away = [((flat[held] - mean) ** 2).sum(axis=1) for mean in means]
    return float(((away[1] < away[0]) == LABELS[held]).mean())


def test_training_without_what_matters_loses_more_than_without_random_pixels():
    found = roar(train, IMAGES, TRUE, **ASKED)
    assert np.mean(found.parts["whole"]) > 0.95
    assert found.value == pytest.approx(
        np.mean(found.parts["random"]) - np.mean(found.parts["map"])
    )
    assert found.value > 0.2
    assert found.value > max(found.null)
    assert np.shape(found.parts["mask_only"]) == (2, 3)


def test_random_maps_lose_as_much_as_random_pixels():
    found = roar(train, IMAGES, RANDOM.random((240, 8, 8)), **ASKED)
    assert abs(found.value) < 0.1
    assert found.chance == 0


def test_a_map_whose_shape_gives_the_answer_away_shows_in_the_mask_only_control():
    telling = np.where(LABELS[:, None, None], TRUE, TRUE[:, ::-1])
    found = roar(train, IMAGES, telling, fractions=(0.05,), seeds=(0, 1, 2))
    assert np.mean(found.parts["mask_only"]) > 0.95
    honest = roar(train, IMAGES, TRUE, fractions=(0.05,), seeds=(0, 1, 2))
    assert np.mean(honest.parts["mask_only"]) < 0.7


def test_the_trainings_that_no_map_changes_are_made_once():
    calls: list[int] = []

    def counting(images: np.ndarray, seed: int) -> float:
        calls.append(seed)
        return train(images, seed)

    controls = roar_controls(counting, IMAGES, **ASKED)
    assert len(calls) == 3 * (1 + 2)
    for maps in (TRUE, TRUE[:, ::-1]):
        roar(counting, IMAGES, maps, controls=controls, **ASKED)
    assert len(calls) == 9 + 2 * 3 * (2 + 2)


def test_flat_maps_have_a_reason_and_some_of_them_are_counted():
    assert roar(train, IMAGES, TRUE * 0, **ASKED).reason == "zero_map"
    assert roar(train, IMAGES, TRUE * np.nan, **ASKED).reason == "nan_map"
    some = TRUE.copy()
    some[:5] = 0
    assert roar(train, IMAGES, some, **ASKED).params["flat_maps"] == 5


def test_only_the_field_is_removed():
    fields = np.zeros((240, 8, 8), bool)
    fields[:, :, 4:] = True
    seen: list[np.ndarray] = []

    def recording(images: np.ndarray, seed: int) -> float:
        seen.append(images)
        return 0.5

    roar(recording, IMAGES, TRUE, fields=fields, **ASKED)
    without = [s for s in seen if not set(np.unique(s)) <= {0, 1}]
    assert all((s[:, :, :, :4] == IMAGES[:, :, :, :4]).all() for s in without)


WRONG = [
    pytest.param({"seeds": (0, 0, 1)}, "at least 3 different seeds", id="seeds"),
    pytest.param({"fractions": (0, 0.5)}, "fractions must lie", id="fractions"),
    pytest.param({"maps": TRUE[:, :4]}, "on their grid", id="grid"),
    pytest.param({"fields": np.ones((240, 4, 8), bool)}, "fields are", id="fields"),
    pytest.param({"train": lambda images, seed: 70.0}, "accuracies in", id="percent"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_a_wrong_call_says_what_was_wrong(change, message):
    asked = {"train": train, "images": IMAGES, "maps": TRUE, **ASKED, **change}
    with pytest.raises(ValueError, match=message):
        roar(asked.pop("train"), asked.pop("images"), asked.pop("maps"), **asked)
