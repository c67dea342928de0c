"""Gradient health: closed forms, the numbers of known noise, and reasons instead of zeros."""

import numpy as np
import pytest
import torch
from torch import nn

from foveal.measures import (
    first_layer_grad_rms,
    fmce,
    fmce_weighted,
    grad_sparsity,
    gsi,
    gss,
    hfpr,
    hoyer,
    intensity_cv,
    repeat_variance,
)

RANDOM = np.random.default_rng(2)
ACTIVATION = RANDOM.random((4, 3, 5))
GRADIENT = RANDOM.standard_normal((4, 3, 5))
FIELD = np.hypot(*(np.indices((32, 32)) - 15.5)) < 14


def test_signal_strength_is_the_mean_magnitude_of_grad_cams_weights():
    weights = [abs(channel.sum() / 15) for channel in GRADIENT]
    score = gss(ACTIVATION, GRADIENT)
    assert score.value == pytest.approx(sum(weights) / 4)
    assert score.value <= score.parts["mean_magnitude"]
    assert score.parts["dimensionless"] == pytest.approx(score.value * 15 * ACTIVATION.mean())


def test_the_dimensionless_strength_does_not_depend_on_the_layers_scale():
    scaled = gss(10 * ACTIVATION, GRADIENT / 10)
    assert scaled.parts["dimensionless"] == pytest.approx(
        gss(ACTIVATION, GRADIENT).parts["dimensionless"]
    )


def test_behind_a_global_mean_and_a_linear_layer_the_gradient_is_the_weights():
    torch.manual_seed(0)
    head = nn.Linear(6, 3)
    seen = torch.rand(2, 6, 7, 7, requires_grad=True)
    head(seen.mean(dim=(2, 3)))[:, 1].sum().backward()
    for gradient in seen.grad:
        np.testing.assert_allclose(
            gradient.mean(dim=(1, 2)) * 49, head.weight[1].detach(), atol=1e-8, rtol=1e-5
        )
        score = gsi(gradient)
        assert score.parts["spatially_constant"]
        assert score.parts["gap_linear_head"]
    assert not gsi(GRADIENT).parts["spatially_constant"]


def test_saturation_counts_what_is_small_beside_the_largest():
    gradient = np.array([[[1.0, 0.0005, 0.0, -0.5]], [[0.0, 0.002, -0.0009, 0.1]]])
    score = gsi(gradient)
    assert score.value == 4 / 8
    assert score.parts["dead"] == 2 / 8
    assert gsi(gradient, epsilon=0.2).value == 6 / 8


def test_a_zero_gradient_is_wholly_saturated_and_says_so():
    score = gsi(np.zeros((2, 3, 3)))
    assert score.value == 1
    assert score.parts["zero_gradient"]
    assert not score.parts["gap_linear_head"]


def test_entropy_of_even_and_single_channels():
    even = np.ones((8, 2, 2)) * np.array([1, -1] * 4)[:, None, None]
    assert fmce(even).value == pytest.approx(1)
    single = np.zeros((8, 2, 2))
    single[3] = 2
    assert fmce(single).value == 0
    quarters = np.array([0.5, 0.25, 0.25, 0]).reshape(4, 1, 1)
    assert fmce(quarters).value == pytest.approx(1.5 * np.log(2) / np.log(4))


def test_a_dead_channel_adds_nothing_to_the_weighted_entropy():
    activation = np.ones((3, 2, 2))
    activation[0] = 0
    gradient = np.ones((3, 2, 2))
    assert fmce(gradient).value == pytest.approx(1)
    assert fmce_weighted(activation, gradient).value == pytest.approx(np.log(2) / np.log(3))


def test_display_space_undoes_the_standardisation():
    gradient = RANDOM.standard_normal((3, 4, 4))
    std = (0.2, 0.25, 0.5)
    display = first_layer_grad_rms(gradient / np.array([5, 4, 2])[:, None, None] ** 2, std=std)
    expected = np.sqrt(((gradient / np.array([5, 4, 2])[:, None, None]) ** 2).mean())
    assert display.value == pytest.approx(expected)
    assert first_layer_grad_rms(gradient).value == pytest.approx(np.sqrt((gradient**2).mean()))


