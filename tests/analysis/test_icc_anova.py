"""The closed interval of the ICC: published limits, and how often it holds the truth."""

import numpy as np
import pytest

from foveal.analysis import icc, icc_anova, units_of
from foveal.analysis.anova import mean_squares

SIX_TARGETS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)
"""Shrout & Fleiss 1979, table 2."""
PUBLISHED = [
    # R packages irr (type agreement) and psych (ICC2, ICC2k).
    pytest.param(False, 0.290, 0.019, 0.761, id="one reader"),
    pytest.param(True, 0.620, 0.071, 0.927, id="mean of four"),
]


def patients(count):
    return units_of([f"P{row}" for row in range(count)])


@pytest.mark.parametrize(("mean", "value", "low", "high"), PUBLISHED)
def test_the_limits_of_shrout_and_fleiss_targets_come_back(mean, value, low, high):
    found = icc_anova(SIX_TARGETS, patients(6), mean=mean)
    assert found.estimate == pytest.approx(icc(SIX_TARGETS, patients(6), mean=mean).estimate)
    assert [found.estimate, found.low, found.high] == pytest.approx([value, low, high], abs=6e-4)


def test_mean_squares_are_those_of_the_paper():
    found = mean_squares(SIX_TARGETS + 1e6)
    squares = [found.rows, found.columns, found.left]
    assert squares == pytest.approx([11.24, 32.49, 1.02], abs=0.005)
    assert found.freedom == 15


def test_the_interval_speaks_of_other_readers_and_nearly_holds_95_percent():
    # 92.5 % of 2000 tables; the bootstrap, which keeps these four readers, holds 80 %.
    random = np.random.default_rng(0)
    held = []
    for _ in range(600):
        table = random.normal(0, 1, (30, 1)) + random.normal(0, 0.4, (1, 4))
        found = icc_anova(table + random.normal(0, 0.5, (30, 4)), patients(30))
        held.append(found.low < 1 / 1.41 < found.high)
    assert np.mean(held) == pytest.approx(0.925, abs=0.03)


def test_a_case_that_a_reader_left_out_does_not_count():
    holed = np.vstack([SIX_TARGETS, [1, np.nan, 2, 3]])
    found = icc_anova(holed, patients(7))
    assert (found.low, found.n_units) == (icc_anova(SIX_TARGETS, patients(6)).low, 6)


def test_two_eyes_of_a_patient_have_no_closed_interval():
    found = icc_anova(SIX_TARGETS, units_of(["A", "A", "B", "B", "C", "C"]))
    assert found.low is None
    assert found.estimate is not None
    assert found.reason == "a patient has several cases, which are not independent: use icc"


NONE = [
    pytest.param(np.ones((4, 2)), False, "all numbers are the same", id="no spread"),
    pytest.param(np.arange(4.0)[:, None] + [[0, 0]], False, "same numbers", id="readers alike"),
    pytest.param(np.array([[1.0, 3], [3, 1]] * 3), False, "the same mean", id="equal means"),
    pytest.param(np.array([[1.0, 2], [2, 1.5], [1, 2]]), True, "no bound", id="cases near alike"),
    pytest.param(np.array([[1.0, 2], [2, 1]] * 3), True, "readers' errors", id="cases alike"),
]


@pytest.mark.parametrize(("table", "mean", "reason"), NONE)
def test_what_nothing_is_known_of_has_no_limits(table, mean, reason):
    found = icc_anova(table, patients(len(table)), mean=mean)
    assert found.low is None
    assert reason in str(found.reason)


def test_a_table_of_one_row_has_no_analysis_of_variance():
    with pytest.raises(ValueError, match="2 x 2 table"):
        mean_squares(SIX_TARGETS[:1])
