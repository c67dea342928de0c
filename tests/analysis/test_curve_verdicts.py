"""Whether curves may judge maps at all, and whether baselines agree on the best method."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import friedmanchisquare

from foveal.analysis.faithfulness import (
    informative_gain,
    kendall_w,
    rank_agreement,
    separations,
    uninformative,
)
from foveal.core import Score


def srg(gains: list[float], own: list[float | None] | None = None) -> Score:
    names = ["blur", "linear", "annulus"][: len(gains)]
    parts = {
        "baselines": names,
        "by_baseline": gains,
        "own_order_auroc": own or [None] * len(gains),
    }
    return Score(name="srg", value=0.0, direction="higher", range=(-1, 1), parts=parts)


MISSING = Score(name="srg", reason="zero_map", direction="higher", range=(-1, 1))


@pytest.mark.parametrize("ties", [False, True], ids=["no ties", "ties"])
def test_w_is_friedmans_chi_squared_by_its_largest_value(ties):
    values = np.random.default_rng(1).random((3, 6))
    values = np.round(values, 1 if ties else 9)
    chi, _ = friedmanchisquare(*values.T)
    assert kendall_w(values) == pytest.approx(chi / (3 * 5))


def test_w_runs_from_contrary_to_equal_orders():
    assert kendall_w(np.array([[1.0, 2, 3]] * 3)) == 1
    assert kendall_w(np.array([[1.0, 2, 3], [3, 2, 1]])) == 0
    assert kendall_w(np.ones((3, 4))) is None


def test_methods_whose_ranks_flip_between_baselines_are_inconclusive():
    found = rank_agreement({
        "a": [srg([0.3, 0.2, 0.1])] * 4,
        "b": [srg([0.2, 0.3, 0.2])] * 4,
        "c": [srg([0.1, 0.1, 0.3])] * 4,
    })  # fmt: skip
    assert found.w == pytest.approx(kendall_w(np.array([[3, 2, 1], [2, 3, 1], [1, 2, 3.0]])))
    assert found.verdict == "inconclusive"
    assert dict(found.best) == {"blur": "a", "linear": "b", "annulus": "c"}
    assert found.images == 4


def test_methods_in_one_order_under_every_baseline_agree():
    found = rank_agreement({"a": [srg([0.3, 0.2, 0.5])], "b": [srg([0.2, 0.1, 0.1])]})
    assert (found.w, found.verdict) == (1, "agreeing")


def test_another_winner_under_one_baseline_is_inconclusive_though_the_rest_agrees():
    rows = {name: [0.1 * place] * 3 for place, name in enumerate("abcdef")}
    rows["e"][2], rows["f"][2] = rows["f"][2], rows["e"][2]
    found = rank_agreement({name: [srg(row)] for name, row in rows.items()})
    assert found.w > 0.9
    assert found.verdict == "inconclusive"


def test_images_that_lack_a_number_of_one_method_do_not_count():
    a, b = [srg([0.3, 0.3]), srg([-1, -1])], [srg([0.1, 0.1]), MISSING]
    found = rank_agreement({"a": a, "b": b})
    assert found.images == 1
    assert set(found.best.values()) == {"a"}


NOTHING = [
    pytest.param({"a": [srg([0.1, 0.2])]}, "two methods", id="one method"),
    pytest.param({"a": [MISSING], "b": [srg([0.1, 0.2])]}, "two methods", id="no image"),
    pytest.param(
        {"a": [srg([0.1])], "b": [srg([0.2])]}, "fewer than two baselines", id="one baseline"
    ),
    pytest.param({"a": [srg([0.1, 0.1])], "b": [srg([0.1, 0.1])]}, "tied", id="ties"),
]


@pytest.mark.parametrize(("scores", "reason"), NOTHING)
def test_what_cannot_be_ranked_says_why(scores, reason):
    found = rank_agreement(scores)
    assert (found.w, found.verdict) == (None, None)
    assert reason in found.reason


def test_methods_of_different_images_are_refused():
    with pytest.raises(ValueError, match="same images"):
        rank_agreement({"a": [srg([0.1])], "b": []})


def test_the_gate_is_the_mean_over_images_under_each_baseline():
    scores = [srg([0, 0, 0], [1.0, 0.6, None]), srg([0, 0, 0], [0.9, 0.2, None]), MISSING]
    blur, linear = separations(scores)
    assert (blur.baseline, blur.auroc, blur.images) == ("blur", pytest.approx(0.95), 2)
    assert (blur.verdict, linear.verdict) == ("informative", "uninformative")
    assert separations([MISSING]) == ()


def with_random(gains: list[float], random: list[list[float]]) -> Score:
    made = srg(gains)
    null = tuple(np.median(random, axis=0).tolist())
    return replace(
        made, value=float(np.median(gains)), null=null, parts={**made.parts, "random": random}
    )


def test_a_baseline_that_judges_nothing_is_left_out_of_the_headline_and_of_its_chance():
    score = with_random([0.5, 0.1, 0.2], [[0.3, 0.5], [0.0, 0.1], [0.2, 0.1]])
    found = informative_gain(score, ("blur",))
    assert found.value == pytest.approx(0.15)
    assert found.null == pytest.approx((0.1, 0.1))
    assert found.chance == pytest.approx(0.1)
    assert found.params["baseline"] == ["linear", "annulus"]


def test_without_an_informative_baseline_there_is_no_headline():
    found = informative_gain(srg([0.5, 0.1]), ("blur", "linear"))
    assert (found.value, found.reason, found.chance) == (None, "uninformative", None)


def test_a_normalised_headline_stays_normalised_and_covers_the_same_baselines():
    raw = with_random([0.5, 0.1, 0.2], [[0.0, 0.0]] * 3)
    normal = {"normalised": 0.5, "normalised_by_baseline": [0.625, 0.125, 0.5]}
    asked = replace(raw, value=0.5, null=None, chance=None, params={"normalised": True})
    found = informative_gain(replace(asked, parts={**raw.parts, **normal}), ("blur",))
    assert (found.value, found.parts["normalised"], found.chance) == (0.3125, 0.3125, None)
    unasked = informative_gain(replace(raw, parts={**raw.parts, **normal}), ("blur",))
    assert (unasked.value, unasked.parts["normalised"]) == (pytest.approx(0.15), 0.3125)


def test_a_normalised_headline_lacks_a_number_where_a_baseline_that_is_left_has_no_score_range():
    normal = {"normalised": None, "normalised_by_baseline": [0.625, None, 0.5]}
    raw = with_random([0.5, 0.1, 0.2], [[0.0, 0.0]] * 3)
    raw = replace(raw, parts={**raw.parts, **normal})
    assert informative_gain(raw, ("linear",)).parts["normalised"] == 0.5625
    asked = replace(raw, null=None, params={"normalised": True})
    assert informative_gain(asked, ("blur",)).reason == "no_score_range"


@pytest.mark.parametrize("score", [MISSING, srg([0.5, 0.1])], ids=["missing", "all informative"])
def test_a_headline_with_nothing_to_leave_out_is_itself(score):
    assert informative_gain(score, ("annulus",)) is score


def test_ranks_under_an_uninformative_baseline_do_not_count():
    own = [1.0, 0.5, 1.0]
    first, second = srg([0.3, 0.1, 0.3], own), srg([0.2, 0.3, 0.1], own)
    blind = uninformative([first])
    assert blind == ("linear",)
    scores = {"a": [first], "b": [second]}
    assert rank_agreement(scores).verdict == "inconclusive"
    assert rank_agreement(scores, left_out=blind).verdict == "agreeing"