def test_sparsity_and_hoyer_of_known_noise():
    dense = RANDOM.standard_normal((1, 300, 300))
    heavy = RANDOM.standard_cauchy((1, 300, 300))
    assert grad_sparsity(dense).value == pytest.approx(0.036, abs=0.006)
    assert grad_sparsity(heavy).value > 0.95
    assert hoyer(dense).value == pytest.approx(0.203, abs=0.005)


def test_hoyer_of_one_pixel_and_of_equal_ones():
    spike = np.zeros((1, 5, 5))
    spike[0, 2, 2] = -3
    assert hoyer(spike).value == pytest.approx(1)
    assert hoyer(np.full((2, 5, 5), -2.0)).value == pytest.approx(0)


def test_only_the_field_counts_for_input_gradients():
    gradient = np.ones((3, 32, 32))
    gradient[:, ~FIELD] = 1000
    assert grad_sparsity(gradient, field=FIELD).value == 0
    assert grad_sparsity(gradient).value > 0


def test_white_noise_has_one_minus_pi_by_sixteen_of_high_frequencies():
    shares = [hfpr(RANDOM.standard_normal((128, 128))).value for _ in range(20)]
    assert np.mean(shares) == pytest.approx(0.8037, abs=0.005)


def test_seven_by_seven_noise_looks_clean_once_it_is_enlarged():
    native = RANDOM.standard_normal((20, 7, 7))
    shares = [hfpr(one).value for one in native]
    assert np.mean(shares) == pytest.approx(0.84, abs=0.1)
    large = nn.functional.interpolate(
        torch.from_numpy(native[None]), size=(224, 224), mode="bilinear", align_corners=False
    )[0]
    assert hfpr(large[0]).value < 1e-4


def test_a_wave_is_high_or_low_as_its_frequency_is():
    columns = np.arange(64)
    for cycles, share in ((0.1, 0), (0.4, 1)):
        wave = np.tile(np.cos(2 * np.pi * cycles * columns), (64, 1))
        assert hfpr(wave).value == pytest.approx(share, abs=0.01)


def test_noise_hardly_outlives_a_mild_blur():
    score = hfpr(RANDOM.standard_normal((64, 64)))
    assert score.parts["after_blur"] < 0.3 * score.value


def test_what_lies_outside_the_field_does_not_add_grain():
    smooth = np.hypot(*(np.indices((32, 32)) - 15.5))
    rough = np.where(FIELD, smooth, 100 * RANDOM.standard_normal((32, 32)))
    assert hfpr(rough, field=FIELD).value == hfpr(smooth, field=FIELD).value


def test_evenness_is_that_of_the_luminance_in_the_field():
    image = RANDOM.random((3, 32, 32)).astype(np.float32)
    light = 0.2126 * image[0] + 0.7152 * image[1] + 0.0722 * image[2]
    expected = light[FIELD].std() / light[FIELD].mean()
    assert intensity_cv(image, field=FIELD).value == pytest.approx(expected, rel=1e-5)
    assert intensity_cv(np.full((1, 4, 4), 0.3)).value == pytest.approx(0, abs=1e-12)


IMAGE = np.full((1, 12, 12), 0.5, np.float32)


def test_repeats_of_a_known_variance():
    draws = np.random.default_rng(0)

    def explain(batch):
        return 3 + 2 * draws.standard_normal((len(batch), 12, 12))

    score = repeat_variance(explain, IMAGE, n=400)
    assert score.value == pytest.approx(4 / 9, rel=0.05)
    assert score.parts["averaged_ratio"] == pytest.approx(0.25, rel=0.1)


def test_maps_that_move_together_do_not_average_out():
    def explain(batch):
        groups = (np.arange(len(batch)) - 1) // 4  # the image itself comes first
        return np.stack([np.full((12, 12), 1.0 + group % 2) for group in groups])

    score = repeat_variance(explain, IMAGE, n=16, max_batch=17)
    assert score.parts["averaged_ratio"] > 0.8


def test_repeats_take_17_explanations():
    sizes: list[int] = []

    def explain(batch):
        sizes.append(len(batch))
        return np.asarray(batch)[:, 0]

    repeat_variance(explain, IMAGE)
    assert sum(sizes) == 17


