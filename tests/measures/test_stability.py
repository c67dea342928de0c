"""Stability: closed forms, a slow twin, other libraries, and counted explanations."""

import numpy as np
import pytest
import torch
from captum.metrics import sensitivity_max
from scipy.stats import pearsonr, spearmanr
from skimage.metrics import structural_similarity

from foveal.measures import (
    avg_sensitivity,
    map_pearson,
    map_spearman,
    map_ssim,
    max_sensitivity,
    perturbed_images,
    perturbed_maps,
    topk_iou,
)

RANDOM = np.random.default_rng(4)
IMAGE = (0.3 + 0.4 * RANDOM.random((3, 24, 24))).astype(np.float32)
FIELD = np.hypot(*(np.indices((24, 24)) - 11.5)) < 11
SIMILARITIES = [
    pytest.param(map_ssim, id="ssim"),
    pytest.param(map_pearson, id="pearson"),
    pytest.param(map_spearman, id="spearman"),
    pytest.param(topk_iou, id="top-10 % IoU"),
]
ALL = [
    pytest.param(max_sensitivity, id="max"),
    pytest.param(avg_sensitivity, id="avg"),
    *SIMILARITIES,
]


class Counting:
    """Explains by the channels' mean, squared, and counts what it is asked."""

    def __init__(self):
        self.sizes: list[int] = []

    def __call__(self, batch):
        self.sizes.append(len(batch))
        return np.asarray(batch).mean(axis=1) ** 2


def test_the_maximum_and_mean_are_those_of_a_slow_twin():
    def twin():
        clean = IMAGE.mean(axis=0) ** 2
        for draw in range(1, 6):
            noise = np.random.default_rng([7, draw]).standard_normal(IMAGE.shape, np.float32)
            moved = np.clip(IMAGE + 0.02 * noise * FIELD, 0, 1)
            change = (moved.mean(axis=0) ** 2 - clean)[FIELD]
            yield np.linalg.norm(change) / np.linalg.norm(clean[FIELD])

    settings = {"field": FIELD, "n": 5, "sigma": 0.02, "seed": 7}
    expected = list(twin())
    worst = max_sensitivity(Counting(), IMAGE, **settings)
    mean = avg_sensitivity(Counting(), IMAGE, **settings)
    assert worst.value == pytest.approx(max(expected), rel=1e-5)
    assert mean.value == pytest.approx(np.mean(expected), rel=1e-5)
    assert worst.params["n"] == 5
    assert worst.params["sigma"] == 0.02


def test_the_maximum_is_captums_for_the_same_noise():
    weights = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))

    def explain(batch):
        return (torch.as_tensor(batch) * weights).sum(dim=1)

    draws = list(perturbed_images(IMAGE, n=6, sigma=0.03, max_batch=1).batches())[1:]
    given = iter(draws)
    ours = max_sensitivity(explain, IMAGE, n=6, sigma=0.03)
    theirs = sensitivity_max(
        lambda batch: (explain(batch[0]).unsqueeze(1),),
        torch.from_numpy(IMAGE)[None],
        perturb_func=lambda batch: (next(given),),
        n_perturb_samples=6,
        max_examples_per_batch=1,
    )
    assert ours.value == pytest.approx(float(theirs), rel=1e-5)


def test_51_explanations_serve_all_measures_of_stability():
    explain = Counting()
    made = perturbed_maps(explain, IMAGE, field=FIELD)
    for measure in (
        max_sensitivity,
        avg_sensitivity,
        map_ssim,
        map_pearson,
        map_spearman,
        topk_iou,
    ):
        assert measure(explain, IMAGE, perturbed=made).value is not None
    assert sum(explain.sizes) == 51
    assert max(explain.sizes) == 16


def test_the_predictions_of_noisy_copies_are_asked_once_for_all_methods():
    asked: list[int] = []

    def predict(batch):
        asked.append(len(batch))
        return np.zeros(len(batch), int)

    images = perturbed_images(IMAGE, predict=predict, n=9)
    for explain in (Counting(), Counting()):
        made = perturbed_maps(explain, IMAGE, images=images)
        assert max_sensitivity(explain, IMAGE, perturbed=made).parts["prediction_changed"] == 0
    assert sum(asked) == 10


