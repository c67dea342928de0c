"""A grader of diabetic retinopathy that was trained on synthetic eyes only."""

from pathlib import Path

from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

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
    """Logits of the five grades: features at a sixteenth of the grid, their mean, one linear layer.

    The head is linear in the mean of the features, so a class activation map adds up to its logit.
    """

    def __init__(self) -> None:
        super().__init__()
        stem, *stages = CHANNELS
        layers: list[nn.Module] = [_convolution(3, stem, stride=2), nn.ReLU()]
        for before, channels in zip(CHANNELS, stages, strict=False):
            stride = 1 if channels == stages[-1] else 2
            layers += [_convolution(before, channels, stride=stride), nn.ReLU(), Block(channels)]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(stages[-1], 5)

    def forward(
        self, images: Float[Tensor, "probe channel row column"]
    ) -> Float[Tensor, "probe grade"]:
        return self.head(self.features(images).mean(dim=(2, 3)))


def grader() -> Grader:
    """The trained grader in eval mode; `grader_card` says how its input is prepared."""
    model = Grader()
    model.load_state_dict(load_file(Path(__file__).with_name("grader.safetensors")))
    return model.eval()


def _convolution(before: int, after: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(after)
    )
