"""Classification: scikit-learn and statsmodels as oracles, counts by hand, and empty classes."""

import numpy as np
import pytest
from sklearn import metrics
from statsmodels.stats.proportion import proportion_confint

from foveal.analysis import (
    Bootstrap,
    accuracy,
    class_table,
    confusion_matrix,
    grade_error,
    grades,
    macro_f1,
    mcnemar,
    proportion,
    quadratic_kappa,
    rates,
    units_of,
    wilson,
)

FEW = Bootstrap(resamples=200)
LABELS = (0, 1, 2, 3, 4)


def patients(count):
    return units_of([f"P{row}" for row in range(count)])


def graded(seed, rows=80):
    random = np.random.default_rng(seed)
    truth = random.integers(0, 5, size=rows)
    return truth, np.clip(truth + random.integers(-1, 2, size=rows), 0, 4)


def test_the_numbers_of_a_report_are_scikit_learns():
    truth, said = graded(0)
    both, units = grades(truth, said, LABELS), patients(80)
    np.testing.assert_array_equal(confusion_matrix(both), metrics.confusion_matrix(truth, said))
    found = {
        "kappa": quadratic_kappa(both, units, FEW),
        "accuracy": accuracy(both, units, FEW),
        "f1": macro_f1(both, units, FEW),
        "error": grade_error(both, units, FEW),
    }
    expected = {
        "kappa": metrics.cohen_kappa_score(truth, said, weights="quadratic"),
        "accuracy": metrics.accuracy_score(truth, said),
        "f1": metrics.f1_score(truth, said, average="macro"),
        "error": np.abs(truth - said).mean(),
    }
    assert {name: one.estimate for name, one in found.items()} == pytest.approx(expected)
    assert all(one.low < one.estimate < one.high for one in found.values())
    precision, recall, f1, support = metrics.precision_recall_fscore_support(truth, said)
    table = class_table(both, units, FEW)
    assert [row.support for row in table] == support.tolist()
    for name, values in (("precision", precision), ("recall", recall), ("f1", f1)):
        assert [getattr(row, name).estimate for row in table] == pytest.approx(values.tolist())


KAPPAS = [
    pytest.param([0, 1, 2, 3], [2, 2, 2, 2], 0.0, id="constant prediction"),
    pytest.param([0, 1, 2, 3], [0, 1, 2, 3], 1.0, id="perfect"),
    pytest.param([0, 0, 4, 4], [4, 4, 0, 0], -1.0, id="turned round"),
    pytest.param([1, 1, 1], [1, 1, 1], None, id="one grade throughout"),
    # O: one disagreement by 1 of 4; E: sum over margins (3/4 1/2 + 1/4 1/2) = 1/2.
    pytest.param([0, 0, 0, 1], [0, 0, 1, 1], 1 - (1 / 4) / (1 / 2), id="by hand"),
]


@pytest.mark.parametrize(("truth", "said", "expected"), KAPPAS)
def test_kappa_of_small_tables(truth, said, expected):
    found = quadratic_kappa(grades(truth, said, LABELS), patients(len(truth)), FEW)
    assert found.estimate == (None if expected is None else pytest.approx(expected))


def test_kappa_takes_places_in_the_full_list_and_not_in_what_occurs():
    # Grades 0, 1 and 4 occur. Packed to 0, 1, 2 the distance of 1 and 4 would shrink.
    truth, said = [0, 1, 4, 4, 0, 1], [1, 1, 4, 1, 0, 1]
    full = quadratic_kappa(grades(truth, said, LABELS), patients(6), FEW).estimate
    packed = quadratic_kappa(grades(truth, said, (0, 1, 4)), patients(6), FEW).estimate
    places = np.arange(5)
    seen = metrics.confusion_matrix(truth, said, labels=places)
    w = (places[:, None] - places) ** 2
    expected = np.outer(seen.sum(1), seen.sum(0)) / seen.sum()
    assert full == pytest.approx(1 - (w * seen).sum() / (w * expected).sum())
    assert abs(full - packed) > 0.01


def test_a_class_that_does_not_occur_is_missing_and_not_zero():
    both = grades(["a", "b", "b", "a"], ["a", "b", "a", "a"], ["a", "b", "c"])
    row = class_table(both, patients(4), FEW)[2]
    assert (row.precision.estimate, row.recall.estimate, row.f1.estimate) == (None, None, None)
    found = macro_f1(both, patients(4), FEW)
    assert found.estimate == pytest.approx((2 * 2 / 5 + 2 * 1 / 3) / 2)
    assert any("left out: c" in note for note in found.notes)


