"""Which pixels are highlighted, and what the adaptive threshold does where it cannot work."""

import numpy as np
import pytest

from foveal.measures import Hot, Threshold, adaptive_threshold, compare_thresholds, iou
from foveal.measures.base import ground
from foveal.measures.thresholds import activated, hot_pixels

RNG = np.random.default_rng(1)
SPARSE = np.where(RNG.random((50, 50)) < 0.02, RNG.random((50, 50)) + 1, 0)


def hot(values: np.ndarray, **settings: object) -> Hot:
    return hot_pixels(ground(values, None, None, needs_mask=False), Threshold(**settings))


def test_of_a_rectified_map_the_adaptive_threshold_is_k_standard_deviations():
    found = hot(SPARSE, rule="mode_kstd", k=2.5)
    assert found.value == pytest.approx(2.5 * SPARSE.std())
    assert not found.fell_back
    np.testing.assert_array_equal(found.mask, found.value <= SPARSE)


@pytest.mark.parametrize("mode", ["histogram", "half-sample"])
def test_both_modes_find_where_most_values_are(mode):
    values = np.abs(np.random.default_rng(0).normal(5, 0.1, (100, 100)))
    values[:10, :10] = 9  # 1 %
    found = hot(values, rule="mode_kstd", k=2, mode=mode)
    assert found.value == pytest.approx(5 + 2 * values.std(), abs=0.15)
    assert found.area == 100


@pytest.mark.parametrize(
    ("share", "k"),
    [
        pytest.param(0.3, 2.5, id="the threshold exceeds the maximum"),
        pytest.param(0.6, 0.5, id="more than half of the field"),
    ],
)
def test_a_threshold_that_cannot_be_believed_falls_back_to_otsu(share, k):
    values = np.zeros(1000)
    values[: int(1000 * share)] = 1
    found = adaptive_threshold(values.reshape(20, 50), k=k)
    assert isinstance(found, Hot)
    assert found.fell_back
    assert found.area == 1000 * share


def test_the_adaptive_threshold_of_a_map_without_pixels_is_a_reason():
    assert adaptive_threshold(np.zeros((4, 4))) == "zero_map"
    assert adaptive_threshold(np.full((4, 4), np.nan)) == "nan_map"


def test_otsu_parts_two_classes_best():
    values = np.concatenate([RNG.normal(2, 0.3, 700), RNG.normal(6, 0.5, 300)]).reshape(20, 50)
    found = hot(values, rule="otsu")

    def between(cut: float) -> float:
        low, high = values[values < cut], values[values >= cut]
        return low.size * high.size * (low.mean() - high.mean()) ** 2

    cuts = np.linspace(values.min(), values.max(), 258)[1:-1]
    assert between(found.value) == pytest.approx(
        max(map(between, cuts)), rel=5e-3
    )  # to one of 256 bins


def test_ranked_rules_take_exactly_as_many_as_asked_whatever_the_ties():
    found = hot(SPARSE, rule="quantile", quantile=0.1)
    assert found.area == 250
    on = ground(SPARSE, None, None, needs_mask=False)
    active = activated(on, Threshold(rule="quantile", quantile=0.1))
    assert active.area == (SPARSE > 0).sum()


WRONG = [
    pytest.param({"rule": "best"}, "rule must be topk_area, .* or mode_kstd", id="rule"),
    pytest.param({"mode": "mean"}, "mode must be histogram or half-sample", id="mode"),
    pytest.param({"k": 0}, "k must be positive", id="k"),
    pytest.param({"quantile": 1.5}, r"quantile must be in \(0, 1\]", id="quantile"),
    pytest.param({"fraction": 0}, r"fraction must be in \(0, 1\]", id="fraction"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_a_wrong_setting_says_what_was_wrong(settings, message):
    with pytest.raises(ValueError, match=message):
        iou(SPARSE, SPARSE > 0, **settings)


def test_rules_are_compared_on_development_images():
    rows, columns = np.mgrid[:40, :40]
    blob = np.exp(-((rows - 20) ** 2 + (columns - 20) ** 2) / 50)
    lesion = blob > 0.5
    images = [(blob, lesion, None), (blob, np.zeros((40, 40), bool), None)]
    chosen = (Threshold(rule="fixed", fraction=0.5), Threshold(rule="quantile", quantile=0.5))
    exact, broad = compare_thresholds(images, chosen)
    assert exact.mean_dice == pytest.approx(1)
    assert (exact.valid, exact.missing, exact.fell_back) == (1, 1, 0)
    assert broad.mean_dice == pytest.approx(2 * lesion.sum() / (800 + lesion.sum()))
    table = compare_thresholds(images)
    assert [row.threshold.rule for row in table].count("mode_kstd") == 3
    assert compare_thresholds(images[1:])[0].mean_dice is None
