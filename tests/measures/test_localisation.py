"""Localisation, each number worked out by hand or by a slow twin."""

import numpy as np
import pytest
import torch

from foveal.measures import iou, out_of_fov_mass, pointing_game, relevance_mass

MAP = np.array([[3.0, 1.0, -9.0], [0.0, 2.0, 0.0]])
MASK = np.array([[True, False, True], [False, False, False]])


def test_relevance_mass_counts_positive_values_in_the_field():
    score = relevance_mass(MAP, MASK)
    assert score.value == pytest.approx(3 / 6)
    assert score.chance == pytest.approx(2 / 6)
    assert score.parts["lift"] == pytest.approx(1.5)
    field = np.array([[True, True, True], [False, False, False]])
    inside = relevance_mass(MAP, MASK, field=field)
    assert inside.value == pytest.approx(3 / 4)
    assert inside.chance == pytest.approx(2 / 3)


def test_relevance_mass_does_not_depend_on_the_scale_of_the_map():
    assert relevance_mass(1e-9 * MAP, MASK).value == pytest.approx(0.5)


def test_maps_and_masks_may_be_tensors_or_zeros_and_ones():
    same = relevance_mass(torch.from_numpy(MAP), torch.from_numpy(MASK.astype(np.uint8)))
    assert same.value == relevance_mass(MAP, MASK).value


def test_the_size_matched_iou_takes_as_many_pixels_as_the_region_has():
    score = iou(MAP, MASK)  # the top two are 3 and 2, one of which is in the region
    assert score.value == pytest.approx(1 / 3)
    assert score.chance == pytest.approx((1 / 3) / (2 - 1 / 3))
    assert score.ceiling == 1
    assert score.parts["dice"] == pytest.approx(0.5)


def test_a_tenth_of_the_field_against_a_small_lesion_has_a_low_ceiling():
    values = np.arange(10_000.0).reshape(100, 100)
    mask = values >= 9_900
    score = iou(values, mask, rule="quantile", quantile=0.1)
    assert score.value == pytest.approx(0.1)
    assert score.ceiling == pytest.approx(0.1)
    assert score.chance == pytest.approx(0.1 * 0.01 / (0.1 + 0.01 - 0.1 * 0.01))


def test_the_fixed_rule_cuts_at_a_share_of_the_maximum():
    score = iou(MAP, MASK, rule="fixed", fraction=0.6)  # 3 and 2
    assert score.value == pytest.approx(1 / 3)
    assert iou(-np.abs(MAP), MASK, rule="fixed").value == 0


def test_chance_is_what_random_maps_reach():
    random = np.random.default_rng(0)
    mask = np.zeros((40, 40), bool)
    mask[:10, :16] = True
    values = [iou(random.random((40, 40)), mask).value for _ in range(200)]
    assert np.mean(values) == pytest.approx(iou(random.random((40, 40)), mask).chance, rel=0.05)


def test_ties_are_broken_by_the_signed_value_then_by_a_seeded_draw():
    values = np.array([[-1.0, -5.0, 0.0, 4.0]])
    mask = np.array([[False, False, True, True]])
    assert iou(values, mask).value == 1
    flat = np.zeros((20, 20))
    flat[0, 0] = 1
    half = np.arange(400).reshape(20, 20) < 200
    once, again, other = (iou(flat, half, seed=s).value for s in (0, 0, 1))
    assert once == again
    assert once != other
    assert iou(flat, half).parts["tie_fraction"] == pytest.approx(399 / 400)


def test_the_pointing_game_hits_within_its_tolerance():
    values, mask = np.zeros((100, 100)), np.zeros((100, 100), bool)
    values[50, 50], mask[50, 53] = 1, True
    assert pointing_game(values, mask, tolerance_px=2.9).value == 0
    hit = pointing_game(values, mask, tolerance_px=3)
    assert hit.value == 1
    disc = sum(dr**2 + dc**2 <= 9 for dr in range(-3, 4) for dc in range(-3, 4))
    assert hit.chance == pytest.approx(disc / 10_000)
    assert pointing_game(values, mask).params["tolerance_px"] == pytest.approx(1.5)


