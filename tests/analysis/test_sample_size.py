"""Sample sizes: the numbers of the formulas, and what studies of that size get."""

import numpy as np
import pytest

from foveal.analysis import (
    Auc,
    auc_error,
    design_effect,
    size_for_auc,
    size_for_paired_difference,
    size_for_proportion,
)


def test_a_sensitivity_of_090_within_5_points_needs_139_diseased():
    assert size_for_proportion(0.90, 0.05) == 139


def test_a_difference_of_half_a_standard_deviation_needs_32_patients():
    # (1.95996 + 0.84162)^2 / 0.25 = 31.4; divided by 0.95493 = 32.9
    assert size_for_paired_difference(0.5, 1.0, ranks=False) == 32
    assert size_for_paired_difference(-0.5, 1.0) == 33


def test_two_alike_eyes_count_hardly_more_than_one():
    assert design_effect(2, 0.8) == 1.8
    assert design_effect(1, 0.8) == 1
    random = np.random.default_rng(0)
    shared, own = random.normal(size=(50, 2000, 1)), random.normal(size=(50, 2000, 2))
    means = (np.sqrt(0.8) * shared + np.sqrt(0.2) * own).mean(axis=(0, 2))
    assert means.var() * 100 == pytest.approx(1.8, rel=0.1)


def test_hanley_and_mcneils_error_is_what_exponential_scores_show():
    # Their formula is exact for exponential scores: A = 1 / (1 + ratio of the means).
    random, auc = np.random.default_rng(1), 0.8
    areas = []
    truth = np.arange(100) < 40
    for _ in range(1500):
        score = random.exponential(size=100) * np.where(truth, auc / (1 - auc), 1)
        areas.append(Auc(truth, score)(np.ones((1, 100)))[0])
    assert np.mean(areas) == pytest.approx(auc, abs=0.005)
    assert np.std(areas) == pytest.approx(auc_error(auc, 40, 60), rel=0.06)


def test_the_size_for_an_auc_is_the_smallest_that_is_enough():
    cases = size_for_auc(0.9, 0.05, prevalence=0.2)
    widths = [1.959964 * auc_error(0.9, n * 0.2, n * 0.8) for n in (cases - 1, cases)]
    assert widths[0] > 0.05 >= widths[1]


WRONG = [
    pytest.param(size_for_proportion, (1.0, 0.1), "share must lie", id="share"),
    pytest.param(size_for_paired_difference, (0.0, 1.0), "must not be 0", id="no difference"),
    pytest.param(design_effect, (0.5, 0.5), "1 or more", id="half an eye"),
    pytest.param(auc_error, (0.8, 0, 10), "both kinds", id="no positives"),
    pytest.param(size_for_auc, (0.5, 2.0), "half_width must lie", id="half width"),
]


@pytest.mark.parametrize(("function", "arguments", "message"), WRONG)
def test_impossible_wishes_are_refused(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)
