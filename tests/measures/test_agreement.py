"""Sums of maps against drops of scores: slow twins from the papers, and linear models."""

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from foveal.measures import (
    completeness_error,
    excess_drop,
    faithfulness_correlation,
    faithfulness_estimate,
    infidelity,
    infidelity_normalized,
    irp_logodds,
    patch_effects,
    relevance_rank_correlation,
    sensitivity_n,
    subset_effects,
)
from foveal.measures.effects import SHARES
from foveal.measures.moved import moved_regions, signed_distance

RANDOM = np.random.default_rng(8)
WEIGHTS = RANDOM.standard_normal((16, 16)) / 16
IMAGE = RANDOM.random((2, 16, 16))
MAP = WEIGHTS + 0.5 * RANDOM.standard_normal((16, 16)) / 16
FIELD = np.hypot(*(np.mgrid[:16, :16] - 7.5)) < 8.2
SIDE, FILL = 4, 0.25
SETTINGS = {"baseline": FILL, "patch_px": SIDE, "field": FIELD}
CONTRIBUTIONS = WEIGHTS * (IMAGE - FILL).sum(axis=0)
"""Of a linear score, exactly."""


def linear(batch: np.ndarray) -> np.ndarray:
    return (batch.sum(axis=1) * WEIGHTS).sum(axis=(1, 2))


def bent(batch: np.ndarray) -> np.ndarray:
    return np.tanh(3 * linear(batch)) + batch[:, 0, 4:8, 4:8].mean(axis=(1, 2)) ** 2


def squares() -> list[np.ndarray]:
    """The field's patches as masks, row by row."""
    found = []
    for row in range(0, 16, SIDE):
        for column in range(0, 16, SIDE):
            square = np.zeros((16, 16), bool)
            square[row : row + SIDE, column : column + SIDE] = True
            if (square & FIELD).any():
                found.append(square & FIELD)
    return found


def lost(score, gone: np.ndarray) -> float:
    """By how much the score falls when these pixels are filled."""
    return float(score(IMAGE[None])[0] - score(np.where(gone, FILL, IMAGE)[None])[0])


def test_single_patches_are_compared_by_rank_and_by_value():
    drops = [lost(bent, square) for square in squares()]
    means = [MAP[square].mean() for square in squares()]
    sums = [MAP[square].sum() for square in squares()]
    ranks = relevance_rank_correlation(bent, IMAGE, MAP, **SETTINGS)
    assert ranks.value == pytest.approx(spearmanr(means, drops).statistic)
    values = faithfulness_estimate(bent, IMAGE, MAP, **SETTINGS)
    assert values.value == pytest.approx(pearsonr(sums, drops).statistic)


def test_random_sets_are_compared_by_their_sums():
    parts = squares()
    table = subset_effects(bent, IMAGE, shares=(0.25, 0.5), draws=30, **SETTINGS)
    curve = []
    for share, removed in table.removals.items():
        gone = [np.any([p for p, member in zip(parts, row, strict=True) if member], axis=0)
                for row in removed.members]  # fmt: skip
        assert {row.sum() for row in removed.members} == {round(share * len(parts))}
        drops = [lost(bent, one) for one in gone]
        sums = [MAP[one].sum() for one in gone]
        curve.append(pearsonr(sums, drops).statistic)
        asked = {"share": share, "draws": 30, **SETTINGS}
        found = faithfulness_correlation(bent, IMAGE, MAP, **asked)
        assert found.value == pytest.approx(curve[-1])
        assert found.parts["low"] < found.value < found.parts["high"]
        off = np.mean((np.array(sums) - drops) ** 2)
        assert infidelity(bent, IMAGE, MAP, **asked).value == pytest.approx(off)
        slope, *_ = np.linalg.lstsq(np.array(sums)[:, None], np.array(drops), rcond=None)
        scaled = infidelity_normalized(bent, IMAGE, MAP, **asked)
        assert scaled.parts["scale"] == pytest.approx(slope[0])
        assert scaled.value == pytest.approx(np.mean((slope[0] * np.array(sums) - drops) ** 2))
    every = sensitivity_n(bent, IMAGE, MAP, shares=(0.25, 0.5), draws=30, **SETTINGS)
    assert every.value == pytest.approx(np.mean(curve))
    assert every.parts["correlations"] == pytest.approx(curve)


def test_the_contributions_of_a_linear_model_are_perfect():
    assert sensitivity_n(linear, IMAGE, CONTRIBUTIONS, **SETTINGS).value == pytest.approx(1)
    assert faithfulness_estimate(linear, IMAGE, CONTRIBUTIONS, **SETTINGS).value == pytest.approx(1)
    assert infidelity(linear, IMAGE, CONTRIBUTIONS, **SETTINGS).value <= 1e-10
    thrice = infidelity_normalized(linear, IMAGE, 3 * CONTRIBUTIONS, **SETTINGS)
    assert thrice.value <= 1e-10
    assert thrice.parts["scale"] == pytest.approx(1 / 3)
    assert infidelity_normalized(linear, IMAGE, -CONTRIBUTIONS, **SETTINGS).parts["scale"] < 0
    plain = infidelity(linear, IMAGE, 3 * CONTRIBUTIONS, **SETTINGS)
    assert plain.value == pytest.approx(4 * plain.chance)  # (3 - 1)^2 times the mean squared drop


