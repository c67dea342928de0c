"""Reader studies: the published analysis of Van Dyke et al. 1993, slow twins, and what is found."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest
import scipy

from foveal.analysis import (
    Auc,
    Mean,
    auc,
    compare_auc,
    mrmc,
    mrmc_power,
    reader_aucs,
    reader_figures,
    reader_rates,
    units_of,
)
from foveal.analysis.reader_figures import ReaderFigures

ARMS = ("spin echo", "cine")
AREAS = np.array(
    [
        [0.91964573, 0.85877617, 0.90386473, 0.97310789, 0.82979066],
        [0.94782609, 0.90531401, 0.92173913, 0.99935588, 0.92995169],
    ]
)
"""Five radiologists, 114 patients; OR-DBM MRMC 2.51's report of the trapezoidal areas."""
COV1, COV3 = 0.00034661371, 0.00023902837
ERROR, COV2 = (0.00101410, 0.00059047), (0.00048396, 0.00020419)


def van_dyke() -> ReaderFigures:
    covariance = np.full((2, 5, 2, 5), COV3)
    for reader in range(5):
        covariance[:, reader, :, reader] = COV1
    for arm in range(2):
        covariance[arm, :, arm, :] = COV2[arm] + (ERROR[arm] - COV2[arm]) * np.eye(5)
    return ReaderFigures(
        arms=ARMS,
        values=AREAS,
        covariance=covariance,
        n_units=114,
        unit="patient",
        method="jackknife by patient",
        bounds=(0, 1),
    )


def patients(count):
    return units_of([f"P{row}" for row in range(count)])


def study(seed, *, rows=80, readers=4, arms=("without", "with"), gain=0.0):
    """Roe and Metz's model of ratings: cases, readers and what is left, all normal."""
    random = np.random.default_rng(seed)
    truth = np.arange(rows) % 2 == 0
    shape = (rows, len(arms), readers)
    case = random.normal(0, 0.55, (rows, 1, 1)) + random.normal(0, 0.55, (rows, len(arms), 1))
    seen = random.normal(0, 0.45, (rows, 1, readers)) + random.normal(0, 0.45, shape)
    skill = random.normal(0, 0.2, (1, 1, readers)) + random.normal(0, 0.1, (1, len(arms), readers))
    better = gain * np.arange(len(arms))[None, :, None]
    return truth, (1.2 + better + skill) * truth[:, None, None] + case + seen


def test_the_published_components_come_back():
    parts = mrmc(van_dyke()).components
    assert parts.reader == pytest.approx(0.00153500, abs=1e-8)
    assert parts.arm_reader == pytest.approx(0.00020040, abs=1e-8)
    assert parts.error == pytest.approx(0.00080229, abs=1e-8)
    assert (parts.cov1, parts.cov3) == pytest.approx((COV1, COV3))
    assert parts.cov2 == pytest.approx(0.00034407, abs=1e-8)
    assert parts.n_units == 114


PUBLISHED = [
    pytest.param(
        "both",
        (4.46, 15.26, 0.0517, -0.00036, 0.08796),
        [(0.82522360, 0.96885048), (0.89413783, 0.98753689)],
        id="random readers and patients",
    ),
    pytest.param(
        "patients",
        (5.47595, inf, 0.0193, 0.00711, 0.08049),
        [(0.84943008, 0.94464399), (0.90795637, 0.97371835)],
        id="these readers",
    ),
    pytest.param(
        "readers",
        (8.70, 4, 0.0420, 0.00258, 0.08502),
        [(0.82809808, 0.96597599), (0.89598936, 0.98568536)],
        id="these patients",
    ),
]


