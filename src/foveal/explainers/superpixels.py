"""The parts of an image that come and go together: superpixels, or regions that the user names."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from skimage.segmentation import slic
from torch import Tensor

from foveal.core import Region
from foveal.explainers.base import Frame, Original

Segments = Tensor | np.ndarray | Sequence[Region | Tensor | np.ndarray]

_COMPACTNESS = 20.0
"""How much SLIC minds the distance against the colour. With scikit-image's 10 some photographs fall
apart into scraps that are merged into few large superpixels."""
_SMOOTHING = 1.0
"""Pixels of Gaussian blur, as speckle and sensor noise fall apart into scraps too."""


@dataclass(frozen=True, kw_only=True)
class Superpixels:
    """Which part of its image each pixel belongs to."""

    labels: Int[Tensor, "sample ..."]
    """The number of the part, from 0 on; -1 for pixels that are never hidden."""
    counts: tuple[int, ...]
    """How many parts each image has."""

    def painted(self, values: Sequence[Float[Tensor, " _"]]) -> Float[Tensor, "sample ..."]:
        """A value for each part on its pixels; 0 where there is none."""
        nothing = values[0].new_zeros(1)
        return torch.stack(
            [torch.cat([own, nothing])[at] for own, at in zip(values, self.labels, strict=True)]
        )

    def shown(self, present: Sequence[Bool[Tensor, " _"]]) -> Bool[Tensor, "sample ..."]:
        """The pixels of the parts that are present, and those that are never hidden."""
        always = present[0].new_ones(1)
        return torch.stack(
            [torch.cat([own, always])[at] for own, at in zip(present, self.labels, strict=True)]
        )


def label_image(segments: Segments) -> Int[Tensor, "..."]:
    """The parts that a user names, as numbers on the grid of the images.

    Masks are numbered in their order. A pixel in several belongs to the first of them, so what is
    small comes before what it lies in: lesions before quadrants. Pixels in none are one more part,
    the rest, with the last number. A label image is taken as it is: what has the same number is one
    part, what is negative is never hidden.

    Args:
        segments: A label image of whole numbers on the grid of the images, or one for each of
            them; or masks, as boolean arrays or `foveal.core.Region`s.

    Raises:
        ValueError: No mask, masks of different grids, or one that has no pixel of its own.
        TypeError: Neither whole numbers nor masks.
    """
    if isinstance(segments, Tensor | np.ndarray):
        labels = torch.as_tensor(segments)
        if labels.dtype != torch.bool:
            if labels.is_floating_point() or labels.is_complex():
                raise TypeError(f"a label image must hold whole numbers, but is {labels.dtype}")
            return labels.long()
    if isinstance(segments, str) or not isinstance(segments, Iterable):
        raise TypeError(
            "segments must be a label image of whole numbers or a list of masks or Regions, but is "
            f"{segments!r}"
        )
    masks = [_mask(one) for one in segments]
    if not masks:
        raise ValueError("segments needs at least one mask; give None for superpixels")
    labels = torch.full(masks[0].shape, -1)
    for number, mask in enumerate(masks):
        if mask.shape != labels.shape:
            raise ValueError(
                f"the masks must have one grid, but number {number} is {tuple(mask.shape)} and the "
                f"first is {tuple(labels.shape)}"
            )
        own = mask & (labels < 0)
        if not bool(own.any()):
            raise ValueError(
                f"mask {number} has no pixel that is not in an earlier one; put smaller regions "
                "before those that hold them"
            )
        labels[own] = number
    return torch.where(labels < 0, len(masks), labels)


def superpixels(
    segments: Int[Tensor, "..."] | None,
    count: int,
    images: Float[Tensor, "sample channel ..."],
    frame: Frame,
) -> Superpixels:
    """The parts of each image: those that the user names, else superpixels.

    What lies outside the field is never hidden.

    Args:
        segments: A label image, or one for each image of the whole batch; `None` for SLIC.
        count: About how many superpixels each image gets.
        images: In the units of the model.
        frame: Field of view, and which part of the batch these images are.

    Raises:
        ValueError: A label image that does not fit the images, or has no part at all.
    """
    if segments is None:
        fields = [None] * len(images) if frame.field is None else list(frame.field)
        each = [_slic(image, inside, count) for image, inside in zip(images, fields, strict=True)]
        numbered = [(labels, int(labels.max()) + 1) for labels in each]
    else:
        numbered = [_renumbered(labels) for labels in _fitted(segments, images, frame)]
    labels = torch.stack([labels for labels, _ in numbered]).to(images.device)
    if frame.field is not None:
        labels = labels.masked_fill(~frame.field, -1)
    return Superpixels(labels=labels, counts=tuple(number for _, number in numbered))


def _slic(image: Tensor, inside: Tensor | None, count: int) -> Tensor:
    """SLIC (Achanta et al. 2012) in Lab colours, inside the field where it is known.

    Nothing is drawn by chance: scikit-image starts from a fixed seed.
    """
    colours = image
    if len(image) != 3:
        colours = image.mean(dim=0, keepdim=True).expand(3, *image.shape[1:])
    places, mask = image[0].numel(), None
    if inside is not None and bool(inside.any()):
        places, mask = int(inside.sum()), inside.cpu().numpy()
    labels = slic(
        colours.movedim(0, -1).double().cpu().numpy(),
        n_segments=min(count, places),
        compactness=_COMPACTNESS,
        sigma=_SMOOTHING,
        mask=mask,
        start_label=0,
        channel_axis=-1,
    )
    return torch.from_numpy(labels).long()


def _renumbered(labels: Tensor) -> tuple[Tensor, int]:
    """The numbers that occur, in their order, as 0, 1, 2 ..."""
    found = labels[labels >= 0].unique()
    if len(found) == 0:
        raise ValueError("a label image needs at least one number from 0 on; all are negative")
    numbers = torch.searchsorted(found, labels.clamp(min=0))
    return torch.where(labels < 0, -1, numbers), len(found)


def _fitted(segments: Tensor, images: Tensor, frame: Frame) -> Tensor:
    """One label image for each of these images."""
    grid, total, original = tuple(images.shape[2:]), frame.total or len(images), frame.original
    if original is not None and tuple(segments.shape) == original.grid:
        segments = _carried(segments, original)
    if tuple(segments.shape) == grid:
        return segments.expand(len(images), *grid)
    if tuple(segments.shape) == (total, *grid):
        return segments[frame.first : frame.first + len(images)]
    raise ValueError(
        f"segments of shape {tuple(segments.shape)} do not fit {total} images of {grid}; give one "
        "label image or masks on the grid that the model sees or of the picture as it was read, or "
        "one label image for each image"
    )


def _carried(segments: Tensor, original: Original) -> Tensor:
    carried = original.carried(segments)
    before, after = (set(one[one >= 0].tolist()) for one in (segments, carried))
    if before - after:
        raise ValueError(
            f"parts {sorted(before - after)} have no pixel left on the grid that the model sees; "
            "leave them out, or join them with others"
        )
    return carried


def _mask(one: object) -> Tensor:
    values = one.mask if isinstance(one, Region) else one
    if not isinstance(values, Tensor | np.ndarray):
        raise TypeError(f"a mask must be a boolean array or a Region, but is {values!r}")
    mask = torch.as_tensor(values)
    if mask.dtype != torch.bool:
        raise TypeError(
            f"a mask must be a boolean array, but is {mask.dtype}; give mask > 0, or a label image"
        )
    return mask
