"""How good an image is, in numbers that do not depend on its size."""

from collections.abc import Callable, Iterator, Mapping
from math import isfinite, log10, pi

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from foveal.core import Image, ModelError
from foveal.images.anatomy.lines import inner_field
from foveal.images.anatomy.reduced import Mask, Plane, smooth_inside
from foveal.images.preparation import find_field
from foveal.images.preparation.resample import bilinear
from foveal.images.quality.record import Quality

QualityModel = Callable[[Image], float | Mapping[str, float]]
"""Takes the image; gives a number, called "model", or numbers by name."""

_SPAN = 512
"""Pixels along the field at which everything is measured."""
_GROUND = 0.04
"""Width of the mean that stands for the ground, as a share of the field."""


def quality(
    image: Image,
    field: Bool[np.ndarray, "row column"] | None = None,
    *,
    model: QualityModel | None = None,
) -> Quality:
    """Numbers of an image's quality; `foveal.images.quality.MEANINGS` says what each means.

    The field is brought to 512 pixels first, so that a photograph and its copy at half the size
    have nearly the same numbers; one that is smaller from the start has less focus.

    Args:
        image: As it was read; prepared images have lost what some numbers look for.
        field: The field of view; found when absent.
        model: A learned judge of quality, whose numbers are added as they are.

    Raises:
        ImageError: Nothing to see in the image.
        ModelError: The model gave something else than finite numbers, or took a name that is taken.
    """
    inside = find_field(image) if field is None else field
    measure = _of_section if image.modality == "oct" else _of_photograph
    values: dict[str, float | None] = dict(measure(image, inside))
    reasons = {}
    if image.modality != "oct" and inside.all():
        for name in ("rim_glare", "surround_light", "field_circle"):
            values[name] = None
            reasons[name] = "the field fills the picture"
    if model is not None:
        values |= _asked(model(image), values)
    return Quality(modality=image.modality, values=values, reasons=reasons)


def _of_photograph(image: Image, field: Mask) -> Iterator[tuple[str, float]]:
    pixels, inside = _at_span(image, field)
    tops, sides = (np.flatnonzero(field.any(axis=axis)) for axis in (1, 0))
    longest = max(np.ptp(tops), np.ptp(sides)) + 1
    green = pixels[1 % len(pixels)]
    brightest = pixels.max(axis=0)[inside]
    ground = smooth_inside(green, inside, _GROUND * _SPAN)
    flat = np.where(inside, green / np.maximum(ground, 0.02), 1.0)
    inner = inner_field(inside, 0.03 * _SPAN)
    inner = inner if inner.any() else inside
    yield "field_share", float(field.mean())
    yield "field_circle", float(min(1.0, field.sum() / (pi * (longest / 2) ** 2)))
    yield "focus", 100 * float(ndimage.gaussian_laplace(flat, 1.0)[inner].std())
    yield "brightness", float(brightest.mean())
    yield "under_exposed", float((brightest < 0.1).mean())
    yield "over_exposed", float((green[inside] > 0.95).mean())
    yield "contrast", float(flat[inner].std())
    yield "unevenness", float(ground[inner].std() / max(float(ground[inner].mean()), 1e-6))
    yield "quadrant_ratio", _quadrant_ratio(green, inside)
    yield from _colours(pixels, inside)
    yield "rim_glare", _rim_glare(green, inside, inner)
    outside = inner_field(~field, max(2.0, 0.01 * float(longest)))
    surround = image.pixels.max(axis=0)[outside]
    yield "surround_light", float((surround > 0.3).mean()) if surround.size else 0.0
    yield "highlights", float((image.pixels.min(axis=0) > 0.9).mean())