@pytest.mark.parametrize(("over", "of_pair", "of_arms"), PUBLISHED)
def test_the_published_tests_and_intervals_come_back(over, of_pair, of_arms):
    found = mrmc(van_dyke(), over=over)
    statistic, freedom, p, low, high = of_pair
    assert found.statistic == pytest.approx(statistic, abs=0.005)
    assert found.freedom == (1, pytest.approx(freedom, abs=0.005))
    assert found.p == pytest.approx(p, abs=5e-5)
    (pair,) = found.pairs
    assert pair.p == pytest.approx(found.p)
    assert pair.difference.estimate == pytest.approx(0.04380032, abs=1e-8)
    assert (pair.difference.low, pair.difference.high) == pytest.approx((low, high), abs=6e-6)
    limits = [(arm.low, arm.high) for arm in found.arms]
    assert limits == [pytest.approx(published, abs=2e-6) for published in of_arms]
    assert [arm.estimate for arm in found.arms] == pytest.approx([0.89703704, 0.94083736])


def test_one_arm_has_the_published_degrees_of_freedom():
    first, second = mrmc(van_dyke()).arms
    assert "12.74 degrees" in first.method
    assert "12.71 degrees" in second.method


def test_the_difference_of_two_arms_is_the_test_of_both_and_holm_corrects_three():
    truth, reads = study(3, arms=("image", "AI", "map"))
    found = mrmc(reader_aucs(truth, reads, patients(80), arms=("image", "AI", "map")))
    assert [(pair.first, pair.second) for pair in found.pairs] == [
        ("image", "AI"),
        ("image", "map"),
        ("AI", "map"),
    ]
    assert found.freedom[0] == 2
    smallest = min(pair.p for pair in found.pairs if pair.p is not None)
    assert min(pair.p_adjusted for pair in found.pairs) == pytest.approx(min(1, 3 * smallest))


def test_these_patients_alone_make_a_paired_t_test():
    truth, reads = study(5)
    figures = reader_aucs(truth, reads, patients(80), arms=ARMS)
    expected = scipy.stats.ttest_rel(figures.values[1], figures.values[0])
    assert mrmc(figures, over="readers").p == pytest.approx(expected.pvalue)


def test_areas_have_the_covariance_of_each_pair_of_curves():
    truth, reads = study(1)
    units = patients(80)
    figures = reader_aucs(truth, reads, units, arms=ARMS)
    one, other = reads[:, 0, 2], reads[:, 1, 2]
    assert figures.values[0, 2] == pytest.approx(auc(truth, one, units).estimate)
    spread = sum(figures.covariance[arm, 2, arm, 2] for arm in (0, 1))
    error = np.sqrt(spread - 2 * figures.covariance[0, 2, 1, 2])
    pair = compare_auc(truth, one, other, units).difference
    assert pair.high - pair.low == pytest.approx(2 * 1.959964 * error, rel=1e-6)


def test_the_jackknife_is_that_of_tables_without_one_patient():
    truth, reads = study(2, rows=30, readers=2)
    units = units_of([f"P{row // 2}" for row in range(30)])
    found = reader_figures(lambda said: Auc(truth, said), reads, units, arms=ARMS)
    without = []
    for patient in range(15):
        kept = np.arange(30) // 2 != patient
        figures = reader_aucs(truth[kept], reads[kept], patients(28), arms=ARMS)
        without.append(figures.values.ravel())
    covariance = 14**2 / 15 * np.cov(np.transpose(without))
    assert found.covariance.reshape(4, 4) == pytest.approx(covariance)
    assert found.n_units == 15


def test_the_jackknife_of_areas_is_near_delongs():
    truth, reads = study(4)
    areas = reader_aucs(truth, reads, patients(80), arms=ARMS)
    found = reader_figures(lambda said: Auc(truth, said), reads, patients(80), arms=ARMS)
    assert found.values == pytest.approx(areas.values)
    assert found.covariance == pytest.approx(areas.covariance, rel=0.1, abs=2e-5)


def test_rates_count_the_patients_of_their_kind():
    truth, reads = study(6, rows=60)
    both = reader_rates(truth, reads > 0.6, patients(60), arms=ARMS)
    said = reads[:, 1, 0] > 0.6
    assert both["sensitivity"].values[1, 0] == pytest.approx(said[truth].mean())
    assert both["specificity"].values[1, 0] == pytest.approx(1 - said[~truth].mean())
    assert both["sensitivity"].n_units == 30
    share = said[truth].mean()
    # The jackknife of a mean is its classical variance.
    assert both["sensitivity"].covariance[1, 0, 1, 0] == pytest.approx(share * (1 - share) / 29)
    unknown = np.where(np.arange(60) < 2, np.nan, truth)
    fewer = reader_rates(unknown, reads > 0.6, patients(60), arms=ARMS)["specificity"]
    assert fewer.n_units == 29
    assert "2 of 60 rows lack a truth and do not count" in fewer.notes