def test_the_default_tolerance_follows_the_field():
    field = np.zeros((100, 200), bool)
    field[20:60, 10:90] = True
    values = np.where(field, np.arange(20_000.0).reshape(100, 200), 0)
    score = pointing_game(values, field, field=field)
    assert score.params["tolerance_px"] == pytest.approx(0.015 * 80)


def test_tied_maxima_give_the_expected_hit():
    values = np.array([[1.0, 1.0, 0.0, 1.0]])
    score = pointing_game(values, np.array([[1, 0, 0, 0]]), tolerance_px=0)
    assert score.value == pytest.approx(1 / 3)
    assert score.parts["tied_maxima"] == 3


def test_mass_outside_the_field_is_told_apart_by_its_distance():
    field = np.zeros((100, 100), bool)
    field[10:90, 10:90] = True
    values = np.zeros((100, 100))
    values[50, 50], values[50, 9], values[50, 0] = 6, 3, 1  # inside, 1 px and 10 px outside
    score = out_of_fov_mass(values, field=field)
    assert score.value == pytest.approx(0.4)
    assert score.parts["far_mass"] == pytest.approx(0.1)  # beyond 5 % of 80 px
    assert score.parts["pixel_share"] == pytest.approx(2 / 3)
    assert score.chance == pytest.approx(0.36)
    assert score.direction == "lower"


EMPTY = np.zeros((2, 3), bool)
MISSING = [
    pytest.param(lambda: relevance_mass(MAP, EMPTY), "empty_mask", id="mass, no region"),
    pytest.param(lambda: relevance_mass(-np.abs(MAP), MASK), "zero_map", id="mass, negative"),
    pytest.param(lambda: relevance_mass(MAP * np.nan, MASK), "nan_map", id="mass, NaN"),
    pytest.param(lambda: relevance_mass(MAP, MASK, field=~MASK), "empty_mask", id="mass, outside"),
    pytest.param(lambda: iou(MAP, EMPTY), "empty_mask", id="iou, no region"),
    pytest.param(lambda: iou(MAP * 0, MASK), "zero_map", id="iou, zero"),
    pytest.param(lambda: pointing_game(MAP, EMPTY), "empty_mask", id="pointing, no region"),
    pytest.param(lambda: pointing_game(MAP * 0 + 1, MASK), "constant_map", id="pointing, flat"),
    pytest.param(lambda: pointing_game(MAP * 0, MASK), "zero_map", id="pointing, zero"),
    pytest.param(lambda: out_of_fov_mass(MAP * 0, field=MASK), "zero_map", id="field, zero"),
    pytest.param(lambda: out_of_fov_mass(MAP * np.inf, field=MASK), "nan_map", id="field, inf"),
    pytest.param(lambda: out_of_fov_mass(MAP, field=~EMPTY), "no_outside", id="field everywhere"),
]


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize(("call", "reason"), MISSING)
def test_what_is_undefined_gives_a_reason_and_no_number(call, reason):
    score = call()
    assert score.value is None
    assert score.reason == reason
    assert score.reason_text


WRONG = [
    pytest.param(lambda: relevance_mass(MAP, MASK[:1]), r"mask is \(1, 3\)", id="mask shape"),
    pytest.param(lambda: relevance_mass(MAP[None], MASK), "row, column", id="map axes"),
    pytest.param(lambda: relevance_mass(MAP, MASK * 7), "binary", id="mask values"),
    pytest.param(lambda: relevance_mass(MAP, MASK, field=EMPTY), "no pixel", id="empty field"),
    pytest.param(lambda: iou(MAP, MASK, rule="best"), "rule must be", id="rule"),
    pytest.param(lambda: iou(MAP, MASK, quantile=0), "quantile must be", id="quantile"),
    pytest.param(lambda: pointing_game(MAP, MASK, tolerance_px=-1), "tolerance", id="tolerance"),
]


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_a_wrong_call_says_what_was_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
