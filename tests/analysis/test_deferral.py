"""Risk-coverage by brute force, the guarantee by simulation, confidence and localisation."""

from itertools import permutations

import numpy as np
import pytest
import scipy
import sklearn.metrics

from foveal.analysis import (
    Bootstrap,
    PartialSpearman,
    SelectiveRate,
    SelectiveRisk,
    at_coverage,
    aurc,
    conf_loc_corr,
    decide,
    defer_by_coverage,
    defer_by_risk,
    defer_with_guarantee,
    risk_coverage,
    split_by_patient,
    units_of,
    validate_proxy,
)

SURE = np.array([0.9, 0.8, 0.8, 0.8, 0.5])
LOSS = np.array([0.0, 1.0, 0.0, 0.0, 1.0])
KINDS = ("aurc", "eaurc", "augrc")
FAST = Bootstrap(resamples=100)


def units(rows):
    return units_of([f"P{row}" for row in range(rows)])


def once(statistic):
    return float(statistic(np.ones((1, len(statistic.valid))))[0])


def test_ties_count_as_all_their_orders():
    orders = [[0, *middle, 4] for middle in permutations([1, 2, 3])]
    curves = np.array([np.cumsum(LOSS[order]) / np.arange(1, 6) for order in orders])
    curve = risk_coverage(SURE, LOSS)
    np.testing.assert_allclose(curve.risk, curves.mean(axis=0))
    np.testing.assert_allclose(curve.coverage, [0.2, 0.4, 0.6, 0.8, 1])
    assert once(SelectiveRisk(SURE, LOSS)) == pytest.approx(curves.mean())


def test_the_excess_area_is_none_for_an_oracle():
    assert once(SelectiveRisk(-LOSS, LOSS, kind="eaurc")) == pytest.approx(0)
    best = np.cumsum(np.sort(LOSS)) / np.arange(1, 6)
    whole = once(SelectiveRisk(SURE, LOSS))
    assert once(SelectiveRisk(SURE, LOSS, kind="eaurc")) == pytest.approx(whole - best.mean())


def test_augrc_follows_from_accuracy_and_the_area_under_the_curve_of_failures():
    random = np.random.default_rng(0)
    sure, wrong = np.round(random.random(200), 1), random.random(200) < 0.3
    area, error = sklearn.metrics.roc_auc_score(~wrong, sure), wrong.mean()
    expected = (1 - area) * error * (1 - error) + error**2 / 2  # Traub et al. 2024
    found = once(SelectiveRisk(sure, wrong.astype(float), kind="augrc"))
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_whole_weights_are_rows_that_are_there_again(kind):
    times = np.array([2, 0, 3, 1, 2])
    weighted = SelectiveRisk(SURE, LOSS, kind=kind)(times[None].astype(float))[0]
    again = SelectiveRisk(np.repeat(SURE, times), np.repeat(LOSS, times), kind=kind)
    assert weighted == pytest.approx(once(again))


def test_a_confidence_that_knows_nothing_has_the_mean_risk():
    found = aurc(np.full(40, 0.7), np.arange(40) % 4 == 0, units(40), how=FAST)
    assert found.estimate == pytest.approx(0.25)
    assert found.low < 0.25 < found.high


def test_sensitivity_at_a_coverage_is_that_of_the_rows_kept():
    truth = np.array([True, True, False, True, False])
    predicted = np.array([True, False, False, True, True])
    half, whole = at_coverage(SURE, truth, predicted, units(5), coverages=(0.4, 1.0), how=FAST)
    # Kept are the first row and a third of each of the next three.
    assert half.threshold == 0.8
    assert half.sensitivity.estimate == pytest.approx((1 + 1 / 3) / (1 + 2 / 3))
    assert half.specificity.estimate == pytest.approx(1)
    assert half.kept_positives == pytest.approx((1 + 2 / 3) / 3)
    assert whole.sensitivity.estimate == pytest.approx(2 / 3)
    assert whole.specificity.estimate == pytest.approx(1 / 2)
    with pytest.raises(ValueError, match="coverage must lie"):
        SelectiveRate(SURE, truth, truth, 0.0)


def test_rows_without_a_confidence_are_not_kept():
    sure = np.array([np.nan, 0.9, 0.1])
    (found,) = at_coverage(
        sure, np.array([True] * 3), np.array([False, True, False]), units(3), coverages=(0.5,),
        how=FAST,
    )  # fmt: skip
    assert found.sensitivity.estimate == 1
    assert found.kept_positives == pytest.approx(0.5)


def test_thresholds_by_coverage_and_risk_keep_rows_that_tie_together():
    wrong = LOSS > 0
    by_coverage = defer_by_coverage(SURE, wrong, coverage=0.4)
    assert (by_coverage.threshold, by_coverage.coverage, by_coverage.risk) == (0.8, 0.8, 0.25)
    by_risk = defer_by_risk(SURE, wrong, risk=0.25)
    assert by_risk.threshold == 0.8
    np.testing.assert_array_equal(
        by_risk.keeps(np.array([0.8, 0.79, np.nan])), [True, False, False]
    )


def test_where_nothing_can_be_kept_a_person_is_always_asked():
    found = defer_by_risk(SURE, np.ones(5, bool), risk=0.1)
    assert found.threshold is None
    assert "no threshold" in found.reason
    assert not found.keeps(SURE).any()