@pytest.mark.parametrize(("answer", "name"), [(1, "specificity"), (0, "sensitivity")])
def test_without_patients_of_a_kind_its_rate_is_missing_with_the_reason(answer, name):
    reads = study(6, rows=20)[1] > 0.6
    both = reader_rates(np.full(20, answer), reads, patients(20), arms=ARMS)
    assert np.isnan(both[name].values).all()
    found = mrmc(both[name])
    assert (found.p, found.reason) == (None, "a reader has no figure in an arm")
    assert f"no row with a truth of {1 - answer}, so there is no {name}" in found.arms[0].notes
    (other,) = {"sensitivity", "specificity"} - {name}
    assert mrmc(both[other]).p is not None


def drawn_studies(seed, count, gain=0.0):
    """Figures straight from the model of Obuchowski and Rockette, errors known."""
    random, known = np.random.default_rng(seed), replace(van_dyke(), bounds=(-inf, inf))
    spread = known.covariance.reshape(10, 10)
    errors = random.multivariate_normal(np.zeros(10), spread, count).reshape(count, 2, 5)
    reader = random.normal(0, 0.04, (count, 1, 5)) + random.normal(0, 0.014, (count, 2, 5))
    values = 0.8 + gain * np.array([[0], [1]]) + reader + errors
    return [mrmc(replace(known, values=one)) for one in values]


def test_the_test_finds_5_percent_of_nothing_and_the_intervals_hold_95():
    found = drawn_studies(0, 1500)
    assert np.mean([one.p < 0.05 for one in found]) == pytest.approx(0.05, abs=0.017)
    held = [one.arms[0].low < 0.8 < one.arms[0].high for one in found]
    assert np.mean(held) == pytest.approx(0.95, abs=0.017)


def test_ratings_of_patients_drawn_anew_have_the_same_errors():
    found = []
    for seed in range(400):
        truth, reads = study(seed)
        found.append(mrmc(reader_aucs(truth, reads, patients(80), arms=ARMS)).p)
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.035)


def test_two_eyes_of_a_patient_are_not_two_patients():
    by_patient, by_image = [], []
    for seed in range(200):
        random = np.random.default_rng(seed)
        truth = np.repeat(np.arange(40) % 2 == 0, 2)
        alike = 0.8 * np.repeat(random.normal(size=(40, 2, 1)), 2, axis=0)
        skill = random.normal(1.2, 0.1, (1, 2, 4))
        reads = skill * truth[:, None, None] + alike + random.normal(0, 0.6, (80, 2, 4))
        pairs = units_of([f"P{row // 2}" for row in range(80)])
        by_patient.append(mrmc(reader_aucs(truth, reads, pairs, arms=ARMS)).p)
        by_image.append(mrmc(reader_aucs(truth, reads, patients(80), arms=ARMS)).p)
    found = [np.mean(np.array(p) < 0.05) for p in (by_patient, by_image)]
    assert found[0] == pytest.approx(0.05, abs=0.045)
    assert found[1] > found[0] + 0.04


def test_the_power_is_the_share_of_studies_that_find_the_difference():
    found = [one.p < 0.05 for one in drawn_studies(1, 1000, gain=0.05)]
    pilot = replace(mrmc(van_dyke()).components, arm_reader=0.014**2)
    told = mrmc_power(pilot, 0.05, readers=5, patients=114)
    assert np.mean(found) == pytest.approx(told, abs=0.04)


