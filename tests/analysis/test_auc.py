"""Areas under ROC curves: counts by hand, the slow forms of the papers, and scikit-learn."""

import numpy as np
import pytest
import scipy
from sklearn.metrics import roc_auc_score

from foveal.analysis import Auc, Bootstrap, MacroAuc, auc, compare_auc, interval, units_of


def patients(count):
    return units_of([f"P{row}" for row in range(count)])


def drawn(seed, rows=60):
    """Yes or no, and two scores with ties that know something of it."""
    random = np.random.default_rng(seed)
    truth = random.random(rows) < 0.4
    return truth, *(np.round(2 * random.normal(truth * 1.2, 1, size=rows)) for _ in range(2))


def slow_delong(truth, scores):
    """Covariance of areas from all pairs, as DeLong et al. write it."""
    kernel = [
        (np.subtract.outer(s[truth], s[~truth]) > 0)
        + 0.5 * (np.subtract.outer(s[truth], s[~truth]) == 0)
        for s in scores
    ]
    rows = np.array([k.mean(1) for k in kernel])
    columns = np.array([k.mean(0) for k in kernel])
    return np.cov(rows) / truth.sum() + np.cov(columns) / (~truth).sum()


def test_the_area_is_mann_and_whitneys_and_scikit_learns():
    truth, score, _ = drawn(0)
    found = auc(truth, score, patients(60))
    wins = scipy.stats.mannwhitneyu(score[truth], score[~truth]).statistic
    assert found.estimate == pytest.approx(wins / (truth.sum() * (~truth).sum()))
    assert found.estimate == pytest.approx(roc_auc_score(truth, score))
    assert Auc(truth, score)(np.ones((1, 60))) == pytest.approx(found.estimate)


def test_the_interval_is_delongs_on_the_logit_scale():
    truth, score, _ = drawn(1)
    found = auc(truth, score, patients(60))
    area, error = found.estimate, np.sqrt(slow_delong(truth, [score, score])[0, 0])
    half = 1.959964 * error / (area * (1 - area))
    logit = np.log(area / (1 - area))
    expected = 1 / (1 + np.exp(-(logit + np.array([-half, half]))))
    np.testing.assert_allclose((found.low, found.high), expected, rtol=1e-6)
    assert found.method == "DeLong 1988"


def test_two_scores_are_compared_with_delongs_covariance():
    truth, first, second = drawn(2)
    found = compare_auc(truth, first, second, patients(60))
    covariance = slow_delong(truth, [first, second])
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert found.p == pytest.approx(2 * scipy.stats.norm.sf(abs(found.difference.estimate) / error))
    width = found.difference.high - found.difference.low
    assert width == pytest.approx(2 * 1.959964 * error)


def test_eyes_that_repeat_each_other_are_no_new_evidence():
    truth, score, _ = drawn(3)
    once = auc(truth, score, patients(60))
    twice = auc(np.repeat(truth, 2), np.repeat(score, 2), units_of(np.repeat(np.arange(60), 2)))
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high))
    assert twice.method == "Obuchowski 1997 by patient"


def test_the_clustered_error_is_that_of_resampled_patients():
    random = np.random.default_rng(4)
    patient = np.repeat(np.arange(150), 2)
    # Some patients have one sick and one healthy eye.
    truth = random.random(300) < np.repeat(random.choice([0.1, 0.5, 0.9], 150), 2)
    score = truth + np.repeat(random.normal(size=150), 2) + 0.5 * random.normal(size=300)
    closed = auc(truth, score, units_of(patient))
    drawn_ = interval(Auc(truth, score), units_of(patient), Bootstrap(kind="percentile"))
    np.testing.assert_allclose((closed.low, closed.high), (drawn_.low, drawn_.high), atol=0.012)


