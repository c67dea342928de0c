"""Relevance by hand, by zennit where it is right, and through the networks people have."""

import sys

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
import torchvision_operators  # noqa: F401 (zennit imports torchvision)
from nets import Convolutional, Transformer, images
from torch import nn

import foveal
from foveal.core import ModelError
from foveal.doors import attribute
from foveal.explainers import LRP

pytest.importorskip("zennit", reason="zennit is not installed (pip install 'foveal[lrp]')")


def of(function):
    """A model without parts of its own."""
    return type("Of", (nn.Module,), {"forward": lambda self, x: function(x)})()


def relevance(model, pixels, target=0, **settings):
    made = attribute(model, pixels, LRP(**settings), target=target)
    return made["lrp"], made.info["lrp"].parts


class TwoLayers(nn.Module):
    """h = relu(W x + b), score = v . h + c; the numbers are worked out by hand below."""

    def __init__(self, bias):
        super().__init__()
        self.first, self.second = nn.Linear(2, 2, bias=bias), nn.Linear(2, 1, bias=bias)
        weights = [[1.0, 2.0], [3.0, -1.0]], [[2.0, -1.0]]
        for layer, weight in zip((self.first, self.second), weights, strict=True):
            layer.weight = nn.Parameter(torch.tensor(weight))
            if bias:
                layer.bias = nn.Parameter(torch.ones(len(weight)))

    def forward(self, pixels):
        return self.second(F.relu(self.first(pixels.flatten(1))))


PIXELS = torch.tensor([[1.0, 2.0]]).reshape(1, 1, 1, 2)


def test_two_layers_without_biases_by_hand():
    # z = (1 + 4, 3 - 2) = (5, 1); score 10 - 1 = 9; R_h = (10, -1);
    # R_x = (10 * 1/5 - 1 * 3/1, 10 * 4/5 - 1 * -2/1) = (-1, 10).
    values, parts = relevance(TwoLayers(bias=False), PIXELS)
    torch.testing.assert_close(values.flatten(), torch.tensor([-1.0, 10.0]), rtol=0, atol=1e-4)
    assert parts["relevance_at_output"].item() == pytest.approx(9)
    assert parts["relevance_at_input"].item() == pytest.approx(9, abs=1e-4)
    assert parts["absorbed"].item() == pytest.approx(0, abs=1e-4)
    assert parts["layers"] == ("first", "second")


def test_two_layers_with_biases_by_hand_and_what_the_biases_keep():
    # z = (6, 2); score 12 - 2 + 1 = 11; R_h = 11 * (12, -2) / 11 = (12, -2), the bias keeps 1;
    # R_x = (12 * 1/6 - 2 * 3/2, 12 * 4/6 - 2 * -2/2) = (-1, 10), the biases keep 2 - 1 = 1.
    values, parts = relevance(TwoLayers(bias=True), PIXELS)
    torch.testing.assert_close(values.flatten(), torch.tensor([-1.0, 10.0]), rtol=0, atol=1e-4)
    assert parts["relevance_at_output"].item() == pytest.approx(11)
    assert parts["absorbed"].item() == pytest.approx(2, abs=1e-4)
    torch.testing.assert_close(parts["layer_arrived"], torch.tensor([[10.0, 11.0]]))
    torch.testing.assert_close(parts["layer_passed"], torch.tensor([[9.0, 10.0]]))


def test_relevance_may_start_at_one():
    values, parts = relevance(TwoLayers(bias=False), PIXELS, start="one")
    torch.testing.assert_close(values.flatten() * 9, torch.tensor([-1.0, 10.0]), rtol=0, atol=1e-4)
    assert parts["relevance_at_output"].item() == 1


