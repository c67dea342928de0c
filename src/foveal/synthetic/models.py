"""Small networks that were trained on synthetic eyes only."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

from foveal.synthetic.card import anterior_card, grader_card, oct_card

CHANNELS = (24, 32, 48, 64, 96)
"""Of the stem and the four stages; the image halves before each but the last."""


class Block(nn.Module):
    """Two convolutions around which the input passes unchanged."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels)
        self.second = _convolution(channels, channels)
        self.relu = nn.ReLU()

    def forward(
        self, images: Float[Tensor, "probe channel row column"]
    ) -> Float[Tensor, "probe channel row column"]:
        return self.relu(images + self.second(self.relu(self.first(images))))


class Grader(nn.Module):
    """Logits of the classes: features at a sixteenth of the grid, their mean, one linear layer.

    The head is linear in the mean of the features, so a class activation map adds up to its logit.
    """

    def __init__(
        self, *, channels: Sequence[int] = CHANNELS, classes: int = 5, colours: int = 3
    ) -> None:
        super().__init__()
        stem, *stages = channels
        layers: list[nn.Module] = [_convolution(colours, stem, stride=2), nn.ReLU()]
        for before, after in zip(channels, stages, strict=False):
            stride = 1 if after == stages[-1] else 2
            layers += [_convolution(before, after, stride=stride), nn.ReLU(), Block(after)]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(stages[-1], classes)

    def forward(
        self, images: Float[Tensor, "probe channel row column"]
    ) -> Float[Tensor, "probe class"]:
        return self.head(self.features(images).mean(dim=(2, 3)))


def grader() -> Grader:
    """The trained grader in eval mode; `grader_card` says how its input is prepared."""
    return _trained(grader_card())


def anterior_classifier() -> Grader:
    """The trained classifier of slit lamp photographs in eval mode; its card is `anterior_card`."""
    return _trained(anterior_card())


def oct_classifier() -> Grader:
    """The trained classifier of sections of the macula in eval mode; its card is `oct_card`."""
    return _trained(oct_card())


def _trained(path: Path) -> Grader:
    card = tomllib.loads(path.read_text(encoding="utf-8"))
    model = Grader(**card.get("arguments", {}))
    model.load_state_dict(load_file(path.with_name(card["weights"])))
    return model.eval()


def _convolution(before: int, after: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(after)
    )
