"""Folding changes nothing but the time: outputs, gradients and the borrowed model are as before."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
import torchvision_operators  # noqa: F401 (timm and torchvision import torchvision)
from nets import Convolutional, Segmenting, Transformer, images
from torch import nn

from foveal.models.folding import folded


def lively(model):
    """Statistics and weights of batch norms that are not those of a new one."""
    torch.manual_seed(1)
    for part in model.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            if part.track_running_stats:
                part.running_mean.normal_(0, 0.2)
                part.running_var.uniform_(0.5, 2)
            if part.affine:
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.normal_(part.bias, 0, 0.2)
    return model.eval().requires_grad_(False)


def torchvision_net(name, **arguments):
    import torchvision

    return torchvision.models.get_model(name, weights=None, num_classes=5, **arguments)


def timm_net(name, **arguments):
    import timm

    return timm.create_model(name, num_classes=5, **arguments)


def monai_net(name, **arguments):
    from monai.networks import nets

    return getattr(nets, name)(**arguments)


def densenet():
    from torchvision.models import DenseNet

    return DenseNet(8, (2, 2), 16, num_classes=5)


def bottleneck():
    from torchvision.models.resnet import Bottleneck, ResNet

    return ResNet(Bottleneck, [1, 1, 1, 1], num_classes=5)


MONAI_DENSE = {
    "spatial_dims": 2, "in_channels": 3, "out_channels": 3, "init_features": 8, "growth_rate": 4,
    "block_config": (2, 2),
}  # fmt: skip
MONAI_RES = {
    "block": "basic", "layers": [1, 1, 1, 1], "block_inplanes": [4, 8, 8, 8], "spatial_dims": 2,
    "n_input_channels": 3, "num_classes": 3,
}  # fmt: skip
UNET = {
    "spatial_dims": 2, "in_channels": 3, "out_channels": 3, "channels": (4, 8, 8),
    "strides": (2, 2), "norm": "batch",
}  # fmt: skip

ALL = "all"
FOLDED = [
    pytest.param(lambda: torchvision_net("resnet18"), ALL, id="torchvision resnet18"),
    pytest.param(bottleneck, ALL, id="torchvision ResNet with bottlenecks"),
    pytest.param(lambda: torchvision_net("mobilenet_v3_small"), ALL, id="torchvision mobilenet"),
    # Of its norms only norm0 and each layer's norm2 follow a convolution.
    pytest.param(densenet, 5, id="torchvision DenseNet"),
    pytest.param(lambda: timm_net("resnet10t"), ALL, id="timm resnet10t"),
    pytest.param(lambda: timm_net("efficientnet_b0"), ALL, id="timm efficientnet, norm with act"),
    pytest.param(lambda: timm_net("tf_mobilenetv3_small_minimal_100"), ALL, id="timm padded"),
    pytest.param(lambda: monai_net("DenseNet", **MONAI_DENSE), 5, id="MONAI DenseNet"),
    pytest.param(lambda: monai_net("ResNet", **MONAI_RES), ALL, id="MONAI ResNet"),
    pytest.param(lambda: monai_net("UNet", **UNET), ALL, id="MONAI U-Net, transposed"),
    pytest.param(Convolutional, ALL, id="a functional activation"),
    pytest.param(Transformer, 0, id="vision transformer"),
    pytest.param(Segmenting, 0, id="no norm"),
]


@pytest.mark.parametrize(("make", "count"), FOLDED)
def test_a_folded_network_gives_the_same_output_and_the_same_gradient(make, count):
    torch.manual_seed(0)
    model = lively(make())
    norms = [n for n, p in model.named_modules() if isinstance(p, nn.modules.batchnorm._BatchNorm)]
    batch = images(2, side=24)
    leaf, again = batch.clone().requires_grad_(), batch.clone().requires_grad_()
    plain = model(leaf)
    (gradient,) = torch.autograd.grad(plain.square().sum(), leaf)
    with folded(model, batch, model) as names:
        output = model(again)
        (found,) = torch.autograd.grad(output.square().sum(), again)
    assert len(names) == (len(norms) if count == ALL else count)
    assert set(names) <= set(norms)
    assert_close_to_scale(output, plain, 1e-5)
    assert_close_to_scale(found, gradient, 1e-4)


def assert_close_to_scale(found, expected, share):
    scale = float(expected.detach().abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=share * scale)


def snapshot(model):
    """Every tensor's identity, place, version and bits, and what the modules hold."""
    tensors = {
        name: (id(t), t.data_ptr(), t._version, t.requires_grad, t.clone())
        for name, t in [*model.named_parameters(), *model.named_buffers()]
    }
    held = {name: sorted(vars(part)) for name, part in model.named_modules()}
    hooks = [len(part._forward_hooks) for part in model.modules()]
    return tensors, held, hooks