def test_the_bound_is_the_exact_binomial_one():
    sure, wrong = np.full(50, 0.9), np.arange(50) < 2
    found = defer_with_guarantee(sure, wrong, units(50), risk=0.2, delta=0.05)
    expected = scipy.stats.binomtest(2, 50).proportion_ci(0.9, "exact").high  # one test, 5 % above
    assert found.bound == pytest.approx(expected)
    assert defer_with_guarantee(sure, wrong, units(50), risk=0.1).threshold is None


def test_the_guarantee_holds_as_often_as_it_says_where_the_plain_threshold_breaks():
    random, broken = np.random.default_rng(1), {"sgr": 0, "risk": 0}
    for seed in range(200):
        sure = random.random(150)
        wrong = random.random(150) < 0.5 * (1 - sure)
        # The true risk above a threshold t is the mean of (1 - s) / 2 over s > t: (1 - t) / 4.
        for found in (
            defer_with_guarantee(sure, wrong, units(150), risk=0.15, delta=0.1, seed=seed),
            defer_by_risk(sure, wrong, risk=0.15),
        ):
            broken[found.rule] += found.threshold is not None and (1 - found.threshold) / 4 > 0.15
    assert broken["sgr"] <= 0.1 * 200
    assert broken["risk"] > 0.3 * 200


def test_the_guarantee_takes_one_row_of_each_patient_and_says_so():
    eyes = units_of([f"P{row // 2}" for row in range(200)])
    sure = np.linspace(0, 1, 200)
    found = defer_with_guarantee(sure, np.zeros(200, bool), eyes, risk=0.2)
    assert found.rows == 100
    assert "one row of each patient: 100 of 200" in found.notes


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: defer_by_coverage(SURE, LOSS > 0, coverage=0.0), "coverage must lie"),
        (lambda: defer_by_risk(SURE, LOSS > 0, risk=1.0), "risk must lie"),
        (lambda: defer_by_risk(SURE, LOSS[1:] > 0, risk=0.5), "4 an outcome"),
        (
            lambda: defer_with_guarantee(SURE, LOSS > 0, units(5), risk=0.1, delta=0.0),
            "delta must lie",
        ),
        (lambda: risk_coverage(SURE, LOSS[1:]), "4 an outcome"),
    ],
    ids=["coverage", "risk", "lengths", "delta", "curve"],
)
def test_wrong_requests_are_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def confounded(rows=400, seed=2):
    """Confidence and localisation that only lesion area ties together."""
    random = np.random.default_rng(seed)
    area = random.normal(size=rows)
    return area + random.normal(size=rows), area + random.normal(size=rows), area


def test_partial_correlation_is_that_of_what_regression_on_ranks_leaves():
    confidence, place, area = confounded()
    found = conf_loc_corr(confidence, place, units(400), controls=[area], how=FAST)
    ranks = [scipy.stats.rankdata(column) for column in (confidence, place, area)]
    left = [one - np.polyval(np.polyfit(ranks[2], one, 1), ranks[2]) for one in ranks[:2]]
    assert found.partial.estimate == pytest.approx(np.corrcoef(left)[0, 1])
    assert found.all.low > 0.3
    assert found.partial.low < 0 < found.partial.high


def test_right_and_wrong_answers_are_told_apart_and_images_without_a_mask_do_not_count():
    confidence = np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.9])
    place = np.array([1.0, 2.0, 3.0, 3.0, 2.0, 1.0, np.nan])
    right = np.array([True] * 3 + [False] * 4)
    found = conf_loc_corr(confidence, place, units(7), correct=right, how=FAST)
    assert found.when_right.estimate == 1
    assert found.when_wrong.estimate == -1
    assert found.all.estimate == pytest.approx(0)
    assert found.all.n_units == 6
    assert found.partial is None


def test_there_is_no_partial_correlation_with_a_copy_or_a_constant():
    first, second, _ = confounded(30)
    assert np.isnan(once(PartialSpearman(first, second, [first])))
    assert np.isnan(once(PartialSpearman(first, second, [np.ones(30)])))


def test_the_four_decisions():
    sure, there = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert decide(sure, there) == ("accept", "flag shortcut", "refer with map", "refer")


@pytest.mark.parametrize(("noise", "trusted"), [(0.3, True), (30.0, False)], ids=["good", "bad"])
def test_a_proxy_is_judged_by_masks_of_other_patients(noise, trusted):
    random = np.random.default_rng(3)
    localised, eyes = random.random(400) < 0.5, units_of([f"P{row // 2}" for row in range(400)])
    outside = noise * random.normal(size=400) - localised  # low on good maps
    development = split_by_patient(eyes)
    found = validate_proxy(
        "out_of_fov_mass", outside, localised, random.random(400) < 0.7, eyes, development,
        higher_is_better=False, how=FAST,
    )  # fmt: skip
    assert found.trusted is trusted
    if trusted:
        says = outside[~development] <= found.threshold
        truth = localised[~development]
        assert found.sensitivity.estimate == pytest.approx((says & truth).sum() / truth.sum())
        assert found.same_decision.estimate == pytest.approx((says == truth).mean())
        assert -0.9 < found.threshold < -0.1


def test_a_proxy_cannot_be_judged_where_all_maps_are_good_or_patients_are_in_both_parts():
    eyes = units_of([f"P{row // 2}" for row in range(8)])
    all_good, proxy = np.ones(8, bool), np.arange(8.0)
    development = np.arange(8) < 4
    found = validate_proxy("gini", proxy, all_good, all_good, eyes, development, how=FAST)
    assert found.threshold is None
    assert not found.trusted
    with pytest.raises(ValueError, match="in both parts"):
        validate_proxy("gini", proxy, all_good, all_good, eyes, np.arange(8) < 3, how=FAST)