def test_relevance_starts_at_the_output_times_the_derivative_of_the_score():
    model, pixels = Convolutional().double(), images(2).double()
    single = [relevance(model, pixels, target=c)[0] for c in range(3)]
    contrast, parts = relevance(model, pixels, target=lambda o: o[:, 1] - 3 * o[:, 2])
    torch.testing.assert_close(contrast, single[1] - 3 * single[2])
    output = model.eval()(pixels).detach()
    expected = (output[:, 1] - 3 * output[:, 2]).float()
    torch.testing.assert_close(parts["relevance_at_output"].float(), expected)
    nested = of(lambda x: {"all": [model.requires_grad_(False)(x), x.mean()]})
    inside, _ = relevance(nested, pixels, target=lambda o: o["all"][0][:, 1])
    torch.testing.assert_close(inside, single[1])


class Layers(nn.Module):
    """A convolution, then what is given, then the sum of everything."""

    def __init__(self, between, bias=True):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 4, 1, bias=bias)
        self.between = between
        self.double().eval()

    def forward(self, pixels):
        return self.between(self.first(pixels)).flatten(1).sum(dim=1, keepdim=True)


def norm(channels=4, kind=nn.BatchNorm2d):
    torch.manual_seed(1)
    made = kind(channels)
    for values, low, high in (
        (made.running_mean, -1, 1), (made.running_var, 0.5, 2), (made.weight.data, 0.5, 2),
        (made.bias.data, -1, 1),
    ):  # fmt: skip
        values.uniform_(low, high)
    return made.double().eval()


def merged(convolution, batch_norm):
    """A convolution and the batch norm after it, by the formula."""
    scale = batch_norm.weight / (batch_norm.running_var + batch_norm.eps).sqrt()
    made = nn.Conv2d(3, 4, 1).double()
    made.weight = nn.Parameter(convolution.weight * scale[:, None, None, None])
    bias = 0 if convolution.bias is None else convolution.bias
    made.bias = nn.Parameter((bias - batch_norm.running_mean) * scale + batch_norm.bias)
    return made


@pytest.mark.parametrize("composite", ["epsilon", "gamma", "zplus", "epsilon_plus_flat"])
@pytest.mark.parametrize("bias", [True, False])
def test_batch_norm_after_a_convolution_is_merged_into_it(bias, composite):
    plain = Layers(norm(), bias)
    expected = Layers(nn.Identity())
    expected.first = merged(plain.first, plain.between)
    pixels = images(2, side=5).double()
    values, parts = relevance(plain, pixels, composite=composite)
    torch.testing.assert_close(values, relevance(expected, pixels, composite=composite)[0])
    assert parts["layers"] == ("first", "sum")


MERGED_LAYERS = [
    pytest.param(nn.Conv2d(4, 6, 3, groups=2), norm(6), id="groups"),
    pytest.param(nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), norm(6), id="transposed"),
    pytest.param(nn.Conv2d(4, 6, 3, padding="same", dilation=2), norm(6), id="padded"),
    pytest.param(nn.Sequential(nn.Flatten(), nn.Linear(100, 6)), norm(6, nn.BatchNorm1d),
                 id="fully connected"),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "after"), MERGED_LAYERS)
def test_merging_keeps_the_score_and_loses_relevance_to_biases_only(layer, after):
    torch.manual_seed(2)
    after.running_mean.zero_()
    after.bias.data.zero_()
    for name, values in layer.named_parameters():
        values.data.zero_() if name.endswith("bias") else values.data.normal_()
    net = Layers(nn.Sequential(layer.double(), after), bias=False)
    pixels = images(2, side=5).double()
    _, parts = relevance(net, pixels, epsilon=1e-10)
    torch.testing.assert_close(parts["relevance_at_output"], net(pixels)[:, 0].detach())
    torch.testing.assert_close(
        parts["relevance_at_input"].double(), net(pixels)[:, 0].detach(), rtol=1e-4, atol=1e-4
    )
    assert len(parts["layers"]) == 3  # first, the merged layer, the sum


