"""What holds for every method, counted and not timed."""

import pytest
import torch
import torchvision_operators  # noqa: F401 (zennit imports torchvision)
from nets import Convolutional, Transformer, Volumetric, Weighted, images
from torch import Tensor, nn

from foveal.core import FovealWarning, ModelError
from foveal.doors import attribute
from foveal.explainers import (
    LIME,
    RISE,
    XRAI,
    ExpectedGradients,
    KernelSHAP,
    Occlusion,
    SmoothGrad,
    methods,
)
from foveal.explainers.rehearsal import Rehearsal

NAMES = [method.name for method in methods() if method.name != "tcav"]
"""TCAV gives no map; its laws are tried beside it."""
CAMS = ["gradcam", "gradcam++", "xgradcam", "hirescam", "layercam", "eigencam", "eigengradcam"]
SHARED = [*CAMS, "saliency", "inputxgradient", "fullgrad"]
NOISY = ["smoothgrad", "squaregrad", "vargrad", "rise"]
SEGMENTED = ["lime", "kernelshap", "xrai"]
"""A flipped image is not cut into the flipped segments."""
GREYS = torch.tensor([0.1, 0.5, 0.8]).reshape(3, 1, 1, 1)
"""References that are alike at all places, and fit images of any size."""
FEW: dict[str, object] = {
    "rise": RISE(masks=24, cells=3),
    "expectedgradients": ExpectedGradients(reference=GREYS, samples=12),
    "lime": LIME(samples=24, superpixels=9),
    "kernelshap": KernelSHAP(samples=24, superpixels=9),
    "xrai": XRAI(steps=4),
}
THICK: dict[str, object] = {
    "occlusion": Occlusion(window=(2, 3, 4)),
    "expectedgradients": ExpectedGradients(reference=GREYS.unsqueeze(-1), samples=12),
}
"""The same for volumes."""


def quick(name: str) -> object:
    """The method with few masks, for laws that hold with any number of them."""
    return FEW.get(name, name)


ATTENTION = ["attention", "rollout", "chefer"]
FAMILIES = [
    pytest.param(Convolutional, [n for n in NAMES if n not in ATTENTION], id="convolutional"),
    pytest.param(Transformer, [*ATTENTION, "saliency"], id="transformer"),
]


def exact(count: int, net: type[nn.Module] = Convolutional) -> tuple[nn.Module, Tensor]:
    """A network and images in float64: float32 sums differ with the batch size by themselves."""
    return net().double(), images(count).double()


def net_for(name: str) -> type[nn.Module]:
    """A kind of network that the method works for."""
    return Transformer if name in ATTENTION else Convolutional


def close(one: Tensor, other: Tensor) -> None:
    """Equal to 1e-5 of the map's largest value."""
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * float(other.abs().max()))


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_gives_the_maps_of_its_images_one_by_one(name):
    model, batch = exact(3, net_for(name))
    together = attribute(model, batch, quick(name), target=[0, 2, 1], layers="top")[name]
    for row, target in enumerate([0, 2, 1]):
        alone = attribute(model, batch[row : row + 1], quick(name), target=target, layers="top")[
            name
        ]
        close(together[row : row + 1], alone)


@pytest.mark.parametrize("bound", [1, 16])
@pytest.mark.parametrize(("net", "names"), FAMILIES)
def test_the_bound_on_a_pass_changes_no_map_and_is_kept(net, names, bound):
    model, batch = exact(3, net)
    asked = [quick(name) for name in names]
    free = attribute(model, batch, asked, target=1, layers="top")
    model.count.forwards.clear()
    bounded = attribute(model, batch, asked, target=1, layers="top", max_batch=bound)
    assert max(model.count.forwards) <= max(bound, 1)
    for name in names:
        close(bounded[name], free[name])


def test_methods_that_look_at_the_images_share_one_forward_and_one_backward():
    model, batch = Convolutional(), images(2)
    together = attribute(model, batch, SHARED, target=1, layers=["body.1", "top"])
    assert model.count.forwards == [2]
    assert model.count.backwards == 1
    for name in SHARED[:5]:
        for layer in ["body.1", "top"]:
            alone = attribute(model, batch, name, target=1, layers=layer)
            close(together[f"{name}@{layer}"], alone[name])
    for name in ("saliency", "fullgrad"):
        close(together[name], attribute(model, batch, name, target=1)[name])