def test_no_map_is_above_that_of_zeros_so_that_it_is_no_chance():
    random = np.random.default_rng(0).standard_normal((16, 16))
    found = infidelity_normalized(bent, IMAGE, random, **SETTINGS)
    assert found.chance is None
    zeros = infidelity(bent, IMAGE, 0 * MAP, **SETTINGS).value
    assert found.parts["share_of_zero_map"] == pytest.approx(found.value / zeros)


def test_all_patches_together_are_no_set_size():
    found = sensitivity_n(linear, IMAGE, CONTRIBUTIONS, shares=(0.01, 0.5, 0.99), **SETTINGS)
    assert found.parts["shares"] == [0.5]
    assert found.parts["n"] == [round(0.5 * len(squares()))]
    none = faithfulness_correlation(linear, IMAGE, CONTRIBUTIONS, share=0.99, **SETTINGS)
    assert none.reason == "too_few"


def test_random_maps_agree_with_nothing_and_the_interval_says_so():
    table = subset_effects(bent, IMAGE, **SETTINGS)
    random = np.random.default_rng(0)
    found = [
        faithfulness_correlation(bent, IMAGE, random.standard_normal((16, 16)), subsets=table,
                                 **SETTINGS) for _ in range(80)
    ]  # fmt: skip
    values = np.array([score.value for score in found])
    # Maps over few patches correlate by more than 1 / sqrt(draws), but around 0.
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(80)
    assert {score.chance for score in found} == {0}


def test_the_same_sets_serve_whichever_shares_are_asked_for():
    few = subset_effects(bent, IMAGE, shares=(0.2,), **SETTINGS)
    many = subset_effects(bent, IMAGE, shares=SHARES, **SETTINGS)
    np.testing.assert_array_equal(few.removals[0.2].members, many.removals[0.2].members)
    np.testing.assert_array_equal(few.removals[0.2].effects, many.removals[0.2].effects)


def test_a_table_made_before_sends_no_pass_for_any_map():
    alone, sets = patch_effects(bent, IMAGE, **SETTINGS), subset_effects(bent, IMAGE, **SETTINGS)

    def refuse(batch: np.ndarray) -> np.ndarray:
        raise RuntimeError("no pass was needed")

    for measure in (relevance_rank_correlation, faithfulness_estimate):
        assert measure(refuse, IMAGE, MAP, effects=alone, **SETTINGS).value is not None
    for measure in (faithfulness_correlation, infidelity, infidelity_normalized):
        assert measure(refuse, IMAGE, MAP, subsets=sets, **SETTINGS).value is not None
    assert sensitivity_n(refuse, IMAGE, MAP, subsets=sets, **SETTINGS).value is not None


@pytest.mark.parametrize(
    "measure",
    [relevance_rank_correlation, faithfulness_estimate, faithfulness_correlation, sensitivity_n,
     infidelity, infidelity_normalized],
)  # fmt: skip
def test_the_unit_and_the_baseline_are_part_of_the_numbers_name(measure):
    told = measure(bent, IMAGE, MAP, **SETTINGS).params
    assert (told["patch_px"], told["baseline"]) == (SIDE, FILL)
    assert measure(bent, IMAGE, MAP, field=FIELD).params["patch_px"] == 1


UNDEFINED = [
    pytest.param(relevance_rank_correlation, {"map": MAP * 0}, "zero_map", id="rank, zero"),
    pytest.param(faithfulness_estimate, {"map": MAP * 0 - 1}, "constant_map", id="estimate, flat"),
    pytest.param(sensitivity_n, {"map": MAP * np.nan}, "nan_map", id="sensitivity, NaN"),
    pytest.param(infidelity, {"map": MAP * np.nan}, "nan_map", id="infidelity, NaN"),
    pytest.param(infidelity_normalized, {"map": MAP * 0}, "zero_map", id="normalised, zero"),
    pytest.param(completeness_error, {"map": MAP * np.nan}, "nan_map", id="completeness, NaN"),
    pytest.param(relevance_rank_correlation, {"score": lambda b: 0 * linear(b)}, "no_score_range",
                 id="rank, deaf model"),
    pytest.param(sensitivity_n, {"score": lambda b: 0 * linear(b)}, "no_score_range",
                 id="sensitivity, deaf model"),
    pytest.param(completeness_error, {"score": lambda b: 0 * linear(b)}, "no_score_range",
                 id="completeness, deaf model"),
    pytest.param(relevance_rank_correlation, {"patch_px": 16}, "too_few", id="rank, one patch"),
    pytest.param(sensitivity_n, {"patch_px": 16}, "too_few", id="sensitivity, one patch"),
]  # fmt: skip


