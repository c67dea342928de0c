"""The image kept only where the map is strong: closed forms of a linear score."""

import numpy as np
import pytest

from foveal.measures import (
    average_drop,
    average_gain,
    keep_only,
    pct_increase_confidence,
    sufficiency_delta,
)

RANDOM = np.random.default_rng(2)
WEIGHTS = RANDOM.random((12, 12)) ** 4
WEIGHTS *= 0.8 / WEIGHTS.sum()
IMAGE = np.ones((1, 12, 12))
MAP = RANDOM.standard_normal((12, 12))
STRENGTH = np.maximum(MAP, 0) / MAP.max()
SETTINGS = {"baseline": 0.0, "draws": 3}


def linear(batch: np.ndarray) -> np.ndarray:
    """0.8 for the image, 0 for the baseline."""
    return (batch[:, 0] * WEIGHTS).sum(axis=(1, 2))


def mean(batch: np.ndarray) -> np.ndarray:
    """The share of an image of ones that is left."""
    return batch.mean(axis=(1, 2, 3))


def against(batch: np.ndarray) -> np.ndarray:
    """Rises when the image is taken away: 0.2 for the image, 1 for the baseline."""
    return 1 - linear(batch)


def test_a_linear_score_keeps_what_the_map_weighs():
    kept = float((WEIGHTS * STRENGTH).sum())
    drop = average_drop(linear, IMAGE, MAP, **SETTINGS)
    assert drop.value == pytest.approx(100 * (0.8 - kept) / 0.8)
    assert drop.parts["kept_area"] == pytest.approx(STRENGTH.mean())
    assert sufficiency_delta(linear, IMAGE, MAP, **SETTINGS).value == pytest.approx(kept - 0.8)
    assert pct_increase_confidence(linear, IMAGE, MAP, **SETTINGS).value == 0
    assert average_gain(linear, IMAGE, MAP, **SETTINGS).value == 0


def test_a_score_below_zero_is_no_probability_to_gain():
    logit = average_gain(lambda batch: linear(batch) - 3, IMAGE, MAP, **SETTINGS)
    assert logit.reason == "no_score_range"


def test_a_score_that_rises_gains_a_share_of_what_was_missing():
    kept = 1 - float((WEIGHTS * STRENGTH).sum())
    assert average_drop(against, IMAGE, MAP, **SETTINGS).value == 0
    assert pct_increase_confidence(against, IMAGE, MAP, **SETTINGS).value == 100
    gain = average_gain(against, IMAGE, MAP, **SETTINGS)
    assert gain.value == pytest.approx(100 * (kept - 0.2) / 0.8)


@pytest.mark.parametrize(
    "measure", [average_drop, pct_increase_confidence, sufficiency_delta, average_gain]
)
def test_a_constant_map_keeps_everything_so_that_nothing_changes_and_says_so(measure):
    """The image comes back as it was; rounding is no rise."""
    jitter = np.random.default_rng(1)

    def rounding(batch: np.ndarray) -> np.ndarray:
        return linear(batch) * (1 + 1e-7 * np.abs(jitter.standard_normal(len(batch))))

    for score in (linear, rounding):
        found = measure(score, IMAGE, np.full((12, 12), 0.3), **SETTINGS)
        assert found.value == pytest.approx(0, abs=1e-3)
        assert found.parts["kept_area"] == 1


ROUND = np.hypot(*(np.mgrid[:41, :41] - 20.0)) < 19.5
LEFT = np.broadcast_to(np.arange(41) < 12, (41, 41))
FIELDS = [
    pytest.param(np.ones((41, 41), bool), id="square"),
    pytest.param(ROUND, id="round"),
    pytest.param(ROUND & LEFT, id="a part of a disc, which a turn carries off itself"),
]


@pytest.mark.parametrize("field", FIELDS)
def test_a_map_that_looks_the_same_everywhere_is_no_better_than_its_turns(field):
    """No corner and no rim of the field is lost on the way round, whatever its shape."""
    strong = np.where(field, 0.3, 7.0)
    for score in (mean, lambda batch: 1 - mean(batch)):
        kept = keep_only(score, np.ones((1, 41, 41)), strong, field=field, baseline=0.0)
        assert set(kept.turned) == {kept.kept} == {kept.whole}


def test_a_map_that_grows_toward_the_rim_of_a_round_field_keeps_the_rim_as_it_turns():
    bowl = np.hypot(*(np.mgrid[:41, :41] - 20.0))
    kept = keep_only(mean, np.ones((1, 41, 41)), bowl, field=ROUND, baseline=0.0)
    np.testing.assert_allclose(kept.turned, kept.kept, rtol=1e-3)


def test_all_four_share_their_passes_and_the_turned_maps_are_their_chance():
    sizes: list[int] = []

    def counting(batch: np.ndarray) -> np.ndarray:
        sizes.append(len(batch))
        return linear(batch)

    kept = keep_only(counting, IMAGE, MAP, **SETTINGS)
    assert sum(sizes) == 1 + 1 + 3
    for measure in (average_drop, pct_increase_confidence, sufficiency_delta, average_gain):
        found = measure(counting, IMAGE, MAP, kept=kept, **SETTINGS)
        assert len(found.null) == 3
        assert found.chance == pytest.approx(np.mean(found.null))
    assert sum(sizes) == 5


def test_log_odds_are_kept_as_probabilities():
    found = sufficiency_delta(
        lambda batch: 4 * linear(batch), IMAGE, MAP, scale="log-odds", **SETTINGS
    )
    whole, kept = (1 / (1 + np.exp(-4 * s)) for s in (0.8, float((WEIGHTS * STRENGTH).sum())))
    assert found.value == pytest.approx(kept - whole)
    assert found.range == (-1, 1)


REASONS = [
    pytest.param(average_drop, linear, MAP * 0, "zero_map", id="drop, zero map"),
    pytest.param(average_gain, linear, MAP * np.nan, "nan_map", id="gain, NaN"),
    pytest.param(sufficiency_delta, linear, MAP * 0, "zero_map", id="delta, zero map"),
    pytest.param(pct_increase_confidence, linear, MAP * 0 - 1, "zero_map", id="rise, below 0"),
    pytest.param(
        average_drop, lambda b: 0 * linear(b), MAP, "no_score_range", id="drop of nothing"
    ),
    pytest.param(
        average_gain, lambda b: 1 + 0 * linear(b), MAP, "no_score_range", id="gain of all"
    ),
    pytest.param(average_gain, lambda b: 9 * linear(b), MAP, "no_score_range", id="no probability"),
]


@pytest.mark.parametrize(("measure", "score", "values", "reason"), REASONS)
def test_what_is_undefined_has_a_reason(measure, score, values, reason):
    assert measure(score, IMAGE, values, **SETTINGS).reason == reason