def test_the_trunk_below_the_earliest_watched_layer_runs_without_gradients():
    model = Convolutional()
    attribute(model, images(2), "gradcam", target=1, layers=["top", "body.1"])
    assert model.count.backwards == 0


def test_costs_are_counted_in_images():
    maps = attribute(
        Convolutional(), images(2), ["gradcam", SmoothGrad(samples=5), "occlusion"], layers="top"
    )
    gradcam, smooth = maps.info["gradcam"].cost, maps.info["smoothgrad"].cost
    assert (gradcam["forward"], gradcam["shared_forward"], gradcam["shared_backward"]) == (0, 2, 2)
    assert (smooth["forward"], smooth["backward"]) == (10, 10)


def test_the_order_of_methods_and_layers_changes_nothing():
    model, batch = Convolutional(), images(2)
    layers = ["stem", "body.1", "top"]
    with pytest.warns(FovealWarning, match="negative activations"):
        one = attribute(model, batch, SHARED, target=1, layers=layers)
    with pytest.warns(FovealWarning, match="negative activations"):
        other = attribute(model, batch, SHARED[::-1], target=1, layers=layers[::-1])
    assert set(one) == set(other)
    for key in one:
        assert torch.equal(one[key], other[key])


class Chance(nn.Module):
    """Draws by chance and counts in a buffer even in eval mode; fails when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))
        self.failing = False

    def forward(self, batch: Tensor) -> Tensor:
        self.calls += 1
        if self.failing:
            raise KeyError("broken on purpose")
        return batch + 1e-3 * torch.randn(batch.shape[1:])


def stochastic(net: type[nn.Module] = Convolutional) -> nn.Module:
    model = net()
    model.count = nn.Sequential(Chance(), model.count)
    return model


def _state(model: nn.Module) -> dict[str, object]:
    return {
        "training": [part.training for part in model.modules()],
        "hooks": [len(part._forward_hooks) for part in model.modules()],
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "grad": [p.grad is None for p in model.parameters()],
        "values": [v.clone() for v in model.state_dict().values()],
        "random": torch.get_rng_state(),
    }


def _assert_same(one: dict[str, object], other: dict[str, object]) -> None:
    for key in ("training", "hooks", "requires_grad", "grad"):
        assert one[key] == other[key], key
    assert all(map(torch.equal, one["values"], other["values"]))  # type: ignore[arg-type]
    assert torch.equal(one["random"], other["random"])  # type: ignore[arg-type]


@pytest.mark.parametrize("failing", [False, True], ids=["done", "failed"])
@pytest.mark.parametrize(("net", "names"), FAMILIES)
def test_the_model_comes_back_as_it_was(net, names, failing):
    model, asked = stochastic(net).train(), [quick(name) for name in names]
    model.top.eval()
    model.head.weight.requires_grad_(False)
    model.count[0].failing = failing
    before = _state(model)
    if failing:
        with pytest.raises(KeyError, match="on purpose"):
            attribute(model, images(2), asked, target=0, layers="top")
    else:
        attribute(model, images(2), asked, target=0, layers="top")
    _assert_same(_state(model), before)
    assert model.training
    assert not model.top.training


def test_a_model_that_draws_by_chance_gives_the_same_maps_twice():
    model = stochastic()
    once, twice = (attribute(model, images(2), "saliency", target=0) for _ in range(2))
    assert torch.equal(once["saliency"], twice["saliency"])


def test_users_gradients_and_hooks_stay():
    model, batch = Convolutional(), images(2)
    model(batch).sum().backward()
    gradients = [p.grad.clone() for p in model.parameters()]  # type: ignore[union-attr]
    fired: list[str] = []
    model.top.register_forward_hook(lambda *_: fired.append("user"))
    attribute(model, batch, ["gradcam", "saliency"], target=0, layers="top")
    assert fired == ["user"]
    for before, parameter in zip(gradients, model.parameters(), strict=True):
        assert torch.equal(before, parameter.grad)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_callers_gradient_mode_does_not_matter(mode):
    model, batch = Convolutional(), images(1)
    expected = attribute(model, batch, ["gradcam", "saliency"], target=0, layers="top")
    with mode():
        got = attribute(model, batch.clone(), ["gradcam", "saliency"], target=0, layers="top")
    for key in got:
        close(got[key], expected[key])


LINEAR = [
    *("gradcam", "hirescam", "xgradcam", "layercam", "eigengradcam"),
    *("saliency", "inputxgradient", "smoothgrad", "occlusion", "cam", "fullgrad"),
    *("expectedgradients", "guidedbackprop", "deconvolution", "lrp"),
]


@pytest.mark.parametrize("name", [*LINEAR, *SEGMENTED, "integratedgradients"])
def test_twice_the_score_gives_twice_the_map(name):
    model, batch = Convolutional(), images(2)
    asked = quick(name)
    once = attribute(model, batch, asked, target=lambda output: output[:, 1], layers="top")[name]
    twice = attribute(model, batch, asked, target=lambda output: 2 * output[:, 1], layers="top")
    close(twice[name], 2 * once)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in NOISY + SEGMENTED])
def test_a_flipped_image_gives_the_flipped_map_of_a_flip_equivariant_model(name):
    class Pointwise(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(3)
            self.layer = nn.Sequential(nn.Conv2d(3, 5, 1), nn.ReLU())
            self.head = nn.Linear(5, 2)

        def forward(self, batch: Tensor) -> Tensor:
            return self.head(self.layer(batch).mean(dim=(2, 3)))

    model, batch = Pointwise().double(), images(1, 4).double()
    if name in ATTENTION:
        model = Transformer(sides=(4, 4), patch=1, positions=False).double()
        model.layer = model.top
    plain = attribute(model, batch, quick(name), target=0, layers="layer")[name]
    flipped = attribute(model, batch.flip(-1), quick(name), target=0, layers="layer")[name]
    close(flipped.flip(-1), plain)


@pytest.mark.parametrize("name", [*CAMS, "smoothgradcam++", "ablationcam"])
def test_the_order_of_channels_does_not_matter(name):
    activations = torch.rand(1, 4, 3, 3)
    gradient = torch.randn(4, 3, 3)
    order = torch.tensor([2, 0, 3, 1])
    one = attribute(Weighted(gradient), activations, name, layers="layer")[name]
    other = attribute(Weighted(gradient[order]), activations[:, order], name, layers="layer")
    close(other[name], one)


@pytest.mark.parametrize("name", NAMES)
def test_volumes_work_like_images(name):
    volumes = torch.rand(2, 1, 4, 6, 8)
    explainer = THICK.get(name, quick(name))
    model, native = Volumetric(), (2, 4, 6, 8)
    if name in ATTENTION:
        model, native = Transformer(channels=1, sides=(4, 6, 8), patch=2), (2, 2, 3, 4)
        model.features = model.top
    maps = attribute(model, volumes, explainer, target=1, layers="features")
    assert tuple(maps[name].shape) == ((2, 1, 4, 6, 8) if maps[name].ndim == 5 else native)
    sized = attribute(model, volumes, explainer, target=1, layers="features", size="input")
    assert tuple(sized[name].shape) == (2, 4, 6, 8)


def test_no_nan_leaves_and_the_reason_is_given_for_each_image():
    class Odd(nn.Module):
        """Root of the mean: its gradient at a black image is not finite."""

        def forward(self, batch: Tensor) -> Tensor:
            return batch.mean(dim=(1, 2, 3)).sqrt()[:, None]

    batch = images(2)
    batch[1] = 0
    maps = attribute(Odd(), batch, ["saliency", "occlusion"])
    assert maps.info["saliency"].reasons == ("constant_map", "nan_map")
    assert maps.info["occlusion"].reasons == (None, "zero_map")
    assert bool(maps["saliency"].isfinite().all())
    assert not maps["saliency"][1].any()


@pytest.mark.parametrize("name", ["eigencam", "eigengradcam", "fullgrad", "gradcam"])
def test_an_image_that_gives_nan_inside_the_model_spoils_no_other(name):
    class Divided(Convolutional):
        def forward(self, batch: Tensor) -> Tensor:
            return super().forward(batch / batch.mean(dim=(1, 2, 3), keepdim=True))

    net, batch = Divided(), images(3)
    batch[1] = 0
    maps = attribute(net, batch, name, target=1, layers="top")
    assert [reason == "nan_map" for reason in maps.info[name].reasons] == [False, True, False]
    alone = attribute(net, batch[::2], name, target=1, layers="top")
    close(maps[name][::2], alone[name])
    assert not maps[name][1].any()


def test_a_connected_layer_with_zero_gradient_gives_a_zero_map_with_its_reason():
    maps = attribute(Weighted(torch.zeros(2, 1, 2)), torch.rand(1, 2, 1, 2), "gradcam",
                     layers="layer")  # fmt: skip
    assert maps.info["gradcam"].reasons == ("zero_map",)


def test_running_out_of_memory_halves_the_bound_with_a_warning():
    class Greedy(Convolutional):
        def forward(self, batch: Tensor) -> Tensor:
            if len(batch) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory (not really)")
            return super().forward(batch)

    batch = images(5)
    expected = attribute(Convolutional(), batch, ["gradcam", "occlusion"], target=0, layers="top")
    with pytest.warns(FovealWarning, match="out of memory"):
        got = attribute(Greedy(), batch, ["gradcam", "occlusion"], target=0, layers="top")
    for key in got:
        close(got[key], expected[key])


def test_a_model_too_large_for_one_image_says_so():
    class Huge(nn.Module):
        def forward(self, batch: Tensor) -> Tensor:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    with (
        pytest.warns(FovealWarning, match="out of memory"),
        pytest.raises(ModelError, match="single image"),
    ):
        attribute(Huge(), images(2), "saliency")


def test_a_model_that_refuses_channels_last_runs_contiguous():
    class Viewing(Convolutional):
        def forward(self, batch: Tensor) -> Tensor:
            features = self.top(self.body(self.norm(self.stem(batch)).relu()))
            return self.head(features.view(len(batch), 10, -1).mean(dim=2))

    model, batch = Viewing(), images(2)
    expected = attribute(Convolutional(), batch, ["gradcam", "saliency"], target=0, layers="top")
    got = attribute(model, batch, ["gradcam", "saliency"], target=0, layers="top")
    for key in got:
        close(got[key], expected[key])


def test_bfloat16_changes_the_map_little_and_leaves_float32():
    model, batch = Convolutional(), images(1)
    full = attribute(model, batch, "gradcam", target=0, layers="top")["gradcam"]
    half = attribute(model, batch, "gradcam", target=0, layers="top", precision="bf16")["gradcam"]
    assert half.dtype == torch.float32
    assert not torch.equal(half, full)
    torch.testing.assert_close(half, full, rtol=0, atol=0.05 * float(full.abs().max()))


def test_bfloat16_says_how_far_it_ranks_probes_as_float32_does():
    model, batch = Convolutional(), images(2)
    maps = attribute(model, batch, RISE(masks=40, cells=3), target=0, precision="bf16")
    found = maps.info["rise"].parts["bf16_rank_correlation"]
    assert found.shape == (2,)
    assert bool((found > 0.2).all() and (found < 1).all())
    assert maps.info["rise"].cost["forward"] == 2 * (40 + 32)


def test_a_rehearsal_is_the_rank_correlation_over_the_probes():
    rehearsal = Rehearsal()
    full = torch.tensor([[1.0, 5.0, 0.0], [2.0, 5.0, 1.0], [4.0, 6.0, 2.0], [3.0, 7.0, 3.0]])
    half = torch.tensor([[1.0, 1.0, 9.0], [2.0, 1.0, 4.0], [3.0, 1.0, 2.0], [4.0, 1.0, 1.0]])
    rehearsal.saw(half[:2], full[:2])
    rehearsal.saw(half[2:], full[2:])
    found = rehearsal.rank_correlation()
    # One swap of neighbours among four: 1 - 6 * 2 / (4 * 15) = 0.8.
    torch.testing.assert_close(found, torch.tensor([0.8, torch.nan, -1.0]), equal_nan=True)


def test_float32_and_gradient_methods_rehearse_nothing():
    model, batch = Convolutional(), images(1)
    full = attribute(model, batch, RISE(masks=8, cells=3), target=0)
    half = attribute(model, batch, SmoothGrad(samples=4), target=0, precision="bf16")
    for info in (full.info["rise"], half.info["smoothgrad"]):
        assert "bf16_rank_correlation" not in info.parts
