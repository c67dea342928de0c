"""The cluster bootstrap: coverage in simulations, closed forms, and what it says when it cannot."""

import time

import numpy as np
import pytest
import scipy

from foveal.analysis import (
    Auc,
    Bootstrap,
    Comparison,
    Estimate,
    Mean,
    Spearman,
    interval,
    mean_intervals,
    unit_means,
    units_of,
)

TWO_EYES = units_of([f"P{eye // 2}" for eye in range(160)])
EACH_ALONE = units_of([None] * 160)


def two_eyes(random, patients, columns, *, correlation=0.8):
    """Eyes of variance 1 whose two numbers correlate within a patient; mean 0."""
    shared = np.sqrt(correlation) * random.normal(size=(patients, columns))
    own = np.sqrt(1 - correlation) * random.normal(size=(2 * patients, columns))
    return np.repeat(shared, 2, axis=0) + own


def share_that_cover(estimates, truth):
    return np.mean([e.low <= truth <= e.high for e in estimates])


@pytest.mark.parametrize("kind", ["bca", "percentile"])
def test_intervals_by_patient_cover_95_percent_where_those_by_image_cover_85(kind):
    values = two_eyes(np.random.default_rng(1), 80, 800)
    how = Bootstrap(kind=kind, resamples=1000)
    by_patient = share_that_cover(mean_intervals(values, TWO_EYES, how), 0)
    by_image = share_that_cover(mean_intervals(values, EACH_ALONE, how), 0)
    assert 0.93 <= by_patient <= 0.97
    # Theory for two eyes with correlation 0.8: 2 Phi(1.96 / sqrt(1.8)) - 1 = 0.856.
    assert 0.82 <= by_image <= 0.89


def test_intervals_of_an_auc_by_patient_cover_as_they_should_and_those_by_image_do_not():
    random, covered = np.random.default_rng(2), {"patient": [], "image": []}
    sick = np.repeat(np.arange(80) % 2 == 0, 2)
    # Both eyes of a patient are sick or healthy; a shift of sqrt(2) z_0.8 gives an area of 0.8.
    truth = 0.8
    shift = np.sqrt(2) * scipy.special.ndtri(truth)
    for _ in range(100):
        score = two_eyes(random, 80, 1)[:, 0] + shift * sick
        for units in (TWO_EYES, EACH_ALONE):
            found = interval(Auc(sick, score), units, Bootstrap(resamples=300))
            covered[units.unit].append(found.low <= truth <= found.high)
    assert np.mean(covered["patient"]) >= 0.92
    assert np.mean(covered["image"]) <= 0.89


def test_few_patients_widen_the_interval_and_say_so():
    values = two_eyes(np.random.default_rng(3), 8, 800)
    units = units_of([f"P{eye // 2}" for eye in range(16)])
    found = mean_intervals(values, units, Bootstrap(resamples=500, kind="percentile"))
    # Without the t expansion a percentile interval of 8 units covers about 0.88.
    assert share_that_cover(found, 0) >= 0.92
    assert "only 8 patients" in found[0].notes[0]
    assert "t-expanded" in found[0].method


def test_bca_follows_the_skewness_where_percentile_does_not():
    values = np.random.default_rng(4).lognormal(size=(60, 400))
    units, truth = units_of([f"P{row}" for row in range(60)]), np.exp(0.5)
    missed_above = {
        kind: np.mean([e.high < truth for e in mean_intervals(values, units, Bootstrap(kind=kind))])
        for kind in ("bca", "percentile")
    }
    assert missed_above["bca"] < missed_above["percentile"] - 0.01


