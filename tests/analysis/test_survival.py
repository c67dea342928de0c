"""Cox's model and what a feature adds: other libraries, closed forms, slow twins, coverage."""

from math import exp, log, sqrt

import numpy as np
import pytest
from statsmodels.duration.hazard_regression import PHReg

from foveal.analysis import Bootstrap, Cut, added_value, cox, units_of
from foveal.analysis.cox_fit import fit_cox, score_residuals

HOW = Bootstrap(resamples=100)


def cohort(seed, patients=100, effect=0.7, visits=False):
    """Two eyes a patient that share a frailty, censored by the end of the study."""
    random = np.random.default_rng(seed)
    rows = 2 * patients
    feature, grade = random.normal(size=rows), (random.random(rows) < 0.4).astype(float)
    frailty = np.repeat(random.normal(0, 0.7, patients), 2)
    time = 6 * random.exponential(size=rows) * np.exp(-effect * feature - 0.3 * grade - frailty)
    end = random.uniform(2, 12, rows)
    seen, time = time <= end, np.minimum(time, end)
    return (np.ceil(time) if visits else time), seen, feature, grade, units_of(np.arange(rows) // 2)


def scaled(column):
    return (column - column.mean()) / column.std(ddof=1)


@pytest.mark.parametrize("visits", [False, True], ids=["no ties", "ties"])
def test_ratios_and_likelihood_are_those_of_statsmodels(visits):
    time, seen, feature, grade, units = cohort(0, visits=visits)
    found = cox(time, seen, {"feature": feature, "grade": grade}, units)
    other = PHReg(time, np.c_[scaled(feature), grade], status=seen, ties="efron").fit(disp=False)
    np.testing.assert_allclose(found.effects, other.params, atol=1e-6)
    assert found.log_likelihood == pytest.approx(other.llf)
    ratios = [row.ratio.estimate for row in found.rows]
    np.testing.assert_allclose(ratios, np.exp(other.params), rtol=1e-6)


def test_without_ties_errors_by_patient_are_those_of_statsmodels():
    time, seen, feature, grade, units = cohort(1)
    found = cox(time, seen, {"feature": feature, "grade": grade}, units)
    early = time < time[seen].min()  # statsmodels has no residuals for rows lost before any event
    late, table = ~early, np.c_[scaled(feature), grade]
    other = PHReg(time[late], table[late], status=seen[late]).fit(
        groups=units.codes[late], disp=False
    )
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), other.bse, rtol=1e-5)


def slow_score_residuals(time, event, columns, effects):
    """Efron's increments, event by event and row by row (Therneau & Grambsch 2000)."""
    risk, parts = np.exp(columns @ effects), np.zeros_like(columns)
    for moment in np.unique(time[event]):
        tied = np.flatnonzero((time == moment) & event)
        for place in range(len(tied)):
            at_risk = np.where(time >= moment, 1.0, 0.0)
            at_risk[tied] -= place / len(tied)
            weight = at_risk * risk
            mean = weight @ columns / weight.sum()
            parts[tied] += (columns[tied] - mean) / len(tied)
            parts -= (weight / weight.sum())[:, None] * (columns - mean)
    return parts


def test_score_residuals_keep_efrons_shares_and_sum_to_nothing():
    time, seen, feature, grade, _ = cohort(2, patients=40, visits=True)
    columns = np.c_[feature, grade]
    effects = fit_cox(time, seen, columns).effects
    found = score_residuals(time, seen, columns, effects)
    np.testing.assert_allclose(found, slow_score_residuals(time, seen, columns, effects), atol=1e-9)
    np.testing.assert_allclose(found.sum(0), 0, atol=1e-6)


def test_errors_by_patient_are_near_those_of_leaving_patients_out():
    time, seen, feature, grade, units = cohort(3, visits=True)
    columns = np.c_[scaled(feature), grade]
    without = np.array(
        [
            fit_cox(time[keep], seen[keep], columns[keep]).effects
            for keep in (units.codes != one for one in range(units.count))
        ]
    )
    jackknife = np.sqrt(((without - without.mean(0)) ** 2).sum(0) * 0.99)
    found = cox(time, seen, {"feature": feature, "grade": grade}, units)
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), jackknife, rtol=0.08)


# lifelines 0.30.3: CoxPHFitter, its robust error, proportional_hazard_test(time_transform="rank").
LIFELINES = {"effect": 0.84147316, "error": 0.46194462, "robust": 0.27356097, "drift": 0.65533442}
SMALL = np.array(
    [
        [5, 1, 0.2], [8, 1, -0.9], [12, 0, -1.3], [3, 1, 1.4], [15, 1, -0.3], [9, 1, 0.8],
        [2, 1, 0.6], [20, 0, -0.5], [7, 1, 1.1], [11, 0, 0.1], [4, 1, -0.7], [18, 1, -1.6],
    ]
)  # fmt: skip