def test_copies_that_change_the_class_are_counted_and_left_out():
    level = IMAGE.mean()

    def predict(batch):
        return np.asarray(batch).mean(axis=(1, 2, 3)) > level

    settings = {"n": 20, "sigma": 0.05}
    score = max_sensitivity(Counting(), IMAGE, predict=predict, **settings)
    everything = max_sensitivity(Counting(), IMAGE, **settings)
    flipped = score.parts["prediction_changed"]
    assert 0 < flipped < 20
    assert score.parts["n_valid"] == 20 - flipped
    assert set(score.parts["values"]) < set(everything.parts["values"])


def test_nothing_is_left_where_every_copy_changes_the_class():
    counted = iter(range(100))
    score = avg_sensitivity(
        Counting(), IMAGE, n=3, predict=lambda batch: [min(1, next(counted)) for _ in batch]
    )
    assert (score.value, score.reason) == (None, "prediction_changed")


@pytest.mark.parametrize("measure", ALL)
def test_an_empty_map_is_not_perfectly_stable(measure):
    score = measure(lambda batch: np.zeros((len(batch), 24, 24)), IMAGE, n=2)
    assert (score.value, score.reason) == (None, "zero_map")


@pytest.mark.parametrize("measure", SIMILARITIES)
def test_two_constant_maps_are_not_alike(measure):
    assert measure(np.full((24, 24), 0.5), np.full((24, 24), 0.5)).reason == "constant_map"
    assert measure(lambda batch: np.ones((len(batch), 24, 24)), IMAGE, n=2).reason == "constant_map"


@pytest.mark.parametrize("measure", ALL)
def test_a_map_of_no_numbers_is_said_to_be_one(measure):
    score = measure(lambda batch: np.full((len(batch), 24, 24), np.nan), IMAGE, n=2)
    assert score.reason == "nan_map"


def test_a_map_that_does_not_look_at_the_image_is_perfectly_stable():
    own = RANDOM.standard_normal((24, 24))

    def explain(batch):
        return np.stack([own] * len(batch))

    assert max_sensitivity(explain, IMAGE, n=3).value == 0
    for measure in (map_ssim, map_pearson, map_spearman, topk_iou):
        assert measure(explain, IMAGE, n=3).value == pytest.approx(1)


def test_each_similarity_is_that_of_the_library():
    first, second = RANDOM.standard_normal((2, 24, 24))
    second = second + first
    inside = first[FIELD], second[FIELD]
    assert map_pearson(first, second, field=FIELD).value == pytest.approx(pearsonr(*inside)[0])
    assert map_spearman(first, second, field=FIELD).value == pytest.approx(spearmanr(*inside)[0])
    scaled = [np.where(FIELD, m, 0) / np.abs(m[FIELD]).max() for m in (first, second)]
    whole = structural_similarity(
        *scaled, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        full=True,
    )[1]  # fmt: skip
    assert map_ssim(first, second, field=FIELD).value == pytest.approx(whole[FIELD].mean())
    count = round(0.1 * FIELD.sum())
    tops = [set(np.argsort(-np.where(FIELD, m, -99).ravel())[:count]) for m in (first, second)]
    assert topk_iou(first, second, field=FIELD).value == len(tops[0] & tops[1]) / len(
        tops[0] | tops[1]
    )


def test_ssim_is_wangs_index_in_a_window_worked_out_by_hand():
    first, second = RANDOM.random((2, 33, 33))
    first, second = first / first.max(), second / second.max()
    distance = np.arange(-5, 6)
    window = np.exp(-(distance**2) / (2 * 1.5**2))
    window = np.outer(window, window) / window.sum() ** 2

    def mean(values):
        return (window * values[11:22, 11:22]).sum()

    one, two = mean(first), mean(second)
    products = mean(first**2) - one**2, mean(second**2) - two**2, mean(first * second) - one * two
    expected = (2 * one * two + 0.01**2) * (2 * products[2] + 0.03**2)
    expected /= (one**2 + two**2 + 0.01**2) * (products[0] + products[1] + 0.03**2)
    from foveal.measures.similarity import STATISTICS

    middle = np.zeros((33, 33), bool)
    middle[16, 16] = True
    assert STATISTICS["ssim"].compare(first, second, middle) == pytest.approx(expected, rel=1e-9)


