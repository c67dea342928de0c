"""Sizes of agreement studies: published ones, and what studies of that size get."""

import numpy as np
import pytest
import scipy

from foveal.analysis import (
    FleissKappa,
    KrippendorffAlpha,
    size_for_agreement,
    size_for_icc,
    size_for_icc_above,
)
from foveal.analysis.anova import mean_squares

SHARES = (0.5, 0.3, 0.2)
ANSWERS = ((0.8, 0.2, 0.0), (0.2, 0.6, 0.2), (0.0, 0.2, 0.8))


def test_an_icc_of_08_of_two_readers_within_a_tenth_needs_bonetts_55_cases():
    # 50.8 by the formula; plus 5 x 0.8, his correction for two readers.
    assert size_for_icc(0.8, 0.1, readers=2) == 55
    assert size_for_icc(0.8, 0.1, readers=4) == 31  # 8 z^2 0.04 (3.4)^2 / (12 x 0.04) + 1 = 30.6


def test_walters_number_of_cases_has_the_power_that_was_asked_for():
    cases = size_for_icc_above(0.8, 0.6, readers=3)
    random = np.random.default_rng(0)
    case, own = random.normal(size=(2000, cases, 1)), random.normal(size=(2000, cases, 3))
    tables = np.sqrt(0.8) * case + np.sqrt(0.2) * own
    between = 3 * tables.mean(axis=2).var(axis=1, ddof=1)
    within = tables.var(axis=2, ddof=1).mean(axis=1)
    critical = (1 + 3 * 0.6 / 0.4) * scipy.stats.f.isf(0.05, cases - 1, 2 * cases)
    assert np.mean(between / within > critical) == pytest.approx(0.8, abs=0.035)


def test_the_expected_width_of_the_icc_is_the_one_that_was_asked_for():
    cases = size_for_icc(0.7, 0.1, readers=3)
    random = np.random.default_rng(1)
    found = []
    for _ in range(1500):
        noise = np.sqrt(0.3) * random.normal(size=(cases, 3))
        parts = mean_squares(np.sqrt(0.7) * random.normal(size=(cases, 1)) + noise)
        found.append((parts.rows - parts.left) / (parts.rows + 2 * parts.left))
    assert 1.96 * np.std(found) == pytest.approx(0.1, rel=0.07)


@pytest.mark.parametrize("coefficient", [KrippendorffAlpha, FleissKappa])
def test_studies_of_the_simulated_size_are_as_sure_as_was_asked(coefficient):
    found = size_for_agreement(coefficient, SHARES, ANSWERS, 0.1, readers=3, studies=300)
    assert found.half_width == pytest.approx(0.1, rel=0.15)
    again = size_for_agreement(coefficient, SHARES, ANSWERS, 0.1, readers=3, studies=300, seed=1)
    assert again.cases == pytest.approx(found.cases, rel=0.25)


def test_the_simulated_kappa_is_that_of_the_answers():
    found = size_for_agreement(FleissKappa, SHARES, ANSWERS, 0.1, readers=3, studies=300)
    said = np.array(ANSWERS)
    alike = (np.array(SHARES) * (said**2).sum(axis=1)).sum()
    chance = ((np.array(SHARES) @ said) ** 2).sum()
    assert found.agreement == pytest.approx((alike - chance) / (1 - chance), abs=0.02)


WRONG = [
    pytest.param(lambda: size_for_icc(1.0, 0.1, readers=2), "icc must lie", id="icc"),
    pytest.param(lambda: size_for_icc(0.8, 0.1, readers=1), "two readers", id="one reader"),
    pytest.param(lambda: size_for_icc_above(0.6, 0.6, readers=2), "above the least", id="least"),
    pytest.param(
        lambda: size_for_agreement(FleissKappa, SHARES, ANSWERS[:2], 0.1, readers=2),
        "each of the 3 kinds",
        id="answers",
    ),
    pytest.param(
        lambda: size_for_agreement(FleissKappa, (0.5, 0.6), np.eye(2).tolist(), 0.1, readers=2),
        "sum to 1",
        id="shares",
    ),
    pytest.param(
        lambda: size_for_agreement(FleissKappa, (1.0,), ((1.0, 0.0),), 0.1, readers=2, studies=9),
        "missing or always the same",
        id="no spread",
    ),
    pytest.param(
        lambda: size_for_agreement(
            FleissKappa, (0.5, 0.5), np.eye(2).tolist(), 0.1, readers=2, studies=9
        ),
        "missing or always the same",
        id="all agree",
    ),
]


@pytest.mark.parametrize(("ask", "message"), WRONG)
def test_impossible_wishes_are_refused(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()