def _of_section(image: Image, field: Mask) -> Iterator[tuple[str, float]]:
    tops, sides = (np.flatnonzero(field.any(axis=axis)) for axis in (1, 0))
    box = slice(tops[0], tops[-1] + 1), slice(sides[0], sides[-1] + 1)
    seen: Plane = image.pixels.mean(axis=0)[box]
    # White padding in the corners of a turned scan is no retina.
    scan = np.where(field[box], seen, np.percentile(seen[field[box]], 10))
    rows = scan.mean(axis=1)
    dark = scan[rows <= np.percentile(rows, 10)]
    signal = float(np.percentile(scan, 99) - dark.mean())
    yield "field_share", float(field.mean())
    yield "snr_db", 20 * log10(max(signal, 1e-3) / max(float(dark.std()), 1 / 255))
    smooth = ndimage.gaussian_filter(scan, (3, 3))
    half = smooth.min() + (np.percentile(smooth, 99) - smooth.min()) / 2
    edge = max(1, round(0.01 * len(smooth)))
    touching = (smooth[:edge] > half).any(axis=0) | (smooth[-edge:] > half).any(axis=0)
    yield "clipped", float(touching.mean())
    columns = np.percentile(smooth, 98, axis=0) - smooth.min()
    yield "shadowed", float((columns < np.median(columns) / 2).mean())
    yield "brightness", float(scan.mean())
    yield "over_exposed", float((scan > 0.98).mean())


def _at_span(
    image: Image, field: Mask
) -> tuple[Float[np.ndarray, "channel row_out column_out"], Bool[np.ndarray, "row_out column_out"]]:
    tops, sides = (np.flatnonzero(field.any(axis=axis)) for axis in (1, 0))
    box = slice(tops[0], tops[-1] + 1), slice(sides[0], sides[-1] + 1)
    rows, columns = field[box].shape
    scale = _SPAN / max(rows, columns)
    grid = max(1, round(rows * scale)), max(1, round(columns * scale))
    planes = [bilinear(np.ascontiguousarray(plane[box]), grid) for plane in image.pixels]
    return np.stack(planes), bilinear(field[box].astype(np.float32), grid) >= 0.5


def _quadrant_ratio(green: Plane, inside: Mask) -> float:
    rows, columns = green.shape
    upper, left = np.arange(rows)[:, None] < rows / 2, np.arange(columns)[None, :] < columns / 2
    means = [
        float(green[inside & (upper == up) & (left == side)].mean())
        for up in (True, False)
        for side in (True, False)
        if (inside & (upper == up) & (left == side)).any()
    ]
    return min(means) / max(max(means), 1e-6)


def _colours(
    pixels: Float[np.ndarray, "channel row column"], inside: Mask
) -> Iterator[tuple[str, float]]:
    if len(pixels) < 3:
        return
    means = pixels[:, inside].mean(axis=1)
    total = max(float(means.sum()), 1e-6)
    yield "red_share", float(means[0]) / total
    yield "blue_share", float(means[2]) / total


def _rim_glare(green: Plane, inside: Mask, inner: Mask) -> float:
    rim = inside & ~inner_field(inside, 0.08 * _SPAN)
    middle = np.argwhere(inside).mean(axis=0)
    rows, columns = np.indices(inside.shape)
    turn = np.arctan2(rows - middle[0], columns - middle[1])
    twelfth = np.floor((turn + pi) / (2 * pi) * 12).astype(int) % 12
    means = [float(green[rim & (twelfth == k)].mean()) for k in np.unique(twelfth[rim])]
    return max(means) / max(float(np.median(green[inner])), 1e-6)


def _asked(answer: object, taken: Mapping[str, object]) -> dict[str, float | None]:
    said = answer if isinstance(answer, Mapping) else {"model": answer}
    numbers: dict[str, float | None] = {}
    for name, value in said.items():
        known = isinstance(value, int | float | np.integer | np.floating)
        if isinstance(value, bool) or not known or not isfinite(float(value)):
            raise ModelError(
                f"the quality model must give finite numbers, but {name!r} is {value!r}"
            )
        if name in taken:
            raise ModelError(f"the quality model's {name!r} has the name of a measured number")
        numbers[str(name)] = float(value)
    return numbers
