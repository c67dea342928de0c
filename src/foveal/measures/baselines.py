"""What replaces removed pixels: images that stand for "nothing there"."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve
from torch import Tensor

from foveal.explainers.base import Frame
from foveal.explainers.reference import NAMES, check_reference, reference
from foveal.measures.base import Array, as_numpy, sides

Baseline = float | int | str | Array

PROTOCOL = ("blur", "linear", "annulus")
"""The three that a judgement rests on: masked blur, linear imputation, the local mean."""
LEGACY = ("black", "field-mean")
"""Kept for comparison with published numbers. Black is border or haemorrhage in a fundus, shadow or
vitreous in OCT, and one colour for all makes discs that look like lesions."""
SECTION_BLUR = "section-blur"
"""For sections by OCT, whose layers lie across the light: `blur` would mix them with their
neighbours."""
_ALONG, _ACROSS = 0.02, 0.05
RISE_BLUR = "rise-blur"
_RISE_SIGMA, _RISE_SIDE = 5 / 224, 224


def baseline_image(
    baseline: Baseline,
    pixels: Float[Tensor, "channel row column"],
    field: Bool[np.ndarray, "row column"],
    patch_px: int,
) -> Float[Tensor, "channel row column"]:
    """The image with all of its field replaced; outside the field it stays what it is.

    `blur` is a Gaussian of 5 % of the field's larger side that reads the field alone; `annulus`
    each pixel's mean over a ring that no pixel of its own patch reaches; `linear` each channel's
    mean in the field, which is what imputation comes to where nothing is left to impute from;
    `section-blur` a Gaussian of 2 % of the field's rows and 5 % of its columns.

    Raises:
        ValueError: An unknown name, or an image that does not fit.
    """
    inside = torch.from_numpy(np.ascontiguousarray(field)).to(pixels.device).unsqueeze(0)
    if isinstance(baseline, str) and baseline not in NAMES:
        made = _own(baseline, as_numpy(pixels).astype(np.float64), field, patch_px)
        return torch.where(inside, torch.from_numpy(made).to(pixels), pixels)
    value = tensor(baseline) if isinstance(baseline, np.ndarray | Tensor) else baseline
    check_reference("baseline", value)
    frame = Frame(display=True, field=inside)
    return reference(value, pixels.unsqueeze(0), frame)[0]  # type: ignore[arg-type]


def tensor(values: Array) -> Tensor:
    """Without gradients; of an array that is locked or flipped a copy, since no tensor is."""
    if isinstance(values, Tensor):
        return values.detach()
    return torch.from_numpy(np.require(values, requirements=["C", "W"]))


def _own(
    name: str,
    image: Float[np.ndarray, "channel row column"],
    field: Bool[np.ndarray, "row column"],
    patch_px: int,
) -> Float[np.ndarray, "channel row column"]:
    if name == "annulus":
        return annulus_mean(image, field, patch_px)
    if name == "linear":
        mean = image[:, field].mean(axis=1)
        return np.broadcast_to(mean[:, None, None], image.shape).copy()
    if name == RISE_BLUR:
        sigma = _RISE_SIGMA * max(image.shape[1:])
        return gaussian_filter(image, (0, sigma, sigma), truncate=1)
    if name == SECTION_BLUR:
        return section_blur(image, field)
    known = (*PROTOCOL, SECTION_BLUR, *LEGACY, RISE_BLUR)
    raise ValueError(f"baseline must be a number, an image or one of {known}, not {name!r}")


def section_blur(
    image: Float[np.ndarray, "channel row column"], field: Bool[np.ndarray, "row column"]
) -> Float[np.ndarray, "channel row column"]:
    """Blurred less along the light than across it, by the pixels of the field alone."""
    rows, columns = sides(field)
    widths = _ALONG * rows, _ACROSS * columns
    weight = gaussian_filter(field.astype(np.float64), widths)
    sums = gaussian_filter(np.where(field, image, 0.0), (0, *widths))
    return np.clip(sums / np.maximum(weight, 1e-6), 0, 1)


def annulus_mean(
    image: Float[np.ndarray, "channel row column"],
    field: Bool[np.ndarray, "row column"],
    patch_px: int,
) -> Float[np.ndarray, "channel row column"]:
    """Each pixel's mean over the ring of the field at one to two diagonals of a patch.

    Where the ring holds no pixel of the field, the field's mean stands in.
    """
    inner = np.sqrt(2) * patch_px
    reach = int(np.ceil(2 * inner))
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    distance = np.hypot(rows, columns)
    ring = ((distance >= inner) & (distance <= 2 * inner)).astype(np.float64)
    weight = np.rint(fftconvolve(field.astype(np.float64), ring, mode="same"))
    sums = fftconvolve(np.where(field, image, 0.0), ring[None], mode="same", axes=(1, 2))
    mean = image[:, field].mean(axis=1)[:, None, None]
    return np.where(weight > 0, np.clip(sums / np.maximum(weight, 1), 0, 1), mean)
