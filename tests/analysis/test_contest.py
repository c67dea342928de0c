"""Several methods, several measures: against SciPy and statsmodels, and by hand."""

import numpy as np
import pytest
import scipy
from statsmodels.stats.multitest import multipletests

from foveal.analysis import Bootstrap, mean_intervals, units_of
from foveal.analysis.contest import compare_measures
from foveal.analysis.shift import hodges_lehmann

QUICK = Bootstrap(resamples=200)


@pytest.fixture(scope="module")
def cohort():
    """40 patients of two eyes, three methods, three measures of which the last shows nothing."""
    random = np.random.default_rng(3)
    patients = np.repeat(random.normal(size=(40, 1)), 2, axis=0)
    tables = {
        name: patients + random.normal(size=(80, 3)) * 0.5 + effect * np.arange(3)
        for name, effect in (("srg", 0.4), ("iou", 0.2), ("aopc", 0.0))
    }
    tables["iou"][4] = np.nan
    return tables, units_of([f"P{row // 2}" for row in range(80)])


def test_tests_are_those_of_scipy_on_means_by_patient(cohort):
    tables, units = cohort
    found = compare_measures(tables, units, names=["a", "b", "c"], how=QUICK)
    p = {}
    for name, table in tables.items():
        kept = np.isfinite(table).all(axis=1)
        means = np.array([table[(units.codes == u) & kept].mean(axis=0) for u in range(40)])
        chi = scipy.stats.friedmanchisquare(*means.T).statistic
        f = 39 * chi / (40 * 2 - chi)
        p[name] = scipy.stats.f.sf(f, 2, 78)
        assert found[name].p == pytest.approx(p[name])
        pairs = [
            scipy.stats.wilcoxon(means[:, b] - means[:, a], zero_method="pratt").pvalue
            for a, b in ((0, 1), (0, 2), (1, 2))
        ]
        assert [pair.p for pair in found[name].pairs] == pytest.approx(pairs)
        holm = multipletests(pairs, method="holm")[1]
        assert [pair.p_adjusted for pair in found[name].pairs] == pytest.approx(holm)
    across = multipletests(list(p.values()), method="holm")[1]
    assert [contest.p_adjusted for contest in found.values()] == pytest.approx(across)


def test_means_medians_and_counts_are_of_each_method_by_itself(cohort):
    tables, units = cohort
    found = compare_measures(tables, units, names=["a", "b", "c"], how=QUICK)
    for name, table in tables.items():
        alone = mean_intervals(table, units, QUICK)
        for standing, column, mean in zip(found[name].standings, table.T, alone, strict=True):
            ends = (standing.mean.estimate, standing.mean.low, standing.mean.high)
            assert ends == pytest.approx((mean.estimate, mean.low, mean.high))
            assert standing.median == pytest.approx(np.nanmedian(column))
            assert standing.valid == np.isfinite(column).sum()


def test_ranks_are_of_patients_and_follow_the_direction():
    # Two patients, the first with two eyes: means 1, 2, 3 and 3, 1, 1.
    table = np.array([[0.0, 2, 3], [2, 2, 3], [3, 1, 1]])
    units = units_of(["P1", "P1", "P2"])
    ranks = {}
    for name, higher in (("up", {"m": True}), ("down", {"m": False}), ("neither", {})):
        contest = compare_measures({"m": table}, units, names="abc", higher=higher, how=QUICK)["m"]
        ranks[name] = [standing.rank for standing in contest.standings]
    assert ranks["up"] == [2, 2.25, 1.75]
    assert ranks["down"] == [2, 1.75, 2.25]
    assert ranks["neither"] == [None, None, None]


FEW = [
    pytest.param([["P1"] * 4, 3], "1 patient with a number of every", id="one patient"),
    pytest.param([["P1", "P1", "P2", "P2"], 1], "one method only", id="one method"),
    pytest.param([[None] * 4, 3], None, id="images as the unit"),
]


@pytest.mark.parametrize(("given", "says"), FEW)
def test_where_nothing_can_be_tested_the_reason_is_there(given, says):
    patients, methods = given
    table = np.random.default_rng(0).normal(size=(4, methods))
    units = units_of(patients, None, [f"I{n}" for n in range(4)])
    names = [str(n) for n in range(methods)]
    contest = compare_measures({"m": table}, units, names=names, how=QUICK)["m"]
    assert (contest.reason or "").startswith(says or "")
    assert (contest.p is None) == (says is not None)