def test_labels_that_are_missing_are_counted():
    found = accuracy(grades([0, 1, None, 1.0], [0, 0, 1, np.nan], (0, 1)), patients(4))
    assert (found.estimate, found.n_units) == (0.5, 2)
    assert "2 of 4 rows lack a label and do not count" in found.notes


@pytest.mark.parametrize(("hits", "cases"), [(0, 10), (7, 10), (10, 10), (450, 500)])
def test_wilsons_interval_is_statsmodels(hits, cases):
    expected = proportion_confint(hits, cases, method="wilson")
    np.testing.assert_allclose(wilson(hits, cases), expected, atol=1e-12)
    ones = np.repeat([1.0, 0.0], [hits, cases - hits])
    found = proportion(ones, patients(cases))
    assert (found.low, found.high, found.method) == (*wilson(hits, cases), "Wilson")


def test_rates_of_a_table_by_hand():
    # 8 of 10 sick are found, 15 of 20 healthy let go.
    truth = np.repeat([1, 0], [10, 20])
    said = np.repeat([1, 0, 1, 0], [8, 2, 5, 15])
    found = rates(truth, said, patients(30))
    shares = {name: estimate.estimate for name, estimate in found.items()}
    assert shares == pytest.approx(
        {"sensitivity": 0.8, "specificity": 0.75, "ppv": 8 / 13, "npv": 15 / 17}
    )
    assert found["sensitivity"].n_units == 10


def test_two_eyes_widen_the_interval_of_a_rate():
    truth, said = np.ones(200), np.repeat(np.arange(100) < 80, 2).astype(float)
    by_eye = rates(truth, said, units_of([None] * 200))["sensitivity"]
    by_patient = rates(truth, said, units_of(np.arange(200) // 2))["sensitivity"]
    ratio = (by_patient.high - by_patient.low) / (by_eye.high - by_eye.low)
    assert ratio == pytest.approx(np.sqrt(2), rel=0.1)


def test_a_perfect_rate_of_two_eyes_counts_patients():
    found = rates(np.ones(40), np.ones(40), units_of(np.arange(40) // 2))
    sensitivity = found["sensitivity"]
    assert (sensitivity.low, sensitivity.high) == wilson(20, 20)
    assert any("Wilson's interval for 20 cases" in note for note in sensitivity.notes)
    assert found["specificity"].estimate is None
    assert found["specificity"].reason == "no row has a number"


def test_mcnemars_exact_test_is_the_binomial_of_the_rows_that_differ():
    first = np.repeat([True, True, False], [10, 3, 12])
    second = np.repeat([True, False, True], [10, 3, 12])
    found = mcnemar(first, second, patients(25))
    # 2 sum_(k <= 3) C(15, k) / 2^15 = 2 (1 + 15 + 105 + 455) / 32768
    assert found.p == pytest.approx(1152 / 32768)
    assert found.difference.estimate == pytest.approx(9 / 25)


def test_mcnemars_clustered_test_finds_too_much_no_more_often_than_it_may():
    random, units, false = np.random.default_rng(8), units_of(np.arange(120) // 2), []
    for _ in range(300):
        shared = np.repeat(random.normal(size=(60, 2)), 2, axis=0)
        right = shared + 0.5 * random.normal(size=(120, 2)) > 0
        false.append(mcnemar(right[:, 0], right[:, 1], units, how=FEW).p < 0.05)
    assert 0.02 <= np.mean(false) <= 0.08


@pytest.mark.parametrize(
    ("rows", "codes", "p"),
    [
        pytest.param(4, [0, 1, 2, 3], 1.0, id="no difference"),
        pytest.param(4, [0, 0, 1, 1], 1.0, id="no difference between eyes"),
        pytest.param(2, [0, 0], None, id="one patient"),
        pytest.param(0, [], None, id="no rows"),
    ],
)
def test_mcnemar_without_evidence(rows, codes, p):
    same = np.ones(rows, bool)
    assert mcnemar(same, same, units_of(codes)).p == p


WRONG = [
    pytest.param(lambda: grades([0], [7], (0, 1)), "not among the labels", id="unknown label"),
    pytest.param(lambda: grades([0], [0], (0,)), "two or more", id="one label"),
    pytest.param(lambda: grades([0], [0, 1], (0, 1)), "1 true labels", id="lengths"),
    pytest.param(
        lambda: rates(np.array([1.0]), np.array([0.7]), patients(1)), "threshold", id="a score"
    ),
    pytest.param(
        lambda: mcnemar(np.ones(2, bool), np.ones(1, bool), patients(2)), "paired", id="unpaired"
    ),
    pytest.param(lambda: wilson(3, 2), "between 0 and the cases", id="too many hits"),
]


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_a_wrong_call_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
