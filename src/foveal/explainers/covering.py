"""The scores of images with one window after the other covered, computed as far as it reaches."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from foveal.explainers.base import Cover
from foveal.explainers.passes import Passes
from foveal.explainers.reuse import Refused, Windowed

_LEAST_WINDOWS = 64
_LEAST_PIXELS = 128**2
"""With fewer of either, finding out what windows reach takes as long as it saves."""
_TOGETHER = 32
"""Most windows in one pass."""


def worth_splitting(passes: Passes, cover: Cover) -> bool:
    """Whether there are so many windows, of so large an image, that partial passes may pay."""
    pixels = cover.pixels.shape[2:].numel()
    return (
        passes.network.module is not None
        and passes.precision != "bf16"
        and len(cover.windows) >= _LEAST_WINDOWS
        and pixels >= _LEAST_PIXELS
    )


def split_for(passes: Passes, images: Tensor, cover: Cover, bound: int) -> Windowed | Refused:
    """The network in parts for images like these, or why it cannot be taken apart.

    Args:
        passes: To the borrowed network.
        images: One pass; the first is sent to try the parts.
        cover: The windows.
        bound: Whole images in one pass.
    """
    passes.forwards += 2  # the windows on which the parts are tried
    return Windowed.of(
        passes.network.forward,
        passes.arranged(images[:1]),
        cover.windows,
        max_batch=_TOGETHER,
        plain_batch=bound,
    )


def partial_scores(
    windowed: Windowed,
    passes: Passes,
    images: Tensor,
    cover: Cover,
    score: Callable[[object, Tensor], Tensor],
) -> Iterator[tuple[int, Tensor]]:
    """The scores of the next windows, image by image.

    Yields:
        The number of the image, and one score a window.
    """
    for number in range(len(images)):
        image, pixels = (
            passes.arranged(one[number : number + 1]) for one in (images, cover.pixels)
        )
        left = len(cover.windows)
        for output in windowed.outputs(image, pixels):
            count = min(left, windowed.together)
            left -= count
            passes.forwards += count
            yield number, score(output, torch.full((count,), number, device=images.device))
