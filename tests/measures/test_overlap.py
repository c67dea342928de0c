"""IoU and Dice under every rule: by hand, against each other, and against MONAI."""

import numpy as np
import pytest
import torch

from foveal.measures import dice, dice_over_max, iou
from foveal.measures.base import ground
from foveal.measures.thresholds import Threshold, hot_pixels

MAP = np.array([[3.0, 1.0, -9.0], [0.0, 2.0, 0.0]])
MASK = np.array([[True, False, True], [False, False, False]])
RULES = [
    pytest.param({"rule": "topk_area"}, id="as many as the region has"),
    pytest.param({"rule": "quantile", "quantile": 0.05}, id="a twentieth"),
    pytest.param({"rule": "fixed", "fraction": 0.8}, id="fixed"),
    pytest.param({"rule": "otsu"}, id="Otsu"),
    pytest.param({"rule": "mode_kstd", "k": 1.5}, id="adaptive"),
    pytest.param({"rule": "mode_kstd", "k": 2, "mode": "half-sample"}, id="half samples"),
]


@pytest.fixture
def seen() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A noisy blob, a region beside it, and a round field."""
    rows, columns = np.mgrid[:60, :60]
    field = (rows - 30) ** 2 + (columns - 30) ** 2 <= 30**2
    blob = np.exp(-((rows - 28) ** 2 + (columns - 34) ** 2) / 60)
    noise = 0.1 * np.random.default_rng(0).random((60, 60))
    return blob + noise, (rows - 30) ** 2 + (columns - 30) ** 2 <= 64, field


def test_dice_by_hand():
    score = dice(MAP, MASK)  # the top two are 3 and 2, one of which is in the region
    assert score.value == pytest.approx(0.5)
    assert score.chance == pytest.approx(2 * (1 / 3) ** 2 / (2 / 3))
    assert score.ceiling == 1


@pytest.mark.parametrize("settings", RULES)
def test_dice_is_twice_the_iou_over_one_plus_it_and_bounded_by_precision(seen, settings):
    values, mask, field = seen
    overlap = iou(values, mask, field=field, **settings)
    score = dice(values, mask, field=field, **settings)
    assert score.value == pytest.approx(2 * overlap.value / (1 + overlap.value))
    assert overlap.parts["dice"] == score.value
    chosen = hot_pixels(ground(values, mask, field), Threshold(**settings)).mask
    precision = (chosen & mask).sum() / chosen.sum()
    assert score.value <= 2 * precision / (1 + precision) + 1e-12
    assert score.value <= score.ceiling
    assert score.params["rule"] == settings["rule"]


@pytest.mark.parametrize("settings", RULES)
def test_overlaps_agree_with_monai(seen, settings):
    monai = pytest.importorskip("monai.metrics")
    values, mask, field = seen
    chosen = hot_pixels(ground(values, mask, field), Threshold(**settings)).mask
    pair = [torch.from_numpy(m & field)[None, None].float() for m in (chosen, mask)]
    ours = dice(values, mask, field=field, **settings).value
    assert ours == pytest.approx(float(monai.compute_dice(*pair)))
    assert iou(values, mask, field=field, **settings).value == pytest.approx(
        float(monai.compute_iou(*pair))
    )


def test_dice_over_its_maximum_takes_away_what_the_sizes_decide():
    values = np.arange(10_000.0).reshape(100, 100)
    mask = values >= 9_900
    tenth = {"rule": "quantile", "quantile": 0.1}
    assert dice(values, mask, **tenth).value == pytest.approx(2 / 11)
    assert dice(values, mask, **tenth).ceiling == pytest.approx(2 / 11)
    score = dice_over_max(values, mask, **tenth)
    assert score.value == pytest.approx(1)
    assert score.chance == pytest.approx(0.1)


def test_chance_of_both_is_what_random_maps_reach():
    random = np.random.default_rng(0)
    mask = np.zeros((40, 40), bool)
    mask[:10, :16] = True
    for measure in (dice, dice_over_max):
        values = [
            measure(random.random((40, 40)), mask, rule="quantile", quantile=0.3).value
            for _ in range(200)
        ]
        one = measure(random.random((40, 40)), mask, rule="quantile", quantile=0.3)
        assert np.mean(values) == pytest.approx(one.chance, rel=0.05)


def test_what_is_undefined_gives_a_reason():
    empty, nothing = np.zeros_like(MASK), -np.abs(MAP)
    for measure in (iou, dice, dice_over_max):
        assert measure(MAP, empty).reason == "empty_mask"
        assert measure(MAP * 0, MASK).reason == "zero_map"
        assert measure(np.full((2, 3), np.nan), MASK).reason == "nan_map"
    assert dice(nothing, MASK, rule="otsu").value == 0
    assert dice_over_max(nothing, MASK, rule="otsu").reason == "zero_map"
