"""Calibrators find what was planted, agree with scikit-learn, and come back from disk."""

import json

import numpy as np
import pytest
import scipy
import sklearn.isotonic
import sklearn.metrics

from foveal.analysis import (
    BayesianTemperature,
    Bootstrap,
    Deferral,
    FittedCalibrator,
    Isotonic,
    Platt,
    Temperature,
    fit_bayesian,
    fit_isotonic,
    fit_platt,
    fit_temperature,
    log_losses,
    read_calibrator,
    recalibrate,
    split_by_patient,
    units_of,
    write_calibrator,
)
from foveal.analysis.recalibration import at_edge
from foveal.core import ModelError

FITS = (fit_temperature, fit_bayesian, fit_platt, fit_isotonic)


def planted(rows, temperature, *, classes=4, seed=0):
    """Probabilities that are frequencies after division of their logarithms by a temperature."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(rows, classes)) * 2
    true = scipy.special.softmax(logits, axis=1)
    truth = np.array([random.choice(classes, p=row) for row in true])
    return scipy.special.softmax(logits * temperature, axis=1), truth


def paired(rows):
    return units_of([f"P{row // 2}" for row in range(rows)])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_planted_is_found(temperature):
    found = fit_temperature(*planted(4000, temperature)).temperature
    assert found == pytest.approx(temperature, rel=0.06)


@pytest.mark.parametrize("right", [True, False])
def test_answers_all_right_or_all_wrong_have_no_best_temperature(right):
    table = np.array([[0.9, 0.1], [0.2, 0.8]])
    assert at_edge(fit_temperature(table, np.array([0, 1] if right else [1, 0])))
    assert not at_edge(fit_temperature(*planted(300, 2)))


def test_no_other_temperature_is_likelier():
    table, truth = planted(300, 2)
    best = fit_temperature(table, truth).temperature
    losses = [
        log_losses(Temperature(temperature=t)(table), truth).mean()
        for t in (best * 0.99, best, best * 1.01)
    ]
    assert losses[1] == min(losses)


def test_temperature_keeps_the_class_and_with_two_classes_the_area_but_not_with_more():
    table, truth = planted(800, 2)
    hot = Temperature(temperature=5)(table)
    np.testing.assert_array_equal(hot.argmax(1), table.argmax(1))
    area = sklearn.metrics.roc_auc_score
    assert area(truth == 0, hot[:, 0]) != pytest.approx(area(truth == 0, table[:, 0]), abs=1e-4)
    pair, answer = planted(800, 2, classes=2)
    warm = fit_temperature(pair, answer)(pair)
    assert area(answer, warm[:, 1]) == pytest.approx(area(answer, pair[:, 1]), abs=1e-12)


def test_logits_of_40_are_not_lost():
    sure = np.array([[scipy.special.expit(-40.0), scipy.special.expit(40.0)]])
    found = Temperature(temperature=10)(sure)
    np.testing.assert_allclose(found[0, 1], scipy.special.expit(4.0), rtol=1e-12)


def test_the_posterior_narrows_with_cases_and_lies_about_the_temperature():
    few, many = (fit_bayesian(*planted(rows, 2.0)) for rows in (20, 2000))
    (a, b), (c, d) = few.interval(), many.interval()
    assert b - a > 4 * (d - c)
    assert c < 2 < d
    assert many.mean == pytest.approx(fit_temperature(*planted(2000, 2.0)).temperature, rel=0.01)


def test_the_posterior_of_one_row_is_as_by_quadrature():
    table, truth = np.array([[0.9, 0.1]]), np.array([1])
    found = fit_bayesian(table, truth)

    def mass(u):
        own = scipy.special.softmax(np.log(table) / np.exp(u), axis=1)[0, 1]
        return own * np.exp(-(u**2) / 2)

    whole = scipy.integrate.quad(mass, -4, 4)[0]
    mean = scipy.integrate.quad(lambda u: mass(u) * np.exp(u), -4, 4)[0] / whole
    assert found.mean == pytest.approx(mean, rel=1e-3)
    assert found(table)[0].sum() == pytest.approx(1)


def test_platt_finds_the_line_that_was_planted_and_stays_finite_when_classes_are_separated():
    random = np.random.default_rng(1)
    odds = random.normal(size=20000) * 2
    truth = (random.random(20000) < scipy.special.expit(0.5 * odds - 1)).astype(int)
    pair = np.stack([scipy.special.expit(-odds), scipy.special.expit(odds)], axis=1)
    found = fit_platt(pair, truth)
    assert (found.slopes[1], found.intercepts[1]) == pytest.approx((0.5, -1), abs=0.05)
    # The class 0 is the mirror of class 1, so rows sum to 1 before they are scaled.
    assert found.slopes[0] == pytest.approx(found.slopes[1], abs=1e-5)
    assert found.intercepts[0] == pytest.approx(-found.intercepts[1], abs=1e-5)
    separated = fit_platt(np.array([[0.9, 0.1], [0.1, 0.9]]), np.array([0, 1]))
    # One case and one other: the targets are 2/3 and 1/3, at log-odds of +-ln 9.
    assert separated.slopes[1] == pytest.approx(np.log(2) / np.log(9), abs=1e-5)


def test_isotonic_agrees_with_scikit_learn_also_between_the_points():
    table, truth = planted(400, 2, classes=2)
    at = np.linspace(0, 1, 101)
    other = sklearn.isotonic.IsotonicRegression(out_of_bounds="clip").fit(table[:, 1], truth)
    found = fit_isotonic(table, truth)
    ours = np.interp(at, found.points[1], found.values[1])
    np.testing.assert_allclose(ours, other.predict(at), atol=1e-9)
    np.testing.assert_allclose(found(table)[:, 1], other.predict(table[:, 1]), atol=1e-9)
    assert len(found.points[1]) < 100


@pytest.mark.parametrize("fit", FITS, ids=lambda fit: fit.__name__)
def test_calibrators_give_distributions_improve_what_they_saw_and_repeat_rows_by_weight(fit):
    table, truth = planted(300, 4)
    found = fit(table, truth)
    np.testing.assert_allclose(found(table).sum(axis=1), 1)
    assert log_losses(found(table), truth).mean() < log_losses(table, truth).mean()
    times = np.random.default_rng(2).integers(0, 3, 300)
    weighted = fit(table, truth, times.astype(float))
    again = fit(np.repeat(table, times, axis=0), np.repeat(truth, times))
    np.testing.assert_allclose(weighted(table), again(table), atol=2e-5)


@pytest.mark.parametrize("fit", FITS, ids=lambda fit: fit.__name__)
def test_nothing_to_fit_on_is_refused(fit):
    with pytest.raises(ValueError, match="needs rows with numbers"):
        fit(np.empty((0, 2)), np.empty(0, int))
    with pytest.raises(ValueError, match="leave out those without"):
        fit(np.array([[np.nan, 0.5]]), np.array([0]))


def test_a_class_held_impossible_and_other_columns_have_their_answer():
    made = Isotonic(points=((0.0, 1.0), (0.0, 1.0)), values=((0.0, 0.0), (0.0, 0.0)))
    np.testing.assert_array_equal(made(np.array([[0.3, 0.7]])), [[0.5, 0.5]])
    with pytest.raises(ValueError, match="fitted for 2 classes, but got 3"):
        Platt(slopes=(1.0, 1.0), intercepts=(0.0, 0.0))(np.ones((1, 3)) / 3)
    with pytest.raises(ValueError, match="positive"):
        Temperature(temperature=0.0)
    with pytest.raises(ValueError, match="sum to 1"):
        BayesianTemperature(temperatures=(1.0,), weights=(0.5,))


def test_a_split_parts_no_patient_and_shares_out_the_rare_grade():
    grades = np.repeat(np.r_[np.zeros(80, int), np.full(20, 3)], 2)
    grades[::2] = 0  # one eye of each patient is healthy
    fitting = split_by_patient(paired(200), share=0.3, seed=1, strata=grades)
    assert (fitting[::2] == fitting[1::2]).all()
    assert fitting[1::2].sum() == 30
    assert fitting[grades == 3].sum() == 6
    assert not np.array_equal(fitting, split_by_patient(paired(200), share=0.3, seed=2))


def test_even_two_patients_are_split_and_one_is_not():
    assert split_by_patient(paired(4), share=0.1).sum() == 2
    with pytest.raises(ValueError, match=r"two patients or more, but got 0\.5 and 1"):
        split_by_patient(paired(2))


def test_recalibration_is_judged_on_other_patients_with_both_drawn_again():
    table, truth = planted(400, 3)
    fitting = split_by_patient(paired(400), seed=3)
    found = recalibrate(
        "temperature", table, truth, paired(400), fitting, how=Bootstrap(resamples=100)
    )
    assert found.calibrator == fit_temperature(table[fitting], truth[fitting])
    assert found.same_class == 1
    loss, brier, error = (change.difference for change in found.changes)
    assert loss.high < 0
    assert brier.high < 0
    assert error.estimate < 0
    assert loss.estimate == pytest.approx(found.calibrated[0] - found.raw[0])
    raw = log_losses(table[~fitting], truth[~fitting]).mean()
    assert found.raw[0] == pytest.approx(raw)
    assert loss.n_units == len(set(np.flatnonzero(~fitting) // 2))


def test_a_patient_on_both_sides_is_refused():
    table, truth = planted(4, 1)
    with pytest.raises(ValueError, match="both fitted on and judged: 1 patient;"):
        recalibrate("platt", table, truth, paired(4), np.array([True, False, False, False]))
    with pytest.raises(ValueError, match="must be one of temperature"):
        recalibrate("hope", table, truth, paired(4), np.array([True, True, False, False]))


def fitted(calibrator, deferral=None):
    return FittedCalibrator(
        calibrator=calibrator,
        model="grader",
        fingerprint="abc",
        classes=("No DR", "Mild", "Moderate", "Severe"),
        rows=300,
        units=150,
        unit="patient",
        split="half of the patients, seed 3",
        measured={"ece": (0.2, 0.05)},
        deferral=deferral,
    )


@pytest.mark.parametrize("fit", FITS, ids=lambda fit: fit.__name__)
def test_a_calibrator_comes_back_from_disk_as_it_was(fit, tmp_path):
    deferral = Deferral(
        threshold=0.8, rule="sgr", asked=0.1, coverage=0.6, risk=0.05, rows=150, notes=("one",)
    )
    one = fitted(fit(*planted(300, 2)), deferral)
    write_calibrator(one, tmp_path / "grader.calibrator.json")
    assert read_calibrator(tmp_path / "grader.calibrator.json") == one


BAD_THRESHOLDS = [
    pytest.param({"threshold": 7}, "one of probabilities, 0 to 1, but is 7", id="above 1"),
    pytest.param({"threshold": float("nan")}, "must be a finite number, but is nan", id="nan"),
    pytest.param({"threshold": None}, "a threshold or the reason why there is none", id="none"),
    pytest.param({"threshold": "high"}, "is damaged", id="a text"),
    pytest.param({"rule": "youden"}, "rule must be one of coverage, risk, sgr", id="rule"),
]


@pytest.mark.parametrize(("changes", "says"), BAD_THRESHOLDS)
def test_a_bad_threshold_is_refused_when_it_is_read_and_not_after_the_run(changes, says, tmp_path):
    path = tmp_path / "c.json"
    deferral = Deferral(threshold=0.8, rule="sgr", asked=0.1, coverage=0.6, risk=0.05, rows=150)
    write_calibrator(fitted(Temperature(temperature=2.0), deferral), path)
    table = json.loads(path.read_text())
    table["deferral"] |= changes
    path.write_text(json.dumps(table))
    with pytest.raises(ModelError, match=says):
        read_calibrator(path)


def test_files_that_are_no_calibrator_are_named(tmp_path):
    path = tmp_path / "c.json"
    with pytest.raises(ModelError, match="cannot read the calibrator"):
        read_calibrator(path)
    path.write_text("{")
    with pytest.raises(ModelError, match="no valid JSON"):
        read_calibrator(path)
    path.write_text("[1]")
    with pytest.raises(ModelError, match="is no calibrator"):
        read_calibrator(path)
    write_calibrator(fitted(Temperature(temperature=2.0)), path)
    table = json.loads(path.read_text())
    path.write_text(json.dumps({**table, "version": 9}))
    with pytest.raises(ModelError, match="version 9"):
        read_calibrator(path)
    path.write_text(json.dumps({**table, "numbers": {}}))
    with pytest.raises(ModelError, match="Temperature lacks temperature"):
        read_calibrator(path)
    with pytest.raises(ModelError, match="cannot write"):
        write_calibrator(fitted(Temperature(temperature=2.0)), tmp_path / "none" / "c.json")
