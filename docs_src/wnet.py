"""The W-Net of Galdran et al.: two small U-Nets in a row, the second one seeing the first's answer.

Written from its description for the published weights of the disc-and-cup and the vessel models;
a model card names `wnet:build` as its factory.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn


def build(widths: list[int], classes: int) -> nn.Module:
    """A W-Net for colour photographs."""
    return WNet(widths, classes)


class WNet(nn.Module):
    """The second U-Net sees the image and the first one's logits; its own are the output."""

    def __init__(self, widths: list[int], classes: int) -> None:
        super().__init__()
        self.unet1 = UNet(3, widths, classes)
        self.unet2 = UNet(3 + classes, widths, classes)

    def forward(self, images: Tensor) -> Tensor:
        first = self.unet1(images)
        return self.unet2(torch.cat([images, first], dim=1))


class UNet(nn.Module):
    """Blocks down by pooling, up by transposed convolutions, skips through a bridge."""

    def __init__(self, channels: int, widths: list[int], classes: int) -> None:
        super().__init__()
        pairs = list(pairwise(widths))
        self.first = Block(channels, widths[0], pool=False)
        self.down_path = nn.ModuleList(Block(a, b, pool=True) for a, b in pairs)
        self.up_path = nn.ModuleList(Up(b, a) for a, b in reversed(pairs))
        self.final = nn.Conv2d(widths[0], classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        features = self.first(images)
        skips = []
        for down in self.down_path:
            skips.append(features)
            features = down(features)
        for up, skip in zip(self.up_path, reversed(skips), strict=True):
            features = up(features, skip)
        return self.final(features)


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, channels: int, width: int, *, pool: bool) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()
        self.shortcut = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
        )
        self.block = nn.Sequential(*_unit(channels, width), *_unit(width, width))

    def forward(self, features: Tensor) -> Tensor:
        features = self.pool(features)
        return self.block(features) + self.shortcut(features)


class Up(nn.Module):
    """Twice the size, beside the skip of the same size."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.up_layer = Inside(nn.ConvTranspose2d(channels, width, 2, stride=2))
        self.conv_bridge_layer = Inside(*_unit(width, width))
        self.conv_layer = Block(2 * width, width, pool=False)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        larger, bridged = self.up_layer(features), self.conv_bridge_layer(skip)
        return self.conv_layer(torch.cat([larger, bridged], dim=1))


class Inside(nn.Module):
    """Layers under the name `block`, as the weights have them."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.block = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        return self.block(features)


def _unit(channels: int, width: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(width)]