def test_percentile_and_bca_agree_with_scipy_for_one_row_a_patient():
    values = np.random.default_rng(5).exponential(size=50)
    units = units_of([f"P{row}" for row in range(50)])
    for kind, name in (("bca", "BCa"), ("percentile", "percentile")):
        found = interval(Mean(values), units, Bootstrap(kind=kind, resamples=20000))
        other = scipy.stats.bootstrap(
            (values,), np.mean, n_resamples=20000, method=name, rng=np.random.default_rng(0)
        ).confidence_interval
        np.testing.assert_allclose((found.low, found.high), other, atol=0.006)


def test_the_table_gives_the_intervals_of_each_column_alone():
    random = np.random.default_rng(6)
    values = two_eyes(random, 80, 3)
    values[random.random(values.shape) < 0.1] = np.nan
    values[:2] = 1.0  # every patient of every column then has a number
    units = units_of([f"P{eye // 2}" for eye in range(160)])
    complete = values[:, 0].copy()
    complete[np.isnan(complete)] = 0
    table = mean_intervals(np.column_stack([complete, values]), units)
    alone = interval(Mean(complete), units)
    np.testing.assert_allclose(
        (table[0].estimate, table[0].low, table[0].high), (alone.estimate, alone.low, alone.high)
    )
    for column, found in enumerate(table[1:]):
        assert found.estimate == pytest.approx(np.nanmean(values[:, column]))
        assert any("rows have no number" in note for note in found.notes)


def test_the_spread_of_two_equal_eyes_is_that_of_the_patients_alone():
    values = np.random.default_rng(7).normal(size=80)
    doubled = interval(Mean(np.repeat(values, 2)), TWO_EYES)
    single = interval(Mean(values), units_of([f"P{row}" for row in range(80)]))
    assert (doubled.low, doubled.high) == pytest.approx((single.low, single.high))
    assert doubled.n_units == single.n_units == 80


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    values = np.random.default_rng(8).normal(size=160)
    first, again = (interval(Mean(values), TWO_EYES, Bootstrap(seed=1)) for _ in range(2))
    other = interval(Mean(values), TWO_EYES, Bootstrap(seed=2))
    assert first == again
    assert first.low != other.low


@pytest.mark.parametrize("statistic", [Mean, Spearman, Auc], ids=lambda s: s.__name__)
def test_whole_weights_are_repeated_rows(statistic):
    random = np.random.default_rng(9)
    first, second = random.integers(0, 6, size=(2, 30)).astype(float)
    second[4] = np.nan
    weights = random.integers(0, 4, size=30)
    columns = {Mean: (first,), Spearman: (first, second), Auc: (first > 2, second)}[statistic]
    repeated = [np.repeat(column, weights) for column in columns]
    made = statistic(*columns)(weights[None].astype(float))
    assert made == pytest.approx(statistic(*repeated)(np.ones((1, weights.sum()))))


def test_spearman_is_scipys_with_ties():
    random = np.random.default_rng(10)
    first, second = random.integers(0, 5, size=(2, 40)).astype(float)
    made = Spearman(first, second)(np.ones((1, 40)))
    assert made == pytest.approx(scipy.stats.spearmanr(first, second).statistic)


def test_two_rows_have_no_rank_correlation():
    falling = Spearman(np.array([0.2, 0.9, np.nan]), np.array([3.0, 1.0, 2.0]))
    found = interval(falling, units_of(["A", "B", "C"]))
    assert (found.estimate, found.low) == (None, None)
    assert "fewer than three rows" in (found.reason or "")


NO_INTERVAL = [
    pytest.param([1.0, 2.0], ["A", "A"], 1.5, "one patient only", id="one patient"),
    pytest.param([2.0, 2.0, 2.0], ["A", "B", "C"], 2.0, "all patients agree", id="no spread"),
    pytest.param([np.nan] * 2, ["A", "B"], None, "no row has a number", id="only NaN"),
    pytest.param([1.0, np.nan], ["A", "B"], 1.0, "one patient only", id="one number"),
    pytest.param([], [], None, "no row has a number", id="no rows"),
    pytest.param([np.inf, 1.0], ["A", "B"], 1.0, "one patient only", id="infinite"),
]


