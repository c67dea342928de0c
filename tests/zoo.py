"""The architectures people have, small and with random weights."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torchvision_operators  # noqa: F401 (timm and torchvision import torchvision)
from torch import Tensor, nn

CLASSES = 3


@dataclass(frozen=True, kw_only=True)
class Animal:
    """One architecture of the table."""

    library: str
    name: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    """Of one image: channel, row, column, or channel, slice, row, column."""
    target: int = 1
    arguments: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.library} {self.name}"

    def born(self) -> nn.Module:
        torch.manual_seed(0)
        return self.build().eval()

    def images(self, count: int = 1) -> Tensor:
        generator = torch.Generator().manual_seed(7)
        return torch.rand(count, *self.shape, generator=generator)


def _timm(name: str, side: int = 64, **arguments: object) -> Animal:
    def build() -> nn.Module:
        import timm

        return timm.create_model(name, num_classes=CLASSES, **arguments)

    return Animal(library="timm", name=name, build=build, shape=(3, side, side))


def _vit(name: str, patch: int = 16, **arguments: object) -> Animal:
    small = {"img_size": 64, "patch_size": patch, "embed_dim": 48, "depth": 3, "num_heads": 3}
    return _timm(name, **{**small, **arguments})


def _torchvision(name: str, side: int = 64, **arguments: object) -> Animal:
    def build() -> nn.Module:
        import torchvision

        return torchvision.models.get_model(name, weights=None, num_classes=CLASSES, **arguments)

    return Animal(library="torchvision", name=name, build=build, shape=(3, side, side))


def _torchvision_vit() -> nn.Module:
    from torchvision.models import VisionTransformer

    net = VisionTransformer(64, 16, 3, 3, 48, 96, num_classes=CLASSES)
    nn.init.normal_(net.heads.head.weight)  # zero at birth
    return net


def _torchvision_maxvit() -> nn.Module:
    from torchvision.models import MaxVit

    return MaxVit((64, 64), 8, 2, [8, 16, 32, 64], [1, 1, 1, 1], 8, 0.0, num_classes=CLASSES)


def _monai(name: str, shape: tuple[int, ...], **arguments: object) -> Animal:
    def build() -> nn.Module:
        from monai.networks import nets

        return getattr(nets, name)(**arguments)

    title = f"{name} {len(shape) - 1}D"
    return Animal(library="MONAI", name=title, build=build, shape=shape)


_PLANE, _VOLUME = (1, 64, 64), (1, 32, 32, 32)


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


def _monai_vit(axes: int) -> Animal:
    def build() -> nn.Module:
        from monai.networks.nets import ViT

        return _FirstOf(
            ViT(
                1, (32,) * axes, (8,) * axes, hidden_size=48, mlp_dim=96, num_layers=2,
                num_heads=3, classification=True, num_classes=CLASSES, post_activation="none",
                spatial_dims=axes,
            )
        )  # fmt: skip

    return Animal(library="MONAI", name=f"ViT {axes}D", build=build, shape=(1, *(32,) * axes))


ZOO = [
    _timm("resnet18"),
    _timm("resnet50"),
    _timm("densenet121"),
    _timm("efficientnet_b0"),
    _timm("convnext_tiny", depths=(1, 1, 2, 1), dims=(16, 24, 32, 48)),
    _timm("inception_v3", side=139),
    _timm("mobilenetv3_small_100"),
    _vit("vit_small_patch16_224"),
    _vit("deit_small_distilled_patch16_224"),
    _vit("vit_base_patch16_reg4_gap_256"),
    _vit("vit_small_patch14_dinov2", patch=8),
    _timm("swin_tiny_patch4_window7_224", img_size=64, window_size=4, embed_dim=24,
          depths=(1, 1, 2, 1), num_heads=(1, 2, 3, 4)),
    _timm("coatnet_0_rw_224", img_size=64, embed_dim=(32, 32, 32, 64), depths=(1, 1, 1, 1),
          stem_width=(8, 16)),
    _timm("maxvit_tiny_rw_224", img_size=64, embed_dim=(32, 32, 32, 64), depths=(1, 1, 1, 1),
          stem_width=16),
    _torchvision("resnet18"),
    _torchvision("resnet50"),
    _torchvision("densenet121"),
    _torchvision("efficientnet_b0"),
    _torchvision("convnext_tiny"),
    _torchvision("inception_v3", side=139, aux_logits=False, init_weights=False),
    _torchvision("mobilenet_v3_small"),
    _torchvision("vgg16"),
    Animal(library="torchvision", name="VisionTransformer", build=_torchvision_vit,
           shape=(3, 64, 64)),
    _torchvision("swin_t"),
    Animal(library="torchvision", name="MaxVit", build=_torchvision_maxvit, shape=(3, 64, 64)),
    _monai("DenseNet", _PLANE, **_dense(2)),
    _monai("DenseNet", _VOLUME, **_dense(3)),
    _monai("ResNet", _VOLUME, block="basic", layers=(1, 1, 1, 1), block_inplanes=(4, 8, 8, 16),
           spatial_dims=3, n_input_channels=1, num_classes=CLASSES),
    _monai("UNet", _PLANE, spatial_dims=2, in_channels=1, out_channels=CLASSES,
           channels=(4, 8, 16), strides=(2, 2)),
    _monai_vit(2),
    _monai_vit(3),
    _monai("SwinUNETR", _PLANE, in_channels=1, out_channels=CLASSES, feature_size=12,
           spatial_dims=2, depths=(1, 1, 1, 1), num_heads=(1, 2, 2, 2)),
]  # fmt: skip