def test_numbers_of_lifelines():
    time, seen, feature = SMALL.T
    found = fit_cox(time, seen == 1, feature[:, None])
    assert found.effects[0] == pytest.approx(LIFELINES["effect"], abs=1e-5)
    assert 1 / sqrt(found.information[0, 0]) == pytest.approx(LIFELINES["error"], abs=1e-5)
    residuals = score_residuals(time, seen == 1, feature[:, None], found.effects)
    robust = sqrt((residuals**2).sum()) / found.information[0, 0]
    assert robust == pytest.approx(LIFELINES["robust"], abs=1e-5)
    (row,) = cox(time, seen, {"feature": feature}, units_of(np.arange(12))).rows
    assert row.p_drift == pytest.approx(LIFELINES["drift"], abs=1e-4)


def test_the_ratio_of_two_exponential_groups_is_that_of_their_rates():
    random = np.random.default_rng(4)
    group = np.repeat([0.0, 1.0], 4000)
    time = random.exponential(size=8000) / np.where(group == 1, 2.0, 1.0)
    (row,) = cox(time, np.ones(8000), {"group": group}, units_of(np.arange(8000))).rows
    events_a_time = [4000 / time[group == side].sum() for side in (0, 1)]
    assert row.per == "1 against 0"
    assert row.ratio.estimate == pytest.approx(events_a_time[1] / events_a_time[0], rel=0.03)
    # Of proportional groups under the alternative the error is just above sqrt(1/4000 + 1/4000).
    width = log(row.ratio.high / row.ratio.low) / (2 * 1.959964)
    assert sqrt(1 / 2000) < width < 1.15 * sqrt(1 / 2000)


def test_four_rows_by_hand():
    # x = 0, 1, 0, 1 and events at 1, 2, 3: one of the events has x = 1, so the means sum to 1.
    time, seen, group = np.array([1.0, 2, 3, 4]), np.array([1, 1, 1, 0]), np.array([0.0, 1, 0, 1])
    fit = fit_cox(time, seen == 1, group[:, None])
    u = exp(fit.effects[0])
    assert 2 * u / (2 + 2 * u) + 2 * u / (1 + 2 * u) + u / (1 + u) == pytest.approx(1)


def test_limits_are_symmetric_on_the_logarithm():
    time, seen, feature, _, units = cohort(5, patients=20)
    ratio = cox(time, seen, {"feature": feature}, units).rows[0].ratio
    assert sqrt(ratio.low * ratio.high) == pytest.approx(ratio.estimate)
    assert "t-expanded" in ratio.method


