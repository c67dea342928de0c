"""Parts of the front of the eye in a slit lamp photograph."""

from collections.abc import Callable, Mapping, Sequence
from math import exp

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from foveal.core import Image, Region
from foveal.images.anatomy.answers import checked_masks
from foveal.images.anatomy.circles import Circle, best_circle
from foveal.images.anatomy.landmarks import Source
from foveal.images.anatomy.reduced import Mask, Plane
from foveal.images.anatomy.structure import Structure, missing
from foveal.images.preparation.resample import bilinear

AnteriorModel = Callable[[Image], Mapping[str, object]]
"""Takes the image as it was read; gives masks by name on the original grid."""
PARTS = ("eye", "cornea", "pupil", "highlights")
SURE = 0.5
"""Parts of less confidence are not given out."""
_MOST = 0.95
"""No heuristic is surer: drawn eyes do not tell more."""
_NAMES = {
    "eye": ("eye", "palpebral fissure"),
    "cornea": ("cornea", "limbus"),
    "pupil": ("pupil",),
    "highlights": ("highlights", "specular highlights"),
}
"""What masks of a part may be called."""
_SPAN = 128
"""Working columns."""
_WHITE = 0.9
"""Level of every channel above which a spot may be a reflection of the lamp."""
_SPOT = 0.01
"""Largest share of the picture that one reflection takes up."""
_OF_LAMP = 0.9
"""Share of the pixels found in drawn eyes that were reflections; a slit's beam makes the others."""


def anterior_regions(
    image: Image, *, regions: Sequence[Region] = (), model: AnteriorModel | None = None
) -> dict[str, Structure]:
    """Eye, cornea, pupil and highlights of a slit lamp photograph, each with how sure it is.

    Masks go first, then the model, then looks: the cornea by its limbus, the circle across which
    red brightens most on both sides; the pupil by the dark circle within it; the eye, between the
    lids, as what has the colour of the sclera rather than of the skin, and the cornea;
    highlights as small white spots without their glare. Confidence is the share of drawn eyes in
    which the part had a Dice coefficient of at least 0.8 at such a margin, for highlights the share
    of pixels that were right; no photographs with outlines were at hand.

    Args:
        image: As it was read, without preparation.
        regions: Masks on the original grid.
        model: Any callable; see `AnteriorModel`.

    Raises:
        ModelError: The model gave something else than masks of the image's size.
        ValueError: A prepared image.
    """
    if image.steps:
        raise ValueError(
            "anatomy is looked for on the original grid; pass the image as it was read"
        )
    found = _named({region.name: region.mask for region in regions}, "mask")
    if model is not None:
        found = {**_named(checked_masks(model(image), image), "model"), **found}
    if any(part not in found for part in PARTS):
        found = {**_by_looks(image), **found}
    return {part: found[part] for part in PARTS}


def _named(masks: Mapping[str, Mask], source: Source) -> dict[str, Structure]:
    sure = 1.0 if source == "mask" else None
    return {
        part: Structure(name=part, mask=masks[name], confidence=sure, source=source)
        for part, names in _NAMES.items()
        for name in reversed(names)
        if name in masks and masks[name].any()
    }


def _by_looks(image: Image) -> dict[str, Structure]:
    rows, columns = image.grid
    grid = max(8, round(rows * _SPAN / columns)), _SPAN
    pixels = np.stack([bilinear(plane, grid) for plane in image.pixels])
    red = np.minimum(pixels[0], np.percentile(pixels[0], 90))
    if red.max() - red.min() < 0.02:
        return {part: missing(part, "the picture is nearly of one brightness") for part in PARTS}
    limbus = best_circle(
        red, np.arange(0.18, 0.42, 0.0125) * _SPAN, sigma=1.5, half_arc=40, sides=(0, 180)
    )
    sure = _share(4 * (limbus.margin - 1.75))
    pupil = _pupil(pixels, limbus)
    found = {
        "cornea": _circle("cornea", limbus, sure, image),
        "pupil": _circle("pupil", pupil, sure * _share(6 * (pupil.margin - 1.4)), image),
        "highlights": _highlights(image),
    }
    eye, apart = _opening(pixels, limbus)
    sure *= _share(1.5 * (apart - 1.5))
    if sure < SURE:
        return {**found, "eye": _unsure("eye", sure)}
    mask = bilinear(eye.astype(np.float32), image.grid) >= 0.5
    return {
        **found,
        "eye": Structure(name="eye", mask=mask, confidence=sure, source="heuristic"),
    }


