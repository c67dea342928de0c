"""Agreement of readers: published tables, other libraries, and twins that repeat rows."""

import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats import inter_rater

from foveal.analysis import (
    Bootstrap,
    fleiss_kappa,
    grades,
    gwet_ac,
    icc,
    krippendorff_alpha,
    quadratic_kappa,
    raw_agreement,
    units_of,
    weighted_kappa,
)
from foveal.analysis.agreement import FleissKappa, GwetAC, Icc, KrippendorffAlpha, WeightedKappa

NONE = np.nan
FOUR_OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
        [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
    ]
).T
"""Krippendorff 2011, section E."""
SIX_TARGETS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)
"""Shrout & Fleiss 1979, table 2."""
QUICK = Bootstrap(resamples=100)
RANDOM = np.random.default_rng(4)
THREE = RANDOM.integers(1, 5, size=(40, 3)).astype(float)
HOLED = np.where(RANDOM.random((40, 3)) < 0.3, NONE, THREE)


def rows(count: int):
    return units_of([f"P{row}" for row in range(count)])


@pytest.mark.parametrize(
    ("scale", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_alpha_is_krippendorffs_own_on_his_data(scale, published):
    found = krippendorff_alpha(FOUR_OBSERVERS, rows(12), scale=scale, how=QUICK)
    assert found.estimate == pytest.approx(published, abs=5e-4)
    assert found.n_units == 11  # the last case has one rating


def test_alpha_of_numbers_is_one_less_the_mean_square_of_pairs_over_that_of_all():
    pairs, everything = [], []
    for own in HOLED:
        told = own[np.isfinite(own)]
        if len(told) > 1:
            everything.extend(told)
            apart = (told[:, None] - told) ** 2
            pairs.append(apart.sum() / (len(told) - 1))
    every = np.array(everything)
    n = len(every)
    expected = ((every[:, None] - every) ** 2).sum() / (n * (n - 1))
    found = krippendorff_alpha(HOLED, rows(40), scale="interval", how=QUICK)
    assert found.estimate == pytest.approx(1 - sum(pairs) / n / expected)


def test_fleiss_kappa_is_that_of_statsmodels_on_cases_that_all_rated():
    table, _ = inter_rater.aggregate_raters(THREE)
    whole = fleiss_kappa(THREE, rows(40), how=QUICK)
    assert whole.estimate == pytest.approx(inter_rater.fleiss_kappa(table))
    complete = np.isfinite(HOLED).all(axis=1)
    table, _ = inter_rater.aggregate_raters(HOLED[complete])
    found = fleiss_kappa(HOLED, rows(40), how=QUICK)
    assert found.estimate == pytest.approx(inter_rater.fleiss_kappa(table))
    assert found.n_units == complete.sum()


@pytest.mark.parametrize("weighting", ["nominal", "linear", "quadratic"])
def test_weighted_kappa_is_that_of_scikit_learn(weighting):
    first, second = THREE[:, 0].tolist(), THREE[:, 1].tolist()
    both = grades(first, second, [1, 2, 3, 4, 5])  # nobody gave a 5
    found = weighted_kappa(both, rows(40), weighting=weighting, how=QUICK)
    weights = None if weighting == "nominal" else weighting
    assert found.estimate == pytest.approx(
        cohen_kappa_score(first, second, labels=[1, 2, 3, 4, 5], weights=weights)
    )
    if weighting == "quadratic":
        assert found == quadratic_kappa(both, rows(40), QUICK)


def test_icc_is_that_of_shrout_and_fleiss():
    assert icc(SIX_TARGETS, rows(6), how=QUICK).estimate == pytest.approx(0.290, abs=5e-4)
    mean = icc(SIX_TARGETS, rows(6), mean=True, how=QUICK).estimate
    assert mean == pytest.approx(0.620, abs=5e-4)
    shifted = icc(SIX_TARGETS + 1e6, rows(6), how=QUICK).estimate
    assert shifted == pytest.approx(0.2897638)


def test_ninety_percent_agreement_can_be_no_better_than_chance():
    # 18 cases yes and yes, one each yes and no: chance alone agrees in 0.95^2 + 0.05^2 = 0.905.
    table = np.array([[1, 1]] * 18 + [[1, 0], [0, 1]], float)
    assert raw_agreement(table, rows(20), how=QUICK).estimate == pytest.approx(0.9)
    fleiss = fleiss_kappa(table, rows(20), how=QUICK).estimate
    assert fleiss == pytest.approx((0.9 - 0.905) / (1 - 0.905))
    # Gwet's chance is 2 x 0.95 x 0.05 = 0.095.
    first = gwet_ac(table, rows(20), [0, 1], how=QUICK).estimate
    assert first == pytest.approx((0.9 - 0.095) / (1 - 0.095))


def test_gwets_second_coefficient_weighs_grades_by_their_distance():
    # Grades 0, 1, 2 with linear weights 1, 1/2, 0: pairs (0, 1), (2, 2), and one rating alone.
    table = np.array([[0, 1], [2, 2], [1, NONE]])
    seen = (0.5 + 1) / 2
    share = np.array([0.5, 1.5, 1]) / 3
    guess = (3 + 4 * 0.5) / (3 * 2) * (share * (1 - share)).sum()
    found = gwet_ac(table, rows(3), [0, 1, 2], weighting="linear", how=QUICK).estimate
    assert found == pytest.approx((seen - guess) / (1 - guess))


SPREAD = np.array([0.05, 0.15, 0.2, 0.2, 0.2, 0.15, 0.05])
"""Of grades 1 to 5 that are one off with probability 1/4 each way."""
OFF = [
    # ICC: 2 / (2 + 0.5), the variance of the cases by that of all; kappa: readers agree in
    # 1/16 + 1/4 + 1/16, by chance in the sum of squares. Alpha of numbers is the ICC of many cases.
    pytest.param(
        False, [0.8, (0.375 - (SPREAD**2).sum()) / (1 - (SPREAD**2).sum()), 0.8], id="free"
    ),
    pytest.param(True, [0.828, 0.349, 0.836], id="within the scale"),
]


@pytest.mark.parametrize(("within", "expected"), OFF)
def test_readers_who_differ_by_a_grade_agree_on_the_order_and_not_on_the_names(within, expected):
    random = np.random.default_rng(0)
    true = random.integers(1, 6, size=(5000, 1))
    off = random.choice([-1, 0, 1], p=[0.25, 0.5, 0.25], size=(5000, 4))
    table = ((true + off).clip(1, 5) if within else true + off).astype(float)
    alpha = KrippendorffAlpha(table, scale="ordinal" if within else "interval")
    found = [float(f(np.ones((1, 5000)))[0]) for f in (alpha, FleissKappa(table), Icc(table))]
    assert found == pytest.approx(expected, abs=0.035 if within else 0.015)


MADE = [
    pytest.param(lambda table: KrippendorffAlpha(table), id="alpha"),
    pytest.param(lambda table: KrippendorffAlpha(table, scale="nominal"), id="nominal alpha"),
    pytest.param(lambda table: FleissKappa(table), id="Fleiss"),
    pytest.param(lambda table: GwetAC(table, [1, 2, 3, 4], weighting="quadratic"), id="Gwet"),
    pytest.param(lambda table: Icc(table), id="ICC of one"),
    pytest.param(lambda table: Icc(table, mean=True), id="ICC of the mean"),
    pytest.param(
        lambda table: WeightedKappa(grades(*table[:, :2].T.tolist(), [1, 2, 3, 4])), id="Cohen"
    ),
]


@pytest.mark.parametrize("make", MADE)
def test_whole_weights_are_repeated_cases(make):
    weights = np.random.default_rng(1).integers(0, 4, size=40)
    repeated = make(np.repeat(HOLED, weights, axis=0))(np.ones((1, weights.sum())))
    assert np.isfinite(repeated).all()
    assert make(HOLED)(weights[None].astype(float)) == pytest.approx(repeated)


@pytest.mark.parametrize("make", [MADE[n] for n in (0, 1, 2, 4, 5, 6)])
def test_without_variation_there_is_no_agreement_to_speak_of(make):
    assert np.isnan(make(np.full((6, 3), 2.0))(np.ones((1, 6)))).all()


@pytest.mark.parametrize("make", MADE)
def test_without_a_pair_of_ratings_there_is_no_number(make):
    alone = np.array([[1.0, NONE, NONE], [NONE, 3.0, NONE]])
    assert np.isnan(make(alone)(np.ones((1, 2)))).all()


def test_an_icc_of_the_mean_has_no_number_where_its_variance_is_not_above_zero():
    # All case means are 1.5 and all reader means too: MSR = MSC = 0, so -MSE / (-MSE / 6) = 6.
    opposed = np.array([[1.0, 2], [2, 1]] * 3)
    found = icc(opposed, rows(6), mean=True, how=QUICK)
    assert found.estimate is None
    assert "cases differ less than the readers' errors" in str(found.reason)
    # That of one reader is -MSE / (MSE - 2 MSE / 6).
    assert icc(opposed, rows(6), how=QUICK).estimate == pytest.approx(-6 / (6 - 2))


def test_alpha_of_many_different_numbers_needs_no_table_of_pairs():
    numbers = np.random.default_rng(5).normal(size=(200, 1)) + RANDOM.normal(0, 1e-3, (200, 2))
    tracemalloc.start()
    found = [
        krippendorff_alpha(numbers, rows(200), scale=s).estimate for s in ("interval", "ordinal")
    ]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == pytest.approx([1, 1], abs=1e-3)
    assert peak < 80e6  # 2000 resamples of 200 rows; tables of all pairs of labels take 2.5 GB


def test_tables_without_a_case_have_no_number():
    empty = np.empty((0, 3))
    found = [ask(empty, rows(0), how=QUICK) for ask in (krippendorff_alpha, fleiss_kappa, icc)]
    assert [one.estimate for one in found] == [None] * 3
    assert all("no case" in str(one.reason) or "two cases" in str(one.reason) for one in found)


def test_one_case_has_no_icc():
    assert np.isnan(Icc(SIX_TARGETS[:1])(np.ones((1, 1)))).all()


def test_the_patient_is_drawn_with_all_cases():
    patients = units_of([f"P{row // 2}" for row in range(40)])
    found = krippendorff_alpha(np.repeat(THREE[:20], 2, axis=0), patients)
    assert (found.unit, found.n_units) == ("patient", 20)
    assert found.low is not None
    assert found.estimate is not None
    assert found.low < found.estimate < found.high


WRONG = [
    pytest.param(lambda: icc(THREE[:, :1], rows(40)), "two readers or more", id="one reader"),
    pytest.param(lambda: raw_agreement(THREE[:, :1], rows(40)), "two readers", id="one column"),
    pytest.param(lambda: gwet_ac(THREE, rows(40), [1, 2, 3]), "not all among", id="no label"),
    pytest.param(lambda: gwet_ac(THREE * 0, rows(40), [0]), "two labels", id="one label"),
    pytest.param(
        lambda: gwet_ac(THREE, rows(40), [1, 2, 2, 3, 4]), "labels must be different", id="twice"
    ),
    pytest.param(
        lambda: krippendorff_alpha(THREE, rows(40), scale="ratio"), "scale must be", id="scale"
    ),
    pytest.param(
        lambda: gwet_ac(THREE, rows(40), [1, 2, 3, 4], weighting="cubic"),
        "weighting must be one of nominal, linear, quadratic, but is 'cubic'",
        id="weighting",
    ),
]


@pytest.mark.parametrize(("call", "why"), WRONG)
def test_wrong_calls_say_what_is_wrong(call, why):
    with pytest.raises(ValueError, match=why):
        call()
