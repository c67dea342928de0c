from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from foveal.core import Image, Modality
from foveal.images.luminance import luminance
from foveal.images.preparation.background import background, enlarged, field_diameter
from foveal.images.preparation.clahe import clahe
from foveal.images.preparation.field import field_of_pixels
from foveal.images.preparation.lab import by_bands, from_lab, lightness, to_lab
from foveal.images.preparation.retouch import AbstractRetouch
from foveal.images.preparation.settings import number_in, one_of

_DEFAULTS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "background": {"sigma": 0.25, "strength": 1.0},
        "ben-graham": {"sigma": 1 / 30, "strength": 4.0},
        "clahe": {"clip": 2.0, "tiles": 8},
    }
)
_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"sigma": (0.001, 2), "strength": (0, 20), "clip": (1, 256), "tiles": (1, 64)}
)
_NEEDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "background": ("sigma_px", "strength", "level"),
        "ben-graham": ("sigma_px", "strength"),
        "clahe": ("clip", "tiles"),
    }
)
_DARKEST = 0.02
"""A background below this share of full brightness is noise, and dividing by it would show it."""


@dataclass(frozen=True, kw_only=True)
class Illumination(AbstractRetouch):
    """Evens out the light, inside the field of view.

    "background" multiplies all channels of a pixel by (level / background) ** strength, the
    background being the luminance blurred inside the field: shading as a factor (Young 2000,
    Shading correction). Hue stays; what exceeds full brightness is clipped.

    "ben-graham" is strength * (pixel - blurred) + 0.5 in each channel with a blur of 1/30 of the
    field's radius, and 0.5 outside the field (Graham 2015, Kaggle diabetic retinopathy competition
    report). His blur saw the black surround and he cut off the outer tenth of the radius; here it
    is normalised inside the field, so that nothing needs to be cut.

    "clahe" equalises L* of CIE L*a*b* and keeps a* and b*.

    The field is found again on the pixels that are evened out.
    """

    name = "illumination"
    method: str
    sigma_px: float | None
    """Standard deviation of the blur."""
    strength: float | None
    level: float | None
    """Mean luminance in the field, which "background" keeps about."""
    clip: float | None
    tiles: int | None
    modality: Modality

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("method", self.method, tuple(_DEFAULTS))
        for name in _NEEDS[self.method]:
            if getattr(self, name) is None:
                raise ValueError(f"the method {self.method!r} needs {name}, which is missing")

    @classmethod
    def fit(
        cls,
        image: Image,
        field: Bool[np.ndarray, "row column"],
        *,
        method: Any,
        sigma: Any = None,
        strength: Any = None,
        clip: Any = None,
        tiles: Any = None,
    ) -> "Illumination":
        """The step for one image.

        Args:
            image: The pixels and the modality matter.
            field: The field of view on the image's grid.
            method: "background", "ben-graham" or "clahe".
            sigma: Standard deviation of the blur by the field's radius, 0.001 to 2; 1/4 for
                "background", 1/30 for "ben-graham".
            strength: 0 (nothing) to 20; 1 for "background", 4 for "ben-graham".
            clip: For "clahe", a bin's greatest height by the mean one, 1 to 256; 2.
            tiles: For "clahe", tiles along each side, 1 to 64; 8.

        Raises:
            ValueError: An unknown method, a setting of another method, or one out of range.
        """
        method = one_of("method", method, tuple(_DEFAULTS))
        asked = {"sigma": sigma, "strength": strength, "clip": clip, "tiles": tiles}
        chosen = _chosen(method, asked)
        share, count = chosen["sigma"], chosen["tiles"]
        even = method == "background"
        return cls(
            source=image.grid,
            target=image.grid,
            method=method,
            sigma_px=None if share is None else share * field_diameter(field) / 2,
            strength=chosen["strength"],
            level=float(luminance(image.pixels)[field].mean()) if even else None,
            clip=chosen["clip"],
            tiles=None if count is None else int(count),
            modality=image.modality,
        )

    def pixels_forward(
        self, pixels: Float[np.ndarray, "channel row column"]
    ) -> Float[np.ndarray, "channel row_out column_out"]:
        field = field_of_pixels(pixels, self.modality)
        if self.method == "background":
            return self._divided(pixels, field)
        if self.method == "ben-graham":
            return self._subtracted(pixels, field)
        return self._equalised(pixels, field)

    def _divided(
        self, pixels: Float[np.ndarray, "channel row column"], field: Bool[np.ndarray, "row column"]
    ) -> Float[np.ndarray, "channel row column"]:
        light = background(luminance(pixels)[np.newaxis], field, self.sigma_px or 0)[0]
        gains = ((self.level or 0) / light.clip(_DARKEST)) ** (self.strength or 0)
        gain = np.where(field, enlarged(gains.astype(np.float32), self.source), np.float32(1))
        return by_bands(lambda band, factor: np.minimum(band * factor, 1), pixels, gain)

    def _subtracted(
        self, pixels: Float[np.ndarray, "channel row column"], field: Bool[np.ndarray, "row column"]
    ) -> Float[np.ndarray, "channel row column"]:
        strength, grey = np.float32(self.strength or 0), np.float32(0.5)

        def subtracted(channel: Any, blurred: Any, inside: Any) -> Any:
            even = (strength * (channel - blurred) + grey).clip(0, 1)
            return np.where(inside, even, grey)

        reduced = background(pixels, field, self.sigma_px or 0)
        return np.stack(
            [
                by_bands(subtracted, channel, enlarged(blurred, self.source), field)
                for channel, blurred in zip(pixels, reduced, strict=True)
            ]
        )

    def _equalised(
        self, pixels: Float[np.ndarray, "channel row column"], field: Bool[np.ndarray, "row column"]
    ) -> Float[np.ndarray, "channel row column"]:
        light = by_bands(lambda band: (lightness(band) / 100).clip(0, 1), pixels)
        even = clahe(light, field, clip=self.clip or 1, tiles=self.tiles or 1)
        return by_bands(_relit, pixels, even, field)


def _relit(
    pixels: Float[np.ndarray, "channel row column"],
    light: Float[np.ndarray, "row column"],
    field: Bool[np.ndarray, "row column"],
) -> Float[np.ndarray, "channel row column"]:
    """The pixels with another L* in the field."""
    lab = to_lab(pixels)
    lab[0] = 100 * light
    return np.where(field, from_lab(lab)[: len(pixels)], pixels)


def _chosen(method: str, asked: Mapping[str, Any]) -> dict[str, float | None]:
    """The settings of the method, as asked or its own."""
    defaults = _DEFAULTS[method]
    chosen: dict[str, float | None] = {}
    for name, value in asked.items():
        if name not in defaults and value is not None:
            raise ValueError(
                f"the method {method!r} has no setting {name!r}; it has {', '.join(defaults)}"
            )
        given = defaults.get(name) if value is None else value
        chosen[name] = None if given is None else number_in(name, given, *_RANGES[name])
    return chosen
