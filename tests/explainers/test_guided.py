"""Guided backpropagation and deconvolution: the papers' rules, however activations are written."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
import torchvision_operators  # noqa: F401 (torchvision is imported)
from nets import Convolutional, Volumetric, images
from torch import nn
from torch.utils.checkpoint import checkpoint

from foveal.core import ModelError
from foveal.doors import attribute
from foveal.explainers import GradCAM, GradCAMPlusPlus

GUIDED = ["guidedbackprop", "deconvolution"]


class OneUnitEach(nn.Module):
    """score = w . relu(x), so that g and x at the activation are known."""

    def __init__(self, weights, activation=F.relu):
        super().__init__()
        self.head = nn.Linear(len(weights), 1, bias=False)
        self.head.weight = nn.Parameter(torch.tensor([weights]))
        self.activation = activation

    def forward(self, pixels):
        return self.head(self.activation(pixels.flatten(1) * 1))


def test_the_rules_of_the_papers_by_hand():
    pixels = torch.tensor([1.0, -1.0, 2.0, -2.0]).reshape(1, 1, 2, 2)
    maps = attribute(OneUnitEach([3.0, 4.0, -5.0, -6.0]), pixels, [*GUIDED, "saliency"])
    assert maps["guidedbackprop"].flatten().tolist() == [3, 0, 0, 0]
    assert maps["deconvolution"].flatten().tolist() == [3, 4, 0, 0]
    assert maps["saliency"].flatten().tolist() == [3, 0, -5, 0]


SMOOTH = [
    pytest.param(F.gelu, id="gelu"),
    pytest.param(F.silu, id="silu"),
    pytest.param(F.mish, id="mish"),
    pytest.param(F.elu, id="elu"),
    pytest.param(F.hardswish, id="hardswish"),
    pytest.param(F.softplus, id="softplus"),
    pytest.param(F.softsign, id="softsign"),
    pytest.param(F.logsigmoid, id="logsigmoid"),
    pytest.param(F.tanhshrink, id="tanhshrink"),
    pytest.param(F.softshrink, id="softshrink"),
    pytest.param(lambda x: F.leaky_relu(x, 0.2), id="leaky"),
    pytest.param(lambda x: F.prelu(x, torch.tensor([0.3])), id="prelu"),
    pytest.param(F.relu6, id="relu6"),
]


@pytest.mark.parametrize("function", SMOOTH)
def test_other_activations_pass_their_slope_where_they_rise_above_zero(function):
    pixels = torch.tensor([0.5, -0.5, 1.5, -3.0, 7.0, 0.1]).reshape(1, 1, 2, 3)
    weights = [3.0, 4.0, -5.0, 6.0, 2.0, -1.0]
    maps = attribute(OneUnitEach(weights, function), pixels, GUIDED)
    leaf = pixels.flatten().requires_grad_()
    (slope,) = torch.autograd.grad(function(leaf).sum(), leaf)
    arrived = torch.tensor(weights).clamp(min=0)
    expected = arrived * slope * (leaf > 0)
    torch.testing.assert_close(maps["guidedbackprop"].flatten(), expected.detach())
    torch.testing.assert_close(maps["deconvolution"].flatten(), arrived)


class Trunk(nn.Module):
    """Two convolutions; subclasses say how their activation is written."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)
        self.shared = nn.ReLU()
        self.replacing = nn.ReLU(inplace=True)

    def forward(self, pixels):
        features = self.activated(self.second(self.activated(self.first(pixels))))
        return self.head(features.mean(dim=(2, 3)))

    def activated(self, values):
        return self.shared(values)  # one module, used twice


def written(activated):
    """The trunk with its activation written in this way."""
    return type("Written", (Trunk,), {"activated": activated})()


def statement(self, values):
    values.relu_()  # whoever holds the tensor sees the change
    return values


def slope_by_hand(net, pixels, forward_mask):
    """The rule as backward hooks on a net of ReLU modules."""

    def rule(_, given, arrived):
        return ((given[0] if forward_mask else arrived[0]).clamp(min=0),)

    handle = net.shared.register_full_backward_hook(rule)
    leaf = pixels.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(leaf)[:, 1].sum(), leaf)
    handle.remove()
    return gradient


RELU = [
    pytest.param(lambda self, x: self.shared(x), id="reused"),
    pytest.param(lambda self, x: self.replacing(x), id="in place"),
    pytest.param(lambda self, x: F.relu(x), id="functional"),
    pytest.param(lambda self, x: F.relu(input=x, inplace=True), id="by keyword"),
    pytest.param(lambda self, x: torch.relu(input=x), id="torch"),
    pytest.param(statement, id="statement"),
    pytest.param(lambda self, x: x.clamp(min=0), id="clamp"),
    pytest.param(lambda self, x: torch.clamp_min(x, 0), id="clamp_min"),
    pytest.param(lambda self, x: F.threshold(x, 0.0, 0.0), id="threshold"),
]