@pytest.mark.parametrize("composite", ["epsilon", "gamma", "zplus"])
def test_batch_norm_before_a_convolution_is_merged_into_it(composite):
    pixels = images(2, side=5).double()
    for layer in (nn.Conv2d(4, 4, 3), nn.Conv2d(4, 6, 1, groups=2)):
        before = norm()
        net = Layers(nn.Sequential(nn.ReLU(), before, layer))
        scale = before.weight / (before.running_var + before.eps).sqrt()
        shift = before.bias - before.running_mean * scale
        own = nn.Conv2d(4, layer.out_channels, layer.kernel_size, groups=layer.groups).double()
        # By the formula: the weights times the scale of the channel that they look at.
        inputs = (
            torch.arange(4)
            .reshape(layer.groups, -1)
            .repeat_interleave(layer.out_channels // layer.groups, dim=0)
        )
        own.weight = nn.Parameter(layer.weight * scale[inputs][:, :, None, None])
        own.bias = nn.Parameter(
            layer.bias + (layer.weight * shift[inputs][:, :, None, None]).sum((1, 2, 3))
        )
        expected = Layers(nn.Sequential(nn.ReLU(), own))
        torch.testing.assert_close(
            relevance(net, pixels, composite=composite)[0],
            relevance(expected, pixels, composite=composite)[0],
        )


BEFORE = [
    pytest.param(nn.Conv2d(4, 6, 3, padding=1, groups=2), id="padded"),
    pytest.param(nn.Conv2d(4, 4, 3, stride=2, padding="valid"), id="stride"),
    pytest.param(nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, groups=2), id="transposed"),
    pytest.param(nn.Sequential(nn.Conv2d(4, 4, 3, padding=2), norm()), id="norms on both sides"),
]


@pytest.mark.parametrize("layer", BEFORE)
def test_near_a_padded_edge_what_batch_norm_adds_is_another_bias(layer):
    # Relevance of the sum is the output itself; so R_x = x * d output / d x, summed.
    own = norm(4)
    net = of(lambda x: layer(own(x * 1)).flatten(1).sum(dim=1, keepdim=True))
    layer.double().eval().requires_grad_(False)
    pixels = torch.rand(2, 4, 5, 5, generator=torch.Generator().manual_seed(0)).double()
    values, parts = relevance(net, pixels, epsilon=1e-12)
    leaf = pixels.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(leaf).sum(), leaf)
    torch.testing.assert_close(values.double(), pixels * gradient, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(parts["relevance_at_output"], net(pixels)[:, 0])
    assert len(parts["layers"]) == 2  # the merged layer, the sum


def test_batch_norm_beside_a_layer_on_another_axis_stays_on_its_own():
    torch.manual_seed(0)
    around = nn.Linear(5, 5).double()
    rows = norm(3, nn.BatchNorm1d)
    for order in ([rows, around], [around, rows]):
        net = nn.Sequential(nn.Flatten(2, 3), nn.AvgPool1d(5), *order, nn.Flatten())
        pixels = images(2, side=5).double()
        _, parts = relevance(net, pixels)
        score = net.eval()(pixels)[:, 0].detach()
        torch.testing.assert_close(parts["relevance_at_output"], score)
        assert len(parts["layers"]) == 3


@pytest.mark.parametrize("inplace", [False, True])
def test_batch_norm_on_its_own_is_a_linear_map_of_each_channel(inplace):
    # R_x = s x R / (s x + t) with R = relu(s x + t), the sum's shares: s x where s x + t > 0.
    own = norm(3)
    net = of(lambda x: F.relu(own(x * 1), inplace=inplace).flatten(1).sum(dim=1, keepdim=True))
    pixels = images(2, side=5).double()
    scale = own.weight / (own.running_var + own.eps).sqrt()
    shift = own.bias - own.running_mean * scale
    scaled = scale[:, None, None] * pixels
    expected = torch.where(scaled + shift[:, None, None] > 0, scaled, 0)
    found, _ = relevance(net, pixels, epsilon=1e-10)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)


