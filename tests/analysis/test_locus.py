"""Frequencies of loci: two-by-two tables, Holm, chance, coverage, frozen cut-points."""

import sys
from math import log, sqrt

import numpy as np
import pytest

from foveal.analysis import (
    Bootstrap,
    Tertiles,
    holm,
    locus_frequency,
    signal_tertiles,
    units_of,
    wilson,
)
from foveal.core import FovealError

HOW = Bootstrap(resamples=100)
# Of 40 progressors 30 are hot, of 60 others 15.
HOT = np.r_[np.ones(30), np.zeros(10), np.ones(15), np.zeros(45)]
TRUTH = np.r_[np.ones(40), np.zeros(60)]
ALONE = units_of(np.arange(100))


def test_with_one_eye_a_patient_the_odds_ratio_is_the_two_by_two_tables():
    (found,) = locus_frequency({"fovea": HOT}, TRUTH, ALONE, how=HOW)
    half = 1.959964 * sqrt(1 / 30 + 1 / 10 + 1 / 15 + 1 / 45)  # Woolf 1955
    assert found.odds_ratio.estimate == pytest.approx(30 * 45 / (10 * 15))
    assert log(found.odds_ratio.high / found.odds_ratio.low) / 2 == pytest.approx(half, rel=1e-4)
    assert sqrt(found.odds_ratio.low * found.odds_ratio.high) == pytest.approx(9)
    assert (found.progressors.low, found.progressors.high) == wilson(30, 40)
    assert (found.others.estimate, found.chance) == (0.25, None)


def test_two_equal_eyes_a_patient_are_worth_one():
    twice = np.arange(200) // 2
    (once,) = locus_frequency({"fovea": HOT}, TRUTH, ALONE, how=HOW)
    (both,) = locus_frequency({"fovea": HOT[twice]}, TRUTH[twice], units_of(twice), how=HOW)
    assert both.odds_ratio.estimate == pytest.approx(once.odds_ratio.estimate)
    assert both.odds_ratio.low == pytest.approx(once.odds_ratio.low)


def test_p_values_are_adjusted_over_the_loci():
    random = np.random.default_rng(0)
    hot = {"fovea": HOT, **{f"locus {n}": random.integers(0, 2, 100) * 1.0 for n in range(3)}}
    found = locus_frequency(hot, TRUTH, ALONE, how=HOW)
    assert [locus.p_adjusted for locus in found] == holm([locus.p for locus in found])
    assert found[0].p_adjusted == pytest.approx(4 * found[0].p)


def test_chance_is_subtracted_eye_by_eye():
    thick = np.full(100, 0.45)
    hot = {"fovea": HOT, "choroid": HOT}
    placed = {"fovea": np.full(100, 0.1), "choroid": thick}
    rare, wide = locus_frequency(hot, TRUTH, ALONE, chance=placed, how=HOW)
    assert rare.chance.difference.estimate == pytest.approx(0.35)
    assert rare.chance.p_adjusted < 0.001
    assert wide.chance.difference.estimate == pytest.approx(0)
    assert wide.chance.difference.low < 0 < wide.chance.difference.high
    assert wide.chance.p > 0.5


