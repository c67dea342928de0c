"""Nuisances of the clinic and the study of layers."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2hsv

from foveal.measures import (
    avg_sensitivity,
    layer_study,
    nuisance_stability,
    perturbed_images,
    relevance_mass,
)
from foveal.measures.nuisances import nuisances

RANDOM = np.random.default_rng(6)
IMAGE = np.stack([gaussian_filter(RANDOM.random((48, 48)), 2) for _ in range(3)])
IMAGE = ((IMAGE - IMAGE.min()) / np.ptp(IMAGE) * 0.7 + 0.1).astype(np.float32)
FIELD = np.hypot(*(np.indices((48, 48)) - 23.5)) < 20


def grey(batch):
    return np.asarray(batch).mean(axis=1)


def changes_of(modality, image=IMAGE):
    return {one.name: one for one in nuisances(modality, (48, 48), len(image))}


def test_a_photograph_meets_13_nuisances_and_a_section_12():
    sizes: list[int] = []

    def explain(batch):
        sizes.append(len(batch))
        return grey(batch)

    for modality, image, count in (
        ("fundus", IMAGE, 13), ("fundus", IMAGE[:1], 11), ("oct", IMAGE[:1], 12),
    ):  # fmt: skip
        sizes.clear()
        score = nuisance_stability(explain, image, field=FIELD, modality=modality)
        assert sum(sizes) == count + 1
        assert len(score.parts["nuisances"]) == count == score.params["nuisances"]


def test_a_map_that_moves_with_the_eye_is_stable_once_it_is_carried_back():
    score = nuisance_stability(grey, IMAGE, field=FIELD)
    rows = score.parts["nuisances"]
    for name in ("rotation +1", "rotation -1", "row shift +1", "column shift -1"):
        assert rows[name]["spearman"] > 0.99
    assert rows["gamma +1"]["spearman"] == pytest.approx(1, abs=0.01)
    fixed = RANDOM.random((48, 48))
    still = nuisance_stability(lambda batch: np.stack([fixed] * len(batch)), IMAGE, field=FIELD)
    assert still.parts["nuisances"]["brightness +1"]["change"] == 0
    assert still.parts["nuisances"]["rotation +1"]["spearman"] < 0.8


def test_what_is_done_to_the_image_is_what_its_name_says():
    photograph = changes_of("fundus")
    np.testing.assert_allclose(photograph["brightness -1"].change(IMAGE), 0.9 * IMAGE, rtol=1e-6)
    np.testing.assert_allclose(photograph["gamma +1"].change(IMAGE), IMAGE**1.1, rtol=1e-6)
    turned = photograph["hue +1"].change(IMAGE)
    hue, before = (rgb2hsv(one, channel_axis=0)[0] for one in (turned, IMAGE))
    np.testing.assert_allclose((hue - before + 0.5) % 1 - 0.5, 0.02, atol=1e-3)
    assert 0 < np.abs(photograph["jpeg"].change(IMAGE) - IMAGE).max() < 0.2
    section = changes_of("oct")
    moved = section["row shift +1"].change(IMAGE)
    np.testing.assert_allclose(moved[:, 2:], IMAGE[:, :-2], atol=1e-6)
    noise = section["speckle"].change(IMAGE) / IMAGE - 1
    assert noise.std() == pytest.approx(0.1, rel=0.1)


def test_a_turn_there_and_back_is_no_turn():
    turn = changes_of("fundus")["rotation +1"]
    smooth = gaussian_filter(RANDOM.random((1, 48, 48)), (0, 3, 3))
    back = turn.back(turn.change(smooth)[0])
    np.testing.assert_allclose(back[FIELD], smooth[0][FIELD], atol=0.005)


def test_nuisances_that_change_the_class_are_named_and_left_out():
    def darker(batch):
        return np.asarray(batch).mean(axis=(1, 2, 3)) < 0.97 * IMAGE.mean()

    score = nuisance_stability(grey, IMAGE, predict=darker, max_batch=4)
    rows = score.parts["nuisances"]
    assert rows["brightness -1"]["prediction_changed"]
    assert not rows["brightness +1"]["prediction_changed"]
    kept = [row["spearman"] for row in rows.values() if not row["prediction_changed"]]
    assert score.value == pytest.approx(np.mean(kept))
    counted = iter(range(100))
    flips = nuisance_stability(
        grey, IMAGE, predict=lambda batch: [min(1, next(counted)) for _ in batch]
    )
    assert flips.reason == "prediction_changed"


MISSING = [
    pytest.param(lambda b: np.zeros((len(b), 48, 48)), "zero_map", id="zero"),
    pytest.param(lambda b: np.ones((len(b), 48, 48)), "constant_map", id="constant"),
    pytest.param(lambda b: np.full((len(b), 48, 48), np.nan), "nan_map", id="no numbers"),
    pytest.param(
        lambda b: np.stack([grey(b)[k] * (k == 0) for k in range(len(b))]),
        "constant_map",
        id="zero once it is changed",
    ),
]


@pytest.mark.parametrize(("explain", "reason"), MISSING)
def test_flat_maps_are_not_stable(explain, reason):
    score = nuisance_stability(explain, IMAGE)
    assert (score.value, score.reason) == (None, reason)


def test_an_unknown_modality_is_refused():
    with pytest.raises(ValueError, match="fundus or oct"):
        nuisance_stability(grey, IMAGE, modality="x-ray")


def coarse(cells):
    """Means over square cells: what a layer of this stride could see."""

    def explain(batch):
        side = 48 // cells
        return np.asarray(batch).mean(axis=1).reshape(-1, cells, side, cells, side).mean((2, 4))

    return explain


def test_layers_stand_side_by_side_with_their_strides():
    lesion = np.zeros((48, 48), bool)
    lesion[20:28, 20:28] = True
    images = perturbed_images(IMAGE, n=8)
    rows = layer_study(
        {"late": coarse(6), "early": coarse(24)},
        IMAGE,
        mask=lesion,
        images=images,
        further=[lambda map: relevance_mass(map, ~lesion)],
    )
    assert [(row.layer, row.stride_px) for row in rows] == [("late", (8, 8)), ("early", (2, 2))]
    alone = avg_sensitivity(coarse(24), IMAGE, field=np.ones((48, 48), bool), n=8)
    assert rows[1]["avg_sensitivity"].value == pytest.approx(alone.value)
    assert len(rows[0].scores) == 5


def test_a_layer_that_is_beaten_in_everything_is_not_pareto_optimal():
    def shaky(batch):
        return coarse(24)(batch) ** 9

    lesion = np.zeros((48, 48), bool)
    lesion[np.unravel_index(IMAGE.mean(axis=0).argmin(), (48, 48))] = True
    better = {"good": coarse(24), "bad": shaky}
    by = {row.layer: row for row in layer_study(better, IMAGE, mask=lesion)}
    assert by["bad"]["avg_sensitivity"].value > by["good"]["avg_sensitivity"].value
    assert by["bad"]["relevance_mass"].value < by["good"]["relevance_mass"].value
    assert by["good"].pareto
    assert not by["bad"].pareto


def test_a_layer_without_a_score_does_not_win_by_it():
    rows = layer_study({"dead": lambda b: np.zeros((len(b), 6, 6)), "live": coarse(6)}, IMAGE)
    assert [row.pareto for row in rows] == [False, True]
    with pytest.raises(ValueError, match="at least one"):
        layer_study({}, IMAGE)