def test_an_activation_in_place_between_batch_norm_and_convolution_is_seen():
    torch.manual_seed(0)
    body = nn.Conv2d(3, 4, 1).double()
    pixels = images(2, side=5).double()
    made = []
    for inplace in (False, True):
        net = nn.Sequential(norm(3), nn.ReLU(inplace=inplace), body, nn.Flatten()).eval()
        made.append(relevance(net, pixels))
    torch.testing.assert_close(made[0][0], made[1][0])
    assert made[0][1]["layers"] == ("0", "2")


def shares(function):
    """Relevance of a function of one tensor of two channels, each its own weight."""
    pixels = torch.tensor([3.0, 1.0, -2.0, 4.0]).reshape(1, 1, 2, 2)
    return relevance(of(lambda x: function(x).reshape(1, -1)[:, :1]), pixels)[0].flatten().tolist()


OPERATIONS = [
    pytest.param(lambda x: x.mean(dim=(2, 3)), [0.75, 0.25, -0.5, 1], id="mean"),
    pytest.param(lambda x: F.adaptive_avg_pool2d(x, 1), [0.75, 0.25, -0.5, 1], id="adaptive"),
    pytest.param(lambda x: F.avg_pool2d(x, 2), [0.75, 0.25, -0.5, 1], id="average"),
    pytest.param(lambda x: x.sum(dim=(2, 3)), [3, 1, -2, 4], id="sum"),
    pytest.param(lambda x: F.max_pool2d(x, 2), [0, 0, 0, 4], id="maximum"),
    pytest.param(lambda x: F.adaptive_max_pool2d(x, 1), [0, 0, 0, 4], id="adaptive maximum"),
    pytest.param(lambda x: x[..., 0, 0] + x[..., 1, 0], [3, 0, -2, 0], id="two summands"),
    pytest.param(lambda x: x[..., 0, 0] - x[..., 1, 0], [3, 0, 2, 0], id="difference"),
    pytest.param(lambda x: torch.add(x[..., 0, 0], x[..., 1, 0], alpha=2), [3, 0, -4, 0],
                 id="alpha"),
    pytest.param(lambda x: 1 + x[..., 0, 0], [3, 0, 0, 0], id="constant"),
    pytest.param(lambda x: 1 - x[..., 0, 0], [-3, 0, 0, 0], id="from a constant"),
    pytest.param(lambda x: -2 * x[..., 0, 0] / 3, [-2, 0, 0, 0], id="factor"),
    pytest.param(lambda x: F.silu(x[..., 0, 0] - x[..., 1, 0]),
                 [3 / 5 * 4.966536, 0, 2 / 5 * 4.966536, 0], id="SiLU"),
    pytest.param(lambda x: x[..., 0, 0] * x[..., 1, 1].sigmoid().reshape(1, 1),
                 [3 * 0.982014, 0, 0, 0], id="gate"),
    pytest.param(lambda x: x[..., 0, 0].mul_(x[..., 0, 0].sigmoid()), [3 * 0.952574, 0, 0, 0],
                 id="SiLU written out"),
    pytest.param(lambda x: torch.cat([x[:, :, :, 1], x[:, :, :, 0]]), [0, 1, 0, 0], id="cat"),
    pytest.param(lambda x: x.flatten(1) @ torch.tensor([[2.0], [0], [1], [0]]), [6, 0, -2, 0],
                 id="matrix"),
    pytest.param(lambda x: x[:, :, 0, :1].sub_(1).add_(2), [3, 0, 0, 0], id="in place"),
    pytest.param(lambda x: F.interpolate(x, size=(1, 1), mode="area"), [0.75, 0.25, -0.5, 1],
                 id="resized"),
]  # fmt: skip


@pytest.mark.parametrize(("function", "expected"), OPERATIONS)
def test_each_operation_hands_relevance_on_as_its_rule_says(function, expected):
    assert shares(function) == pytest.approx(expected, abs=1e-4)