@pytest.mark.parametrize(("values", "patients", "estimate", "reason"), NO_INTERVAL)
def test_what_cannot_be_known_has_a_reason_and_no_interval(values, patients, estimate, reason):
    units = units_of(patients)
    for found in (
        interval(Mean(np.array(values)), units),
        *mean_intervals(np.array(values).reshape(-1, 1), units),
    ):
        assert found.estimate == estimate
        assert found.low is None
        assert reason in found.reason


def test_constant_columns_have_no_rank_correlation():
    found = interval(Spearman(np.ones(40), np.arange(40.0)), units_of(list(range(40))))
    assert found.estimate is None
    assert "constant" in found.reason


def test_resamples_without_a_value_are_counted():
    # One positive patient of forty: a third of the resamples lack it.
    truth = np.arange(40) == 0
    found = interval(Auc(truth, np.roll(np.arange(40.0), 9)), units_of(list(range(40))))
    assert any("resamples had no value" in note for note in found.notes)


def test_a_number_that_most_resamples_lack_has_no_interval():
    # Two patients: half of the resamples draw one of them twice, and so lack a class. Some of 100
    # draws of seed 0 .. 9 exceed one half.
    pair = Auc(np.array([True, False]), np.array([2.0, 1.0]))
    reasons = [
        interval(pair, units_of(["A", "B"]), Bootstrap(resamples=100, seed=seed)).reason
        for seed in range(10)
    ]
    assert any("of 100 resamples have no value (one class only)" in reason for reason in reasons)


def test_a_large_table_takes_seconds():
    random = np.random.default_rng(11)
    values = random.random((20_000, 24))
    units = units_of(np.arange(20_000) // 2)
    start = time.process_time()
    mean_intervals(values, units)
    # 1/25 of 100,000 rows x 120 columns, which must stay below a minute; this takes about 1 s.
    assert time.process_time() - start < 10


WRONG = [
    pytest.param({"resamples": 10}, "resamples must be 100 or more", id="resamples"),
    pytest.param({"level": 95}, "level must lie between 0 and 1", id="level"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Bootstrap(**settings)


def test_rows_without_a_unit_are_refused():
    for call in (
        lambda: interval(Mean(np.ones(3)), TWO_EYES),
        lambda: mean_intervals(np.ones((3, 1)), TWO_EYES),
    ):
        with pytest.raises(ValueError, match="160 rows have a unit"):
            call()


WRONG_ESTIMATES = [
    pytest.param({"estimate": 1.0}, "the reason why", id="neither interval nor reason"),
    pytest.param({"estimate": 1.0, "low": 0.0}, "both limits", id="one limit"),
    pytest.param({"estimate": None, "low": 0.0, "high": 1.0}, "needs an estimate", id="no number"),
    pytest.param({"estimate": 1.0, "low": 2.0, "high": 0.0}, "above the upper", id="turned"),
    pytest.param({"estimate": np.nan, "reason": "x"}, "must be finite", id="nan"),
]


@pytest.mark.parametrize(("values", "message"), WRONG_ESTIMATES)
def test_an_estimate_is_checked_at_birth(values, message):
    with pytest.raises(ValueError, match=message):
        Estimate(n_units=2, unit="patient", method="by hand", **values)


def test_a_comparison_is_checked_at_birth():
    none = Estimate(estimate=None, n_units=0, unit="patient", method="none", reason="no rows")
    with pytest.raises(ValueError, match="lies in"):
        Comparison(first="a", second="b", difference=none, p=1.5, test="by hand")


def test_means_by_unit_leave_out_what_is_missing():
    values = np.array([[1.0, np.nan], [3.0, np.nan], [5.0, 4.0]])
    means = unit_means(values, units_of(["A", "A", "B"]))
    np.testing.assert_array_equal(means, [[2.0, np.nan], [5.0, 4.0]])