def _pupil(pixels: Float[np.ndarray, "channel row column"], limbus: Circle) -> Circle:
    grey = np.log(pixels.mean(axis=0) + 0.03)
    rows, columns = np.indices(grey.shape) + 0.5
    return best_circle(
        np.minimum(grey, np.percentile(grey, 97)),
        np.arange(0.2, 0.8, 0.04) * limbus.radius,
        sigma=1.0,
        half_arc=45,
        near=np.hypot(rows - limbus.row, columns - limbus.column) < 0.3 * limbus.radius,
    )


def _circle(name: str, circle: Circle, sure: float, image: Image) -> Structure:
    if sure < SURE:
        return _unsure(name, sure)
    scale = image.grid[1] / _SPAN
    whole = Circle(
        row=circle.row * scale,
        column=circle.column * scale,
        radius=circle.radius * scale,
        step=circle.step,
        margin=circle.margin,
    )
    return Structure(name=name, mask=whole.mask(image.grid), confidence=sure, source="heuristic")


def _unsure(name: str, sure: float) -> Structure:
    return missing(name, f"nothing looks enough like it ({sure:.0%} sure)", sure)


def _opening(pixels: Float[np.ndarray, "channel row column"], limbus: Circle) -> tuple[Mask, float]:
    """What lies between the lids, and how far skin and sclera are apart in colour."""
    warm = (pixels[0] - pixels[-1]) / np.maximum(pixels.sum(axis=0), 0.05)
    warm = ndimage.gaussian_filter(warm, 1.0)
    rows, columns = np.indices(warm.shape) + 0.5
    away = np.hypot(rows - limbus.row, columns - limbus.column) / limbus.radius
    level = np.abs(rows - limbus.row) < 0.35 * limbus.radius
    sclera = warm[level & (away > 1.1) & (away < 1.4)]
    skin = np.concatenate(
        [warm[: len(warm) // 16 + 1].ravel(), warm[-(len(warm) // 16) - 1 :].ravel()]
    )
    if not sclera.size:
        return away <= 1, 0.0
    middle = (np.median(sclera) + np.median(skin)) / 2
    spread = max(float(sclera.std() + skin.std()) / 2, 1e-3)
    apart = float(np.median(skin) - np.median(sclera)) / spread
    radius = max(1, round(0.06 * limbus.radius))
    disc = np.hypot(*np.mgrid[-radius : radius + 1, -radius : radius + 1]) <= radius
    pale = ndimage.binary_opening((warm < middle) & (away > 1), disc) | (away <= 1)
    parts = np.zeros(pale.shape, np.int32)
    ndimage.label(pale, output=parts)
    here = parts[min(int(limbus.row), len(parts) - 1), min(int(limbus.column), _SPAN - 1)]
    return np.asarray(ndimage.binary_fill_holes(parts == here)), apart


def _highlights(image: Image) -> Structure:
    white: Plane = image.pixels.min(axis=0)
    parts = np.zeros(white.shape, np.int32)
    ndimage.label(white >= _WHITE, output=parts)
    sizes = np.bincount(parts.ravel())
    small = (sizes >= 3) & (sizes <= _SPOT * white.size)
    small[0] = False
    if not small.any():
        return missing("highlights", "there is no small white spot")
    return Structure(name="highlights", mask=small[parts], confidence=_OF_LAMP, source="heuristic")


def _share(logit: float) -> float:
    return min(_MOST, 1 / (1 + exp(-max(min(logit, 50.0), -50.0))))