def test_intervals_by_patient_cover_where_eyes_share_a_fate():
    """Eyes share feature and frailty; the frailty bends the effect, so its truth is measured."""
    random = np.random.default_rng(6)

    def drawn(patients):
        feature, frailty = np.repeat(random.normal(size=(2, patients)), 2, axis=1)
        time = random.exponential(size=2 * patients) * np.exp(-0.5 * feature - 1.5 * frailty)
        end = random.uniform(0.5, 4, 2 * patients)
        return np.minimum(time, end), time <= end, feature

    time, seen, feature = drawn(20000)
    truth = float(fit_cox(time, seen, feature[:, None]).effects[0])
    sides = {"patient": units_of(np.arange(120) // 2), "eye": units_of(np.arange(120))}
    inside = dict.fromkeys(sides, 0)
    for _ in range(300):
        time, seen, feature = drawn(60)
        for side, units in sides.items():
            ratio = cox(time, seen, {"feature": feature}, units).rows[0].ratio
            inside[side] += ratio.low <= exp(truth * feature.std(ddof=1)) <= ratio.high
    assert 0.91 < inside["patient"] / 300 < 0.98
    assert inside["eye"] / 300 < 0.90


def test_hazards_that_cross_are_found_and_proportional_ones_are_not():
    random = np.random.default_rng(7)
    group = np.repeat([0.0, 1.0], 300)
    crossing = np.where(group == 1, random.weibull(0.5, 600), random.weibull(2.0, 600))
    steady = random.exponential(size=600) * np.exp(-0.5 * group)
    drifts = [
        cox(time, np.ones(600), {"group": group}, units).rows[0]
        for time in (crossing, steady)
        for units in (units_of(np.arange(600)), units_of(np.arange(600) // 2))
    ]
    assert [row.p_drift < 1e-6 for row in drifts] == [True, True, False, False]
    assert drifts[0].drift < -0.2
    assert drifts[2].p_drift > 0.05


def test_a_cut_says_where_it_was_chosen_and_needs_to():
    time, seen, feature, _, units = cohort(8)
    cut = Cut(at=0.4, chosen_on="the training cohort")
    found = cox(time, seen, {"feature": feature}, units, cuts={"feature": cut})
    same = cox(time, seen, {"feature": (feature >= 0.4).astype(float)}, units)
    assert found.rows[0].ratio.estimate == same.rows[0].ratio.estimate
    assert found.rows[0].per == "0.4 and above, against below"
    assert "feature is cut at 0.4, chosen on the training cohort" in found.notes
    with pytest.raises(ValueError, match="the data it was chosen on"):
        Cut(at=0.4, chosen_on=" ")
    with pytest.raises(ValueError, match="of no covariate"):
        cox(time, seen, {"feature": feature}, units, cuts={"age": cut})


def test_deaths_visits_and_few_events_are_said_in_words():
    time, seen, feature, grade, units = cohort(9, patients=8, visits=True)
    cause = seen.astype(int)
    cause[0] = 2
    visits = np.ceil(time / 4)
    notes = " | ".join(cox(visits, cause, {"feature": feature, "grade": grade}, units).notes)
    assert "1 rows ended by another cause and count as censored there (cause-specific)" in notes
    assert "as visits do" in notes
    assert "events for 2 covariates: fewer than 10 each" in notes
    assert "only 8 patients" in notes
    censored = cause.copy()
    censored[0] = 0
    dead, alive = (cox(time, c, {"feature": feature}, units).effects for c in (cause, censored))
    np.testing.assert_array_equal(dead, alive)


ROWS = np.arange(6.0)
SIX, ONE = units_of(np.arange(6)), units_of(["P"] * 6)
UNDEFINED = [
    pytest.param(ROWS, np.zeros(6), ROWS, SIX, "no row has an event", id="no event"),
    pytest.param(ROWS, np.full(6, 2), ROWS, SIX, "no row has an event", id="deaths only"),
    pytest.param(ROWS, np.ones(6), np.ones(6), SIX, "feature does not vary", id="constant"),
    pytest.param(ROWS, np.ones(6), ROWS, SIX, "no finite hazard ratio", id="separated"),
    pytest.param(ROWS, np.ones(6), ROWS % 4, ONE, "1 patient for", id="one patient"),
    pytest.param(ROWS * np.nan, np.ones(6), ROWS, SIX, "no row has a time", id="no time"),
]  # fmt: skip


@pytest.mark.parametrize(("time", "cause", "feature", "units", "reason"), UNDEFINED)
def test_what_cannot_be_fitted_has_a_reason(time, cause, feature, units, reason):
    found = cox(time, cause, {"feature": feature}, units)
    assert reason in found.reason
    assert found.rows[0].ratio.estimate is None
    assert reason in found.rows[0].ratio.reason
    assert found.rows[0].p is None
    assert np.isnan(found.score).all()
    both = added_value(time, cause, {"feature": feature}, {"other": ROWS % 3}, units, how=HOW)
    assert reason in both.reason
    assert both.p is None
    assert both.c_change.estimate is None


def test_covariates_that_say_the_same_are_refused_in_words():
    time, seen, feature, _, units = cohort(10)
    found = cox(time, seen, {"feature": feature, "again": 2 * feature + 1}, units)
    assert "collinear" in found.reason


def test_rows_without_a_number_do_not_count():
    time, seen, feature, grade, units = cohort(11)
    holed = feature.copy()
    holed[:4] = np.nan
    found = cox(time, seen, {"feature": holed, "grade": grade}, units)
    rest = units.chosen(np.arange(len(time)) >= 4)
    alone = cox(time[4:], seen[4:], {"feature": feature[4:], "grade": grade[4:]}, rest)
    assert [row.ratio.low for row in found.rows] == [row.ratio.low for row in alone.rows]
    assert "4 rows lack a covariate and do not count" in found.notes


@pytest.mark.parametrize(
    ("time", "cause", "message"),
    [
        (-ROWS, np.ones(6), "times run from baseline"),
        (ROWS, np.full(6, 0.5), "causes are 0"),
        (ROWS[:5], np.ones(6), "need the same rows"),
    ],
    ids=["negative time", "half a cause", "lengths"],
)
def test_odd_columns_are_refused(time, cause, message):
    with pytest.raises(ValueError, match=message):
        cox(time, cause, {"feature": ROWS}, SIX)


def test_what_a_feature_adds_is_tested_on_nested_models():
    time, seen, feature, grade, units = cohort(12)
    found = added_value(time, seen, {"grade": grade}, {"feature": feature}, units, how=HOW)
    table = np.c_[scaled(feature), grade]
    full, base = (
        PHReg(time, columns, status=seen).fit(disp=False).llf for columns in (table, table[:, 1:])
    )
    assert found.likelihood_ratio == pytest.approx(2 * (full - base))
    assert found.p < 1e-6
    assert found.p_wald < 1e-6
    assert found.c_change.low > 0
    noise = np.random.default_rng(13).normal(size=len(time))
    nothing = added_value(time, seen, {"feature": feature}, {"noise": noise}, units, how=HOW)
    assert nothing.p > 0.05
    assert nothing.c_change.low < 0.005


def test_a_single_covariates_wald_test_is_that_of_its_ratio():
    time, seen, feature, grade, units = cohort(14)
    found = added_value(time, seen, {"grade": grade}, {"feature": feature * 0.1}, units, how=HOW)
    assert found.p_wald == pytest.approx(found.full.rows[1].p)
    with pytest.raises(ValueError, match="must be new ones"):
        added_value(time, seen, {"grade": grade}, {"grade": grade}, units, how=HOW)