def test_intervals_by_patient_cover_where_eyes_agree():
    random, inside = np.random.default_rng(1), {"patient": 0, "eye": 0}
    sides = {"patient": units_of(np.arange(160) // 2), "eye": units_of(np.arange(160))}
    truth = np.repeat(np.arange(80) < 32, 2).astype(float)
    for _ in range(80):
        odds = np.where(truth[::2] == 1, 0.6, 0.3)
        hot = np.repeat(random.random(80) < odds, 2)
        other = random.random(160) < np.repeat(odds, 2)
        hot = np.where(np.repeat(random.random(80) < 0.8, 2), hot, other) * 1.0
        for side, units in sides.items():
            (found,) = locus_frequency({"fovea": hot}, truth, units, how=HOW)
            inside[side] += found.odds_ratio.low <= 1.5 / (3 / 7) <= found.odds_ratio.high
    assert inside["patient"] / 80 > 0.90
    assert inside["eye"] / 80 < 0.90


def test_few_patients_widen_the_ratio_and_are_said():
    rows = np.r_[0:8, 25:30, 38:46, 60:64]
    (found,) = locus_frequency({"fovea": HOT[rows]}, TRUTH[rows], ALONE.chosen(rows), how=HOW)
    hot, truth = HOT[rows] == 1, TRUTH[rows] == 1
    table = [(hot & truth).sum(), (~hot & truth).sum(), (hot & ~truth).sum(), (~hot & ~truth).sum()]
    woolf = 1.959964 * sqrt(sum(1 / cell for cell in table))
    assert log(found.odds_ratio.high / found.odds_ratio.low) / 2 > 1.05 * woolf
    assert "Mancl-DeRouen" in found.odds_ratio.method
    assert "only 25 patients" in found.odds_ratio.notes[0]


UNDEFINED = [
    pytest.param(HOT, TRUTH, units_of(["P"] * 100), "1 patient", id="one patient"),
    pytest.param(HOT, TRUTH * 0, ALONE, "no eyes that progressed", id="no progressors"),
    pytest.param(HOT, TRUTH * 0 + 1, ALONE, "no eyes that stayed", id="progressors only"),
    pytest.param(HOT * 0, TRUTH, ALONE, "none of the eyes that progressed", id="never hot"),
    pytest.param(TRUTH, TRUTH, ALONE, "all of the eyes that progressed", id="separated"),
    pytest.param(
        HOT, TRUTH, units_of(np.r_[[0] * 40, 1:61]), "only one patient has", id="one progressor"
    ),
    pytest.param(HOT * np.nan, TRUTH, ALONE, "0 patients", id="not seen"),
]


@pytest.mark.parametrize(("hot", "truth", "units", "reason"), UNDEFINED)
def test_what_has_no_odds_has_a_reason(hot, truth, units, reason):
    (found,) = locus_frequency({"fovea": hot}, truth, units, how=HOW)
    assert found.odds_ratio.estimate is None
    assert reason in found.odds_ratio.reason
    assert (found.p, found.p_adjusted) == (None, None)


def test_a_locus_that_was_not_seen_does_not_count():
    holed = HOT.copy()
    holed[:10] = np.nan
    (found,) = locus_frequency({"fovea": holed}, TRUTH, ALONE, how=HOW)
    assert found.progressors.estimate == pytest.approx(20 / 30)
    assert found.odds_ratio.n_units == 90


@pytest.mark.parametrize(
    ("hot", "chance", "message"),
    [
        ({"fovea": HOT * 2}, None, "fovea must be 0 or 1"),
        ({"fovea": HOT[:5]}, None, "as many rows as have a unit"),
        ({}, None, "give loci"),
        ({"fovea": HOT}, {"disc": HOT}, "chance is of"),
        ({"fovea": HOT}, {"fovea": HOT * 2}, "chance of fovea must be a share"),
    ],
    ids=["2", "rows", "none", "other loci", "chance of 2"],
)
def test_odd_tables_are_refused(hot, chance, message):
    with pytest.raises(ValueError, match=message):
        locus_frequency(hot, TRUTH, ALONE, chance=chance, how=HOW)


def test_without_statsmodels_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels.genmod.families", None)
    with pytest.raises(FovealError, match=r"foveal\[stats\]"):
        locus_frequency({"fovea": HOT}, TRUTH, ALONE, how=HOW)


def test_tertiles_are_frozen():
    values = np.arange(1.0, 10)
    cuts = signal_tertiles(values, units_of(np.arange(9)))
    assert (cuts.low, cuts.high) == pytest.approx((1 + 8 / 3, 1 + 16 / 3))
    assert cuts.names(values) == ["low"] * 3 + ["medium"] * 3 + ["high"] * 3
    assert cuts.names(np.array([100.0, np.nan, cuts.low])) == ["high", None, "medium"]
    assert cuts.n_units == 9


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([1.0, np.nan, 2]), "three numbers or more"),
        (np.array([0, 0, 0, 0, 1.0]), "where most eyes have one value"),
        (np.arange(4.0), "rows have a unit"),
    ],
    ids=["two numbers", "ties", "rows"],
)
def test_three_groups_that_cannot_be_made_are_refused(values, message):
    units = units_of(np.arange(5 if len(values) == 4 else len(values)))
    with pytest.raises(ValueError, match=message):
        signal_tertiles(values, units)


def test_cut_points_rise():
    with pytest.raises(ValueError, match="rising"):
        Tertiles(low=1, high=1, n_units=3)