def assert_untouched(model, before):
    tensors, held, hooks = snapshot(model)
    assert (held, hooks) == before[1:]
    assert list(tensors) == list(before[0])
    for name, (*facts, values) in tensors.items():
        assert facts == list(before[0][name][:-1])
        assert torch.equal(values, before[0][name][-1])


def test_afterwards_every_parameter_is_the_object_it_was():
    model = lively(bottleneck()).requires_grad_(True)
    before = snapshot(model)
    with folded(model, images(side=32), model):
        assert not torch.equal(model.conv1.weight, before[0]["conv1.weight"][-1])
        assert model.conv1.bias is not None
    assert_untouched(model, before)
    assert model.conv1.bias is None


def test_the_model_is_given_back_after_an_exception_too():
    model = lively(Convolutional())
    before = snapshot(model)
    with pytest.raises(KeyError), folded(model, images(), model):
        raise KeyError
    assert_untouched(model, before)


def test_the_model_is_given_back_when_it_cannot_take_the_example():
    model = lively(Convolutional())
    before = snapshot(model)
    with pytest.raises(RuntimeError), folded(model, images(channels=2), model):
        pass
    assert_untouched(model, before)


class Pair(nn.Module):
    """A convolution and a norm; subclasses use them in ways that must not be folded."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, batch):
        return self.norm(self.convolution(batch))


class Residual(Pair):
    def forward(self, batch):
        values = self.convolution(batch)
        return self.norm(values) + values


class InPlaceBetween(Pair):
    def forward(self, batch):
        return self.norm(F.relu_(self.convolution(batch)))


class ConvolutionTwice(Pair):
    def forward(self, batch):
        return self.norm(self.convolution(self.convolution(batch)))


class NormTwice(Pair):
    def forward(self, batch):
        return self.norm(self.norm(self.convolution(batch)))


class Returned(Pair):
    def forward(self, batch):
        values = self.convolution(batch)
        return {"out": self.norm(values), "features": [values]}


class WeightShown(Pair):
    def forward(self, batch):
        return self.norm(self.convolution(batch)) + self.convolution.weight.mean()


class TwoNorms(Pair):
    def __init__(self):
        super().__init__()
        self.second = nn.BatchNorm2d(3)

    def forward(self, batch):
        values = self.convolution(batch)
        return self.norm(values) + self.second(values)


class Standardised(nn.Conv2d):
    """Its weight is not used as it is."""

    def forward(self, batch):
        weight = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
        return F.conv2d(batch, weight, self.bias, padding=self.padding)


def standardised():
    model = Pair()
    model.convolution = Standardised(3, 3, 3, padding=1)
    return model


def hooked(part):
    model = Pair()
    getattr(model, part).register_forward_hook(lambda *_: None)
    return model


def parametrised():
    model = Pair()
    nn.utils.parametrizations.weight_norm(model.convolution)
    return model


def without_statistics():
    model = Pair()
    model.norm = nn.BatchNorm2d(3, track_running_stats=False)
    return model


def other_norm():
    class Doubling(nn.BatchNorm2d):
        def forward(self, input):
            return 2 * super().forward(input)

    model = Pair()
    model.norm = Doubling(3)
    return model


def wrapped():
    model = Pair()
    inner = model.norm.forward
    model.norm.forward = lambda batch: inner(batch) + 1
    return model


KEPT = [
    pytest.param(Residual, id="goes past the norm too"),
    pytest.param(InPlaceBetween, id="is changed in place before the norm"),
    pytest.param(ConvolutionTwice, id="a convolution that runs twice"),
    pytest.param(NormTwice, id="a norm that runs twice"),
    pytest.param(Returned, id="is returned inside the output"),
    pytest.param(WeightShown, id="the weight is used elsewhere"),
    pytest.param(TwoNorms, id="two norms"),
    pytest.param(standardised, id="a standardised weight"),
    pytest.param(parametrised, id="a parametrised weight"),
    pytest.param(lambda: hooked("convolution"), id="a hook on the convolution"),
    pytest.param(lambda: hooked("norm"), id="a hook on the norm"),
    pytest.param(without_statistics, id="a norm without running statistics"),
    pytest.param(other_norm, id="an unknown kind of norm"),
    pytest.param(wrapped, id="a wrapped norm"),
]


@pytest.mark.parametrize("make", KEPT)
def test_what_would_change_something_is_not_folded(make):
    model = lively(make())
    with folded(model, images(), model) as names:
        assert names == ()


class LooksAtItsBias(Pair):
    """What is done depends on the parameters."""

    def forward(self, batch):
        same = torch.tensor(self.norm.weight.tolist() == self.convolution.bias.tolist())
        return super().forward(batch) + same


def test_a_network_whose_output_changes_is_not_folded():
    model = lively(LooksAtItsBias())
    model.norm.weight.copy_(model.convolution.bias)
    with folded(model, images(), model) as names:
        assert names == ()


def test_nothing_is_folded_in_train_mode_and_no_statistics_change():
    model = lively(nn.Sequential(Pair(), Pair()))
    model[1].norm.train()
    before = snapshot(model)
    with folded(model, images(), model) as names:
        assert names == ()
    assert_untouched(model, before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_not_folded(dtype):
    model = lively(Pair()).to(dtype)
    with folded(model, images().to(dtype), model) as names:
        assert names == ()


def test_nothing_is_folded_under_autocast():
    model = lively(Pair())
    with torch.autocast("cpu", dtype=torch.bfloat16), folded(model, images(), model) as names:
        assert names == ()


def test_double_precision_is_folded():
    model = lively(Pair()).double()
    batch = images().double()
    plain = model(batch)
    with folded(model, batch, model) as names:
        assert names == ("norm",)
        torch.testing.assert_close(model(batch), plain)


@pytest.mark.parametrize("keep", ["0.convolution", "0.inner"])
def test_a_watched_convolution_keeps_its_own_output(keep):
    class Inside(Pair):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(self.convolution)

        def forward(self, batch):
            return self.norm(self.inner(batch))

    model = lively(nn.Sequential(Inside(), Pair()))
    seen = []
    plain = model[0].convolution(images())
    with folded(model, images(), model, keep=[keep]) as names:
        handle = model.get_submodule(keep).register_forward_hook(
            lambda _, __, output: seen.append(output)
        )
        model(images())
        handle.remove()
    assert names == ("1.norm",)
    assert torch.equal(seen[0], plain)


def test_a_watched_norm_gives_its_own_output():
    model, seen = lively(Pair()), []
    plain = model(images())
    with folded(model, images(), model, keep=["norm"]) as names:
        handle = model.norm.register_forward_hook(lambda _, __, output: seen.append(output))
        model(images())
        handle.remove()
    assert names == ("norm",)
    torch.testing.assert_close(seen[0], plain)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", [nn.Conv1d, nn.Conv3d, nn.ConvTranspose2d, nn.Conv2d])
def test_every_kind_of_convolution_is_folded(kind, bias, affine, groups):
    axes = int(kind.__name__[-2])
    norm = getattr(nn, f"BatchNorm{axes}d")(6, affine=affine)
    model = lively(nn.Sequential(kind(4, 6, 3, groups=groups, bias=bias), norm))
    batch = torch.rand(2, 4, *[7] * axes)
    plain = model(batch)
    with folded(model, batch, model) as names:
        assert names == ("1",)
        torch.testing.assert_close(model(batch), plain)
        assert torch.equal(model[1](plain), plain)


def test_one_network_is_looked_at_once_until_a_part_of_it_changes():
    model, seen = lively(nn.Sequential(Pair())), []

    def forward(batch):
        seen.append(len(batch))
        return model(batch)

    for _ in range(2):
        with folded(model, images(), forward):
            pass
    assert seen == [1, 1]  # one image: once to look, once to prove
    model[0] = lively(Residual())
    with folded(model, images(), forward) as names:
        assert names == ()
    assert seen == [1, 1, 1]


def test_new_weights_are_folded_anew():
    model = lively(Pair())
    with folded(model, images(), model):
        pass
    with torch.no_grad():
        model.convolution.weight.mul_(2)
        model.norm.running_mean.add_(1)
    plain = model(images())
    with folded(model, images(), model):
        torch.testing.assert_close(model(images()), plain)
