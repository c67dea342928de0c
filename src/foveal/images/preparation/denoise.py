from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage
from skimage.restoration import denoise_nl_means

from foveal.core import Image
from foveal.images.preparation.retouch import AbstractRetouch
from foveal.images.preparation.settings import number_in, one_of

_SIZES: Mapping[str, tuple[float, float, float]] = {
    "gaussian": (1.0, 0.1, 50.0),
    "median": (3, 3, 15),
    "nl-means": (0.8, 0.1, 5.0),
}
"""The size of each method: its default, least and greatest."""

_PATCH, _REACH = 5, 6
"""Sides of the patches that are compared, and how far off they are sought."""


def noise_level(
    pixels: Float[np.ndarray, "channel row column"], field: Bool[np.ndarray, "row column"]
) -> float:
    """Standard deviation of white noise in the field, the mean over the channels.

    Immerkaer 1996, Fast noise variance estimation: the mean absolute response of a filter that
    smooth shades and straight edges do not move. Fine vessels count as noise, and noise that JPEG
    has removed does not. 0 where the field has no pixel with all its neighbours.
    """
    inner = np.asarray(ndimage.binary_erosion(field, np.ones((3, 3), bool)), bool)[1:-1, 1:-1]
    if not inner.any():
        return 0.0
    means = [np.abs(_laplacians(channel))[inner].mean(dtype=np.float64) for channel in pixels]
    return float(np.sqrt(np.pi / 2) / 6 * np.mean(means))


@dataclass(frozen=True, kw_only=True)
class Denoise(AbstractRetouch):
    """Takes noise out, at the price of the finest detail: a microaneurysm is a few pixels wide.

    "gaussian" blurs with a standard deviation of `size` pixels, for white noise; "median" takes the
    median of `size` x `size` pixels, for single wrong pixels, and thin vessels go with them;
    "nl-means" averages similar patches of 5 x 5 pixels (Buades et al. 2005), similar within `size`
    times the noise found. It keeps edges and is slow: put it after `resize`.
    """

    name = "denoise"
    method: str
    size: float
    noise: float
    """Standard deviation of the noise found in the field, in display units."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _, least, greatest = _SIZES[one_of("method", self.method, tuple(_SIZES))]
        number_in("size", self.size, least, greatest)
        number_in("noise", self.noise, 0, 10)
        if self.method == "median" and self.size % 2 != 1:
            raise ValueError(f"size of a median must be an odd whole number, not {self.size!r}")

    @classmethod
    def fit(
        cls,
        image: Image,
        field: Bool[np.ndarray, "row column"],
        *,
        method: Any = "gaussian",
        size: Any = None,
    ) -> "Denoise":
        """The step for one image.

        Args:
            image: The pixels matter.
            field: The field of view on the image's grid.
            method: "gaussian", "median" or "nl-means".
            size: Standard deviation in pixels, 0.1 to 50 (1); an odd number of pixels, 3 to 15
                (3); multiples of the noise, 0.1 to 5 (0.8).

        Raises:
            ValueError: An unknown method, or a size out of its range.
        """
        method = one_of("method", method, tuple(_SIZES))
        default, least, greatest = _SIZES[method]
        chosen = number_in("size", default if size is None else size, least, greatest)
        noise = noise_level(image.pixels, field)
        return cls(source=image.grid, target=image.grid, method=method, size=chosen, noise=noise)

    def pixels_forward(
        self, pixels: Float[np.ndarray, "channel row column"]
    ) -> Float[np.ndarray, "channel row_out column_out"]:
        if self.method == "gaussian":
            shown = ndimage.gaussian_filter(pixels, self.size, axes=(1, 2))
            return shown.clip(0, 1, out=shown)
        if self.method == "median":
            return ndimage.median_filter(pixels, int(self.size), axes=(1, 2))
        if self.noise == 0:
            return pixels
        shown = denoise_nl_means(
            pixels,
            patch_size=_PATCH,
            patch_distance=_REACH,
            h=self.size * self.noise,
            sigma=self.noise,
            channel_axis=0,
        )
        return shown.astype(np.float32).clip(0, 1)


def _laplacians(
    channel: Float[np.ndarray, "row column"],
) -> Float[np.ndarray, "row_inner column_inner"]:
    """Second differences along rows and columns: blind to edges in first order (Immerkaer 1996)."""
    along = channel[:, :-2] - 2 * channel[:, 1:-1] + channel[:, 2:]
    return along[:-2] - 2 * along[1:-1] + along[2:]