@pytest.mark.parametrize("activated", RELU)
def test_a_relu_is_a_relu_however_it_is_called(activated):
    net, pixels = written(activated), images(2, side=9)
    maps = attribute(net, pixels, GUIDED, target=1)
    torch.testing.assert_close(maps["guidedbackprop"], slope_by_hand(Trunk(), pixels, True))
    torch.testing.assert_close(maps["deconvolution"], slope_by_hand(Trunk(), pixels, False))
    assert maps.info["guidedbackprop"].parts["activations"] == 2


WRITTEN_OUT = [
    pytest.param(F.silu, lambda self, x: x * torch.sigmoid(x), id="silu"),
    pytest.param(F.silu, lambda self, x: x.mul_(x.sigmoid()), id="silu in place"),
]


@pytest.mark.parametrize(("function", "written_out"), WRITTEN_OUT)
@pytest.mark.parametrize("method", GUIDED)
def test_an_activation_written_out_as_a_product_is_one(function, written_out, method):
    plain = written(lambda self, values: function(values))
    for batch in (images(2, side=9), 5 - images(2, side=9)):
        one = attribute(plain, batch, method, target=1)[method]
        torch.testing.assert_close(attribute(written(written_out), batch, method, target=1)[method],
                                   one)  # fmt: skip


class OwnDerivative(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values):
        ctx.save_for_backward(values)
        return values.clamp(min=0)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * (ctx.saved_tensors[0] > 0)


REFUSED = [
    pytest.param(lambda self, x: torch.sigmoid(x), "no activation function", id="sigmoid only"),
    pytest.param(lambda self, x: x, "no activation function", id="identity"),
    pytest.param(lambda self, x: OwnDerivative.apply(x), "no activation function", id="fused"),
    pytest.param(lambda self, x: OwnDerivative.apply(F.relu(x)), "OwnDerivative", id="half fused"),
    pytest.param(
        lambda self, x: 0.5 * F.relu(x) * (1 + torch.tanh(F.relu(x) * 0.5)), "a product of two",
        id="written out with a factor",
    ),
    pytest.param(lambda self, x: F.relu(torch.erf(x)), "'Erf'", id="erf"),
    pytest.param(
        lambda self, x: F.relu(0.5 * x * (1 + torch.tanh(0.8 * (x + 0.045 * x**3)))),
        "a product of two", id="gelu by tanh, written out",
    ),
    pytest.param(
        lambda self, x: F.relu(torch.maximum(x, torch.zeros(1))), "'Maximum'",
        id="maximum with zero",
    ),
    *(
        pytest.param(lambda self, x, rule=rule: F.relu(rule(x)), "by a comparison", id=name)
        for name, rule in {
            "where": lambda x: torch.where(x > 0, x, 0.1 * x),
            "where a copy is positive": lambda x: torch.where(x.detach().gt(0), x, 0),
            "times a mask": lambda x: x * (x > 0),
            "times a cast mask": lambda x: (x >= 0).to(x.dtype) * x,
            "filled": lambda x: x.masked_fill(~(x > 0), 0),
        }.items()
    ),
]  # fmt: skip


class Masking(Trunk):
    """Cuts the dark surroundings of the images off by itself, and its features with them."""

    def forward(self, pixels):
        bright = pixels > 0.2
        inside = bright.all(dim=1, keepdim=True)
        return super().forward(torch.where(bright, pixels, 0)) * inside.float().mean((1, 2, 3))[0]


@pytest.mark.parametrize("method", GUIDED)
def test_a_threshold_on_the_images_themselves_is_no_activation(method):
    batch = images(1, side=9)
    made = attribute(Masking(), batch, method, target=1)[method]
    assert bool(made.any())
    assert not bool(made[batch <= 0.2].any())


class Checkpointed(Trunk):
    def forward(self, pixels):
        def trunk(values):
            return F.relu(self.second(F.relu(self.first(values))))

        return self.head(checkpoint(trunk, pixels, use_reentrant=False).mean(dim=(2, 3)))


@pytest.mark.parametrize("method", GUIDED)
def test_a_checkpointed_model_is_refused(method):
    with pytest.raises(ModelError, match=r"checkpointing.*switch that off"):
        attribute(Checkpointed(), images(1, side=9), method, target=1)


