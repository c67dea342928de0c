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
    crossed_reads,
    mrmc,
    mrmc_power,
    reader_aucs,
    reader_figures,
    reader_rates,
    size_for_mrmc,
    units_of,
)
from foveal.analysis.obuchowski_rockette import VarianceComponents
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


def drawn_figures(random, gain=0.0):
    """Figures straight from the model of Obuchowski and Rockette, errors known."""
    cov = van_dyke().covariance
    errors = random.multivariate_normal(np.zeros(10), cov.reshape(10, 10)).reshape(2, 5)
    reader = random.normal(0, 0.04, (1, 5)) + random.normal(0, 0.014, (2, 5))
    values = 0.8 + gain * np.array([[0], [1]]) + reader + errors
    return ReaderFigures(
        arms=ARMS, values=values, covariance=cov, n_units=114, unit="patient", method="known"
    )


def test_the_test_finds_5_percent_of_nothing_and_the_intervals_hold_95():
    random = np.random.default_rng(0)
    found = [mrmc(drawn_figures(random)) for _ in range(1500)]
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


def test_a_list_of_readings_becomes_a_block_whose_holes_are_refused():
    truth, reads = study(11, rows=6, readers=3)
    image, arm, reader = (grid.ravel() for grid in np.indices(reads.shape))
    order = np.random.default_rng(0).permutation(len(image))[:-1]
    found = crossed_reads(
        reads.ravel()[order],
        images=image[order].tolist(),
        arms=[ARMS[one] for one in arm[order]],
        readers=reader[order].tolist(),
    )
    back = [np.argsort(np.array(names)) for names in (found.images, found.readers)]
    arms = [found.arms.index(name) for name in ARMS]
    block = found.reads[np.ix_(back[0], arms, back[1])]
    known = np.isfinite(block)
    assert known.sum() == reads.size - 1
    assert block[known] == pytest.approx(reads[known])
    with pytest.raises(ValueError, match="1 of 36 readings are missing"):
        reader_aucs(truth, block, patients(6), arms=ARMS)


def test_the_power_is_the_share_of_studies_that_find_the_difference():
    random = np.random.default_rng(1)
    found = [mrmc(drawn_figures(random, gain=0.05)).p < 0.05 for _ in range(1000)]
    pilot = replace(mrmc(van_dyke()).components, arm_reader=0.014**2)
    told = mrmc_power(pilot, 0.05, readers=5, patients=114)
    assert np.mean(found) == pytest.approx(told, abs=0.04)


PILOT = VarianceComponents(
    reader=0.001535,
    arm_reader=0.00020040252,
    error=0.00080228827,
    cov1=COV1,
    cov2=0.00034407483,
    cov3=COV3,
    n_units=114,
)
SEEN = 0.043800322


@pytest.mark.parametrize(
    ("readers", "cases", "published"), [(10, 165, 0.80541995), (6, 111, 0.5526116)]
)
def test_the_power_is_that_of_rjafroc_on_van_dykes_components(readers, cases, published):
    told = mrmc_power(PILOT, SEEN, readers=readers, patients=cases)
    assert told == pytest.approx(published, abs=1e-7)


def test_six_readers_need_251_patients_as_rjafroc_says_and_more_readers_need_fewer():
    assert size_for_mrmc(PILOT, SEEN, readers=6) == 251
    assert mrmc_power(PILOT, SEEN, readers=6, patients=250) < 0.8
    assert size_for_mrmc(PILOT, -SEEN, readers=10) < 165


def test_readers_who_differ_too_much_cannot_be_made_up_for_by_patients():
    with pytest.raises(ValueError, match="ask more readers"):
        size_for_mrmc(PILOT, 0.02, readers=3)


def test_without_errors_of_readers_or_patients_every_study_finds_it():
    alike = replace(PILOT, arm_reader=0.0, error=0.0, cov1=0.0, cov2=0.0, cov3=0.0)
    assert mrmc_power(alike, 0.01, readers=5, patients=10) == 1
    known = replace(PILOT, arm_reader=0.0, cov1=PILOT.error - 0.0001, cov2=COV3 + 0.0001)
    z = 0.04 * np.sqrt(5 / (2 * 0.0005))
    expected = scipy.stats.norm.sf(1.959964 - z) + scipy.stats.norm.cdf(-1.959964 - z)
    assert mrmc_power(known, 0.04, readers=5, patients=114) == pytest.approx(expected, abs=1e-5)


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
        lambda: reader_figures(
            lambda said: Mean(np.where(said > 0, said, np.nan)), READS, patients(10), arms=ARMS
        ),
        "same rows",
        id="other rows for another reader",
    ),
    pytest.param(
        lambda: crossed_reads(np.ones(2), images=[1, 1], arms=["a", "a"], readers=[7, 7]),
        "reader 7 read image 1 twice in arm 'a'",
        id="read twice",
    ),
    pytest.param(
        lambda: crossed_reads(np.ones(2), images=[1], arms=["a", "a"], readers=[7, 7]),
        "needs image, arm and reader",
        id="lengths",
    ),
    pytest.param(lambda: replace(van_dyke(), arms=("a", "b", "c")), "do not fit", id="arms"),
    pytest.param(lambda: mrmc(van_dyke(), over="cases"), "over must be", id="over"),
    pytest.param(lambda: mrmc(van_dyke(), margin=-0.1), "margin", id="margin"),
    pytest.param(
        lambda: mrmc_power(PILOT, 0.0, readers=5, patients=100), "difference", id="no difference"
    ),
    pytest.param(lambda: size_for_mrmc(PILOT, 0.1, readers=5, power=1), "power", id="power"),
]


@pytest.mark.parametrize(("ask", "message"), WRONG)
def test_designs_that_are_not_complete_are_refused(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()
