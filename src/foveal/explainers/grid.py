"""Maps from their native grid to another one."""

from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from jaxtyping import Float
from torch import Tensor


def resize(values: Float[Tensor, "sample ..."], grid: Sequence[int]) -> Float[Tensor, "sample ..."]:
    """Bilinear (trilinear for volumes) to another grid, pixel centres at +0.5."""
    if tuple(values.shape[1:]) == tuple(grid):
        return values
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(grid)]
    resized = F.interpolate(values.unsqueeze(1), size=tuple(grid), mode=mode, align_corners=False)
    return resized[:, 0]


def at_input_size(
    maps: Float[Tensor, "sample ..."], images: Float[Tensor, "sample channel ..."]
) -> Float[Tensor, "sample ..."]:
    """Maps on the rows and columns of the images, channels summed with their sign."""
    if maps.ndim == images.ndim:
        maps = maps.sum(dim=1)
    return resize(maps, images.shape[2:])
