import torch
from jaxtyping import Float
from torch import Tensor

DARK = 0.03
"""A pixel whose brightest channel is below this counts as surround, not as eye."""

_EVEN = 1e-8
"""Least variance; an image of one brightness becomes zero and not infinite."""


def by_own_spread(
    images: Float[Tensor, "probe ..."], *, channel: int
) -> Float[Tensor, "probe ..."]:
    """Each image less its mean and by its standard deviation, over all channels of its lit pixels.

    One mean and one deviation for all channels keep the colours. It is part of the model: a probe
    is scaled by its own numbers, and gradients go through them.

    Args:
        images: In display units.
        channel: The axis of the channels.
    """
    lit = (images.detach().amax(dim=channel, keepdim=True) >= DARK).to(images.dtype)
    lit = lit.expand_as(images)
    rest = tuple(range(1, images.ndim))
    count = lit.sum(dim=rest, keepdim=True).clamp(min=1)
    mean = (images * lit).sum(dim=rest, keepdim=True) / count
    variance = ((images - mean).square() * lit).sum(dim=rest, keepdim=True) / count
    return (images - mean) / torch.sqrt(variance.clamp(min=_EVEN))