@pytest.mark.parametrize("method", GUIDED)
@pytest.mark.parametrize(("activated", "message"), REFUSED)
def test_a_model_whose_activations_cannot_be_reached_is_refused(activated, message, method):
    with pytest.raises(ModelError, match=message):
        attribute(written(activated), images(1, side=9), method, target=1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_scripted_and_traced_models_are_refused_and_so_is_a_scripted_part():
    pixels = images(1, side=9)
    plain = Trunk().eval()
    for closed in (torch.jit.script(plain), torch.jit.trace(plain, pixels)):
        with pytest.raises(ModelError, match=r"takes no hooks|no activation function"):
            attribute(closed, pixels, "guidedbackprop", target=1)
    partly = Trunk().eval()
    partly.second = torch.jit.script(nn.Sequential(partly.second, nn.ReLU()))
    with pytest.raises(ModelError, match="cannot be replaced"):
        attribute(partly, pixels, "guidedbackprop", target=1)


def test_a_plain_callable_is_refused():
    with pytest.raises(ModelError, match="scores only"):
        attribute(lambda pixels: pixels.mean(dim=(2, 3)), images(1), "guidedbackprop", target=0)


def test_what_is_made_of_the_output_keeps_its_own_derivative():
    net, pixels = Trunk(), images(2, side=9)
    plain = attribute(net, pixels, "guidedbackprop", target=lambda o: -o[:, 1])["guidedbackprop"]
    score = attribute(net, pixels, "guidedbackprop", target=lambda o: F.leaky_relu(-o[:, 1], 1.0))[
        "guidedbackprop"
    ]
    torch.testing.assert_close(score, plain)


def test_the_plain_gradient_is_the_same_before_and_after():
    net, pixels = Convolutional(), images(2)
    before = attribute(net, pixels, "saliency", target=1)["saliency"]
    attribute(net, pixels, GUIDED, target=1)
    assert torch.equal(attribute(net, pixels, "saliency", target=1)["saliency"], before)
    together = attribute(net, pixels, [*GUIDED, "saliency"], target=1)
    assert torch.equal(together["saliency"], before)
    assert not torch.equal(together["guidedbackprop"], before)


PRODUCTS = [("guidedgradcam", GradCAM()), ("guidedgradcam++", GradCAMPlusPlus())]


@pytest.mark.parametrize(("name", "cam"), PRODUCTS, ids=["gradcam", "gradcam++"])
def test_guided_gradcam_is_the_product_with_the_bilinear_picture(name, cam):
    net, pixels = Convolutional(), images(2)
    made = attribute(net, pixels, [name, "guidedbackprop", cam], target=1, layers="top")
    picture = F.interpolate(made[cam.name].clamp(min=0)[:, None], (24, 24), mode="bilinear")
    assert picture.any()
    torch.testing.assert_close(made[name], made["guidedbackprop"] * picture)
    assert made.info[name].layer == "top"


def test_guided_gradcam_of_a_volume_is_trilinear():
    volumes = torch.rand(1, 1, 4, 6, 8)
    made = attribute(Volumetric(), volumes, ["guidedgradcam", "guidedbackprop", "gradcam"],
                     target=1, layers="features")  # fmt: skip
    expected = made["guidedbackprop"] * made["gradcam"].clamp(min=0)[:, None]
    torch.testing.assert_close(made["guidedgradcam"], expected)


def test_the_libraries_networks_agree_with_backward_hooks():
    import torchvision

    torch.manual_seed(0)
    net = torchvision.models.squeezenet1_1(weights=None, num_classes=3).eval()
    pixels = images(1, side=32)
    made = attribute(net, pixels, GUIDED, target=1)
    for part in net.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = False
    for method, mask in zip(GUIDED, [True, False], strict=True):
        handles = [
            part.register_full_backward_hook(
                lambda _, given, arrived, mask=mask: ((given if mask else arrived)[0].clamp(min=0),)
            )
            for part in net.modules()
            if isinstance(part, nn.ReLU)
        ]
        leaf = pixels.clone().requires_grad_()
        (expected,) = torch.autograd.grad(net(leaf)[:, 1].sum(), leaf)
        for handle in handles:
            handle.remove()
        torch.testing.assert_close(made[method], expected)


COUNTS = [
    pytest.param("timm", "resnet18", 17, id="timm"),
    pytest.param("torchvision", "densenet121", 121, id="in place after a concatenation"),
    pytest.param("torchvision", "efficientnet_b0", 49, id="SiLU"),
]


@pytest.mark.parametrize(("library", "architecture", "count"), COUNTS)
def test_every_activation_of_a_known_network_is_counted(library, architecture, count):
    import timm
    import torchvision

    torch.manual_seed(0)
    make = timm.create_model if library == "timm" else torchvision.models.get_model
    net = make(architecture, num_classes=3)
    info = attribute(net, images(1, side=32), "guidedbackprop", target=1).info["guidedbackprop"]
    assert info.parts["activations"] == count
