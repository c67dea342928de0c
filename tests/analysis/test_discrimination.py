"""Discrimination and net benefit under censoring: closed forms, slow twins, coverage."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from foveal.analysis import AucAt, Bootstrap, UnoC, auc_at, decision_curve, units_of, uno_c
from foveal.analysis.follow_up import observed_share

HOW = Bootstrap(resamples=100)


def cohort(seed, rows=80, visits=False):
    random = np.random.default_rng(seed)
    score = np.round(random.normal(size=rows), 1)  # with ties
    time, end = 5 * random.exponential(size=rows) * np.exp(-score), random.uniform(1, 10, rows)
    seen, time = time <= end, np.minimum(time, end)
    return (np.ceil(time) if visits else time), seen, score, units_of(np.arange(rows) // 2)


def slow_observed_share(time, event, moment):
    share = 1.0
    for one in np.unique(time[time < moment]):
        at_risk = (time >= one).sum() - ((time == one) & event).sum()
        lost = ((time == one) & ~event).sum()
        share *= 1 - lost / at_risk if at_risk else 1
    return share


def slow_c(time, event, score, power, horizon=np.inf):
    """Pairs one by one; power 2 is Uno's, 0 Harrell's."""
    right = pairs = 0.0
    for i in np.flatnonzero(event & (time <= horizon)):
        weight = slow_observed_share(time, event, time[i]) ** -power
        for j in range(len(time)):
            if time[j] > time[i] or (time[j] == time[i] and not event[j]):
                pairs += weight
                right += weight * ((score[i] > score[j]) + (score[i] == score[j]) / 2)
    return right / pairs


@pytest.mark.parametrize("visits", [False, True], ids=["no ties", "ties"])
@pytest.mark.parametrize("horizon", [None, 4.0], ids=["all", "to a horizon"])
def test_unos_c_is_its_slow_twin(visits, horizon):
    time, seen, score, units = cohort(0, visits=visits)
    found = uno_c(time, seen, score, units, horizon=horizon, how=HOW)
    assert found.estimate == pytest.approx(slow_c(time, seen, score, 2, horizon or np.inf))
    assert found.low < found.estimate < found.high
    assert found.n_units == 40


def test_without_censoring_unos_c_is_harrells():
    time, _, score, units = cohort(1)
    everyone = np.ones(80, bool)
    found = uno_c(time, everyone, score, units, how=HOW)
    assert found.estimate == pytest.approx(slow_c(time, everyone, score, 0))


def test_weights_are_repeated_rows():
    time, seen, score, _ = cohort(2, rows=30, visits=True)
    times = np.random.default_rng(3).integers(0, 4, 30)
    again = np.repeat(np.arange(30), times)
    for make in (UnoC, AucAt):
        horizon = {"horizon": 4.0}
        whole = make(time, seen, score, units_of(np.arange(30)), **horizon)
        copied = make(time[again], seen[again], score[again], units_of(again), **horizon)
        one = np.ones((1, len(again)))
        np.testing.assert_allclose(whole(times[None].astype(float)), copied(one))


def test_memory_of_pairs_is_cut_into_blocks(monkeypatch):
    time, seen, score, units = cohort(4)
    whole = UnoC(time, seen, score, units)(np.ones((2, 80)))
    monkeypatch.setattr("foveal.analysis.discrimination._BLOCK", 7 * 80)
    np.testing.assert_allclose(UnoC(time, seen, score, units)(np.ones((2, 80))), whole)


def test_the_share_still_followed_is_that_of_kaplan_and_meier():
    time, seen, _, _ = cohort(5, visits=True)
    found = observed_share(time, seen, np.ones((1, 80)))[0]
    slow = [slow_observed_share(time, seen, moment) for moment in time]
    np.testing.assert_allclose(found, slow)


def test_without_censoring_the_area_at_a_horizon_is_the_plain_one():
    time, _, score, units = cohort(6)
    found = auc_at(time, np.ones(80), score, units, horizon=3, how=HOW)
    assert found.estimate == pytest.approx(roc_auc_score(time <= 3, score))


def test_rows_followed_just_to_the_horizon_count_as_free():
    time, _, score, units = cohort(7)
    seen, stopped = time <= 3, np.minimum(time, 3)
    found = auc_at(stopped, seen, score, units, horizon=3, how=HOW)
    assert found.estimate == pytest.approx(roc_auc_score(seen, score))


def test_the_area_at_a_horizon_is_its_slow_twin():
    time, seen, score, units = cohort(8, visits=True)
    right = pairs = 0.0
    for i in np.flatnonzero(seen & (time <= 4)):
        weight = 1 / slow_observed_share(time, seen, time[i])
        for j in np.flatnonzero((time > 4) | ((time == 4) & ~seen)):
            pairs += weight
            right += weight * ((score[i] > score[j]) + (score[i] == score[j]) / 2)
    found = auc_at(time, seen, score, units, horizon=4, how=HOW)
    assert found.estimate == pytest.approx(right / pairs)


def test_intervals_by_patient_cover_the_area_of_the_uncensored():
    random = np.random.default_rng(9)

    def drawn(patients):
        score = np.repeat(random.normal(size=patients), 2)
        fate = np.repeat(random.normal(0, 0.5, patients), 2)
        time = 5 * random.exponential(size=2 * patients) * np.exp(-score - fate)
        return time, random.exponential(8, 2 * patients), score

    time, _, score = drawn(100000)
    truth, inside = roc_auc_score(time <= 3, score), 0
    how = Bootstrap(resamples=200)
    for _ in range(200):
        time, end, score = drawn(120)
        units = units_of(np.arange(240) // 2)
        found = auc_at(np.minimum(time, end), time <= end, score, units, horizon=3, how=how)
        inside += found.low <= truth <= found.high
    assert 0.90 < inside / 200 <= 0.99


def test_censoring_does_not_move_unos_c_as_it_moves_harrells():
    """Two risk groups whose hazards cross at 1: what is seen later tells less."""
    random = np.random.default_rng(10)
    group = np.repeat([0.0, 1.0], 2000)
    time = random.weibull(np.where(group == 1, 0.7, 2.0))
    end = random.exponential(0.8, 4000)
    seen, kept = time <= end, np.minimum(time, end)
    units, everyone = units_of(np.arange(4000)), np.ones(4000)
    whole = UnoC(time, everyone, group, units, horizon=1.5)(np.ones((1, 4000)))[0]
    found = UnoC(kept, seen, group, units, horizon=1.5)(np.ones((1, 4000)))[0]
    harrell = slow_vector_c(kept, seen, group, 1.5)
    assert abs(found - whole) < 0.02
    assert abs(harrell - whole) > 0.04


def slow_vector_c(time, event, score, horizon):
    right = pairs = 0.0
    for i in np.flatnonzero(event & (time <= horizon)):
        later = time > time[i]
        pairs += later.sum()
        right += (later * ((score[i] > score) + (score[i] == score) / 2)).sum()
    return right / pairs


ROWS = np.arange(1.0, 7)
SIX, ONE = units_of(np.arange(6)), units_of(["P"] * 6)
SEEN = np.array([1, 0, 1, 0, 1, 0])
SOME = np.array([0.1, 0.9, 0.3, 0.8, 0.2, 0.4])
UNDEFINED = [
    pytest.param(ROWS, SEEN * 0, SOME, SIX, "event", id="no event"),
    pytest.param(ROWS, SEEN * 2, SOME, SIX, "event", id="deaths only"),
    pytest.param(ROWS * np.nan, SEEN, SOME, SIX, "no row has a time", id="no time"),
    pytest.param(ROWS, SEEN, SOME * np.nan, SIX, "a cause and a score", id="no score"),
]


@pytest.mark.parametrize(("time", "cause", "score", "units", "reason"), UNDEFINED)
def test_what_is_not_known_has_a_reason(time, cause, score, units, reason):
    for found in (
        uno_c(time, cause, score, units, how=HOW),
        auc_at(time, cause, score, units, horizon=4, how=HOW),
    ):
        assert found.estimate is None
        assert reason in found.reason


def test_a_horizon_that_nobody_reaches_has_no_area_and_no_benefit():
    area = auc_at(ROWS, SEEN, SOME, SIX, horizon=9, how=HOW)
    assert area.reason == "no row is followed to 9 without an event"
    (row,) = decision_curve(ROWS, SEEN, SOME, SIX, horizon=9, thresholds=[0.2], how=HOW)
    for found in (row.model, row.everybody, row.gain):
        assert found.estimate is None
        assert found.reason == "no row is followed to 9 without an event"


def test_one_patient_has_a_number_without_an_interval():
    for found in (
        uno_c(ROWS, SEEN, SOME, ONE, how=HOW),
        auc_at(ROWS, SEEN, SOME, ONE, horizon=4, how=HOW),
        decision_curve(ROWS, SEEN, SOME, ONE, horizon=4, thresholds=[0.2], how=HOW)[0].model,
    ):
        assert found.estimate is not None
        assert found.low is None
        assert "one patient only" in found.reason


def test_deaths_and_repeated_eyes_are_said():
    units = units_of(["A", "A", "B", "B", "C", "C"], ["A1", "A1", "B1", "B2", "C1", "C2"])
    notes = uno_c(ROWS, np.array([1, 0, 2, 0, 1, 0]), SOME, units, how=HOW).notes
    assert any("ended by another cause" in note for note in notes)
    assert any("1 rows repeat an eye" in note for note in notes)


def test_without_censoring_net_benefit_is_counted():
    time, _, score, units = cohort(11)
    risk = 1 / (1 + np.exp(-score))
    (row,) = decision_curve(time, np.ones(80), risk, units, horizon=3, thresholds=[0.3], how=HOW)
    case, alarm = time <= 3, risk >= 0.3
    counted = np.mean(case & alarm) - np.mean(~case & alarm) * 0.3 / 0.7
    everybody = np.mean(case) - np.mean(~case) * 0.3 / 0.7
    assert row.model.estimate == pytest.approx(counted)
    assert row.everybody.estimate == pytest.approx(everybody)
    assert row.gain.estimate == pytest.approx(counted - max(everybody, 0))
    assert row.gain.low < row.gain.estimate < row.gain.high


def test_with_censoring_acting_on_everybody_is_kaplan_and_meiers_risk():
    time, seen, _, units = cohort(12, visits=True)
    free = 1.0
    for moment in np.unique(time[seen & (time <= 4)]):
        free *= 1 - ((time == moment) & seen).sum() / (time >= moment).sum()
    risk = np.full(80, 0.5)
    rows = decision_curve(time, seen, risk, units, horizon=4, thresholds=[0.2, 0.6], how=HOW)
    assert rows[0].model.estimate == pytest.approx((1 - free) - free * 0.25)
    assert rows[0].model.estimate == rows[0].everybody.estimate
    assert rows[1].model.estimate == pytest.approx(0)  # nobody is acted upon


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"thresholds": [0.0]}, "thresholds must lie between 0 and 1"),
        ({"thresholds": []}, "thresholds must lie between 0 and 1"),
        ({"risk": SOME * 3}, "a risk must lie in"),
        ({"horizon": 0}, "the horizon must be a time above 0"),
    ],
    ids=["threshold 0", "no threshold", "risk above 1", "horizon 0"],
)
def test_odd_arguments_are_refused(change, message):
    given = {"risk": SOME, "horizon": 4, "thresholds": [0.2], **change}
    with pytest.raises(ValueError, match=message):
        decision_curve(ROWS, SEEN, given.pop("risk"), SIX, how=HOW, **given)