@pytest.mark.parametrize("others", [1, 2, 3])
def test_a_method_without_a_single_number_takes_no_test_from_the_others(others):
    table = np.random.default_rng(2).normal(size=(12, others)) + np.arange(others)
    units = units_of([f"P{n}" for n in range(12)])
    names = ["abc"[n] for n in range(others)]
    alone = compare_measures({"m": table}, units, names=names, how=QUICK)["m"]
    with_blank = np.insert(table, 1, np.nan, axis=1)
    names.insert(1, "blank")
    contest = compare_measures({"m": with_blank}, units, names=names, how=QUICK)["m"]
    blank = contest.standings[1]
    assert (blank.method, blank.mean.estimate, blank.valid, blank.median) == (
        "blank",
        None,
        0,
        None,
    )
    assert [s.method for s in contest.standings] == names
    ranked, with_rank = (
        compare_measures({"m": one}, units, names=own, higher={"m": True}, how=QUICK)["m"]
        for one, own in ((table, [n for n in names if n != "blank"]), (with_blank, names))
    )
    ranks = [standing.rank for standing in ranked.standings]
    assert [s.rank for s in with_rank.standings] == [ranks[0], None, *ranks[1:]]
    assert (contest.p, contest.pairs) == (alone.p, alone.pairs)
    assert (contest.n_units, contest.reason) == (alone.n_units, alone.reason)
    assert contest.notes == (*alone.notes, "without a number, and left out: blank")


@pytest.mark.parametrize(("patients", "tested"), [(1, False), (14, False), (15, True)])
def test_a_method_with_numbers_for_few_patients_takes_no_test_from_the_others(patients, tested):
    table = np.random.default_rng(2).normal(size=(30, 3)) + np.arange(3)
    table[patients:, 2] = np.nan
    units, asked = units_of([f"P{n}" for n in range(30)]), {"higher": {"m": True}, "how": QUICK}
    alone = compare_measures({"m": table[:, :2]}, units, names="ab", **asked)["m"]
    contest = compare_measures({"m": table}, units, names="abc", **asked)["m"]
    assert contest.n_units == (15 if tested else 30)
    assert (contest.standings[2].rank is not None) is tested
    assert contest.standings[2].mean.estimate == pytest.approx(np.nanmean(table[:, 2]))
    note = f"with a number for too few patients, and left out: c ({patients})"
    assert (note in contest.notes) is not tested
    if not tested:
        assert (contest.p, contest.pairs) == (alone.p, alone.pairs)
        assert [one.rank for one in contest.standings[:2]] == [one.rank for one in alone.standings]


def test_one_patient_gives_no_rank():
    table, units = np.array([[1.0, 2], [3, 5]]), units_of(["P1", "P1"])
    contest = compare_measures({"m": table}, units, names="ab", higher={"m": True}, how=QUICK)["m"]
    assert [standing.rank for standing in contest.standings] == [None, None]


@pytest.mark.parametrize(
    ("methods", "reason"), [(1, "one method"), (2, "no row"), (3, "0 patients")]
)
def test_without_any_number_there_is_no_test(methods, reason):
    names = [str(n) for n in range(methods)]
    table = np.full((6, methods), np.nan)
    units = units_of([f"P{n}" for n in range(6)])
    contest = compare_measures({"m": table}, units, names=names, how=QUICK)["m"]
    assert (contest.p, contest.n_units) == (None, 0)
    assert (contest.reason or "").startswith(reason)


@pytest.mark.parametrize("kind", ["normal", "ties", "heavy tails", "mostly zero"])
def test_the_shift_of_many_patients_is_the_one_that_all_pairs_give(kind):
    random = np.random.default_rng(5)
    n = 3000
    differences = {
        "normal": random.normal(size=n),
        "ties": random.integers(-3, 4, size=n) / 8,
        "heavy tails": random.standard_cauchy(size=n),
        "mostly zero": np.where(random.random(n) < 0.9, 0, random.normal(size=n)),
    }[kind]
    first, second = np.triu_indices(n)
    pairs = np.sort((differences[first] + differences[second]) / 2)
    total = len(pairs)
    k = int(n * (n + 1) / 4 + scipy.stats.norm.ppf(0.025) * np.sqrt(n * (n + 1) * (2 * n + 1) / 24))
    middle = pairs[[(total + 1) // 2 - 1, total // 2]].mean()
    found = hodges_lehmann(differences)
    assert found == pytest.approx((middle, pairs[k - 1], pairs[total - k]), abs=1e-12)
