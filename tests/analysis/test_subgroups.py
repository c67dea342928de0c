"""Subgroup tables: who is counted, what the gap is, and when there are too few."""

import numpy as np
import pytest

from foveal.analysis import Auc, Mean, bands, holm, mean_intervals, subgroup_table, units_of


def eyes(count):
    """Two eyes a patient, each with one image."""
    return units_of(
        [f"P{row // 2}" for row in range(count)],
        [f"P{row // 2}/{'lr'[row % 2]}" for row in range(count)],
    )


def test_a_group_has_the_estimate_and_interval_of_its_rows_alone():
    values = np.random.default_rng(0).normal(size=120)
    device = np.repeat(["A", "B", "C"], 40)
    table = subgroup_table(Mean(values), device, eyes(120))
    assert [row.name for row in table] == ["A", "B", "C"]
    for place, row in enumerate(table):
        rows = slice(40 * place, 40 * (place + 1))
        (alone,) = mean_intervals(values[rows, None], eyes(40))
        assert (row.estimate.low, row.estimate.high) == pytest.approx((alone.low, alone.high))
        assert (row.images, row.eyes, row.patients) == (40, 40, 20)
        others = np.delete(values, rows).mean()
        assert row.gap.difference.estimate == pytest.approx(values[rows].mean() - others)
    p = [row.gap.p for row in table]
    assert [row.gap.p_adjusted for row in table] == holm(p)


def test_a_planted_gap_is_found_and_its_interval_holds_it():
    values = np.random.default_rng(1).normal(size=400) + np.repeat([0.0, 0.8], 200)
    first, second = subgroup_table(Mean(values), np.repeat(["A", "B"], 200), eyes(400))
    assert second.gap.difference.low < 0.8 < second.gap.difference.high
    assert second.gap.p < 1e-4
    assert second.gap.p_adjusted == second.gap.p == pytest.approx(first.gap.p)
    assert second.gap.difference.estimate == pytest.approx(-first.gap.difference.estimate)


def test_the_two_eyes_of_patients_are_compared_within_them():
    patient = np.repeat(np.random.default_rng(2).normal(size=100), 2)
    side = np.tile(["left", "right"], 100)
    values = patient + 0.2 * (side == "right")
    values += 0.05 * np.random.default_rng(3).normal(size=200)
    right = subgroup_table(Mean(values), side, eyes(200))[1]
    # Patients differ twenty times as much as their eyes do, and do not blur the gap.
    assert right.gap.difference.high - right.gap.difference.low < 0.04


def test_groups_of_any_statistic_can_be_compared():
    random = np.random.default_rng(4)
    truth, site = random.random(300) < 0.5, np.repeat(["A", "B"], 150)
    score = random.normal(size=300) + truth * np.where(site == "A", 3, 0)
    first, second = subgroup_table(Auc(truth, score), site, eyes(300))
    assert first.estimate.low > 0.9
    assert second.estimate.high < 0.7
    assert first.gap.p < 1e-3


def test_few_patients_get_a_number_but_neither_interval_nor_gap():
    values = np.random.default_rng(5).normal(size=60)
    sex = ["f"] * 30 + ["m"] * 22 + ["x"] * 8
    rows = {row.name: row for row in subgroup_table(Mean(values), sex, eyes(60))}
    few = rows["x"]
    assert few.estimate.estimate == pytest.approx(values[52:].mean())
    assert few.estimate.low is None
    assert few.estimate.reason == "too few: 4 patients, fewer than 10"
    assert few.gap.p is None
    assert few.gap.difference.reason == few.estimate.reason
    assert [rows[name].gap.p_adjusted for name in "fm"] == holm([rows[name].gap.p for name in "fm"])


def test_images_without_a_group_stand_on_a_row_of_their_own():
    values = np.random.default_rng(6).normal(size=90)
    quality = ["good"] * 30 + ["poor"] * 30 + [None] * 29 + [np.nan]
    *known, unknown = subgroup_table(Mean(values), quality, eyes(90))
    assert (unknown.name, unknown.images, unknown.gap) == ("not recorded", 30, None)
    difference = values[30:60].mean() - values[:30].mean()
    assert known[1].gap.difference.estimate == pytest.approx(difference)


@pytest.mark.parametrize(
    ("values", "groups", "reason"),
    [
        pytest.param(np.full(4, np.nan), list("aabb"), "too few: 0 patients", id="only NaN"),
        pytest.param(np.ones(40), ["a"] * 40, "agree", id="one group that agrees"),
        pytest.param(np.ones(80), ["a"] * 40 + ["b"] * 40, "agree", id="two that agree"),
    ],
)
def test_groups_without_evidence_say_why(values, groups, reason):
    row = subgroup_table(Mean(values), groups, eyes(len(values)))[0]
    assert reason in row.estimate.reason
    assert row.gap.p is None
    assert row.gap.difference.low is None


def test_without_patients_the_table_does_not_count_them():
    row = subgroup_table(Mean(np.arange(30.0)), ["a"] * 30, units_of([None] * 30))[0]
    assert (row.patients, row.eyes, row.images) == (None, None, 30)
    assert row.estimate.unit == "image"


def test_ages_fall_into_bands_that_sort_as_numbers_do():
    ages = np.array([39.9, 40, 59, 60, 95, np.nan])
    named = bands(ages, (40, 60))
    assert named == [
        "1: below 40", "2: 40 to below 60", "2: 40 to below 60", "3: 60 and above",
        "3: 60 and above", None,
    ]  # fmt: skip
    many = bands(np.arange(0, 110, 10.0), range(5, 105, 10))
    assert many == sorted(many)


def test_a_wrong_call_is_refused():
    with pytest.raises(ValueError, match="edges must rise"):
        bands(np.ones(2), (60, 40))
    with pytest.raises(ValueError, match="2 rows have a group"):
        subgroup_table(Mean(np.ones(3)), ["a", "b"], eyes(3))
