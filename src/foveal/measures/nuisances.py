"""What happens to eye images in a clinic: light, colour, compression, and where the eye looks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import islice
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from PIL import Image as PillowImage
from scipy.ndimage import affine_transform
from skimage.color import hsv2rgb, rgb2hsv
from torch import Tensor

from foveal.core import Score
from foveal.explainers.request import MAX_BATCH
from foveal.measures.base import Array, MeasureCard, as_numpy
from foveal.measures.perturbed import (
    ExplainOf,
    PredictOf,
    changes,
    display_units,
    field_on,
    given,
    maps_of,
)
from foveal.measures.similarity import STATISTICS, similarities, varies

NuisanceModality = Literal["fundus", "oct"]
Pixels = Float[np.ndarray, "channel row column"]

_LIGHT = 0.1
_HUE = 0.02
_QUALITY = 70
_TURN_DEGREES = 2.0
_SHIFT = 0.01
_AXIAL_PX = 2.0
_SPECKLE = 0.1
_INSIDE = 0.999

NUISANCE_STABILITY = MeasureCard(
    name="nuisance_stability",
    question="Does the map stay under the light, colour, compression and motion of a clinic?",
    direction="higher",
    range=(-1, 1),
    needs=("explainer",),
    chance="0",
    missing="the map is constant, or the prediction changes under every nuisance",
    cost="1 explanation, and 1 for each of 13 (photograph) or 12 (OCT) nuisances",
    reference="the statistics of map_spearman and its like, under changes that leave the diagnosis",
)


@dataclass(frozen=True, kw_only=True)
class Nuisance:
    """One change of an image that leaves its diagnosis."""

    name: str
    change: Callable[[Pixels], Pixels]
    back: Callable[[Float[np.ndarray, "row column"]], Float[np.ndarray, "row column"]] | None = None
    """Carries a map of the changed image onto the original; `None` where nothing moves."""


def nuisances(
    modality: NuisanceModality, grid: tuple[int, int], channels: int, *, seed: int = 0
) -> Iterator[Nuisance]:
    """The changes of a modality: light and gamma by 10 %, JPEG at quality 70, 2 degrees, 1 % shift.

    Photographs also have their hue changed by 2 % of the circle; OCT sections speckle of 10 %, and
    they shift by 2 pixels along the light instead.
    """
    for sign in (-1, 1):
        yield Nuisance(name=f"brightness {sign:+}", change=_brighter(1 + sign * _LIGHT))
        yield Nuisance(name=f"gamma {sign:+}", change=_gamma(1 + sign * _LIGHT))
        if modality == "fundus" and channels == 3:
            yield Nuisance(name=f"hue {sign:+}", change=_hue(sign * _HUE))
        yield _moved(f"rotation {sign:+}", grid, degrees=sign * _TURN_DEGREES)
        rows = _AXIAL_PX if modality == "oct" else _SHIFT * grid[0]
        yield _moved(f"row shift {sign:+}", grid, shift=(sign * rows, 0.0))
        yield _moved(f"column shift {sign:+}", grid, shift=(0.0, sign * _SHIFT * grid[1]))
    yield Nuisance(name="jpeg", change=_jpeg)
    if modality == "oct":
        yield Nuisance(name="speckle", change=_speckle(seed))


@dataclass(frozen=True, kw_only=True, eq=False)
class ClinicImages:
    """One image and what a clinic might have made of it, which depends on no map."""

    image: Float[Tensor, "channel row column"]
    field: Bool[np.ndarray, "row column"]
    changes: tuple[Nuisance, ...]
    as_array: bool
    """Whether callers are to be given arrays, as the image was one."""
    modality: NuisanceModality
    seed: int
    max_batch: int
    changed: tuple[bool, ...] | None = None
    """Where the model predicts another class; `None` where nobody was asked."""

    def batches(self) -> Iterator[Float[Tensor, "probe channel row column"]]:
        """The image itself, then every change of it."""
        plain = self.image.cpu().numpy()
        coming = iter((plain, *(np.clip(one.change(plain), 0, 1) for one in self.changes)))
        while waiting := list(islice(coming, self.max_batch)):
            yield torch.from_numpy(np.stack(waiting)).to(self.image)


def clinic_images(
    image: Shaped[Array, "channel row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    modality: NuisanceModality = "fundus",
    predict: PredictOf | None = None,
    seed: int = 0,
    max_batch: int = MAX_BATCH,
) -> ClinicImages:
    """An image as other cameras and other moments might give it, for all methods together.

    With `predict` the predictions too, for one pass a change and one for the image.

    Raises:
        ValueError: An image not in display units, a field of another grid, or an unknown modality.
    """
    if modality not in get_args(NuisanceModality):
        raise ValueError(f"modality must be fundus or oct, but is {modality!r}")
    pixels = display_units(image)
    grid = int(pixels.shape[1]), int(pixels.shape[2])
    plain = ClinicImages(
        image=pixels,
        field=np.ones(grid, bool) if field is None else field_on(field, grid),
        changes=tuple(nuisances(modality, grid, len(pixels), seed=seed)),
        as_array=not isinstance(image, Tensor),
        modality=modality,
        seed=seed,
        max_batch=max_batch,
    )
    if predict is None:
        return plain
    said = np.concatenate([as_numpy(predict(given(b, plain.as_array))) for b in plain.batches()])
    return replace(plain, changed=tuple((said[1:] != said[0]).tolist()))


def nuisance_stability(
    explain: ExplainOf,
    image: Shaped[Array, "channel row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    modality: NuisanceModality = "fundus",
    predict: PredictOf | None = None,
    images: ClinicImages | None = None,
    seed: int = 0,
    max_batch: int = MAX_BATCH,
) -> Score:
    """Mean rank correlation of the map with those of the image as another camera might give it.

    Maps of moved images are carried back before they are compared, on what stayed in the picture.

    Args:
        explain: From images in display units (probe, channel, row, column) to maps (probe, row,
            column), the target fixed beforehand.
        image: The prepared image (channel, row, column) in display units.
        field: The field of view; the whole image by default.
        modality: `fundus` (13 changes; 11 of grey ones) or `oct` (12).
        predict: From a batch to classes: nuisances that change the class are left out.
        images: The changed images, where `clinic_images` made them before.
        seed: Of the speckle.
        max_batch: Images in one pass at most.

    Returns:
        Mean Spearman correlation over the nuisances, in [-1, 1]; higher is better, 0 is chance.
        `parts["nuisances"]` holds, for each by name, all similarities, the `change` as in
        `avg_sensitivity`, and whether the prediction changed. Missing (`zero_map`, `constant_map`,
        `nan_map`, `prediction_changed`).

    Raises:
        ValueError: An image not in display units, a field of another grid, or an unknown modality.
    """
    made = images or clinic_images(
        image, field=field, modality=modality, predict=predict, seed=seed, max_batch=max_batch
    )
    inside, changed = made.field, made.changed or [None] * len(made.changes)
    maps = np.concatenate(
        [maps_of(explain, b, field=inside, as_array=made.as_array) for b in made.batches()]
    )
    params = {"modality": made.modality, "nuisances": len(made.changes), "seed": made.seed}
    problem = _problem(maps, inside)
    if problem is not None:
        return NUISANCE_STABILITY.none(problem, params=params)
    rows = {
        one.name: {**_compared(maps[0], own, one, inside), "prediction_changed": other}
        for one, own, other in zip(made.changes, maps[1:], changed, strict=True)
    }
    kept = [row["spearman"] for row in rows.values() if not row["prediction_changed"]]
    values = [value for value in kept if value is not None]
    if not values:
        reason = "constant_map" if kept else "prediction_changed"
        return NUISANCE_STABILITY.none(reason, params=params, parts={"nuisances": rows})
    return NUISANCE_STABILITY.score(
        float(np.mean(values)), chance=0, params=params, parts={"nuisances": rows}
    )


def _problem(
    maps: Float[np.ndarray, "probe row column"], field: Bool[np.ndarray, "row column"]
) -> str | None:
    if not np.isfinite(maps).all():
        return "nan_map"
    if varies(maps[0], field):
        return None
    return "constant_map" if maps[0][field].any() else "zero_map"


def _compared(
    own: Float[np.ndarray, "row column"],
    other: Float[np.ndarray, "row column"],
    nuisance: Nuisance,
    field: Bool[np.ndarray, "row column"],
) -> dict[str, float | None]:
    """All similarities of a map with that of the changed image, carried back."""
    if nuisance.back is not None:
        there = nuisance.back(np.ones(field.shape)) > _INSIDE
        other, field = nuisance.back(other), field & there
    row: dict[str, float | None] = {}
    for name, statistic in STATISTICS.items():
        value = float(similarities(own, other[None], field, statistic)[0])
        row[name] = None if np.isnan(value) else value
    return {**row, "change": float(changes(own, other[None], field)[0])}


def _moved(
    name: str, grid: tuple[int, int], *, degrees: float = 0.0, shift: tuple[float, float] = (0, 0)
) -> Nuisance:
    """The image turned about its centre and shifted, bilinear; black comes in at the edges."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = (np.array(grid) - 1) / 2

    def warp(plane: np.ndarray, matrix: np.ndarray, offset: Any) -> np.ndarray:
        return affine_transform(plane, matrix, offset=offset, order=1, cval=0.0)

    # affine_transform asks where each output pixel comes from: the inverse move.
    there = turn.T, centre - turn.T @ (centre + np.array(shift))
    back = turn, centre + np.array(shift) - turn @ centre
    return Nuisance(
        name=name,
        change=lambda pixels: np.stack([warp(channel, *there) for channel in pixels]),
        back=lambda values: warp(np.asarray(values, np.float64), *back),
    )


