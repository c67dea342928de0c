"""Calibration errors against slow twins, scikit-learn, and what perfect calibration shows."""

import numpy as np
import pytest
import scipy
import sklearn.calibration
import sklearn.linear_model
import sklearn.metrics
import statsmodels.nonparametric.smoothers_lowess as lowess

from foveal.analysis import (
    Bootstrap,
    CalibrationError,
    CalibrationLine,
    classwise_ece,
    ece,
    interval,
    log_losses,
    murphy,
    reliability_table,
    smooth_curve,
    squared_errors,
    top_label,
    units_of,
)

KINDS = ("ece", "mce", "debiased")


def perfect(rows, seed=0, low=0.0, high=1.0):
    """Probabilities that are frequencies."""
    random = np.random.default_rng(seed)
    said = random.uniform(low, high, rows)
    return said, random.random(rows) < said


def units(rows):
    return units_of([f"P{row}" for row in range(rows)])


def once(statistic):
    return float(statistic(np.ones((1, len(statistic.valid))))[0])


def test_the_error_of_four_rows_is_as_by_hand():
    said = np.array([0.2, 0.4, 0.6, 1.0])
    true = np.array([False, True, True, True])
    found = ece(said, true, bins=2)
    # Bins {0.2, 0.4} with mean 0.3 and frequency 0.5, and {0.6, 1.0} with 0.8 and 1.
    assert found.ece == pytest.approx((0.2 + 0.2) / 2)
    assert found.mce == pytest.approx(0.2)
    # Squared gaps of 0.04, less 0.5 * 0.5 / (2 - 1) in the first bin and 0 in the second.
    assert found.debiased_squared == pytest.approx(((0.04 - 0.25) + 0.04) / 2)
    assert found.debiased == 0


def test_equal_mass_bins_agree_with_scikit_learn():
    said, true = perfect(300)
    share, mean = sklearn.calibration.calibration_curve(true, said, n_bins=10, strategy="quantile")
    table = reliability_table(said, true, units(300), bins=10, how=Bootstrap(resamples=100))
    np.testing.assert_allclose([row.probability for row in table], mean)
    np.testing.assert_allclose([row.frequency.estimate for row in table], share)
    assert once(CalibrationError(said, true, bins=10)) == pytest.approx(np.abs(share - mean).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_whole_weights_are_rows_that_are_there_again(kind):
    said, true = perfect(40)
    said = np.round(said, 1)
    times = np.random.default_rng(1).integers(0, 4, 40)
    weighted = CalibrationError(said, true, bins=5, kind=kind)(times[None].astype(float))[0]
    again = CalibrationError(np.repeat(said, times), np.repeat(true, times), bins=5, kind=kind)
    assert weighted == pytest.approx(once(again))


def test_a_perfect_model_has_an_error_that_the_null_knows_and_the_debiased_form_does_not_have():
    errors = [ece(*perfect(300, seed, 0.5, 1.0), draws=200) for seed in range(60)]
    mean = np.mean([one.ece for one in errors])
    assert 0.04 < mean < 0.08
    assert np.mean([one.null_mean for one in errors]) == pytest.approx(mean, abs=0.004)
    assert np.mean([one.p < 0.05 for one in errors]) < 0.13
    squared = [one.debiased_squared for one in errors]
    assert abs(np.mean(squared)) < 3 * np.std(squared) / np.sqrt(60)


def test_an_overconfident_model_is_outside_its_null():
    said, true = perfect(1000, 2, 0.3, 0.7)
    sure = scipy.special.expit(4 * scipy.special.logit(said))
    found = ece(sure, true)
    assert found.p < 0.002
    assert found.ece > found.null_high
    # The true mean square gap, which the debiased form finds.
    assert found.debiased == pytest.approx(np.sqrt(np.mean((sure - said) ** 2)), rel=0.1)


def test_bands_hold_the_frequencies_of_a_perfect_model_and_rows_that_tie_share_a_bin():
    said, true = perfect(3000, 3)
    table = reliability_table(said, true, units(3000))
    assert sum(row.band[0] <= row.frequency.estimate <= row.band[1] for row in table) >= 13
    tied = reliability_table(np.full(20, 0.5), np.arange(20) < 9, units(20))
    assert [row.rows for row in tied] == [20]
    assert tied[0].frequency.method == "Wilson"


def test_rows_without_a_probability_do_not_count():
    said, true = perfect(50)
    with_gap = ece(np.r_[said, np.nan], np.r_[true, True], draws=100)
    assert with_gap == ece(said, true, draws=100)
    assert (
        ece(np.array([np.nan]), np.array([True])).reason
        == "no row has a probability and an outcome"
    )
    assert reliability_table(np.array([np.nan]), np.array([True]), units(1)) == ()


def test_the_forms_take_the_probability_of_the_predicted_class_or_of_each():
    table = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    confidence, right = top_label(table, np.array([0, 1]))
    np.testing.assert_array_equal(confidence, [0.7, 0.6])
    np.testing.assert_array_equal(right, [True, False])
    each = classwise_ece(table, np.array([0, 1]), bins=1, draws=100)
    assert [one.ece for one in each] == pytest.approx([0.1, 0.25, 0.35])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: ece(np.array([1.2]), np.array([True])), "one is 1.2"),
        (lambda: ece(np.array([0.2]), np.array([True, False])), "2 outcomes"),
        (lambda: ece(np.array([0.2]), np.array([True]), bins=0), "0 bins"),
        (lambda: top_label(np.ones((1, 2)) / 2, np.array([2])), "from 0 to 1"),
        (lambda: murphy(np.array([]), np.array([], bool)), "0 probabilities"),
    ],
    ids=["outside", "lengths", "no-bins", "truth", "no-rows"],
)
def test_wrong_tables_are_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_proper_scores_agree_with_scikit_learn():
    random = np.random.default_rng(4)
    table, truth = random.dirichlet(np.ones(3), 50), random.integers(0, 3, 50)
    assert log_losses(table, truth).mean() == pytest.approx(
        sklearn.metrics.log_loss(truth, table, labels=[0, 1, 2])
    )
    pair = np.stack([1 - table[:, 0], table[:, 0]], axis=1)
    positive = truth == 0
    expected = sklearn.metrics.brier_score_loss(positive, table[:, 0])
    assert squared_errors(pair, positive.astype(int)).mean() == pytest.approx(2 * expected)
    assert murphy(table[:, 0], positive).brier == pytest.approx(expected)


