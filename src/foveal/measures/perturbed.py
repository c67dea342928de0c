"""Maps of slightly changed images: drawn once for all methods, explained once for all measures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict, Unpack

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from foveal.explainers.grid import at_input_size
from foveal.explainers.request import MAX_BATCH
from foveal.measures.base import Array, as_numpy

ExplainOf = Callable[..., Array]
"""From images in display units (probe, channel, row, column) to their maps, one target for all."""
PredictOf = Callable[..., Array]
"""From such a batch to the predicted class of each image."""


class NoiseKeywords(TypedDict, total=False):
    """The settings of noise, by keyword."""

    n: int
    sigma: float
    seed: int
    max_batch: int


@dataclass(frozen=True, kw_only=True)
class NoiseSettings:
    """How images are changed; part of every number's name.

    Raises:
        ValueError: No draws, or a negative sigma.
    """

    n: int = 50
    """Draws. The largest of them grows with their number, so it is no detail."""
    sigma: float = 0.01
    """Standard deviation of the Gaussian noise, in display units."""
    seed: int = 0
    max_batch: int = MAX_BATCH

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n must be at least 1, but is {self.n}")
        if not self.sigma >= 0:
            raise ValueError(f"sigma must not be negative, but is {self.sigma}")

    def params(self) -> dict[str, object]:
        """What the number's name has to say."""
        return {"noise": "gaussian", "n": self.n, "sigma": self.sigma, "seed": self.seed}


