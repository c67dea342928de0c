"""Paired comparisons: against other libraries, slow twins and counts by hand."""

import sys
from itertools import product

import numpy as np
import pytest
import scipy
from statsmodels.stats.multitest import multipletests

from foveal.analysis import (
    benjamini_hochberg,
    compare_many,
    compare_two,
    hodges_lehmann,
    holm,
    mixed_model,
    sign_flip,
    units_of,
)
from foveal.core import FovealError


def patients(count):
    return units_of([f"P{row}" for row in range(count)])


def every_pair_mean(differences):
    n = len(differences)
    return np.sort([(differences[i] + differences[j]) / 2 for i in range(n) for j in range(i, n)])


def test_patients_are_compared_by_scipys_wilcoxon_of_their_mean_differences():
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 60))
    second[:20] = first[:20]  # zeros
    units = units_of(np.arange(60) // 2)
    found = compare_two(first, second, units, names=("a", "b"))
    means = (second - first).reshape(30, 2).mean(1)
    assert found.p == scipy.stats.wilcoxon(means, zero_method="pratt").pvalue
    assert found.difference.n_units == 30
    assert found.difference.estimate == pytest.approx(np.median(every_pair_mean(means)))


def test_wilcoxon_on_eyes_finds_too_much_and_on_patients_does_not():
    random, false = np.random.default_rng(1), {"patient": 0, "image": 0}
    by_patient, by_image = units_of(np.arange(80) // 2), units_of([None] * 80)
    for _ in range(200):
        difference = np.repeat(random.normal(size=40), 2) + 0.5 * random.normal(size=80)
        for units in (by_patient, by_image):
            false[units.unit] += compare_two(np.zeros(80), difference, units).p < 0.05
    assert false["patient"] / 200 < 0.085
    assert false["image"] / 200 > 0.10


@pytest.mark.parametrize("n", [1, 2, 6, 25, 60], ids=str)
@pytest.mark.parametrize("rounded", [False, True], ids=["continuous", "with ties and zeros"])
def test_hodges_lehmann_is_the_median_of_all_pair_means(n, rounded):
    differences = np.random.default_rng(n).normal(size=n)
    if rounded:
        differences = np.round(differences)
    pairs = every_pair_mean(differences)
    estimate, low, high = hodges_lehmann(differences)
    assert estimate == pytest.approx(np.median(pairs), abs=1e-12)
    if low is not None:
        # The limits are pair means, as many in from either end.
        below, above = (pairs < low - 1e-9).sum(), (pairs > high + 1e-9).sum()
        assert abs(pairs - low).min() < 1e-12
        assert rounded or below == above


def test_the_limits_are_where_the_exact_test_turns():
    differences = np.random.default_rng(3).normal(0.3, 1, size=12)
    _, low, high = hodges_lehmann(differences)
    for limit, outward in ((low, -1), (high, 1)):
        kept = scipy.stats.wilcoxon(differences - limit + 1e-9 * outward).pvalue
        lost = scipy.stats.wilcoxon(differences - limit - 1e-9 * outward).pvalue
        assert lost <= 0.05 < kept


def test_five_differences_have_no_interval_at_95_percent():
    # The most extreme of 2^5 signs has probability 1/32 on each side.
    assert hodges_lehmann(np.arange(1.0, 6.0)) == (3.0, None, None)
    assert hodges_lehmann(np.arange(1.0, 6.0), level=0.9)[1:] == (1.0, 5.0)
    assert hodges_lehmann(np.empty(0)) == (None, None, None)


def test_many_patients_need_no_table_of_pairs():
    differences = np.random.default_rng(4).normal(0.1, 1, size=20_000)
    estimate, low, high = hodges_lehmann(differences)
    # For normal differences the limits are z sd sqrt(pi / 3) / sqrt(n) away.
    half = 1.96 * np.sqrt(np.pi / 3 / 20_000)
    assert (estimate - low, high - estimate) == pytest.approx((half, half), rel=0.05)


def test_sign_flips_of_few_patients_are_all_counted():
    differences = np.array([1.0, 2.0, 3.0, -0.5, 2.5])
    sums = [abs(np.dot(signs, differences)) for signs in product((-1, 1), repeat=5)]
    expected = np.mean(np.array(sums) >= abs(differences.sum()) - 1e-9)
    assert sign_flip(np.zeros(5), differences, patients(5)) == expected


def test_drawn_sign_flips_agree_with_scipys_permutation_test():
    differences = np.random.default_rng(5).normal(0.3, 1, size=40)
    other = scipy.stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=9999,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    found = sign_flip(np.zeros(40), differences, patients(40))
    assert found == pytest.approx(other.pvalue, abs=0.01)


def test_friedman_becomes_iman_and_davenports_f():
    values = np.random.default_rng(6).normal(size=(20, 4)) + np.array([0, 0, 0.5, 1])
    found = compare_many(values, patients(20), names="abcd")
    chi = scipy.stats.friedmanchisquare(*values.T).statistic
    statistic = 19 * chi / (20 * 3 - chi)
    assert found.statistic == pytest.approx(statistic)
    assert found.p == pytest.approx(scipy.stats.f.sf(statistic, 3, 57))
    assert [(pair.first, pair.second) for pair in found.pairs[:3]] == [
        ("a", "b"), ("a", "c"), ("a", "d")
    ]  # fmt: skip
    assert [pair.p_adjusted for pair in found.pairs] == holm([pair.p for pair in found.pairs])


def test_methods_that_every_patient_ranks_alike_have_the_permutations_p():
    values = np.arange(3.0) + np.zeros((5, 1))
    found = compare_many(values, patients(5), names="abc")
    # One of 3! orders, agreed on by four patients with the first.
    assert found.p == pytest.approx(6.0**-4)
    twins = np.array([1.0, 1.0, 2.0]) + np.zeros((5, 1))
    # Two methods are one: three different rankings are left.
    assert compare_many(twins, patients(5), names="abc").p == pytest.approx(3.0**-4)


def test_numbers_that_rounding_sets_apart_are_ties():
    steps = np.random.default_rng(0).choice([-1, 1, 1, 1, 2, 3], size=16)
    exact = compare_two(np.zeros(16), steps.astype(float), patients(16))
    first = np.linspace(0, 1, 16)
    second = first + steps * 0.1
    assert len(np.unique(np.abs(second - first))) > len(np.unique(np.abs(steps)))
    rounded = compare_two(first, second, patients(16))
    assert rounded.p == exact.p


P_VALUES = [0.01, 0.04, 0.03, 0.005, 0.5]


@pytest.mark.parametrize(
    ("adjust", "name"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh")], ids=["holm", "bh"]
)
def test_adjusted_p_values_are_those_of_statsmodels(adjust, name):
    assert adjust(P_VALUES) == pytest.approx(list(multipletests(P_VALUES, method=name)[1]))
    with_gap = adjust([None, *P_VALUES])
    assert with_gap[0] is None
    assert with_gap[1:] == adjust(P_VALUES)
    assert adjust([]) == []
    with pytest.raises(ValueError, match="p-values lie in"):
        adjust([2.0])


DEGENERATE = [
    pytest.param([1.0], [2.0], 1.0, None, "too few for an interval at 95 %", id="one patient"),
    pytest.param([1.0] * 9, [1.0] * 9, 0.0, 1.0, None, id="no difference at all"),
    pytest.param([np.nan] * 3, [1.0] * 3, None, None, "no row has both", id="only NaN"),
    pytest.param([], [], None, None, "no row has both", id="no rows"),
]


@pytest.mark.parametrize(("first", "second", "estimate", "p", "reason"), DEGENERATE)
def test_two_columns_that_cannot_be_compared_say_why(first, second, estimate, p, reason):
    found = compare_two(np.array(first), np.array(second), patients(len(first)))
    assert found.p == p
    assert found.difference.estimate == estimate
    assert reason is None if found.difference.reason is None else reason in found.difference.reason


def test_rows_that_lack_a_number_are_counted():
    values = np.random.default_rng(7).normal(size=(12, 3))
    values[0, 1] = np.nan
    found = compare_many(values, patients(12), names="abc")
    assert found.n_units == 11
    assert "1 of 12 rows lack a number" in found.notes[0]
    assert all(pair.difference.n_units == 11 for pair in found.pairs)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        pytest.param(np.ones((6, 3)), "agree on every unit", id="equal methods"),
        pytest.param(np.arange(3.0)[None], "two or more", id="one patient"),
        pytest.param(np.full((4, 3), np.nan), "two or more", id="only NaN"),
    ],
)
def test_methods_that_cannot_be_ranked_say_why(values, reason):
    found = compare_many(values, patients(len(values)), names="abc")
    assert found.p is None
    assert reason in found.reason


def test_a_wrong_call_is_refused():
    with pytest.raises(ValueError, match="give three columns or more"):
        compare_many(np.ones((3, 2)), patients(3), names="ab")
    with pytest.raises(ValueError, match="give paired ones"):
        compare_two(np.ones(3), np.ones(2), patients(3))


def balanced(random, count=40):
    """One row for each patient, image and method; the second method is 0.5 better."""
    patient, image, method = (a.ravel() for a in np.indices((count, 2, 2)))
    values = 0.5 * method + random.normal(size=count)[patient]
    values += 0.7 * random.normal(size=(count, 2))[patient, image]
    return values + 0.3 * random.normal(size=values.size), patient, image, method


def test_a_balanced_mixed_model_is_the_paired_mean_difference():
    values, patient, image, method = balanced(np.random.default_rng(8))
    units = units_of(patient)
    (found,) = mixed_model(values, method.tolist(), units, within=image.tolist())
    pairs = (values[method == 1] - values[method == 0]).reshape(-1)
    assert found.difference.estimate == pytest.approx(pairs.mean())
    # Pairs on the same image leave the residual alone: se^2 = 2 sd_residual^2 / images.
    half = 1.96 * pairs.std(ddof=1) / np.sqrt(pairs.size)
    assert found.difference.high - found.difference.estimate == pytest.approx(half, rel=0.03)
    assert found.p_adjusted == found.p < 1e-6
    (wide,) = mixed_model(values, method.tolist(), units)
    assert wide.difference.high > found.difference.high


def test_no_patient_with_both_numbers_has_no_p():
    assert sign_flip(np.array([np.nan]), np.array([1.0]), patients(1)) is None


MODELS = [
    pytest.param([1.0, 2.0], ["A", "A"], "1 patient with a number", id="one patient"),
    pytest.param([np.nan, 2.0], ["A", "B"], "1 patient with a number", id="one number"),
    pytest.param([2.0, 2.0], ["A", "B"], "all numbers are the same", id="constant"),
    pytest.param([2.0, np.nan, 1.0, np.nan], list("AABB"), "no number at all", id="one method"),
    pytest.param([0.0, 1.0, 0.0, 1.0], list("AABB"), "no standard errors", id="exact fit"),
]


@pytest.mark.parametrize(("values", "names", "reason"), MODELS)
def test_a_mixed_model_that_cannot_be_fitted_says_why(values, names, reason):
    (found,) = mixed_model(np.array(values), ["a", "b"] * (len(names) // 2), units_of(names))
    assert found.p is None
    assert reason in found.difference.reason


def test_a_mixed_model_that_is_singular_says_so():
    values = np.random.default_rng(0).normal(size=8)
    # Each reader read with one method only, so the two cannot be told apart.
    (found,) = mixed_model(
        values, list("abababab"), units_of(list("AABBCCDD")), blocks=[*"rsrsrsrs"]
    )
    assert "cannot be fitted" in found.difference.reason


def test_a_mixed_model_without_statsmodels_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels.regression.mixed_linear_model", None)
    with pytest.raises(FovealError, match=r"pip install 'foveal\[stats\]'"):
        mixed_model(np.array([1.0, 2.0]), ["a", "b"], patients(2))


def test_a_mixed_model_needs_two_methods():
    with pytest.raises(ValueError, match="two methods or more"):
        mixed_model(np.ones(2), ["a", "a"], patients(2))