def test_zeros_do_not_agree_by_themselves():
    first, second = np.zeros((2, 24, 24))
    first[:3, :3], second[-3:, -3:] = 1 + RANDOM.random((2, 3, 3))
    assert topk_iou(first, second).value == 0
    assert map_ssim(first, second).value > 0.7  # why it is never read alone


def test_without_other_maps_chance_is_that_of_shuffled_pixels_or_of_the_turned_map():
    own = IMAGE.mean(axis=0) ** 2
    values = own[FIELD].astype(float)
    draws = [np.linalg.norm(RANDOM.permutation(values) - values) for _ in range(500)]
    expected = np.sqrt(np.mean(np.square(draws))) / np.linalg.norm(values)
    score = max_sensitivity(Counting(), IMAGE, field=FIELD, n=1)
    assert score.chance == pytest.approx(expected, rel=0.01)
    alike = map_ssim(own, own, field=FIELD)
    assert alike.chance == pytest.approx(map_ssim(own, own[::-1, ::-1], field=FIELD).value)
    assert alike.chance < alike.value == pytest.approx(1)


def test_maps_of_other_images_are_the_null():
    others = RANDOM.random((5, 24, 24))
    score = map_spearman(Counting(), IMAGE, others=others, n=2)
    own = IMAGE.mean(axis=0).ravel()
    expected = [spearmanr(own, other.ravel())[0] for other in others]
    np.testing.assert_allclose(score.null, expected, atol=1e-6)
    assert score.chance == pytest.approx(np.mean(expected), abs=1e-6)
    far = max_sensitivity(Counting(), IMAGE, others=others, n=2)
    assert min(far.null) > far.value


def test_coarse_maps_are_compared_on_the_fields_grid_and_channels_are_summed():
    def coarse(batch):
        return np.asarray(batch).reshape(len(batch), 3, 4, 6, 4, 6).mean(axis=(3, 5))

    assert perturbed_maps(coarse, IMAGE, n=1).clean.shape == (4, 4)
    made = perturbed_maps(coarse, IMAGE, field=FIELD, n=1)
    assert made.clean.shape == (24, 24)
    assert made.clean[11:13, 11:13].mean() == pytest.approx(
        coarse(IMAGE[None])[0].sum(axis=0)[1:3, 1:3].mean(), rel=1e-5
    )
    assert map_ssim(coarse, IMAGE, n=1).reason == "too_few"


def test_tensors_are_given_to_those_who_gave_one():
    kinds = set()

    def explain(batch):
        kinds.add(type(batch))
        return batch.mean(axis=1)

    max_sensitivity(explain, torch.from_numpy(IMAGE), n=1)
    max_sensitivity(explain, IMAGE, n=1)
    assert kinds == {torch.Tensor, np.ndarray}


REFUSED = [
    pytest.param({"image": 255 * IMAGE}, "display units", id="not display units"),
    pytest.param({"n": 0}, "n must be at least 1", id="no draws"),
    pytest.param({"sigma": -1.0}, "sigma must not be negative", id="negative noise"),
    pytest.param({"field": np.ones((4, 4), bool)}, "field is", id="another grid"),
    pytest.param({"field": np.zeros((24, 24), bool)}, "no pixel", id="empty field"),
    pytest.param({"others": np.ones((2, 3, 3))}, "others must be", id="other maps' grid"),
    pytest.param({"explain": lambda batch: np.ones(3)}, "one map", id="no maps"),
]


@pytest.mark.parametrize(("wrong", "says"), REFUSED)
def test_wrong_use_says_what_to_do(wrong, says):
    asked = {"explain": Counting(), "image": IMAGE, **wrong}
    with pytest.raises(ValueError, match=says):
        max_sensitivity(asked.pop("explain"), asked.pop("image"), **asked)


def test_a_setting_that_does_not_exist_is_refused():
    with pytest.raises(TypeError, match="draws"):
        max_sensitivity(Counting(), IMAGE, draws=3)


def test_two_maps_of_different_grids_do_not_compare():
    with pytest.raises(ValueError, match="one grid"):
        map_ssim(np.ones((3, 3)), np.ones((4, 4)))
