"""Architectures from timm, torchvision and MONAI, small and with random weights."""

import sys

import pytest
import torch
import torchvision_operators  # noqa: F401 (timm and torchvision import torchvision)
from safetensors.torch import save_file

from foveal.core import ModelError
from foveal.models import describe, load

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")

BASE = {
    "task": "multiclass",
    "classes": ["CNV", "DME", "NORMAL"],
    "input": {"size": [64, 64]},
    "weights": "weights.safetensors",
}
UNET = {"spatial_dims": 2, "in_channels": 3, "out_channels": 3, "channels": [4, 8], "strides": [2]}
DENSE = {
    "spatial_dims": 2, "in_channels": 3, "out_channels": 3, "init_features": 8, "growth_rate": 4,
    "block_config": [2, 2],
}  # fmt: skip


def timm_net():
    import timm

    return timm.create_model("resnet10t", num_classes=3)


def torchvision_net():
    import torchvision

    return torchvision.models.get_model("mobilenet_v3_small", weights=None, num_classes=3)


def monai_net(name, arguments):
    from monai.networks import nets

    return getattr(nets, name)(**arguments)


LIBRARIES = [
    pytest.param("timm", "resnet10t", {}, timm_net, "layer4", id="timm"),
    pytest.param("torchvision", "mobilenet_v3_small", {}, torchvision_net, "features",
                 id="torchvision"),
    pytest.param("monai", "DenseNet", DENSE, lambda: monai_net("DenseNet", DENSE),
                 "class_layers.relu", id="MONAI DenseNet"),
    pytest.param("monai", "UNet", UNET, lambda: monai_net("UNet", UNET), None, id="MONAI U-Net"),
]  # fmt: skip


@pytest.mark.parametrize(("loader", "architecture", "arguments", "make", "layer"), LIBRARIES)
def test_a_library_model_loads_and_predicts_as_it_did(
    tmp_path, monkeypatch, loader, architecture, arguments, make, layer
):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    network = make().eval()
    save_file(network.state_dict(), "weights.safetensors")
    dense = architecture == "UNet"
    card = {
        **BASE,
        "name": architecture,
        "loader": loader,
        "architecture": architecture,
        "arguments": arguments,
        "task": "segmentation" if dense else "multiclass",
    }
    model = load(card)
    batch = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.output(batch), network(batch))
    choice = describe(model).choice
    assert choice is not None
    assert choice.dense == dense
    if layer is not None:
        assert choice.name == layer


UNKNOWN = [
    pytest.param("timm", "resnet1000", "timm cannot create 'resnet1000'", id="timm"),
    pytest.param("torchvision", "resnet1000", "torchvision cannot create", id="torchvision"),
    pytest.param("monai", "ResNeXt1000", "MONAI has no network 'ResNeXt1000'", id="MONAI"),
]


@pytest.mark.parametrize(("loader", "architecture", "message"), UNKNOWN)
def test_an_unknown_architecture_is_named(loader, architecture, message):
    card = {**BASE, "name": "unknown", "loader": loader, "architecture": architecture}
    with pytest.raises(ModelError, match=message):
        load(card)


def test_a_missing_package_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    card = {**BASE, "name": "m", "loader": "timm", "architecture": "resnet10t"}
    with pytest.raises(ModelError, match=r"pip install 'foveal\[timm\]'"):
        load(card)


def test_a_torchvision_built_for_another_torch_is_explained(monkeypatch):
    def broken(name):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr("foveal.models.torch.import_module", broken)
    card = {**BASE, "name": "m", "loader": "timm", "architecture": "resnet10t"}
    with pytest.raises(ModelError, match="Install torch and torchvision as a pair"):
        load(card)
