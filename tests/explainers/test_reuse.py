"""Partial passes give what plain passes give, or say why they are not made."""

import re
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
import torchvision_operators  # noqa: F401 (timm and torchvision import torchvision)
from nets import Convolutional, Counting, Segmenting, images
from torch import nn

from foveal.explainers import Occlusion
from foveal.explainers.reach import Places, Reach, enclosing
from foveal.explainers.reuse import Refused, Windowed
from foveal.models.folding import folded


def windows_of(side, window, stride):
    starts = [*range(0, side - window, stride), side - window]
    return [(slice(r, r + window), slice(c, c + window)) for r in starts for c in starts]


def plain_outputs(forward, image, cover, windows):
    """The slow twin: every window covers the image, and every pass is a whole one."""
    outputs = []
    for window in windows:
        covered = image.clone()
        covered[(..., *window)] = cover[(..., *window)]
        outputs.append(forward(covered))
    return outputs


def assert_equal_outputs(made, expected):
    scale = max(float(one.detach().abs().max()) for one in expected)
    torch.testing.assert_close(
        torch.cat(list(made)), torch.cat(expected), rtol=0, atol=1e-5 * scale
    )


def quiet(model):
    return model.eval().requires_grad_(False)


def stem(*layers):
    """Some layers, and a head on the mean of their features."""
    torch.manual_seed(0)
    body = nn.Sequential(*layers)
    channels = body(torch.zeros(1, 3, 48, 48)).shape[1]
    return nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 3))


def conv(taken, given, kernel=3, **settings):
    return nn.Conv2d(taken, given, kernel, **settings)