BAD = np.full((2, 3, 3), np.nan)
ZERO = np.zeros((2, 3, 3))
EDGE = np.zeros((9, 9))
EDGE[0], EDGE[-1] = 1, -1
MISSING = [
    pytest.param(lambda: gss(ZERO, BAD), "nan_map", id="gss of no numbers"),
    pytest.param(lambda: gsi(BAD), "nan_map", id="gsi of no numbers"),
    pytest.param(lambda: fmce(BAD), "nan_map", id="fmce of no numbers"),
    pytest.param(lambda: fmce(ZERO), "zero_map", id="fmce of zero"),
    pytest.param(lambda: fmce(np.ones((1, 3, 3))), "too_few", id="fmce of one channel"),
    pytest.param(lambda: fmce_weighted(ZERO, ZERO + 1), "zero_map", id="no active channel"),
    pytest.param(lambda: first_layer_grad_rms(BAD), "nan_map", id="rms of no numbers"),
    pytest.param(lambda: grad_sparsity(ZERO), "zero_map", id="sparsity of zero"),
    pytest.param(lambda: grad_sparsity(BAD), "nan_map", id="sparsity of no numbers"),
    pytest.param(lambda: hoyer(ZERO), "zero_map", id="hoyer of zero"),
    pytest.param(lambda: hoyer(BAD), "nan_map", id="hoyer of no numbers"),
    pytest.param(lambda: hoyer(np.ones((1, 1, 1))), "too_few", id="hoyer of one value"),
    pytest.param(lambda: hfpr(np.full((9, 9), 0.1)), "constant_map", id="hfpr of a constant"),
    pytest.param(lambda: hfpr(np.zeros((9, 9))), "zero_map", id="hfpr of zero"),
    pytest.param(lambda: hfpr(np.full((9, 9), np.inf)), "nan_map", id="hfpr of no numbers"),
    pytest.param(lambda: hfpr(np.eye(4)), "too_few", id="hfpr of few cells"),
    pytest.param(lambda: hfpr(EDGE), "too_few", id="hfpr of a border"),
    pytest.param(
        lambda: hfpr(np.ones((9, 9)), field=np.eye(9)), "constant_map", id="hfpr of a flat field"
    ),
    pytest.param(lambda: intensity_cv(np.zeros((3, 4, 4))), "zero_map", id="a black image"),
    pytest.param(lambda: intensity_cv(np.full((3, 4, 4), np.nan)), "nan_map", id="no image"),
    pytest.param(
        lambda: repeat_variance(lambda b: np.zeros((len(b), 3, 3)), IMAGE), "zero_map", id="flat"
    ),
    pytest.param(
        lambda: repeat_variance(lambda b: np.full((len(b), 3, 3), np.nan), IMAGE),
        "nan_map",
        id="repeats of no numbers",
    ),
    pytest.param(
        lambda: repeat_variance(lambda b: np.ones((len(b), 3, 3)), IMAGE, n=7),
        "too_few",
        id="few repeats",
    ),
]


@pytest.mark.parametrize(("ask", "reason"), MISSING)
def test_what_is_undefined_has_a_reason(ask, reason):
    score = ask()
    assert (score.value, score.reason) == (None, reason)


REFUSED = [
    pytest.param(lambda: gss(ACTIVATION[:2], GRADIENT), "one layer", id="another layer"),
    pytest.param(lambda: gsi(GRADIENT, epsilon=0.0), "epsilon must be positive", id="epsilon"),
    pytest.param(lambda: gsi(np.ones(3)), "channel, row, column", id="no positions"),
    pytest.param(lambda: first_layer_grad_rms(GRADIENT, std=(1.0,)), "positive", id="std"),
    pytest.param(lambda: hoyer(GRADIENT, field=np.ones((2, 2))), "field is", id="field"),
    pytest.param(lambda: intensity_cv(np.ones((2, 4, 4))), "1 or 3 channels", id="channels"),
]


@pytest.mark.parametrize(("ask", "says"), REFUSED)
def test_wrong_use_says_what_to_do(ask, says):
    with pytest.raises(ValueError, match=says):
        ask()