@pytest.mark.parametrize(
    ("score", "estimate"),
    [
        pytest.param(np.arange(20.0), 1.0, id="perfect"),
        pytest.param(-np.arange(20.0), 0.0, id="reversed"),
        pytest.param(np.zeros(20), 0.5, id="constant"),
    ],
)
def test_without_spread_the_interval_is_newcombes(score, estimate):
    found = auc(np.arange(20) >= 10, score, patients(20))
    assert found.estimate == estimate
    assert any("Newcombe" in note for note in found.notes)
    # The limits are where |A - estimate| = z se(A), with his error for 10 and 10.
    for limit in {found.low, found.high} - {0.0, 1.0}:
        part = 1 + 9 * (1 - limit) / (2 - limit) + 9 * limit / (1 + limit)
        error = np.sqrt(limit * (1 - limit) * part / 100)
        assert abs(limit - estimate) == pytest.approx(1.959964 * error)


def test_a_perfect_score_of_many_patients_is_surer_than_of_few():
    low = [auc(np.arange(n) >= n / 2, np.arange(float(n)), patients(n)).low for n in (10, 100)]
    assert 0.5 < low[0] < low[1] < 1


NOTHING = [
    pytest.param([True] * 3, [1.0, 2.0, 3.0], None, "one class only", id="one class"),
    pytest.param([True, False], [np.nan, 1.0], None, "one class only", id="NaN leaves one class"),
    pytest.param([True, False, False], [3.0, 1.0, 2.0], 1.0, "only one patient has positive",
                 id="one positive"),
    pytest.param([], [], None, "one class only", id="no rows"),
]  # fmt: skip


@pytest.mark.parametrize(("truth", "score", "estimate", "reason"), NOTHING)
def test_an_area_without_both_classes_has_a_reason(truth, score, estimate, reason):
    truth, score = np.array(truth, dtype=bool), np.array(score)
    found = auc(truth, score, patients(len(truth)))
    assert found.estimate == estimate
    assert reason in found.reason
    paired = compare_auc(truth, score, score, patients(len(truth)))
    assert paired.p is None
    assert reason in paired.difference.reason


def test_scores_that_order_alike_do_not_differ():
    truth, score, _ = drawn(5)
    found = compare_auc(truth, score, np.exp(score), patients(60))
    assert (found.difference.estimate, found.p) == (0, 1)


def test_rows_without_a_score_are_counted():
    truth, score, _ = drawn(6)
    score[:3] = np.nan
    found = auc(truth, score, patients(60))
    assert found.n_units == 57
    assert "3 of 60 rows lack truth or score and do not count" in found.notes


@pytest.mark.parametrize(("kind", "name"), [("one-vs-rest", "ovr"), ("one-vs-one", "ovo")])
def test_several_classes_have_scikit_learns_macro_area(kind, name):
    random = np.random.default_rng(7)
    truth = random.integers(0, 3, size=90)
    scores = random.dirichlet(np.ones(3), size=90) + 0.5 * np.eye(3)[truth]
    scores /= scores.sum(1, keepdims=True)
    made = MacroAuc(truth.tolist(), scores, [0, 1, 2], kind=kind)(np.ones((1, 90)))
    assert made == pytest.approx(roc_auc_score(truth, scores, multi_class=name))
    # A temperature keeps each row's order of classes, yet changes the areas over rows.
    missing = MacroAuc(truth.tolist(), scores[:, [0, 1, 2, 0]], [0, 1, 2, 3], kind=kind)
    assert np.isnan(missing(np.ones((1, 90)))).all()


def test_a_wrong_call_is_refused():
    with pytest.raises(ValueError, match="need the same rows"):
        auc(np.ones(3, bool), np.ones(2), patients(3))
    with pytest.raises(ValueError, match="among the labels"):
        MacroAuc([0, 5], np.ones((2, 2)), [0, 1])
    with pytest.raises(ValueError, match="kind must be"):
        MacroAuc([0, 1], np.ones((2, 2)), [0, 1], kind="macro")