class Branches(nn.Module):
    """Paths of different reach that meet in sums, products and concatenations."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.wide, self.narrow = conv(3, 4, 5, padding=2), conv(3, 4, 1)
        self.last = conv(9, 3)
        self.register_buffer("grid", torch.rand(1, 1, 48, 48))
        self.register_buffer("gain", torch.rand(4, 1, 1))

    def forward(self, batch):
        wide, narrow = self.wide(batch), self.narrow(batch).relu_()
        features = torch.cat([wide + narrow, wide * self.gain, self.grid * narrow[:, :1]], dim=1)
        return self.last(features)


class NormalisedFirst(nn.Module):
    """As models with a card are: display units in, the part meant taken from what comes out."""

    def __init__(self):
        super().__init__()
        self.inner = stem(conv(3, 4), nn.ReLU())

    def forward(self, batch):
        mean = torch.tensor([0.4, 0.5, 0.6]).reshape(1, -1, 1, 1)
        return {"logits": self.inner((batch - mean) / 0.2)}["logits"]


SPLIT = [
    pytest.param(lambda: stem(conv(3, 4), nn.ReLU(), conv(4, 4)), id="no padding"),
    pytest.param(lambda: stem(conv(3, 4, padding=1), conv(4, 4, padding=1)), id="padding"),
    pytest.param(lambda: stem(conv(3, 4, 7, stride=2, padding=3), conv(4, 4, 1)), id="stride 2"),
    pytest.param(lambda: stem(conv(3, 4, stride=3, padding=1), conv(4, 4)), id="stride 3"),
    pytest.param(lambda: stem(conv(3, 4, 1, stride=2), nn.Tanh()), id="stride beyond kernel"),
    pytest.param(lambda: stem(conv(3, 4, 1, stride=5), nn.Tanh()), id="stride beyond most"),
    pytest.param(lambda: stem(conv(3, 4, padding=2, dilation=2)), id="dilation"),
    pytest.param(lambda: stem(conv(3, 6, padding=1), conv(6, 6, groups=3)), id="groups"),
    pytest.param(lambda: stem(conv(3, 4, (1, 5), padding=(0, 2), stride=(1, 2))), id="uneven"),
    pytest.param(lambda: stem(conv(3, 4, padding="same")), id="same padding"),
    pytest.param(lambda: stem(conv(3, 4), nn.MaxPool2d(3, 2, 1)), id="max pool"),
    pytest.param(lambda: stem(conv(3, 4), nn.MaxPool2d(3, 2, ceil_mode=True)), id="ragged pool"),
    pytest.param(lambda: stem(conv(3, 4), nn.MaxPool2d(2)), id="max pool by two"),
    pytest.param(lambda: stem(conv(3, 4), nn.MaxPool2d(3, dilation=2)), id="dilated max pool"),
    pytest.param(lambda: stem(conv(3, 4), nn.AvgPool2d(3, 2, 1)), id="mean pool"),
    pytest.param(lambda: stem(nn.ZeroPad2d((1, 0, 2, 0)), conv(3, 4)), id="padding by itself"),
    pytest.param(lambda: stem(nn.ConstantPad2d((-3, 1, 0, -2), 2.0), conv(3, 4)), id="cropping"),
    pytest.param(lambda: stem(conv(3, 4), nn.BatchNorm2d(4), nn.PReLU(4)), id="norm and PReLU"),
    pytest.param(lambda: stem(conv(3, 4), nn.Hardswish(), nn.Dropout()), id="hardswish, dropout"),
    pytest.param(Branches, id="branches"),
    pytest.param(NormalisedFirst, id="normalised first"),
    pytest.param(Convolutional, id="in place"),
    pytest.param(lambda: nn.Sequential(conv(3, 4), conv(4, 2)), id="a score for each pixel"),
]  # fmt: skip


@pytest.mark.parametrize("channels_last", [True, False], ids=["channels last", "contiguous"])
@pytest.mark.parametrize("make", SPLIT)
def test_partial_passes_give_what_plain_passes_give(make, channels_last):
    model, windows = quiet(make()), windows_of(48, 7, 9)
    form = torch.channels_last if channels_last else torch.contiguous_format
    image, cover = (images(1, 48, seed=s).contiguous(memory_format=form) for s in (1, 2))
    parts = Windowed.of(model, image, windows, max_batch=16)
    assert isinstance(parts, Windowed)
    assert_equal_outputs(parts.outputs(image, cover), plain_outputs(model, image, cover, windows))


SIZES = [
    pytest.param(48, 6, 3, id="even"),
    pytest.param(47, 5, 4, id="odd, the last window flush with the edge"),
    pytest.param(50, 1, 7, id="a single pixel"),
    pytest.param(33, 9, 9, id="windows beside each other"),
]


@pytest.mark.parametrize(("side", "window", "stride"), SIZES)
def test_windows_of_every_size_and_place_are_exact(side, window, stride):
    model = quiet(
        stem(
            conv(3, 4, 7, stride=2, padding=3), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1),
            conv(4, 4, padding=1),
        )
    )  # fmt: skip
    image, cover = images(1, side, seed=1), torch.zeros(1, 3, side, side)
    windows = windows_of(side, window, stride)
    parts = Windowed.of(model, image, windows, max_batch=16)
    assert isinstance(parts, Windowed)
    assert_equal_outputs(parts.outputs(image, cover), plain_outputs(model, image, cover, windows))


def test_oblong_images_and_windows_are_exact():
    model = quiet(stem(conv(3, 4, stride=2), nn.ReLU(), conv(4, 4, padding=1)))
    image, cover = torch.rand(1, 3, 40, 57), torch.rand(1, 3, 40, 57)
    windows = [(slice(r, r + 4), slice(c, c + 9)) for r in (0, 3, 17, 36) for c in (0, 5, 29, 48)]
    parts = Windowed.of(model, image, windows, max_batch=5)
    assert isinstance(parts, Windowed)
    assert_equal_outputs(parts.outputs(image, cover), plain_outputs(model, image, cover, windows))


def test_volumes_are_exact():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv3d(1, 3, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool3d(2), nn.Conv3d(3, 3, 3),
        nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 2),
    )  # fmt: skip
    model = quiet(model)
    volume, cover = torch.rand(1, 1, 16, 20, 24), torch.zeros(1, 1, 16, 20, 24)
    starts = [(0, 0, 0), (5, 3, 7), (13, 16, 19)]
    windows = [(slice(s, s + 3), slice(r, r + 4), slice(c, c + 5)) for s, r, c in starts]
    parts = Windowed.of(model, volume, windows, max_batch=4)
    assert isinstance(parts, Windowed)
    assert_equal_outputs(parts.outputs(volume, cover), plain_outputs(model, volume, cover, windows))


def resnet():
    from torchvision.models.resnet import BasicBlock, ResNet

    return ResNet(BasicBlock, [2, 1, 1, 1], num_classes=5)


def bottleneck():
    from torchvision.models.resnet import Bottleneck, ResNet

    return ResNet(Bottleneck, [1, 1, 1, 1], num_classes=5)


def densenet():
    from torchvision.models import DenseNet

    return DenseNet(8, (2, 2, 2), 16, num_classes=5)


def vgg():
    from torchvision.models.vgg import VGG, make_layers

    model = VGG(make_layers([4, "M", 8, "M", 8, "M"], batch_norm=True), init_weights=False)
    model.classifier = nn.Linear(8 * 7 * 7, 5)
    return model


def timm_net(name):
    import timm

    return timm.create_model(name, num_classes=5)


def monai_dense():
    from monai.networks import nets

    return nets.DenseNet(
        spatial_dims=2, in_channels=3, out_channels=3, init_features=8, growth_rate=4,
        block_config=(2, 2),
    )  # fmt: skip


LIBRARIES = [
    pytest.param(resnet, id="torchvision ResNet"),
    pytest.param(bottleneck, id="torchvision ResNet with bottlenecks"),
    pytest.param(densenet, id="torchvision DenseNet"),
    pytest.param(vgg, id="torchvision VGG"),
    pytest.param(lambda: timm_net("resnet10t"), id="timm resnet10t, deep stem"),
    pytest.param(monai_dense, id="MONAI DenseNet"),
]


@pytest.mark.parametrize("make", LIBRARIES)
def test_folded_networks_of_the_libraries_are_exact_and_cheaper(make):
    model, image, windows = library_case(make)
    expected = plain_outputs(model, image, torch.zeros_like(image), windows)
    with folded(model, image, model):
        parts = Windowed.of(model, image, windows, max_batch=4)
        assert isinstance(parts, Windowed)
        assert parts.share < 0.8
        assert_equal_outputs(parts.outputs(image, torch.zeros_like(image)), expected)


@pytest.mark.parametrize("make", [bottleneck, densenet])
def test_networks_that_are_not_folded_are_exact_and_cheaper(make):
    model, image, windows = library_case(make)
    parts = Windowed.of(model, image, windows, max_batch=4)
    assert isinstance(parts, Windowed)
    assert parts.share < 0.8
    expected = plain_outputs(model, image, torch.zeros_like(image), windows)
    assert_equal_outputs(parts.outputs(image, torch.zeros_like(image)), expected)


def library_case(make):
    torch.manual_seed(0)
    image = images(1, 96, seed=1).contiguous(memory_format=torch.channels_last)
    return quiet(make()), image, windows_of(96, 12, 42)


class Gated(nn.Module):
    """Squeeze and excitation right at the start."""

    def __init__(self):
        super().__init__()
        self.first, self.gate, self.last = conv(3, 4), conv(4, 4, 1), conv(4, 8, 5)

    def forward(self, batch):
        values = self.first(batch)
        gate = self.gate(values.mean((2, 3), keepdim=True)).sigmoid()
        return self.last(values * gate).mean((2, 3))


class ByValue(nn.Module):
    def forward(self, batch):
        return batch.mean((2, 3)) if batch.mean() > 0.5 else batch.amax((2, 3))


class Drawing(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = conv(3, 4)

    def forward(self, batch):
        return F.dropout(self.first(batch), training=True).mean((2, 3))


def transformer():
    import timm

    return timm.create_model("vit_tiny_patch16_224", img_size=48, depth=1, num_classes=5)


@pytest.mark.filterwarnings("ignore:.*torch.jit.* is deprecated:DeprecationWarning")
@pytest.mark.parametrize("convert", [torch.jit.script, None], ids=["scripted", "traced"])
def test_torchscript_is_split_as_the_module_it_was_made_from(convert):
    plain = quiet(stem(conv(3, 4), nn.ReLU()))
    image, cover, windows = images(1, 48), torch.zeros(1, 3, 48, 48), windows_of(48, 6, 21)
    model = convert(plain) if convert else torch.jit.trace(plain, image)
    parts = Windowed.of(model, image, windows, max_batch=4)
    assert isinstance(parts, Windowed)
    assert_equal_outputs(parts.outputs(image, cover), plain_outputs(plain, image, cover, windows))


def through_numpy(batch):
    warnings.warn("tracing meets memory that holds nothing", RuntimeWarning, stacklevel=1)
    return torch.from_numpy(np.asarray(batch).mean((2, 3)))


REFUSED = [
    pytest.param(transformer, r"\d+% of the work would be left, as view looks", id="transformer"),
    pytest.param(Gated, r"\d+% of the work would be left, as mean looks", id="gated early"),
    pytest.param(lambda: nn.Sequential(nn.Flatten(), nn.Linear(6912, 2)), "100%.* view", id="MLP"),
    pytest.param(ByValue, "cannot be traced", id="a path that depends on the pixels"),
    pytest.param(Drawing, "differ", id="chance"),
    pytest.param(lambda: through_numpy, "no multiplication", id="a callable outside torch"),
]


@pytest.mark.parametrize(("make", "reason"), REFUSED)
def test_what_cannot_be_split_says_why(make, reason):
    torch.manual_seed(0)
    model = make()
    model = quiet(model) if isinstance(model, nn.Module) else model
    made = Windowed.of(model, images(1, 48), windows_of(48, 6, 6), max_batch=8)
    assert isinstance(made, Refused)
    assert re.search(reason, made.reason)


def test_a_window_that_reaches_nearly_everything_is_refused():
    model = quiet(stem(conv(3, 4, 9, padding=4), conv(4, 4, 9, padding=4)))
    made = Windowed.of(model, images(1, 16), windows_of(16, 8, 4), max_batch=8)
    assert isinstance(made, Refused)
    assert "the windows reach most of the map" in made.reason


def test_a_segmentation_network_runs_in_parts_up_to_its_transposed_convolution():
    model, windows = quiet(Segmenting()), windows_of(48, 6, 21)
    image, cover = images(1, 48, seed=1), torch.zeros(1, 3, 48, 48)
    parts = Windowed.of(model, image, windows, max_batch=4)
    assert isinstance(parts, Windowed)
    assert parts.share > 0.3  # nothing is saved from there on
    assert_equal_outputs(parts.outputs(image, cover), plain_outputs(model, image, cover, windows))


def test_nested_outputs_come_back_as_they_are():
    class Nested(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.inner = conv(3, 4), stem(conv(3, 4))

        def forward(self, batch):
            return {"logits": self.inner(batch), "more": [self.first(batch)]}

    model, image, windows = quiet(Nested()), images(1, 48), windows_of(48, 6, 14)
    parts = Windowed.of(model, image, windows, max_batch=5)
    assert isinstance(parts, Windowed)
    made = list(parts.outputs(image, torch.zeros_like(image)))
    expected = plain_outputs(model, image, torch.zeros_like(image), windows)
    assert_equal_outputs([m["logits"] for m in made], [e["logits"] for e in expected])
    assert_equal_outputs([m["more"][0] for m in made], [e["more"][0] for e in expected])


def test_groups_are_bounded_and_of_about_one_size():
    model, image = quiet(stem(conv(3, 4), nn.ReLU())), images(1, 48)
    parts = Windowed.of(model, image, windows_of(48, 6, 14), max_batch=7)  # 16 windows
    assert isinstance(parts, Windowed)
    assert [len(o) for o in parts.outputs(image, torch.zeros_like(image))] == [6, 6, 4]


def test_a_partial_pass_takes_no_more_memory_than_the_plain_pass_it_replaces():
    model, image = quiet(stem(conv(3, 4, padding=1), nn.ReLU())), images(1, 48)
    windows = windows_of(48, 22, 4)
    parts = Windowed.of(model, image, windows, max_batch=16, plain_batch=1)
    assert isinstance(parts, Windowed)
    assert parts.together <= (48 / 24) ** 2  # windows of 22 pixels reach 24


def test_tracing_computes_nothing_and_the_proof_sends_two_plain_images():
    counting = Counting()
    model = quiet(nn.Sequential(counting, stem(conv(3, 4))))
    image, windows = images(1, 48), windows_of(48, 6, 14)
    parts = Windowed.of(model, image, windows, max_batch=4)
    assert isinstance(parts, Windowed)
    assert counting.forwards[-2:] == [1, 1]
    sent = len(counting.forwards)
    assert len(torch.cat(list(parts.outputs(image, torch.zeros_like(image))))) == 16
    assert len(counting.forwards) == sent


def test_the_image_and_the_model_stay_as_they_are():
    model, image = quiet(Convolutional()), images(1, 48)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    kept = image.clone()
    parts = Windowed.of(model, image, windows_of(48, 6, 14), max_batch=4)
    assert isinstance(parts, Windowed)
    list(parts.outputs(image, torch.zeros_like(image)))
    assert torch.equal(image, kept)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_method_of_an_object_is_split_like_a_function():
    model, image = quiet(Convolutional()), images(1, 96)
    windows = windows_of(96, 12, 12)
    made = Windowed.of(model.forward, image, windows, max_batch=4)
    assert isinstance(made, Windowed)
    assert made.share == Windowed.of(model, image, windows, max_batch=4).share


def test_windows_of_several_sizes_are_an_error():
    windows = [(slice(0, 4), slice(0, 4)), (slice(0, 5), slice(0, 4))]
    with pytest.raises(ValueError, match="windows must be of one size, but there are 2 sizes"):
        Windowed.of(quiet(Convolutional()), images(1, 48), windows, max_batch=4)


def test_the_default_windows_of_occlusion_cost_half_of_their_passes_or_less():
    """The promise for 512 px, counted in multiplications at an eighth of that size and depth."""
    model = quiet(bottleneck())
    image = images(1, 256)
    windows = Occlusion()._windows((256, 256))
    assert len(windows) == 225
    parts = Windowed.of(model, image, windows[::28], max_batch=4)
    assert isinstance(parts, Windowed)
    assert parts.share < 0.5


@pytest.mark.parametrize("seed", range(30))
def test_the_reach_of_a_window_holds_every_output_that_changes(seed):
    random = np.random.default_rng(seed)
    kernel, stride = random.integers(1, 5, 2), random.integers(1, 4, 2)
    padding = random.integers(0, kernel // 2 + 1)
    dilation = random.integers(1, 3, 2)
    grid = random.integers(12, 20, 2)
    pool = nn.MaxPool2d(
        tuple(kernel.tolist()), tuple(stride.tolist()), tuple(padding.tolist()),
        tuple(dilation.tolist()),
    )  # fmt: skip
    size = random.integers(1, 5, 2)
    start = random.integers(0, grid - size + 1)
    clean = torch.zeros(1, 1, *grid.tolist())
    changed = clean.clone()
    changed[:, :, start[0] : start[0] + size[0], start[1] : start[1] + size[1]] = 1
    out = pool(changed)[0, 0].numpy()
    reach = Reach(
        kernel=tuple(kernel.tolist()), stride=tuple(stride.tolist()),
        padding=tuple(padding.tolist()), dilation=tuple(dilation.tolist()),
    )  # fmt: skip
    places = Places(starts=start[None], size=tuple(size.tolist()), grid=tuple(grid.tolist()))
    found = reach.outputs(places, out.shape)
    (first,), end = found.starts, found.starts[0] + found.size
    where = np.argwhere(out > 0)
    assert (first >= 0).all()
    assert (end <= out.shape).all()
    assert (where >= first).all()
    assert (where < end).all()
    if len(where):
        gaps = np.array(dilation) > 1
        tight = (where.min(axis=0) == first) & (where.max(axis=0) + 1 == end)
        assert (tight | gaps | (stride > kernel)).all()


def test_rectangles_are_enlarged_to_one_size_inside_the_grid():
    one = Places(starts=np.array([[0, 0], [6, 5]]), size=(2, 3), grid=(8, 8))
    other = Places(starts=np.array([[1, 0], [3, 5]]), size=(2, 2), grid=(8, 8))
    around = enclosing([one, other])
    assert around.size == (5, 3)
    assert around.starts.tolist() == [[0, 0], [3, 5]]
