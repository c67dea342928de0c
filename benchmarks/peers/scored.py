"""A small model, an image and its map, for the packages that send probes."""

from collections.abc import Iterable
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from foveal.measures.curves import CurveSettings
from foveal.measures.effects import SHARE, Removals, SubsetEffects
from foveal.measures.patches import Patches

SIDE, PATCH, TARGET = 12, 4, 1


class Scored:
    """One of several images in display units; of one channel, where all agree what a pixel is."""

    def __init__(self, number: int = 0, channels: int = 1) -> None:
        torch.manual_seed(0)
        first = nn.Conv2d(channels, 6, 3, padding=1)
        self.model = nn.Sequential(first, nn.Tanh(), nn.Flatten(), nn.Linear(6 * SIDE**2, 3)).eval()
        first.weight.data *= 8  # far from linear, where all correlations would be 1
        chosen = torch.Generator().manual_seed(number)
        self.image = 0.1 + 0.8 * torch.rand(channels, SIDE, SIDE, generator=chosen)

    def score(self, batch: Tensor) -> Tensor:
        """The target's logit of each probe."""
        with torch.no_grad():
            return self.model(batch)[:, TARGET]

    def explain(self, batch: Tensor, target: int = TARGET) -> Float[Tensor, "probe row column"]:
        """Input x gradient: signed contributions without ties, 0 where a pixel is black."""
        with torch.enable_grad():  # Captum turns gradients off
            asked = batch.detach().clone().requires_grad_()
            (gradient,) = torch.autograd.grad(self.model(asked)[:, target].sum(), asked)
        return (gradient * batch).sum(dim=1).detach()

    @cached_property
    def map(self) -> Float[np.ndarray, "row column"]:
        return self.explain(self.image[None])[0].numpy()

    def removed(
        self, members: Iterable[Bool[np.ndarray, " patch"]], patch_px: int
    ) -> SubsetEffects:
        """What removing these sets of patches to black does: the sets that the peer drew."""
        whole = np.ones((SIDE, SIDE), bool)
        patches = Patches.over(whole, patch_px)
        sets = np.array(list(members))
        settings = CurveSettings(baseline=0.0, patch_px=patch_px)
        subject = settings.subject(self.score, self.image, whole)
        scores = subject.scores_without(patches.pixels(np.flatnonzero(one)) for one in sets)
        effects = subject.whole - np.array(scores)
        return SubsetEffects(
            patches=patches, removals={SHARE: Removals(members=sets, effects=effects)}
        )