def test_whoever_else_holds_a_tensor_sees_what_is_done_to_it_in_place():
    def held(x):
        other = values = x * 1
        values += 1
        return other.flatten(1)

    _, parts = relevance(of(held), torch.ones(1, 1, 1, 2))
    assert parts["relevance_at_output"].item() == 2


REFUSED = [
    pytest.param(Transformer(), "chefer", id="transformer"),
    pytest.param(of(lambda x: F.instance_norm(x).mean((2, 3))), "'instance_norm'", id="instance"),
    pytest.param(of(lambda x: (x * x).mean((2, 3))), "'mul'", id="product"),
    pytest.param(of(lambda x: (1 / (x + 1)).mean((2, 3))), "chefer", id="reciprocal"),
    pytest.param(of(lambda x: (x @ x.mT).mean((2, 3))), "'matmul'", id="tokens by tokens"),
    pytest.param(of(lambda x: F.conv2d(x, x[:1]).mean((2, 3))), "'conv2d'", id="made weights"),
    pytest.param(nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False), nn.Flatten()),
                 "'batch_norm'", id="statistics of the batch"),
    pytest.param(lambda x: x.mean((2, 3)), "scores only", id="callable"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "message"), REFUSED)
def test_what_has_no_rule_is_refused(model, message):
    pixels = images(1, side=24)
    with pytest.raises(ModelError, match=message):
        attribute(model, pixels, "lrp", target=0)


def test_half_precision_is_refused_and_bfloat16_changes_nothing():
    with pytest.raises(ModelError, match="half precision"):
        attribute(Convolutional().half(), images(1).half(), "lrp", target=0)
    full = attribute(Convolutional(), images(1), "lrp", target=0)["lrp"]
    half = attribute(Convolutional(), images(1), "lrp", target=0, precision="bf16")["lrp"]
    assert torch.equal(full, half)


SETTINGS = [
    pytest.param({"composite": "epsilon_minus"}, "composite must be one of", id="composite"),
    pytest.param({"start": "two"}, "start must be", id="start"),
    pytest.param({"epsilon": 0.0}, "epsilon must be positive", id="epsilon"),
    pytest.param({"gamma": -1.0}, "gamma must be positive", id="gamma"),
    pytest.param({"low": 0.0}, "sides of a box", id="no box"),
]


@pytest.mark.parametrize(("settings", "message"), SETTINGS)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        LRP(**settings)


def test_a_box_needs_its_sides_in_the_units_of_the_tensor():
    box = "epsilon_gamma_box"
    with pytest.raises(ValueError, match="low= and high="):
        relevance(Convolutional(), images(1), composite=box)
    with pytest.raises(ValueError, match=r"low of shape \(2,\) does not fit"):
        relevance(Convolutional(), images(1), composite=box, low=(0.0, 1.0), high=1.0)
    with pytest.raises(ModelError, match="needs a convolution"):
        relevance(TwoLayers(bias=True), PIXELS, composite=box, low=0, high=1)


class NormalisesItself(Convolutional):
    def forward(self, pixels):
        return super().forward(pixels * 4 - 2)


def test_the_box_is_what_the_first_convolution_can_see():
    pixels = images(2)
    box = {"composite": "epsilon_gamma_box", "target": 1}
    _, own = relevance(NormalisesItself(), pixels, low=0, high=1, **box)
    _, outside = relevance(Convolutional(), pixels * 4 - 2, low=(-2.0, -2.0, -2.0), high=2, **box)
    torch.testing.assert_close(own["layer_passed"][:, 1:], outside["layer_passed"])