def test_the_decomposition_is_exact_by_value_and_as_by_hand():
    said = np.repeat([0.2, 0.8], 5)
    true = np.array([1, 1, 0, 0, 0, 1, 1, 1, 1, 1], bool)
    found = murphy(said, true)
    assert found.reliability == pytest.approx((0.2**2 + 0.2**2) / 2)
    assert found.resolution == pytest.approx((0.3**2 + 0.3**2) / 2)
    assert found.uncertainty == pytest.approx(0.7 * 0.3)
    assert found.within == pytest.approx(0)


def test_bins_leave_a_part_within_them():
    said, true = perfect(500)
    found = murphy(said, true, bins=4)
    parts = found.reliability - found.resolution + found.uncertainty + found.within
    assert found.brier == pytest.approx(parts)
    assert abs(found.within) > 1e-4
    assert murphy(said, true, bins=500).within == pytest.approx(0)


def test_intercept_and_slope_agree_with_logistic_regression():
    said, true = perfect(400, 5, 0.05, 0.95)
    distorted = scipy.special.expit(2 * scipy.special.logit(said) + 0.7)
    odds = scipy.special.logit(distorted)
    model = sklearn.linear_model.LogisticRegression(C=np.inf, tol=1e-10)
    model.fit(odds[:, None], true)
    slope = once(CalibrationLine(distorted, true))
    assert slope == pytest.approx(model.coef_[0, 0], abs=1e-5)
    assert slope == pytest.approx(0.5, abs=0.1)
    # With the slope held at 1, the mean probability becomes the frequency.
    shift = once(CalibrationLine(distorted, true, part="intercept"))
    assert scipy.special.expit(odds + shift).mean() == pytest.approx(true.mean())


def test_a_perfect_model_has_slope_1_and_intercept_0_inside_their_intervals():
    said, true = perfect(600, 6)
    how = Bootstrap(resamples=200)
    slope = interval(CalibrationLine(said, true), units(600), how)
    shift = interval(CalibrationLine(said, true, part="intercept"), units(600), how)
    assert slope.low < 1 < slope.high
    assert shift.low < 0 < shift.high


@pytest.mark.parametrize(
    ("said", "true"),
    [
        ([0.1, 0.2, 0.8, 0.9], [False, False, True, True]),
        ([0.1, 0.5, 0.9], [True, True, True]),
        ([0.5, 0.5, 0.5], [True, False, True]),
    ],
    ids=["separated", "one-class", "constant"],
)
def test_there_is_no_slope_where_none_is_defined(said, true):
    assert np.isnan(once(CalibrationLine(np.array(said), np.array(true))))


def test_the_smooth_curve_is_that_of_lowess_without_robust_iterations():
    said, true = perfect(200, 7)
    at = np.linspace(0.1, 0.9, 9)
    expected = lowess.lowess(true.astype(float), said, frac=0.75, it=0, xvals=at)
    np.testing.assert_allclose(smooth_curve(said, true, at), expected, atol=5e-3)


def test_the_smooth_curve_of_one_probability_is_its_frequency():
    found = smooth_curve(np.full(4, 0.5), np.array([True, False, True, True]), np.array([0.5]))
    np.testing.assert_allclose(found, [0.75])
