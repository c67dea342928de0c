from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from foveal.core import Image, ImageError, Modality
from foveal.images.preparation.color_statistics import (
    absorbed,
    lab_statistics,
    stain_basis,
)
from foveal.images.preparation.field import field_of_pixels
from foveal.images.preparation.lab import by_bands, from_lab, to_lab
from foveal.images.preparation.retouch import AbstractRetouch
from foveal.images.preparation.settings import number_in, one_of

Numbers = tuple[float, ...]

_PARTS: Mapping[str, Mapping[str, tuple[int, float, float]]] = {
    "reinhard": {"mean": (3, -200, 200), "sd": (3, 0, 200)},
    "macenko": {"basis": (6, -1, 1), "strength": (2, 1e-6, 1e6)},
}
"""What a reference holds for each method: how many numbers, the least and the greatest."""


def color_reference(image: Image, field: Bool[np.ndarray, "row column"]) -> dict[str, list[float]]:
    """What the step `color` needs to know of a picture whose colours others shall get.

    Plain numbers for the card, measured on a copy of at most 512 pixels a side, as the step does:
    `mean` and `sd` of L*, a* and b*; `basis` and `strength` of the two colours of absorption.

    Raises:
        ImageError: A grey picture.
    """
    pixels = _colored(image)
    mean, sd = lab_statistics(pixels, field)
    basis, strength = stain_basis(pixels, field)
    found = {"mean": mean, "sd": sd, "basis": basis, "strength": strength}
    return {name: [float(f"{value:.6g}") for value in values] for name, values in found.items()}


@dataclass(frozen=True, kw_only=True)
class Color(AbstractRetouch):
    """Gives the field of view the colours of a reference; outside of it nothing changes.

    "reinhard" shifts and scales L*, a* and b* apart so that their means and standard deviations
    become the reference's (Reinhard et al. 2001, equations 10 and 11; they work in l-alpha-beta).

    "macenko" takes the colours for two layers that absorb light and swaps their colour and their
    greatest strength for the reference's (Macenko et al. 2009, made for stained tissue). In the
    eye no two such layers are known; it is here since studies ask for it.

    The field is found again on the pixels that are recoloured.
    """

    name = "color"
    method: str
    own_first: Numbers
    """Of the image: the mean, or the basis."""
    own_second: Numbers
    """Of the image: the standard deviation, or the strength."""
    reference_first: Numbers
    reference_second: Numbers
    modality: Modality

    def __post_init__(self) -> None:
        super().__post_init__()
        parts = _PARTS[one_of("method", self.method, tuple(_PARTS))].items()
        kept = (self.own_first, self.own_second), (self.reference_first, self.reference_second)
        for own_or_reference in kept:
            for values, (part, limits) in zip(own_or_reference, parts, strict=True):
                _numbers({part: values}, part, *limits)

    @classmethod
    def fit(
        cls,
        image: Image,
        field: Bool[np.ndarray, "row column"],
        *,
        reference: Any,
        method: Any = "reinhard",
    ) -> "Color":
        """The step for one image.

        Args:
            image: In colour.
            field: The field of view on the image's grid.
            reference: Plain numbers, as `color_reference` gives them: "mean" and "sd" for
                "reinhard", "basis" and "strength" for "macenko".
            method: "reinhard" or "macenko".

        Raises:
            ValueError: An unknown method, or a reference without the numbers that it needs.
            ImageError: A grey picture.
        """
        method = one_of("method", method, tuple(_PARTS))
        first, second = (
            _numbers(reference, part, *limits) for part, limits in _PARTS[method].items()
        )
        pixels = _colored(image)
        measured = lab_statistics if method == "reinhard" else stain_basis
        own_first, own_second = measured(pixels, field)
        return cls(
            source=image.grid,
            target=image.grid,
            method=method,
            own_first=own_first,
            own_second=own_second,
            reference_first=first,
            reference_second=second,
            modality=image.modality,
        )

    def pixels_forward(
        self, pixels: Float[np.ndarray, "channel row column"]
    ) -> Float[np.ndarray, "channel row_out column_out"]:
        field = field_of_pixels(pixels, self.modality)
        change = self._shifted if self.method == "reinhard" else self._stained
        return by_bands(lambda band, inside: np.where(inside, change(band), band), pixels, field)

    def _shifted(
        self, pixels: Float[np.ndarray, "channel row column"]
    ) -> Float[np.ndarray, "channel row column"]:
        lab = to_lab(pixels)
        numbers = (self.own_first, self.own_second, self.reference_first, self.reference_second)
        for channel, mean, sd, new_mean, new_sd in zip(lab, *numbers, strict=True):
            channel -= np.float32(mean)
            channel *= np.float32(new_sd / sd if sd > 0 else 1)  # of one shade, only shifted
            channel += np.float32(new_mean)
        lab[0].clip(0, 100, out=lab[0])
        return from_lab(lab)

    def _stained(
        self, pixels: Float[np.ndarray, "channel row column"]
    ) -> Float[np.ndarray, "channel row column"]:
        own, wanted = (np.reshape(b, (2, 3)).T for b in (self.own_first, self.reference_first))
        scale = np.divide(self.reference_second, self.own_second)
        change = (wanted * scale) @ np.linalg.pinv(own)
        density = change.astype(np.float32) @ absorbed(pixels).reshape(3, -1)
        return np.exp(-density.clip(0)).reshape(pixels.shape)


def _colored(image: Image) -> Float[np.ndarray, "channel row column"]:
    if len(image.pixels) != 3:
        raise ImageError(
            "is grey, but the step 'color' changes colours; leave the step or the image out"
        )
    return image.pixels


def _numbers(reference: Any, part: str, count: int, low: float, high: float) -> Numbers:
    values = reference.get(part) if isinstance(reference, Mapping) else None
    if not isinstance(values, list | tuple) or len(values) != count:
        raise ValueError(
            f"reference must be a table with {count} numbers under {part!r}, as "
            f"foveal.images.color_reference(image, field) gives it, not {values!r}"
        )
    return tuple(number_in(f"reference {part}", value, low, high) for value in values)
