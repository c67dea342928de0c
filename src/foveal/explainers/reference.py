"""What stands for "nothing there": the baseline of a path, the fill of a window."""

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from jaxtyping import Float
from torch import Tensor

from foveal.explainers.base import Frame

Reference = float | int | Tensor | Literal["black", "blur", "field-mean"]

NAMES = ("black", "blur", "field-mean")
_DISPLAY_ONLY = ("black", "field-mean")
_BLUR_SHARE = 0.05
"""Standard deviation of the blur as a share of the field's (or image's) larger side."""


def check_reference(what: str, value: object) -> None:
    """Refuse what is no reference, before any pass is sent.

    Raises:
        ValueError: An unknown name, or a number that is not finite.
        TypeError: Neither a number nor a tensor nor a name.
    """
    if isinstance(value, str):
        if value not in NAMES:
            raise ValueError(f"{what} must be a number, a tensor or one of {NAMES}, not {value!r}")
    elif isinstance(value, bool) or not isinstance(value, int | float | Tensor):
        raise TypeError(f"{what} must be a number, a tensor or one of {NAMES}, not {value!r}")
    elif not bool(torch.as_tensor(value).isfinite().all()):
        raise ValueError(f"{what} must be finite")


def reference(
    value: Reference, images: Float[Tensor, "sample channel ..."], frame: Frame
) -> Float[Tensor, "sample channel ..."]:
    """The reference image of each sample, in the units of the images.

    `blur` is a Gaussian with a standard deviation of 5 % of the field's larger side. Where the
    field is known it is blurred by itself, blur(image * field) / blur(field), so that the black
    surround does not bleed in. `field-mean` is each channel's mean inside the field. Outside the
    field the reference is the image itself: there is nothing to take away there.

    Raises:
        ValueError: A name that needs display units where they are not known, or a tensor that
            does not fit the images.
    """
    if isinstance(value, str) and value in _DISPLAY_ONLY and not frame.display:
        raise ValueError(
            f"{value!r} needs display units, and a bare tensor does not say what is black in it; "
            "give the number or tensor that you mean, or explain an Image with its model card"
        )
    if isinstance(value, Tensor):
        return _fitted(value, images, frame)
    if value == "blur":
        changed = blurred(images, frame.field)
    elif value == "field-mean":
        changed = _field_mean(images, frame.field)
    else:
        changed = torch.full_like(images, 0.0 if value == "black" else float(value))
    if frame.field is None:
        return changed
    return torch.where(frame.field.unsqueeze(1), changed, images)


def blurred(
    images: Float[Tensor, "sample channel ..."], field: Tensor | None
) -> Float[Tensor, "sample channel ..."]:
    """The images without detail, blurred inside the field only."""
    if field is None:
        return _gaussian(images, _BLUR_SHARE * max(images.shape[2:]))
    pairs = zip(images.split(1), field.unsqueeze(1).split(1), strict=True)
    return torch.cat([_blurred_inside(image, own) for image, own in pairs])


def _blurred_inside(image: Tensor, field: Tensor) -> Tensor:
    weight = field.to(image.dtype)
    sigma = _BLUR_SHARE * _side(field)
    return _gaussian(image * weight, sigma) / _gaussian(weight, sigma).clamp(min=1e-6)


def _gaussian(images: Tensor, sigma: float) -> Tensor:
    """Separable Gaussian blur, cut at four standard deviations, edges repeated."""
    radius = max(1, round(4 * sigma))
    offsets = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    for axis in range(2, images.ndim):
        lines = images.movedim(axis, -1)
        flat = lines.reshape(-1, 1, lines.shape[-1])
        padded = F.pad(flat, (radius, radius), mode="replicate")
        lines = F.conv1d(padded, kernel.reshape(1, 1, -1)).reshape(lines.shape)
        images = lines.movedim(-1, axis)
    return images


def _side(field: Tensor) -> float:
    """The larger side of the box around the field, in pixels."""
    where = field.nonzero()
    if len(where) == 0:
        return 1.0
    return float((where.amax(dim=0) - where.amin(dim=0)).max() + 1)


def _field_mean(images: Tensor, field: Tensor | None) -> Tensor:
    if field is None:
        mean = images.flatten(2).mean(dim=2)
    else:
        weight = field.unsqueeze(1).to(images.dtype)
        mean = (images * weight).flatten(2).sum(dim=2) / weight.flatten(2).sum(dim=2).clamp(min=1)
    return mean.reshape(*mean.shape, *[1] * (images.ndim - 2)).expand_as(images)


def _fitted(
    value: Tensor, images: Float[Tensor, "sample channel ..."], frame: Frame
) -> Float[Tensor, "sample channel ..."]:
    """A number a channel, one image for all samples, or one for each image of the whole batch."""
    total = frame.total or len(images)
    own = value.to(images.device, images.dtype)
    if own.ndim == 1 and len(own) == images.shape[1]:
        own = own.reshape(-1, *[1] * (images.ndim - 2))
    whole = own.ndim == images.ndim and len(own) in (1, total)
    if whole and len(own) > 1:
        own = own[frame.first : frame.first + len(images)]
    sides = zip(reversed(own.shape), reversed(images.shape), strict=False)
    if (whole or own.ndim in (0, images.ndim - 1)) and all(a in (1, b) for a, b in sides):
        return own.expand_as(images)
    raise ValueError(
        f"a reference of shape {tuple(value.shape)} does not fit {total} images of shape "
        f"{tuple(images.shape[1:])}; give one number, one a channel, one image, or one for each"
    )
