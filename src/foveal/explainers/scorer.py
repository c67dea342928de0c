"""The model as a method with passes of its own may have it: one image's score, and no more."""

import torch
from torch import Tensor, nn

from foveal.explainers.passes import Passes
from foveal.models.targets import FixedTarget


class Scorer(nn.Module):
    """From any number of images to the score that is explained of one image of the batch.

    It holds the model's own module, so that its layers can be found, and gives scores with their
    graph where gradients are enabled. Passes are counted; how many images go into one is for the
    caller to decide.
    """

    def __init__(
        self, passes: Passes, fixed: FixedTarget, sample: int, beside: tuple[Tensor, ...]
    ) -> None:
        super().__init__()
        self.model = passes.network.module
        self._passes = passes
        self._fixed = fixed
        self._sample = sample
        self._beside = tuple(one[sample : sample + 1] for one in beside)

    def forward(self, images: Tensor) -> Tensor:
        sample = torch.full((len(images),), self._sample, device=images.device)
        beside = [one.expand(len(images), *one.shape[1:]) for one in self._beside]
        return self._passes.scores(images, lambda output: self._fixed.score(output, sample), beside)
