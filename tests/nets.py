"""Small networks whose explanations are known or can be worked out."""

from math import prod

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


class Counting(nn.Module):
    """Passes everything on and counts images forward, and backward where gradients flow."""

    def __init__(self) -> None:
        super().__init__()
        self.forwards: list[int] = []
        self.backwards = 0

    def forward(self, images: Tensor) -> Tensor:
        self.forwards.append(len(images))
        if images.requires_grad:
            images = images.clone()
            images.register_hook(self._seen_backward)
        return images

    def _seen_backward(self, gradient: Tensor) -> None:
        self.backwards += 1


class Convolutional(nn.Module):
    """Three convolutions, batch norm, in-place ReLUs, a global mean and one linear layer."""

    def __init__(self, classes: int = 4, channels: int = 3, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.count = Counting()
        self.stem = nn.Conv2d(channels, 6, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.body = nn.Sequential(
            nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(8, 10, 3, stride=2)
        )
        self.top = nn.ReLU(inplace=True)
        self.head = nn.Linear(10, classes)
        self.norm.running_mean.uniform_(-0.1, 0.1)  # type: ignore[union-attr]
        self.norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]

    def forward(self, images: Tensor) -> Tensor:
        features = F.relu(self.norm(self.stem(self.count(images))), inplace=True)
        return self.head(self.top(self.body(features)).mean(dim=(2, 3)))


class Volumetric(nn.Module):
    """A small three-dimensional network."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.features = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(4, 3)

    def forward(self, volumes: Tensor) -> Tensor:
        return self.head(self.features(volumes).mean(dim=(2, 3, 4)))


class Weighted(nn.Module):
    """score = sum(g * A) with A the input as seen by `layer`: its gradient there is g."""

    def __init__(self, gradient: Tensor) -> None:
        super().__init__()
        self.layer = nn.Identity()
        self.register_buffer("gradient", gradient)

    def forward(self, images: Tensor) -> Tensor:
        return (self.layer(images) * self.gradient).flatten(1).sum(dim=1, keepdim=True)


class Segmenting(nn.Module):
    """A two-level encoder and decoder with three classes a pixel."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.encoder = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.bottom = nn.Conv2d(6, 8, 3, padding=1)
        self.decoder = nn.ConvTranspose2d(8, 6, 2, stride=2)
        self.final = nn.Conv2d(6, 3, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.final(self.decoder(self.bottom(self.encoder(images).relu()).relu()).relu())


class Transformer(nn.Module):
    """Patches, a class token, two blocks of fused attention, and a head on the class token."""

    def __init__(
        self, *, channels: int = 3, sides: tuple[int, ...] = (24, 24), patch: int = 8,
        positions: bool = True, pool: str = "token",
    ) -> None:  # fmt: skip
        super().__init__()
        torch.manual_seed(4)
        self.count = Counting()
        convolution = nn.Conv2d if len(sides) == 2 else nn.Conv3d
        self.patches = convolution(channels, 12, patch, stride=patch)
        self.token = nn.Parameter(torch.randn(1, 1, 12))
        tokens = 1 + prod(side // patch for side in sides)
        self.positions = nn.Parameter(torch.randn(1, tokens, 12) * positions)
        self.blocks = nn.ModuleList(TransformerBlock(12, heads=3) for _ in range(2))
        self.top = nn.LayerNorm(12)
        self.head = nn.Linear(12, 4)
        self.pool = pool

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patches(self.count(images)).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(images), -1, -1), patches], 1) + self.positions
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.top(tokens)
        return self.head(tokens[:, 0] if self.pool == "token" else tokens[:, 1:].mean(dim=1))


class TransformerBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        nn.init.normal_(self.qkv.weight, std=0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        split = self.qkv(self.before(tokens)).unflatten(2, (3, self.heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4)
        tokens = tokens + self.mix(self.attend(query, key, value).transpose(1, 2).flatten(2))
        return tokens + self.mlp(self.between(tokens))

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value)


def images(count: int = 3, side: int = 24, channels: int = 3, seed: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, channels, side, side, generator=generator)
