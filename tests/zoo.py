"""The architectures people have, small and with random weights."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
import torchvision_operators  # noqa: F401 (timm and torchvision import torchvision)
from small_models import (
    CLASSES,
    Coral,
    HuggingFaceViT,
    Small,
    keras_model,
    onnx_model,
    volume_regressor,
)
from torch import Tensor, nn

from foveal.core import Target
from foveal.models.heads import Head
from foveal.models.targets import TargetLike


@dataclass(frozen=True, kw_only=True)
class Animal:
    """One architecture of the table."""

    library: str
    name: str
    build: Callable[[], Callable[..., object]]
    shape: tuple[int, ...]
    """Of one image: channel, row, column, or channel, slice, row, column."""
    grid: tuple[int, ...] = (2, 2)
    """Of the layer that is chosen, and of the patches where it has some."""
    target: TargetLike = 1
    head: Head = "softmax"

    def __str__(self) -> str:
        return f"{self.library} {self.name}"

    def born(self) -> Callable[..., object]:
        torch.manual_seed(0)
        model = self.build()
        return _used(model, self.images(4)) if isinstance(model, nn.Module) else model

    def images(self, count: int = 1) -> Tensor:
        generator = torch.Generator().manual_seed(7)
        return torch.rand(count, *self.shape, generator=generator)


def _used(net: nn.Module, images: Tensor) -> nn.Module:
    """With statistics in its batch norms: without, the scores of deep networks vanish."""
    norms = [part for part in net.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    net.eval()
    for norm in norms:
        norm.train().momentum = 1.0
    if norms:
        with torch.no_grad():
            net(images)
    return net.eval()


def _timm(name: str, side: int = 64, cells: int = 2, **arguments: object) -> Animal:
    def build() -> nn.Module:
        import timm

        return timm.create_model(name, num_classes=CLASSES, **arguments)

    shape, grid = (3, side, side), (cells, cells)
    return Animal(library="timm", name=name, build=build, shape=shape, grid=grid)


def _vit(name: str, patch: int = 16, **arguments: object) -> Animal:
    small = {"img_size": 64, "patch_size": patch, "embed_dim": 48, "depth": 3, "num_heads": 3}
    return _timm(name, cells=64 // patch, **{**small, **arguments})


def _torchvision(name: str, side: int = 64, cells: int = 2, **arguments: object) -> Animal:
    def build() -> nn.Module:
        import torchvision

        return torchvision.models.get_model(name, weights=None, num_classes=CLASSES, **arguments)

    shape, grid = (3, side, side), (cells, cells)
    return Animal(library="torchvision", name=name, build=build, shape=shape, grid=grid)


def _torchvision_vit() -> nn.Module:
    from torchvision.models import VisionTransformer

    net = VisionTransformer(64, 16, 3, 3, 48, 96, num_classes=CLASSES)
    nn.init.normal_(net.heads.head.weight)  # zero at birth
    return net


def _torchvision_vgg() -> nn.Module:
    """A sixteenth of its channels, and a head without the hundred million weights."""
    from torchvision.models.vgg import VGG, make_layers

    features = make_layers(
        [4, 4, "M", 8, 8, "M", 16, 16, 16, "M", 32, 32, 32, "M", 32, 32, 32, "M"]
    )
    with torch.device("meta"):
        net = VGG(features, init_weights=False)
    net.classifier = nn.Sequential(
        nn.Linear(32 * 7 * 7, 64), nn.ReLU(True), nn.Dropout(), nn.Linear(64, CLASSES)
    )
    return net


def _torchvision_dense() -> nn.Module:
    from torchvision.models import DenseNet

    return DenseNet(8, (2, 4, 4, 2), 16, num_classes=CLASSES)


def _torchvision_convnext() -> nn.Module:
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    widths = [16, 24, 32, 48, None]
    blocks = [CNBlockConfig(*sizes, 1) for sizes in pairwise(widths)]
    return ConvNeXt(blocks, num_classes=CLASSES)


def _torchvision_swin() -> nn.Module:
    from torchvision.models import SwinTransformer

    sizes = {"depths": [1, 1, 2, 1], "num_heads": [1, 2, 3, 4], "window_size": [4, 4]}
    return SwinTransformer([4, 4], 24, num_classes=CLASSES, **sizes)


def _torchvision_maxvit() -> nn.Module:
    from torchvision.models import MaxVit

    return MaxVit((64, 64), 8, 2, [8, 16, 32, 64], [1, 1, 1, 1], 8, 0.0, num_classes=CLASSES)


def _monai(name: str, shape: tuple[int, ...], grid: tuple[int, ...], **arguments: object) -> Animal:
    def build() -> nn.Module:
        from monai.networks import nets

        return getattr(nets, name)(**arguments)

    title = f"{name} {len(shape) - 1}D"
    return Animal(library="MONAI", name=title, build=build, shape=shape, grid=grid)


_PLANE, _VOLUME = (1, 64, 64), (1, 16, 32, 32)


def _dense(axes: int) -> dict[str, object]:
    return {
        "spatial_dims": axes, "in_channels": 1, "out_channels": CLASSES, "init_features": 8,
        "growth_rate": 4, "block_config": (2, 2, 2),
    }  # fmt: skip


class _FirstOf(nn.Module):
    """MONAI's ViT gives its hidden states beside the logits."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images)[0]