@dataclass(frozen=True, kw_only=True, eq=False)
class PerturbedImages:
    """One image and its noisy copies, which depend on no map."""

    image: Float[Tensor, "channel row column"]
    field: Bool[np.ndarray, "row column"] | None
    settings: NoiseSettings
    as_array: bool
    """Whether callers are to be given arrays, as the image was one."""
    changed: tuple[bool, ...] | None = None
    """Where the model predicts another class; `None` where nobody was asked."""

    def batches(self) -> Iterator[Float[Tensor, "probe channel row column"]]:
        """The image itself, then its copies, in batches that are made as they are needed."""
        size, count = self.settings.max_batch, self.settings.n + 1
        for start in range(0, count, size):
            yield torch.stack([self._probe(k) for k in range(start, min(start + size, count))])

    def _probe(self, number: int) -> Float[Tensor, "channel row column"]:
        if number == 0:
            return self.image
        random = np.random.default_rng([self.settings.seed, number])
        noise = self.settings.sigma * random.standard_normal(tuple(self.image.shape), np.float32)
        if self.field is not None:
            noise = np.where(self.field, noise, np.float32(0))
        moved = self.image + torch.from_numpy(noise).to(self.image)
        return moved.clamp(0, 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class PerturbedMaps:
    """The map of an image, and those of its noisy copies."""

    clean: Float[np.ndarray, "row column"]
    noisy: Float[np.ndarray, "probe row column"]
    field: Bool[np.ndarray, "row column"]
    settings: NoiseSettings
    changed: tuple[bool, ...] | None = None

    @cached_property
    def kept(self) -> Float[np.ndarray, "probe row column"]:
        """The maps of the copies for which the model still predicts the same class."""
        return self.noisy if self.changed is None else self.noisy[~np.array(self.changed)]

    @property
    def problem(self) -> str | None:
        """Why nothing can be said of these maps, a reason code."""
        if not (np.isfinite(self.clean).all() and np.isfinite(self.noisy).all()):
            return "nan_map"
        if not self.clean[self.field].any():
            return "zero_map"
        return None if len(self.kept) else "prediction_changed"

    @cached_property
    def changes(self) -> Float[np.ndarray, " probe"]:
        """Of the kept maps: ||M' - M|| / ||M||, Euclidean over the field."""
        return changes(self.clean, self.kept, self.field)

    def counts(self) -> dict[str, object]:
        """How many copies count, and how many do not."""
        changed = None if self.changed is None else sum(self.changed)
        return {"n_valid": len(self.kept), "prediction_changed": changed}


def changes(
    base: Shaped[np.ndarray, "row column"],
    others: Shaped[np.ndarray, "map row column"],
    field: Bool[np.ndarray, "row column"],
) -> Float[np.ndarray, " map"]:
    """How far maps are from one that is not zero, in units of its Euclidean norm over the field."""
    own = base[field]
    return np.array([np.linalg.norm(other[field] - own) for other in others]) / np.linalg.norm(own)


def perturbed_images(
    image: Shaped[Array, "channel row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    predict: PredictOf | None = None,
    **settings: Unpack[NoiseKeywords],
) -> PerturbedImages:
    """Noisy copies of an image, x + N(0, sigma^2) inside the field, cut to [0, 1].

    They depend on no map, so one call serves every explanation of an image: with `predict`, the
    predictions too, for n + 1 forward passes.

    Raises:
        ValueError: An image not in display units, a field of another grid, or a setting out of
            range.
    """
    chosen = NoiseSettings(**settings)
    pixels = display_units(image)
    inside = None if field is None else field_on(field, tuple(pixels.shape[1:]))
    plain = PerturbedImages(
        image=pixels, field=inside, settings=chosen, as_array=not isinstance(image, Tensor)
    )
    if predict is None:
        return plain
    said = np.concatenate([as_numpy(predict(given(b, plain.as_array))) for b in plain.batches()])
    changed = tuple((said[1:] != said[0]).tolist())
    return PerturbedImages(
        image=pixels, field=inside, settings=chosen, as_array=plain.as_array, changed=changed
    )


def perturbed_maps(
    explain: ExplainOf,
    image: Shaped[Array, "channel row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    images: PerturbedImages | None = None,
    predict: PredictOf | None = None,
    **settings: Unpack[NoiseKeywords],
) -> PerturbedMaps:
    """The n + 1 explanations that `max_sensitivity`, `avg_sensitivity` and the similarities share.

    `images` are the noisy copies, where `perturbed_images` made them before with these settings.
    """
    made = images or perturbed_images(image, field=field, predict=predict, **settings)
    inside = made.field if field is None else field_on(field, tuple(made.image.shape[1:]))
    maps = np.concatenate(
        [maps_of(explain, b, field=inside, as_array=made.as_array) for b in made.batches()]
    )
    return PerturbedMaps(
        clean=maps[0],
        noisy=maps[1:],
        field=np.ones(maps.shape[1:], bool) if inside is None else inside,
        settings=made.settings,
        changed=made.changed,
    )


def maps_of(
    explain: ExplainOf,
    batch: Float[Tensor, "probe channel row column"],
    *,
    field: Bool[np.ndarray, "row column"] | None,
    as_array: bool,
) -> Float[np.ndarray, "probe row_out column_out"]:
    """Maps of a batch, channels summed with their sign, bilinear to the field's grid if it has one.

    Raises:
        ValueError: Not one map an image.
    """
    answer = as_numpy(explain(given(batch, as_array)))
    if answer.ndim not in (3, 4) or len(answer) != len(batch):
        raise ValueError(
            f"explain must give one map (row, column) per image, so shape ({len(batch)}, row, "
            f"column), but gave {answer.shape}"
        )
    if field is None:
        return (answer.sum(axis=1) if answer.ndim == 4 else answer).astype(np.float32)
    native = torch.from_numpy(answer.astype(np.float32))
    return at_input_size(native, batch).numpy()


def given(batch: Tensor, as_array: bool) -> Array:
    """A batch as the caller's own functions take it."""
    return batch.cpu().numpy() if as_array else batch


def display_units(image: Array) -> Float[Tensor, "..."]:
    """An image or several as a tensor, once it is clear that they are in display units.

    Raises:
        ValueError: Numbers that are not floating point or lie outside [0, 1].
    """
    pixels = (
        image.detach()
        if isinstance(image, Tensor)
        else torch.from_numpy(np.require(image, requirements=["C", "W"]))
    )
    if not pixels.is_floating_point() or float(pixels.min()) < 0 or float(pixels.max()) > 1:
        raise ValueError("image must be in display units: floating-point numbers in [0, 1]")
    return pixels


def field_on(field: Array, grid: tuple[int, ...]) -> Bool[np.ndarray, "row column"]:
    """The field of view as a mask on the image's grid.

    Raises:
        ValueError: Another grid, or no pixel.
    """
    inside = as_numpy(field).astype(bool)
    if inside.shape != grid:
        raise ValueError(
            f"field is {inside.shape}, but the image is {grid}; bring both to one grid"
        )
    if not inside.any():
        raise ValueError("the field has no pixel; leave it out to measure over the whole image")
    return inside
