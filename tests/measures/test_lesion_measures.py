"""Lesion by lesion, counted by hand and against chance by turning."""

import numpy as np
import pytest

from foveal.measures import OCT_TOLERANCE_UM, false_highlight_rate, lesion_hit_rate, pointing_game

EXACT = {"rule": "fixed", "tolerance_px": 0}


@pytest.fixture
def seen() -> tuple[np.ndarray, np.ndarray]:
    """Three lesions, one of them joined at a corner; one is found, one is nearly found."""
    mask = np.zeros((60, 60), bool)
    mask[10, 10] = mask[11, 11] = mask[30, 30] = mask[50, 20] = True
    values = np.zeros((60, 60))
    values[11, 11], values[30, 33], values[5, 55], values[6, 56] = 1, 0.9, 0.6, 0.6
    values[40, 40] = 0.4
    return values, mask


def test_lesions_are_counted_one_by_one(seen):
    exact = lesion_hit_rate(*seen, **EXACT)
    assert exact.value == pytest.approx(1 / 3)
    assert (exact.parts["lesions"], exact.parts["hits"], exact.parts["any_hit"]) == (3, 1, True)
    assert lesion_hit_rate(*seen, rule="fixed", tolerance_px=2.9).value == pytest.approx(1 / 3)
    assert lesion_hit_rate(*seen, rule="fixed", tolerance_px=3).value == pytest.approx(2 / 3)


def test_spots_that_touch_no_lesion_are_false(seen):
    exact = false_highlight_rate(*seen, **EXACT)
    assert exact.value == pytest.approx(2 / 3)  # of three spots of half the maximum
    assert (exact.parts["spots"], exact.parts["false_spots"]) == (3, 2)
    near = false_highlight_rate(*seen, rule="fixed", tolerance_px=3)
    assert near.value == pytest.approx(1 / 3)
    assert near.direction == "lower"


def test_a_map_over_everything_finds_all_and_looks_no_better_than_chance(seen):
    _, mask = seen
    found = lesion_hit_rate(np.ones((60, 60)), mask, rule="fixed")
    assert (found.value, found.chance) == (1, 1)
    assert false_highlight_rate(np.ones((60, 60)), mask, rule="fixed").value == 0


def test_chance_is_the_mean_over_turned_lesions():
    rows, columns = np.mgrid[:81, :81] - 40
    mask = np.zeros((81, 81), bool)
    mask[40, 65] = True  # on a circle of 25 px, a quarter of which is lit
    half_turn = np.abs(np.arctan2(rows, columns)) < np.pi / 4
    ring = (np.abs(np.hypot(rows, columns) - 25) < 3) & half_turn
    score = lesion_hit_rate(ring.astype(float), mask, draws=400, **EXACT)
    assert score.value == 1
    assert score.chance == pytest.approx(0.25, abs=0.06)
    assert set(score.null) == {0.0, 1.0}
    false = false_highlight_rate(mask.astype(float), ring, draws=400, **EXACT)
    assert false.value == 0
    assert false.chance == pytest.approx(0.75, abs=0.06)


def test_micrometres_reach_as_far_as_the_spacing_of_each_axis():
    mask, values = np.zeros((100, 100), bool), np.zeros((100, 100))
    mask[50, 50] = True
    settings = {"tolerance_um": OCT_TOLERANCE_UM, "spacing_um": (5.0, 10.0)}  # 5 px on each axis
    for row, column, hit in [(55, 50, 1), (56, 50, 0), (50, 55, 1), (50, 56, 0), (54, 54, 0)]:
        spot = values.copy()
        spot[row, column] = 1
        assert lesion_hit_rate(spot, mask, rule="fixed", **settings).value == hit
        assert pointing_game(spot, mask, **settings).value == hit
    axial = {"tolerance_um": (25.0, 50.0), "spacing_um": (5.0, 25.0)}  # 5 rows, 2 columns
    spot = values.copy()
    spot[50, 53] = 1
    assert pointing_game(spot, mask, **axial).value == 0
    assert pointing_game(spot, mask, **axial).params["tolerance_px"] == (5, 2)


def test_the_default_reach_follows_the_field_in_micrometres():
    mask = np.zeros((100, 50), bool)
    mask[50, 25] = True
    score = pointing_game(np.random.default_rng(0).random((100, 50)), mask, spacing_um=(4.0, 10.0))
    assert score.params["tolerance_um"] == pytest.approx(7.5)  # 1.5 % of 500 µm
    assert score.params["tolerance_px"] == pytest.approx((7.5 / 4, 7.5 / 10))


MISSING = [
    pytest.param(lesion_hit_rate, "empty", "empty_mask", id="hits, no lesion"),
    pytest.param(false_highlight_rate, "empty", "empty_mask", id="false, no lesion"),
    pytest.param(false_highlight_rate, "zero", "zero_map", id="false, no spot"),
    pytest.param(lesion_hit_rate, "flat", "constant_map", id="hits, flat"),
    pytest.param(false_highlight_rate, "flat", "constant_map", id="false, flat"),
    pytest.param(lesion_hit_rate, "nan", "nan_map", id="hits, NaN"),
]


@pytest.mark.parametrize(("measure", "case", "reason"), MISSING)
def test_what_is_undefined_gives_a_reason(seen, measure, case, reason):
    values, mask = seen
    other = {"zero": values * 0, "flat": values * 0 + 1, "nan": values * np.nan}
    score = measure(other.get(case, values), mask & (case != "empty"))
    assert (score.value, score.reason) == (None, reason)


def test_a_map_without_evidence_finds_no_lesion(seen):
    values, mask = seen
    assert lesion_hit_rate(values * 0, mask).value == 0


WRONG = [
    pytest.param({"tolerance_px": -1}, "tolerance_px must not be negative", id="negative"),
    pytest.param({"tolerance_um": 9.0}, "tolerance_um needs spacing_um", id="no spacing"),
    pytest.param({"tolerance_px": 1, "tolerance_um": 9.0, "spacing_um": (1.0, 1.0)},
                 "either tolerance_px or tolerance_um", id="twice"),
    pytest.param({"spacing_um": (1.0, -1.0)}, "spacing_um must be", id="spacing"),
    pytest.param({"rule": "best"}, "rule must be", id="rule"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_a_wrong_call_says_what_was_wrong(seen, settings, message):
    with pytest.raises(ValueError, match=message):
        lesion_hit_rate(*seen, **settings)