@pytest.mark.parametrize(("margin", "shown"), [(0.03, True), (0.0003, False)])
def test_an_arm_passes_when_the_interval_lies_above_the_margin(margin, shown):
    found = mrmc(van_dyke(), margin=margin)
    (passed,) = found.noninferiority
    (pair,) = found.pairs
    assert passed.shown is shown
    assert passed.shown is (pair.difference.low > -margin)
    assert (passed.first, passed.second, passed.margin) == (*ARMS, margin)


def test_limits_stay_where_areas_can_be_and_few_readers_are_told():
    figures = van_dyke()
    high = replace(figures, values=0.06 + AREAS, bounds=(0, 1))
    assert mrmc(high).arms[1].high == 1
    truth, reads = study(7, readers=3)
    few = mrmc(reader_aucs(truth, reads, patients(80), arms=ARMS))
    assert any("only 3 readers" in note for note in few.arms[0].notes)
    assert not any("readers" in note for note in mrmc(figures).arms[0].notes)


def test_readers_who_say_the_same_in_both_arms_leave_nothing_to_test():
    truth, reads = study(8)
    same = np.repeat(reads[:, :1], 2, axis=1)
    found = mrmc(reader_aucs(truth, same, patients(80), arms=ARMS), margin=0.1)
    assert found.p is None
    assert found.reason == "no spread between readers or patients"
    assert found.noninferiority[0].p is None
    assert not found.noninferiority[0].shown
    assert found.arms[0].low is not None


def test_one_positive_patient_says_nothing_of_others():
    truth, reads = study(9, rows=12)
    truth = np.arange(12) == 0
    found = mrmc(reader_aucs(truth, reads, patients(12), arms=ARMS))
    assert found.reason == "too few patients to say how the figures vary with them"
    assert any("only one patient" in note for note in found.arms[0].notes)
    assert found.arms[0].estimate is not None
    none = mrmc(reader_aucs(truth & False, reads, patients(12), arms=ARMS))
    assert none.arms[0].estimate is None
    assert none.reason == "a reader has no figure in an arm"
    one = reader_figures(Mean, reads[:1], patients(1), arms=ARMS)
    assert mrmc(one).reason == "too few patients to say how the figures vary with them"


TRUTH, READS = study(10, rows=10)
HOLED = READS.copy()
HOLED[3, 1, 2] = np.nan
WRONG = [
    pytest.param(
        lambda: reader_aucs(TRUTH, HOLED, patients(10), arms=ARMS),
        "1 of 80 readings are missing .the first: row 3, arm 'cine', reader 2.*leave those images",
        id="a reading is missing",
    ),
    pytest.param(
        lambda: reader_aucs(TRUTH, READS, patients(10), arms=("a", "a")), "names", id="names"
    ),
    pytest.param(lambda: reader_aucs(TRUTH, READS, patients(9), arms=ARMS), "9 units", id="units"),
    pytest.param(
        lambda: reader_aucs(TRUTH, READS[:, :, :1], patients(10), arms=ARMS),
        "compare_auc",
        id="one reader",
    ),
    pytest.param(
        lambda: reader_rates(TRUTH, READS, patients(10), arms=ARMS), "0 or 1", id="no threshold"
    ),
    pytest.param(
        lambda: reader_rates(TRUTH[:9], READS > 0, patients(10), arms=ARMS),
        "9 rows have a truth, but 10 were read",
        id="truth of other rows",
    ),
    pytest.param(
        lambda: reader_figures(lambda said: Mean(said[1:]), READS, patients(10), arms=ARMS),
        "9 rows, but 10 were read",
        id="a figure of other rows",
    ),
    pytest.param(
        lambda: reader_figures(
            lambda said: Mean(np.where(said > 0, said, np.nan)), READS, patients(10), arms=ARMS
        ),
        "same rows",
        id="other rows for another reader",
    ),
    pytest.param(lambda: replace(van_dyke(), arms=("a", "b", "c")), "do not fit", id="arms"),
    pytest.param(lambda: mrmc(van_dyke(), over="cases"), "over must be", id="over"),
    pytest.param(lambda: mrmc(van_dyke(), margin=-0.1), "margin", id="margin"),
]


@pytest.mark.parametrize(("ask", "message"), WRONG)
def test_designs_that_are_not_complete_are_refused(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()
