"""Small networks whose explanations are known or can be worked out."""

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


def images(count: int = 3, side: int = 24, channels: int = 3, seed: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, channels, side, side, generator=generator)
