"""How bright a picture is and how unevenly, in display units."""

import numpy as np
from jaxtyping import Bool, Float, Shaped

_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])
"""Weights of red, green and blue, ITU-R BT.709."""


def luminance(
    pixels: Shaped[np.ndarray, "channel row column"],
) -> Shaped[np.ndarray, "row column"]:
    """One brightness per pixel: a grey picture's own, a colour picture's by ITU-R BT.709.

    The weights are laid on display values as they are, which video engineers call luma.
    """
    if len(pixels) == 1:
        return pixels[0]
    return np.tensordot(_WEIGHTS.astype(pixels.dtype), pixels, axes=1)


def variation(light: Shaped[np.ndarray, "..."]) -> float | None:
    """Standard deviation by mean; `None` where the mean is not positive."""
    mean = light.mean(dtype=np.float64)
    return float(light.std(dtype=np.float64) / mean) if mean > 0 else None


def intensity_cv(
    pixels: Float[np.ndarray, "channel row column"], field: Bool[np.ndarray, "row column"]
) -> float | None:
    """Coefficient of variation of the luminance over the field.

    Returns:
        0 or more; lower is more even: uneven light raises it, and so do large lesions. `None` where
        the field is black. `foveal.measures.intensity_cv` gives the same number as a Score.
    """
    return variation(luminance(pixels)[field])
