"""Tables with one patient, one class, holes or repeats have defined answers: docs/bad-input.md."""

import numpy as np
import pytest

from foveal.analysis import (
    Auc,
    Bootstrap,
    Mean,
    Spearman,
    accuracy,
    auc,
    aurc,
    class_table,
    compare_auc,
    compare_many,
    compare_two,
    conf_loc_corr,
    grades,
    interval,
    macro_f1,
    mean_intervals,
    mixed_model,
    quadratic_kappa,
    rates,
    recalibrate,
    split_by_patient,
    subgroup_table,
    units_of,
)

HOW = Bootstrap(resamples=100)
VALUES = np.arange(6.0)
SCORE = np.array([0.1, 0.9, 0.3, 0.8, 0.2, 0.4])
TRUTH = np.array([0, 1, 0, 1, 0, 1])
SICK = np.ones(6, int)
HOLED = np.array([1, np.nan, 3, 4, 5, 6.0])
BOTH = np.c_[1 - SCORE, SCORE]
THREE = np.c_[VALUES, VALUES + 1, VALUES * 2]
ONE = units_of(["P1"] * 6)
SIX = units_of([f"P{number}" for number in range(6)])
ONLY_ONE = "one patient only"

ONE_PATIENT = [
    pytest.param(lambda: interval(Mean(VALUES), ONE, HOW), ONLY_ONE, id="mean"),
    pytest.param(lambda: mean_intervals(THREE, ONE, HOW)[0], ONLY_ONE, id="table of means"),
    pytest.param(lambda: accuracy(grades(TRUTH, SICK, [0, 1]), ONE, HOW), ONLY_ONE, id="accuracy"),
    pytest.param(
        lambda: quadratic_kappa(grades(TRUTH, TRUTH, [0, 1]), ONE, HOW), ONLY_ONE, id="kappa"
    ),
    pytest.param(lambda: rates(TRUTH, SICK, ONE, HOW)["sensitivity"], ONLY_ONE, id="sensitivity"),
    pytest.param(lambda: aurc(SCORE, 1.0 - TRUTH, ONE, how=HOW), ONLY_ONE, id="risk-coverage"),
    pytest.param(lambda: conf_loc_corr(SCORE, VALUES, ONE, how=HOW).all, ONLY_ONE, id="confidence"),
    pytest.param(lambda: auc(TRUTH, SCORE, ONE), "only one patient has positive rows", id="AUC"),
    pytest.param(
        lambda: compare_two(VALUES, VALUES + 1, ONE).difference,
        "at 95 %: 1 patient",
        id="two",
    ),
    pytest.param(
        lambda: subgroup_table(Mean(VALUES), list("aabbaa"), ONE, how=HOW)[0].estimate,
        "too few: 1 patient",
        id="subgroup",
    ),
]


@pytest.mark.parametrize(("ask", "reason"), ONE_PATIENT)
def test_one_patient_gives_a_number_without_an_interval(ask, reason):
    found = ask()
    assert found.estimate is not None
    assert (found.low, found.high) == (None, None)
    assert reason in found.reason


def test_one_patient_gives_no_test():
    assert compare_two(VALUES, VALUES + 1, ONE).p is None
    assert compare_auc(TRUTH, SCORE, 1 - SCORE, ONE).p is None
    family = compare_many(THREE, ONE, names=["a", "b", "c"])
    assert family.p is None
    assert "ranks need two or more" in family.reason
    with pytest.raises(ValueError, match="two patients or more"):
        split_by_patient(ONE)


ONE_CLASS = [
    pytest.param(lambda: auc(SICK, SCORE, SIX), "one class only", id="AUC"),
    pytest.param(
        lambda: interval(Auc(SICK == 1, SCORE), SIX, HOW), "one class only", id="as drawn"
    ),
    pytest.param(
        lambda: compare_auc(SICK, SCORE, 1 - SCORE, SIX).difference, "one class only", id="two AUC"
    ),
    pytest.param(
        lambda: quadratic_kappa(grades(SICK, SICK, [0, 1]), SIX, HOW),
        "one and the same grade",
        id="kappa",
    ),
    pytest.param(
        lambda: rates(SICK, SICK, SIX, HOW)["specificity"], "no row has a number", id="specificity"
    ),
    pytest.param(
        lambda: class_table(grades(SICK, SICK, [0, 1]), SIX, HOW)[0].recall,
        "no row has a number",
        id="recall of the other class",
    ),
]


@pytest.mark.parametrize(("ask", "reason"), ONE_CLASS)
def test_one_class_gives_a_reason_where_two_are_needed(ask, reason):
    found = ask()
    assert found.estimate is None
    assert reason in found.reason


def test_one_class_is_said_where_the_rest_has_a_number():
    told = macro_f1(grades(SICK, SICK, [0, 1]), SIX, HOW)
    assert told.estimate == 1
    assert "without an F1, and left out: 0" in told.notes
    with pytest.raises(ValueError, match="of one class"):
        recalibrate("temperature", BOTH, SICK, SIX, np.arange(6) < 3, how=HOW)


def test_rows_without_a_number_do_not_count_and_are_told():
    assert interval(Mean(HOLED), SIX, HOW).estimate == pytest.approx(3.8)
    assert mean_intervals(HOLED[:, None], SIX, HOW)[0].notes[-1].startswith("1 of 6 rows have no")
    two = compare_two(HOLED, VALUES, SIX).difference
    assert (two.estimate, two.n_units) == (-1, 5)
    assert "1 of 6 rows lack a number and do not count" in two.notes
    assert compare_many(np.c_[THREE, HOLED], SIX, names=list("abcd")).n_units == 5
    told = quadratic_kappa(grades([0, 1, None, 0, 1, np.nan], TRUTH, [0, 1]), SIX, HOW)
    assert "2 of 6 rows lack a label and do not count" in told.notes
    assert interval(Spearman(HOLED, VALUES), SIX, HOW).n_units == 5
    assert interval(Mean(HOLED * np.nan), SIX, HOW).reason == "no row has a number"


def test_a_missing_truth_is_not_a_positive_one():
    truth = np.array([0, 1, 0, 1, 0, np.nan])
    without = auc(truth[:5], SCORE[:5], units_of([f"P{number}" for number in range(5)]))
    found = auc(truth, SCORE, SIX)
    assert (found.estimate, found.low, found.high) == (without.estimate, without.low, without.high)
    assert "1 of 6 rows lack truth or score and do not count" in found.notes
    with pytest.raises(ValueError, match="0 or 1"):
        auc(TRUTH + 1, SCORE, SIX)


@pytest.mark.parametrize("missing", [None, float("nan"), ""])
def test_without_patients_the_eye_then_the_image_is_the_unit(missing):
    eyes, images = ["e1", "e1", "e2", "e3"], list("abcd")
    by_eye = units_of([missing] * 4, eyes, images)
    assert (by_eye.unit, by_eye.count) == ("eye", 3)
    by_image = units_of([missing] * 4, [missing] * 4, images)
    assert (by_image.unit, by_image.count) == ("image", 4)
    told = interval(Mean(VALUES[:4]), by_image, HOW)
    assert told.unit == "image"
    assert "no patient ids: each image counts as one, so intervals may be too narrow" in told.notes


def test_a_mixed_model_says_why_it_has_no_answer():
    pytest.importorskip("statsmodels", reason="mixed models are fitted by statsmodels")
    (found,) = mixed_model(VALUES, list("ababab"), ONE)
    assert "1 patient" in found.difference.reason