def _brighter(factor: float) -> Callable[[Pixels], Pixels]:
    return lambda pixels: np.clip(factor * pixels, 0, 1)


def _gamma(exponent: float) -> Callable[[Pixels], Pixels]:
    return lambda pixels: pixels**exponent


def _hue(turn: float) -> Callable[[Pixels], Pixels]:
    def turned(pixels: Pixels) -> Pixels:
        colours = rgb2hsv(pixels, channel_axis=0)
        colours[0] = (colours[0] + turn) % 1
        return hsv2rgb(colours, channel_axis=0)

    return turned


def _jpeg(pixels: Pixels) -> Pixels:
    levels = np.rint(255 * pixels).astype(np.uint8)
    picture = PillowImage.fromarray(levels[0] if len(levels) == 1 else levels.transpose(1, 2, 0))
    stream = BytesIO()
    picture.save(stream, "JPEG", quality=_QUALITY)
    read = np.asarray(PillowImage.open(stream), np.float32) / 255
    return read[None] if read.ndim == 2 else read.transpose(2, 0, 1)


def _speckle(seed: int) -> Callable[[Pixels], Pixels]:
    """Multiplicative, since the noise of coherent light grows with the signal."""

    def speckled(pixels: Pixels) -> Pixels:
        noise = np.random.default_rng(seed).standard_normal(pixels.shape[1:])
        return pixels * (1 + _SPECKLE * noise)

    return speckled