@pytest.mark.filterwarnings("ignore:the card of tiny has no")
@pytest.mark.parametrize("composite", ["epsilon", "epsilon_gamma_box"])
def test_with_a_card_relevance_and_box_are_those_of_the_normalised_image(folder, composite):
    model = foveal.load_model(folder / "model.toml", trust=True)
    image = foveal.read(folder / "eye.png")
    with_card = foveal.explain(model, image, methods=LRP(composite=composite), target="Severe")
    prepared, _ = model.prepare(image)
    normalised = (model.tensor(prepared) - 0.5) / 0.25
    sides = {"low": -2.0, "high": 2.0} if composite != "epsilon" else {}
    values, _ = relevance(model.module, normalised, target=2, composite=composite, **sides)
    (made,) = with_card.attributions
    torch.testing.assert_close(torch.from_numpy(made.map), values[0])


def torchvision_net(name):
    import torchvision

    return torchvision.models.get_model(name, weights=None, num_classes=3)


def timm_net(name):
    import timm

    return timm.create_model(name, num_classes=3)


def monai_net(name, *arguments, **settings):
    from monai.networks import nets

    return getattr(nets, name)(*arguments, **settings)


FLAT = (3, 32, 32)
NETWORKS = [
    pytest.param(torchvision_net, ["resnet18"], {}, FLAT, id="torchvision resnet18"),
    pytest.param(torchvision_net, ["densenet121"], {}, FLAT, id="torchvision densenet121"),
    pytest.param(torchvision_net, ["efficientnet_b0"], {}, FLAT, id="torchvision efficientnet_b0"),
    pytest.param(torchvision_net, ["mobilenet_v3_small"], {}, FLAT, id="torchvision mobilenet"),
    pytest.param(timm_net, ["resnet18"], {}, FLAT, id="timm resnet18"),
    pytest.param(timm_net, ["resnet50"], {}, FLAT, id="timm resnet50"),
    pytest.param(timm_net, ["efficientnet_b0"], {}, FLAT, id="timm efficientnet_b0"),
    pytest.param(monai_net, ["DenseNet121", 2, 3, 3], {}, FLAT, id="monai densenet121"),
    pytest.param(monai_net, ["resnet18"], {"spatial_dims": 3, "n_input_channels": 1,
                 "num_classes": 3}, (1, 16, 16, 16), id="monai resnet18 of volumes"),
    pytest.param(monai_net, ["SEResNet50"], {"spatial_dims": 2, "in_channels": 3,
                 "num_classes": 3}, FLAT, id="monai squeeze and excitation"),
]  # fmt: skip


def settled(net, shape, *, bias):
    """A network with random weights whose activations have the size of a trained one's."""
    norms = [part for part in net.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    momenta = [part.momentum for part in norms]
    for part in norms:
        part.momentum = 1.0
    with torch.no_grad():
        net.train()(torch.randn(4, *shape))
    for part, momentum in zip(norms, momenta, strict=True):
        part.momentum = momentum
        if not bias:
            part.running_mean.zero_()
    for name, values in net.named_parameters():
        if name.endswith("bias") and not bias:
            values.data.zero_()
    return net.eval().double()


@pytest.mark.parametrize(("make", "arguments", "settings", "shape"), NETWORKS)
def test_without_biases_the_score_is_conserved_through_every_layer(
    make, arguments, settings, shape
):
    torch.manual_seed(1)
    net = settled(make(*arguments, **settings), shape, bias=False)
    pixels = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0)).double()
    _, parts = relevance(net, pixels, target=1, epsilon=1e-10)
    score = net(pixels)[:, 1].detach()
    torch.testing.assert_close(parts["relevance_at_output"], score)
    torch.testing.assert_close(
        parts["relevance_at_input"].double(), score, rtol=1e-4, atol=1e-4 * float(score.abs().max())
    )
    lost = (parts["layer_arrived"] - parts["layer_passed"]).abs().amax(dim=1)
    assert bool((lost <= 1e-4 * score.abs().max()).all())


