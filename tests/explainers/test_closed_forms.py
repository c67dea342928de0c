"""Maps that can be worked out by hand, or by a slow twin re-derived from the paper."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from nets import Convolutional, Weighted, images
from torch import Tensor, nn

from foveal.doors import attribute
from foveal.explainers import (
    RISE,
    GradCAMPlusPlus,
    IntegratedGradients,
    LayerCAM,
    Occlusion,
    ScoreCAM,
    SmoothGrad,
    SquareGrad,
    VarGrad,
)
from foveal.explainers.base import Draw

# Two channels on a 1 x 2 grid: A1 = (1, 3), g1 = (.5, .25); A2 = (2, 0), g2 = (-.5, 1).
ACTIVATIONS = torch.tensor([[[[1.0, 3.0]], [[2.0, 0.0]]]])
GRADIENTS = torch.tensor([[[0.5, 0.25]], [[-0.5, 1.0]]])

TWO_CHANNELS = [
    # w = (.375, .25): .375 * 1 + .25 * 2 and .375 * 3
    pytest.param("gradcam", [0.875, 1.125], id="gradcam"),
    # alpha = (1/4, 1/3 | -, 1/4), w = (5/24, 1/4): 5/24 + 2/4 and 15/24
    pytest.param("gradcam++", [0.7083333, 0.625], id="gradcam++ by equation 19"),
    # alpha over its sum = (3/7, 4/7 | 0, 1), w = (5/14, 1)
    pytest.param(
        GradCAMPlusPlus(normalised_alpha=True), [2.3571429, 1.0714286], id="gradcam++ by the script"
    ),
    # w = (1.25 / 4, -1 / 2)
    pytest.param("xgradcam", [-0.6875, 0.9375], id="xgradcam"),
    pytest.param("hirescam", [-0.5, 0.75], id="hirescam"),
    pytest.param("layercam", [0.5, 0.75], id="layercam"),
]


@pytest.mark.parametrize(("method", "expected"), TWO_CHANNELS)
def test_two_channels_give_the_map_worked_out_by_hand(method, expected):
    maps = attribute(Weighted(GRADIENTS), ACTIVATIONS, method, layers="layer")
    (values,) = maps.values()
    torch.testing.assert_close(values, torch.tensor([[expected]]))


def test_gradcam_plus_plus_has_no_absolute_epsilon():
    tiny = attribute(Weighted(GRADIENTS * 1e-12), ACTIVATIONS, "gradcam++", layers="layer")
    # As g -> 0, alpha -> 1/2 wherever g > 0: w = (.375, .5) times the scale.
    torch.testing.assert_close(tiny["gradcam++"] * 1e12, torch.tensor([[[1.375, 1.125]]]))


def test_gradcam_plus_plus_stays_finite_for_huge_scores():
    huge = attribute(Weighted(GRADIENTS * 1e9), ACTIVATIONS, "gradcam++", layers="layer")
    # As g -> infinity, alpha g -> 1 / sum A: w = (2 / 4, 1 / 2).
    torch.testing.assert_close(huge["gradcam++"], torch.tensor([[[1.5, 1.5]]]))


def test_negative_activations_are_named_as_a_deviation():
    with pytest.warns(UserWarning, match="negative activations"):
        maps = attribute(Weighted(GRADIENTS), -ACTIVATIONS, "gradcam++", layers="layer")
    # sum A < 0 counts as zero, so alpha = 1/2: w = (.375, .5).
    torch.testing.assert_close(maps["gradcam++"], torch.tensor([[[-1.375, -1.125]]]))
    assert "negative activations" in maps.info["gradcam++"].notes[0]


def test_a_channel_that_cancels_out_gets_no_weight_in_xgradcam():
    cancelling = torch.tensor([[[[1.0, -1.0]], [[2.0, 0.0]]]])
    with pytest.warns(UserWarning, match="negative activations"):
        maps = attribute(Weighted(GRADIENTS), cancelling, "xgradcam", layers="layer")
    torch.testing.assert_close(maps["xgradcam"], torch.tensor([[[-1.0, 0.0]]]))


def test_gradcam_equals_hirescam_and_cam_on_a_global_mean_with_a_linear_head():
    model, batch = Convolutional().eval(), images()
    maps = attribute(model, batch, ["gradcam", "hirescam"], target=2, layers="top")
    with torch.no_grad():
        features = F.relu(model.norm(model.stem(batch)))
        features = model.top(model.body(features))
    cells = features[0, 0].numel()
    cam = torch.einsum("k,nkrc->nrc", model.head.weight[2], features)
    torch.testing.assert_close(maps["gradcam"], cam / cells)
    torch.testing.assert_close(maps["hirescam"], cam / cells)


def test_hirescam_sums_to_the_logit_without_its_bias():
    model, batch = Convolutional().eval(), images()
    maps = attribute(model, batch, "hirescam", target=1, layers="top")
    logit = model(batch)[:, 1].detach()
    torch.testing.assert_close(
        maps["hirescam"].flatten(1).sum(dim=1), logit - model.head.bias[1].detach()
    )


def test_a_functional_relu_after_the_layer_is_watched_where_the_formula_assumes_it():
    class FunctionalReLU(nn.Module):
        def __init__(self, inplace: bool) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 4, 3, bias=False)
            self.head = nn.Linear(4, 2)
            self.inplace = inplace

        def forward(self, batch: Tensor) -> Tensor:
            features = self.layer(batch)
            if self.inplace:
                F.relu(features, inplace=True)
            else:
                features = torch.relu(features)
            return self.head(features.mean(dim=(2, 3)))

    torch.manual_seed(0)
    model, batch = FunctionalReLU(inplace=False), images()
    maps = attribute(model, batch, ["layercam", "hirescam"], target=0, layers="layer")
    with torch.no_grad():
        features = model.layer(batch).relu()
    weight = model.head.weight[0].clamp(min=0) / features[0, 0].numel()
    twin = torch.einsum("k,nkrc->nrc", weight, features)
    torch.testing.assert_close(maps["layercam"], twin)
    model.inplace = True
    again = attribute(model, batch, ["layercam", "hirescam"], target=0, layers="layer")
    torch.testing.assert_close(again["layercam"], maps["layercam"])
    torch.testing.assert_close(again["hirescam"], maps["hirescam"])


def test_layercam_fuses_layers_by_the_largest_resized_value():
    model, batch = Convolutional(), images(1)
    layers = ["body.1", "top"]
    single = attribute(model, batch, "layercam", target=0, layers=layers)
    fused = attribute(model, batch, LayerCAM(fuse=True), target=0, layers=layers)["layercam"]
    fine, coarse = (single[f"layercam@{layer}"].clamp(min=0) for layer in layers)
    up = F.interpolate(coarse[None], size=fine.shape[1:], mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(fused, torch.maximum(fine, up))
    scaled = LayerCAM(fuse=True, scale_layers=("body.1",))
    twin = torch.maximum((2 * fine / fine.max()).tanh(), up)
    torch.testing.assert_close(
        attribute(model, batch, scaled, target=0, layers=layers)["layercam"], twin
    )


def test_saliency_keeps_sign_and_channels():
    model, batch = Convolutional().eval(), images(2)
    leaf = batch.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf)[:, 3].sum(), leaf)
    maps = attribute(model, batch, "saliency", target=3)
    torch.testing.assert_close(maps["saliency"], gradient)
    summed = attribute(model, batch, "saliency", target=3, size="input")
    torch.testing.assert_close(summed["saliency"], gradient.sum(dim=1))


def test_input_times_gradient_sums_to_the_score_of_relus_without_biases():
    torch.manual_seed(2)
    model = nn.Sequential(
        nn.Conv2d(3, 5, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 36, 2, bias=False)
    )
    batch = images(3, side=8)
    maps = attribute(model, batch, "inputxgradient", target=1)
    assert maps["inputxgradient"].shape == batch.shape
    torch.testing.assert_close(
        maps["inputxgradient"].flatten(1).sum(dim=1), model(batch)[:, 1].detach()
    )


def test_squares_and_variances_of_noisy_gradients_equal_their_slow_twins():
    model, batch = Convolutional().eval(), images(2)
    settings = {"samples": 6, "noise": 0.4}
    gradients = []
    for sample in range(6):
        ranges = batch.flatten(1).amax(dim=1) - batch.flatten(1).amin(dim=1)
        noise = Draw(5).normal(sample, batch)
        leaf = (batch + 0.4 * ranges[:, None, None, None] * noise).requires_grad_()
        (gradient,) = torch.autograd.grad(model(leaf)[:, 2].sum(), leaf)
        gradients.append(gradient)
    every = torch.stack(gradients)
    maps = attribute(
        model,
        batch,
        [SmoothGrad(**settings), SquareGrad(**settings), VarGrad(**settings)],
        target=2,
        seed=5,
    )
    for name, twin in (
        ("smoothgrad", every.mean(dim=0)),
        ("squaregrad", (every**2).mean(dim=0)),
        ("vargrad", every.var(dim=0, correction=0)),
    ):
        torch.testing.assert_close(maps[name], twin, rtol=1e-4, atol=1e-5 * float(twin.abs().max()))


@pytest.mark.parametrize(("channels", "side"), [(3, 4), (20, 3)])
def test_eigencam_is_the_projection_on_the_first_singular_vector(channels, side):
    torch.manual_seed(1)
    activations = torch.randn(2, channels, side, side)
    gradient = torch.randn(channels, side, side)
    maps = attribute(Weighted(gradient), activations, ["eigencam", "eigengradcam"], layers="layer")
    for name, features in (("eigencam", activations), ("eigengradcam", activations * gradient)):
        for made, own in zip(maps[name], features, strict=True):
            matrix = own.flatten(1).T.numpy()
            _, _, right = np.linalg.svd(matrix, full_matrices=False)
            twin = matrix @ right[0]
            twin *= np.sign(twin @ np.abs(matrix).sum(axis=1))
            np.testing.assert_allclose(made.flatten(), twin, atol=1e-5)


def test_eigencam_of_one_channel_is_that_channel_and_of_silence_is_zero():
    activations = torch.zeros(2, 2, 1, 2)
    activations[0, 1] = torch.tensor([[3.0, -1.0]])
    maps = attribute(Weighted(GRADIENTS), activations, "eigencam", layers="layer")
    torch.testing.assert_close(maps["eigencam"], torch.tensor([[[3.0, -1.0]], [[0.0, 0.0]]]))
    assert maps.info["eigencam"].reasons == (None, "zero_map")


def test_eigencam_needs_no_gradient_and_knows_no_class():
    model, batch = Convolutional(), images(2)
    maps = [attribute(model, batch, "eigencam", target=t, layers="top")["eigencam"] for t in (0, 3)]
    assert torch.equal(*maps)
    assert model.count.backwards == 0


def test_smoothgrad_of_a_linear_score_is_its_gradient():
    maps = attribute(Weighted(GRADIENTS), ACTIVATIONS, SmoothGrad(samples=3))
    torch.testing.assert_close(maps["smoothgrad"], GRADIENTS[None])


def test_smoothgrad_noise_is_a_share_of_each_images_own_range():
    class Recording(Weighted):
        def forward(self, batch: Tensor) -> Tensor:
            seen.append(batch.detach().clone())
            return super().forward(batch)

    seen: list[Tensor] = []
    batch = torch.rand(2, 1, 40, 40) * torch.tensor([1.0, 50.0]).reshape(2, 1, 1, 1)
    attribute(Recording(torch.ones(1, 40, 40)), batch, SmoothGrad(samples=4, noise=0.2))
    probes = torch.cat(seen[1:]).reshape(4, *batch.shape)
    spread = (probes - batch).flatten(2).std(dim=2).mean(dim=0)
    ranges = batch.flatten(1).amax(dim=1) - batch.flatten(1).amin(dim=1)
    torch.testing.assert_close(spread / ranges, torch.full((2,), 0.2), rtol=0.03, atol=0)
    torch.testing.assert_close(  # one draw, shared by the batch and scaled
        (probes - batch)[:, 0] / ranges[0], (probes - batch)[:, 1] / ranges[1], rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("baseline", [0.0, 0.5, "blur", torch.full((1, 3, 1, 1), 0.2)])
def test_integrated_gradients_sum_to_the_change_of_the_score(baseline):
    model, batch = Convolutional(), images(2)
    maps = attribute(model, batch, IntegratedGradients(steps=64, baseline=baseline), target=1)
    parts = maps.info["integratedgradients"].parts
    change = parts["score_change"]
    total = maps["integratedgradients"].flatten(1).sum(dim=1)
    torch.testing.assert_close(total, change, rtol=0.02, atol=1e-3)
    torch.testing.assert_close(parts["completeness_error"], total - change)


def test_integrated_gradients_are_exact_for_a_polynomial_of_degree_2n():
    class Cubic(nn.Module):
        def forward(self, batch: Tensor) -> Tensor:
            return (batch**3).flatten(1).sum(dim=1, keepdim=True)

    batch = images(2)
    maps = attribute(Cubic(), batch, IntegratedGradients(steps=2))
    torch.testing.assert_close(maps["integratedgradients"], batch**3)


def _slow_occlusion(model, image: Tensor, target: int, window: int, stride: int, fill: float):
    """Zeiler and Fergus by two loops: windows inside the image, the last one flush."""
    rows, columns = image.shape[1:]
    starts = [
        sorted({*range(0, side - window + 1, stride), side - window}) for side in (rows, columns)
    ]
    drop, cover = np.zeros((rows, columns)), np.zeros((rows, columns))
    with torch.no_grad():
        clean = model(image[None])[0, target].item()
        for r in starts[0]:
            for c in starts[1]:
                covered = image.clone()
                covered[:, r : r + window, c : c + window] = fill
                score = model(covered[None])[0, target].item()
                drop[r : r + window, c : c + window] += clean - score
                cover[r : r + window, c : c + window] += 1
    return torch.tensor(drop / cover, dtype=torch.float32)


@pytest.mark.parametrize(("window", "stride"), [(7, 5), (8, 8), (24, 1)])
def test_occlusion_equals_its_slow_twin(window, stride):
    model, batch = Convolutional().eval(), images(2)
    occlusion = Occlusion(window=window, stride=stride, fill=0.5)
    maps = attribute(model, batch, occlusion, target=2, max_batch=5)
    for image, values in zip(batch, maps["occlusion"], strict=True):
        twin = _slow_occlusion(model, image, 2, window, stride, 0.5)
        torch.testing.assert_close(values, twin, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("side", [1, 5, 24])
def test_the_default_window_never_exceeds_the_image(side):
    maps = attribute(lambda batch: batch.mean(dim=(2, 3)), images(1, side), "occlusion", target=0)
    assert maps["occlusion"].shape == (1, side, side)
    assert bool((maps["occlusion"] > 0).all())


def test_rise_equals_its_slow_twin():
    model, batch = Convolutional().eval(), images(2, side=20)
    made = attribute(model, batch, RISE(masks=5, cells=3, keep=0.4, fill=0.25), target=2, seed=4)
    cell = math.ceil(20 / 3)
    total = torch.zeros(2, 20, 20)
    for number in range(5):
        drawn = Draw(4).uniform(number, (11,))
        coarse = (drawn[2:] < 0.4).float().reshape(1, 1, 3, 3)
        large = F.interpolate(coarse, size=(4 * cell, 4 * cell), mode="bilinear")[0, 0]
        top, left = (int(share * cell) for share in drawn[:2])
        mask = large[top : top + 20, left : left + 20]
        with torch.no_grad():
            probability = model(mask * batch + (1 - mask) * 0.25).softmax(dim=1)[:, 2]
        total += probability[:, None, None] * mask
    torch.testing.assert_close(made["rise"], total / (5 * 0.4))
    assert made.info["rise"].score_modes == ("probability", "probability")


def test_rise_finds_the_only_place_that_matters():
    def corner(batch: Tensor) -> Tensor:
        return batch[:, 0, 2:6, 10:14].mean(dim=(1, 2))

    made = attribute(corner, torch.ones(1, 3, 16, 16), RISE(masks=600), target=lambda out: out)
    strongest = divmod(int(made["rise"][0].argmax()), 16)
    assert abs(strongest[0] - 3.5) <= 2
    assert abs(strongest[1] - 11.5) <= 2
    assert made.info["rise"].score_modes == ("as given",)


@pytest.mark.parametrize("weighting", ["post-softmax", "algorithm1"])
@pytest.mark.parametrize("top", [None, 4])
def test_scorecam_equals_its_slow_twin(weighting, top):
    model, batch = Convolutional().eval(), images(2)
    made = attribute(
        model, batch, ScoreCAM(weighting=weighting, top=top), target=[3, 1], layers="body"
    )
    kept: list[Tensor] = []
    handle = model.body.register_forward_hook(lambda _, __, output: kept.append(output.clone()))
    with torch.no_grad():
        model(batch)
    handle.remove()
    for number, target in enumerate([3, 1]):
        features = kept[0][number]
        chosen = sorted(range(10), key=lambda k: -float(features[k].std()))[: top or 10]
        weights = []
        for channel in chosen:
            mask = F.interpolate(features[None, channel : channel + 1], size=(24, 24),
                                 mode="bilinear")[0]  # fmt: skip
            mask = (mask - mask.min()) / (mask.max() - mask.min())
            with torch.no_grad():
                logits = model(batch[number : number + 1] * mask)[0]
                nothing = model(torch.zeros(1, 3, 24, 24))[0]
            if weighting == "algorithm1":
                weights.append(logits[target] - nothing[target])
            else:
                weights.append(logits.softmax(dim=0)[target])
        values = torch.stack(weights)
        values = values.softmax(dim=0) if weighting == "algorithm1" else values
        twin = (values[:, None, None] * features[chosen]).sum(dim=0)
        torch.testing.assert_close(made["scorecam"][number], twin, rtol=1e-4, atol=1e-5)


def test_a_constant_channel_has_no_weight_in_scorecam():
    activations = torch.tensor([[[[1.0, 3.0]], [[2.0, 2.0]]]])
    made = attribute(
        Weighted(GRADIENTS), activations, "scorecam", layers="layer", target=lambda out: out[:, 0]
    )
    # Channel 1 masks the image to (0, 1): .25 * 3 + 1 * 2 = 2.75, times (1, 3).
    torch.testing.assert_close(made["scorecam"], torch.tensor([[[2.75, 8.25]]]))