def _monai_vit(sides: tuple[int, ...]) -> Animal:
    def build() -> nn.Module:
        from monai.networks.nets import ViT

        return _FirstOf(
            ViT(
                1, sides, (8,) * len(sides), hidden_size=48, mlp_dim=96, num_layers=2,
                num_heads=3, classification=True, num_classes=CLASSES, post_activation="none",
                spatial_dims=len(sides),
            )
        )  # fmt: skip

    grid = tuple(side // 8 for side in sides)
    name = f"ViT {len(sides)}D"
    return Animal(library="MONAI", name=name, build=build, shape=(1, *sides), grid=grid)


def _small(library: str, name: str, build: Callable, **changes: object) -> Animal:
    changes = {"shape": (3, 32, 32), "grid": (13, 13), **changes}
    return Animal(library=library, name=name, build=build, **changes)


ZOO = [
    _timm("resnet18", channels=(16, 32, 64, 128)),
    _timm("resnet50", base_width=16),
    _timm("densenet121", growth_rate=8, block_config=(2, 4, 4, 2)),
    _timm("efficientnet_b0"),
    _timm("convnext_tiny", depths=(1, 1, 2, 1), dims=(16, 24, 32, 48)),
    _timm("inception_v3", side=107),
    _timm("mobilenetv3_small_100"),
    _vit("vit_small_patch16_224"),
    _vit("deit_small_distilled_patch16_224"),
    _vit("vit_base_patch16_reg4_gap_256"),
    _vit("vit_small_patch14_dinov2", patch=8, init_values=1.0),  # else blocks add 1e-5
    _timm("swin_tiny_patch4_window7_224", img_size=64, window_size=4, embed_dim=24,
          depths=(1, 1, 2, 1), num_heads=(1, 2, 3, 4)),
    _timm("coatnet_0_rw_224", img_size=64, embed_dim=(32, 32, 32, 64), depths=(1, 1, 1, 1),
          stem_width=(8, 16)),
    _timm("maxvit_tiny_rw_224", img_size=64, embed_dim=(32, 32, 32, 64), depths=(1, 1, 1, 1),
          stem_width=16),
    _torchvision("resnet18"),
    _torchvision("resnet50", width_per_group=16),
    Animal(library="torchvision", name="DenseNet", build=_torchvision_dense, shape=(3, 64, 64)),
    _torchvision("efficientnet_b0"),
    Animal(library="torchvision", name="ConvNeXt", build=_torchvision_convnext,
           shape=(3, 64, 64)),
    _torchvision("inception_v3", side=107, aux_logits=False, init_weights=False),
    _torchvision("mobilenet_v3_small"),
    Animal(library="torchvision", name="vgg16", build=_torchvision_vgg, shape=(3, 64, 64)),
    Animal(library="torchvision", name="VisionTransformer", build=_torchvision_vit,
           shape=(3, 64, 64), grid=(4, 4)),
    Animal(library="torchvision", name="SwinTransformer", build=_torchvision_swin,
           shape=(3, 64, 64)),
    Animal(library="torchvision", name="MaxVit", build=_torchvision_maxvit, shape=(3, 64, 64)),
    _monai("DenseNet", _PLANE, (4, 4), **_dense(2)),
    _monai("DenseNet", _VOLUME, (1, 2, 2), **_dense(3)),
    _monai("ResNet", _VOLUME, (1, 2, 2), block="basic", layers=(1, 1, 1, 1),
           block_inplanes=(4, 8, 8, 16), spatial_dims=3, n_input_channels=1, num_classes=CLASSES),
    _monai("UNet", _PLANE, (32, 32), spatial_dims=2, in_channels=1, out_channels=CLASSES,
           channels=(4, 8, 16), strides=(2, 2)),
    _monai_vit((32, 32)),
    _monai_vit(_VOLUME[1:]),
    _monai("SwinUNETR", _PLANE, (64, 64), in_channels=1, out_channels=CLASSES, feature_size=12,
           spatial_dims=2, depths=(1, 1, 1, 1), num_heads=(1, 2, 2, 2)),
    _small("Hugging Face", "ViT", HuggingFaceViT, grid=(4, 4),
           target=Target(output="logits", index=1)),
    _small("Keras", "CNN", keras_model),
    _small("ONNX", "converted CNN", lambda: onnx_model(17)),
    _small("ONNX", "black box", lambda: onnx_model(18)),
    _small("plain", "callable", lambda: Small().eval().forward),
    _small("plain", "regressor", lambda: Small(outputs=1), target=None, head="identity"),
    _small("plain", "regressor of volumes", volume_regressor, target=None, head="identity",
           shape=(1, 12, 20, 24), grid=(3, 7, 9)),
    _small("plain", "CORAL grader", Coral, target=Target(at_least=2), head="coral"),
]  # fmt: skip
