from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from foveal.core import Image
from foveal.images.preparation.retouch import AbstractRetouch
from foveal.images.preparation.settings import number_in
from foveal.images.preparation.sliding import window_means


@dataclass(frozen=True, kw_only=True)
class Speckle(AbstractRetouch):
    """Less speckle, whose strength grows with the brightness, at the price of fine detail.

    Every pixel becomes the linear least-squares estimate from the mean and the variance around
    it: with a = (1 - n^2 / c^2) / (1 + n^2) cut to [0, 1], the mean plus a times what the pixel
    differs from it, where n is the coefficient of variation of the speckle and c that of the
    window. Where the window varies no more than speckle does, it is averaged; edges are kept.

    Speckle multiplies raw intensities, and so it still does after the root that vendors show them
    by; in sections that are shown by their logarithm it adds instead, where "denoise" fits better.

    Reference:
        Kuan et al. 1985, Adaptive noise smoothing filter for images with signal-dependent noise
        (IEEE PAMI 7:165), after Lee 1980 (IEEE PAMI 2:165).
    """

    name = "speckle"
    window: tuple[int, int]
    """Rows and columns, both odd."""
    variation: float
    """Coefficient of variation of the speckle, given or found."""

    @classmethod
    def fit(
        cls,
        image: Image,
        field: Bool[np.ndarray, "row column"],
        *,
        window: Any = (3, 5),
        variation: Any = None,
    ) -> "Speckle":
        """The step for one image.

        Args:
            image: Its pixels matter when the variation is not given.
            field: Where there is a picture and no padding.
            window: Odd rows and columns, 3 to 31. Rows are a third as high as columns are wide in
                usual sections, but layers lie in rows.
            variation: Coefficient of variation of the speckle, 0 to 2; when not given, the median
                over the field of the standard deviation in the window over its mean.

        Raises:
            ValueError: A setting out of range.
        """
        odd = isinstance(window, list | tuple) and len(window) == 2
        if not odd or not all(type(s) is int and s % 2 and 3 <= s <= 31 for s in window):
            raise ValueError(f"window must be two odd numbers from 3 to 31, not {window!r}")
        shape = int(window[0]), int(window[1])
        if variation is None:
            variation = _median_variation(image.pixels, field, shape)
        return cls(
            source=image.grid,
            target=image.grid,
            window=shape,
            variation=number_in("variation", variation, 0, 2),
        )

    def pixels_forward(
        self, pixels: Float[np.ndarray, "channel row column"]
    ) -> Float[np.ndarray, "channel row_out column_out"]:
        mean, variance = _local(pixels, self.window)
        noise = self.variation**2
        # 1 - n^2 / c^2 with c^2 = variance / mean^2, without dividing by what may be 0
        signal = np.divide(
            variance - noise * mean**2, variance, out=np.zeros_like(mean), where=variance > 1e-12
        )
        weight = (signal / (1 + noise)).clip(0, 1)
        return (mean + weight * (pixels - mean)).clip(0, 1).astype(np.float32)


def _local(
    pixels: Float[np.ndarray, "channel row column"], window: tuple[int, int]
) -> tuple[Float[np.ndarray, "channel row column"], Float[np.ndarray, "channel row column"]]:
    """Mean and variance in the window around each pixel."""
    exact = pixels.astype(np.float64)
    mean = window_means(exact, window)
    exact *= exact
    variance = window_means(exact, window)
    variance -= mean**2
    return mean, variance.clip(min=0, out=variance)


def _median_variation(
    pixels: Float[np.ndarray, "channel row column"],
    field: Bool[np.ndarray, "row column"],
    window: tuple[int, int],
) -> float:
    mean, variance = _local(pixels.mean(axis=0, keepdims=True), window)
    lit = field & (mean[0] > 0.01)
    if not lit.any():
        return 0.0
    return min(2.0, float(np.sqrt(np.median(variance[0, lit] / mean[0, lit] ** 2))))