@pytest.mark.parametrize(("measure", "change", "reason"), UNDEFINED)
def test_what_is_undefined_has_a_reason(measure, change, reason):
    asked = {"score": bent, "map": MAP, **SETTINGS, **change}
    assert measure(asked.pop("score"), IMAGE, asked.pop("map"), **asked).reason == reason


@pytest.mark.parametrize(
    "measure",
    [relevance_rank_correlation, faithfulness_estimate, faithfulness_correlation, sensitivity_n,
     infidelity_normalized],
)  # fmt: skip
def test_the_last_bits_of_a_deaf_models_score_are_no_order_of_patches(measure):
    jitter = np.random.default_rng(3)

    def deaf(batch: np.ndarray) -> np.ndarray:
        return np.float32(3) * (1 + 1e-7 * jitter.standard_normal(len(batch)))

    assert measure(deaf, IMAGE, MAP, **SETTINGS).reason == "no_score_range"
    assert measure(lambda b: 3 + 1e-4 * linear(b), IMAGE, MAP, **SETTINGS).value is not None
    asked = {**SETTINGS, "scale": "log-odds"}  # of two logits of about 1: rounded as those are
    level = measure(lambda b: (deaf(b) - deaf(b)) / 3, IMAGE, MAP, **asked)
    assert level.reason == "no_score_range"
    assert measure(lambda b: 1e-4 * linear(b), IMAGE, MAP, **asked).value is not None


def test_a_map_without_a_positive_value_can_agree():
    found = faithfulness_estimate(linear, IMAGE, CONTRIBUTIONS - 9, **SETTINGS)
    sums = [(CONTRIBUTIONS - 9)[square].sum() for square in squares()]
    drops = [lost(linear, square) for square in squares()]
    assert found.value == pytest.approx(pearsonr(sums, drops).statistic)


@pytest.mark.parametrize(("factor", "error"), [(1, 0), (0, 1), (1.5, 0.5), (-1, 2)])
def test_completeness_is_the_share_by_which_the_sum_is_wrong(factor, error):
    found = completeness_error(linear, IMAGE, factor * CONTRIBUTIONS, **SETTINGS)
    assert found.value == pytest.approx(error, abs=1e-9)


def test_the_fall_of_the_log_odds_is_that_of_the_strongest_tenth():
    positive = np.abs(CONTRIBUTIONS)
    asked = {"baseline": FILL, "field": FIELD, "random": 3, "scale": "log-odds"}
    found = irp_logodds(linear, IMAGE, positive, **asked)
    count = round(0.1 * FIELD.sum())
    edge = np.sort(positive[FIELD])[-count]
    expected = lost(linear, FIELD & (positive >= edge))
    assert found.value == pytest.approx(expected)
    assert found.parts["odds_ratio"] == pytest.approx(np.exp(expected))
    warmer = irp_logodds(lambda batch: linear(batch) / 2, IMAGE, positive, **asked)
    assert warmer.value == pytest.approx(found.value / 2)
    assert found.chance == pytest.approx(np.mean(found.null))
    with pytest.raises(ValueError, match="log-odds made from logits"):
        irp_logodds(linear, IMAGE, positive, scale="probability")


def test_the_baseline_and_the_area_are_part_of_the_name_of_the_log_odds_fall():
    told = irp_logodds(linear, IMAGE, MAP, field=FIELD, baseline="black", feather_px=2.0).params
    assert (told["area"], told["baseline"], told["feather_px"]) == (0.1, "black", 2)
    given = irp_logodds(linear, IMAGE, MAP, field=FIELD, baseline=IMAGE[:, ::-1])
    assert given.params["baseline"] == "given"


def test_the_fall_of_log_odds_without_bound_has_no_odds_ratio():
    steep = irp_logodds(lambda batch: 1e6 * linear(batch), IMAGE, CONTRIBUTIONS, baseline=FILL)
    assert abs(steep.value) > 1e3
    assert steep.parts["odds_ratio"] is None or steep.parts["odds_ratio"] == 0


def test_the_excess_drop_is_the_drop_less_that_of_the_same_region_moved():
    values = np.abs(CONTRIBUTIONS)
    found = excess_drop(bent, IMAGE, values, field=FIELD, baseline=FILL, random=6, seed=3)
    count = round(0.05 * FIELD.sum())
    region = FIELD & (values >= np.sort(values[FIELD])[-count])
    moved = moved_regions(signed_distance(region), FIELD, 6, 3)
    null = [lost(bent, one > 0) for one in moved]
    assert found.value == pytest.approx(lost(bent, region) - np.mean(null))
    assert found.parts["percentile"] == np.mean(np.array(null) < lost(bent, region))