@pytest.mark.parametrize(("make", "arguments", "settings", "shape"), NETWORKS)
def test_with_biases_what_is_absorbed_is_what_the_layers_lost(make, arguments, settings, shape):
    torch.manual_seed(1)
    net = settled(make(*arguments, **settings), shape, bias=True)
    pixels = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0)).double()
    before = [(p, p.data_ptr(), p.clone()) for p in net.parameters()]
    _, parts = relevance(net, pixels, target=1, composite="epsilon_plus")
    torch.testing.assert_close(parts["relevance_at_output"], net(pixels)[:, 1].detach())
    lost = (parts["layer_arrived"] - parts["layer_passed"]).sum(dim=1)
    torch.testing.assert_close(lost, parts["absorbed"].double(), rtol=1e-4, atol=1e-4)
    for now, (parameter, place, values) in zip(net.parameters(), before, strict=True):
        assert now is parameter
        assert now.data_ptr() == place
        assert torch.equal(now, values)


def own_rules(composite, canonizer, net, pixels, **settings):
    """Relevance by zennit alone, with its own canonisation."""
    from zennit.composites import COMPOSITES

    leaf = pixels.clone().requires_grad_()
    rules = COMPOSITES[composite](canonizers=[canonizer()], **settings)
    with rules.context(net):
        output = net(leaf)
        start = output.detach() * F.one_hot(torch.ones(len(leaf), dtype=torch.long), 3)
        (found,) = torch.autograd.grad(output, leaf, start)
    return found


COMPOSITES = [
    *("epsilon_plus", "epsilon_alpha2_beta1", "epsilon_gamma_box", "epsilon_plus_flat"),
    "epsilon_alpha2_beta1_flat",
]


@pytest.mark.parametrize("composite", COMPOSITES)
def test_a_resnet_agrees_with_zennits_own_canonisation(composite):
    from zennit.torchvision import ResNetCanonizer

    torch.manual_seed(1)
    net = settled(torchvision_net("resnet18"), FLAT, bias=True)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eps = 1e-12  # zennit leaves the epsilon of the norms it merged in the network
    pixels = torch.randn(2, *FLAT, generator=torch.Generator().manual_seed(0)).double()
    box = composite == "epsilon_gamma_box"
    ours, _ = relevance(net, pixels, target=1, composite=composite,
                        **({"low": -3.0, "high": 3.0} if box else {}))  # fmt: skip
    sides = {"low": torch.tensor(-3.0), "high": torch.tensor(3.0)} if box else {}
    theirs = own_rules(composite, ResNetCanonizer, net, pixels, **sides)
    torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=1e-5 * float(theirs.abs().max()))


def test_the_parameters_are_the_same_after_an_exception():
    class Failing(Convolutional):
        def forward(self, pixels):
            super().forward(pixels)
            raise KeyError("broken on purpose")

    net = Failing()
    before = [(p, p.data_ptr(), p.clone()) for p in net.parameters()]
    with pytest.raises(KeyError, match="on purpose"):
        attribute(net, images(1), "lrp", target=0)
    for now, (parameter, place, values) in zip(net.parameters(), before, strict=True):
        assert now is parameter
        assert now.data_ptr() == place
        assert torch.equal(now, values)
    plain = attribute(Convolutional(), images(1), "saliency", target=0)["saliency"]
    net.forward = lambda pixels: Convolutional.forward(net, pixels)  # type: ignore[method-assign]
    assert torch.equal(attribute(net, images(1), "saliency", target=0)["saliency"], plain)


def test_without_zennit_lrp_says_how_to_get_it(monkeypatch):
    for name in ("zennit", "zennit.rules", "zennit.composites", "zennit.types"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModelError, match=r"pip install 'foveal\[lrp\]'"):
        attribute(Convolutional(), images(1), "lrp", target=0)


def test_a_torchvision_built_for_another_torch_is_explained(monkeypatch):
    def broken(name):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr("foveal.explainers.composites.import_module", broken)
    with pytest.raises(ModelError, match="Install torch and torchvision as a pair"):
        attribute(Convolutional(), images(1), "lrp", target=0)
