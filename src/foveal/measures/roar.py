"""Remove and retrain: an offline protocol that costs many trainings and asks no running model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

from foveal.core import Score
from foveal.measures.base import Array, Ground, MeasureCard, as_numpy, ground, top

FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)
_FEWEST_SEEDS = 3

Masks = Bool[np.ndarray, "sample row column"]
TrainOf = Callable[[Float[np.ndarray, "sample channel row column"], int], float]
"""From the images, changed, and a seed, to the accuracy on samples held out of training."""

ROAR = MeasureCard(
    name="roar",
    question="How much more accuracy is lost by a model trained without what the map highlights?",
    direction="higher",
    range=(-1, 1),
    needs=("model",),
    chance="0: as much as without pixels drawn at random",
    missing="every map is constant or has nothing positive in the field",
    cost="trainings: fractions x seeds, three times, and once for the whole images; never in a run",
    reference="Hooker et al. 2019, A Benchmark for Interpretability Methods in Deep Neural "
    "Networks; with the mask-only control of Rong et al. 2022",
)


@dataclass(frozen=True, kw_only=True)
class RoarControls:
    """Accuracies that depend on no explanation: made once, shared by all methods."""

    whole: tuple[float, ...]
    """With the images as they are, one a seed."""
    random: Mapping[float, tuple[float, ...]]
    """Without pixels drawn at random, by the share removed."""


def roar(
    train: TrainOf,
    images: Array,
    maps: Shaped[Array, "sample row column"],
    *,
    fields: Shaped[Array, "sample row column"] | None = None,
    fractions: Sequence[float] = FRACTIONS,
    seeds: Sequence[int] = (0, 1, 2),
    controls: RoarControls | None = None,
) -> Score:
    """Accuracy lost by training without the most relevant pixels, beyond that without random ones.

    For each fraction and seed a model is trained from the start on images whose most relevant
    pixels hold the image's mean colour in the field, in training and in held-out images alike.

    Args:
        train: Trains on the images it is given and returns the accuracy in [0, 1] on those it
            holds out, patients apart; labels and split are its own business, and the same for every
            call. It is called as `train(images, seed)`.
        images: All samples (sample, channel, row, column), in display units.
        maps: One for each, signed.
        fields: Fields of view; the whole images by default.
        fractions: Shares of the field that are removed.
        seeds: At least three: a single training says little.
        controls: From `roar_controls`, where another method's maps needed them before.

    Returns:
        The mean over fractions of the accuracy without random pixels less that without the map's,
        in [-1, 1]; higher is better, 0 is chance. `null` holds the same for each seed of the random
        arm against the mean of the others. `parts` has all accuracies, and those of `mask_only`: a
        model that sees nothing but which pixels are gone. Where it does well the masks' shape gives
        the answer away, and the loss is not to be read.

    Raises:
        ValueError: Maps, fields or images of different shapes, fewer than three seeds, fractions
            outside (0, 1), or an accuracy outside [0, 1].

    Reference:
        Hooker et al. 2019.
    """
    pixels, values = as_numpy(images), as_numpy(maps).astype(np.float64)
    inside = _fields(pixels, fields)
    _check(pixels, values, fractions, seeds)
    grounds = [ground(m, None, f, needs_mask=False) for m, f in zip(values, inside, strict=True)]
    flat = [on.problem for on in grounds if on.problem is not None]
    params = {"fractions": list(fractions), "seeds": list(seeds), "flat_maps": len(flat)}
    if len(flat) == len(grounds) or "nan_map" in flat:
        return ROAR.none("nan_map" if "nan_map" in flat else flat[0], params=params)
    shared = controls or roar_controls(
        train, images, fields=inside, fractions=fractions, seeds=seeds
    )
    own: list[tuple[float, ...]] = []
    alone: list[tuple[float, ...]] = []
    for fraction in fractions:
        gone = [np.array([_strongest(on, fraction, seed) for on in grounds]) for seed in seeds]
        own.append(_accuracies(train, [_without(pixels, g, inside) for g in gone], seeds))
        alone.append(_accuracies(train, [_shape_of(pixels, g) for g in gone], seeds))
    random = [shared.random[fraction] for fraction in fractions]
    return ROAR.score(
        float(np.mean(random) - np.mean(own)),
        chance=0,
        null=_null(random),
        params=params,
        parts={
            "whole": list(shared.whole),
            "map": own,
            "random": random,
            "mask_only": alone,
        },
    )


def roar_controls(
    train: TrainOf,
    images: Array,
    *,
    fields: Shaped[Array, "sample row column"] | None = None,
    fractions: Sequence[float] = FRACTIONS,
    seeds: Sequence[int] = (0, 1, 2),
) -> RoarControls:
    """The trainings that every method shares: on whole images, and without random pixels."""
    pixels = as_numpy(images)
    inside = _fields(pixels, fields)
    random: dict[float, tuple[float, ...]] = {}
    for fraction in fractions:
        gone = [_drawn(inside, fraction, seed) for seed in seeds]
        random[fraction] = _accuracies(train, [_without(pixels, g, inside) for g in gone], seeds)
    return RoarControls(whole=_accuracies(train, [pixels] * len(seeds), seeds), random=random)


def _check(
    pixels: np.ndarray, maps: np.ndarray, fractions: Sequence[float], seeds: Sequence[int]
) -> None:
    if pixels.ndim != 4 or maps.shape != (len(pixels), *pixels.shape[2:]):
        raise ValueError(
            f"images must be (sample, channel, row, column), maps (sample, row, column) on their "
            f"grid, but the shapes are {pixels.shape} and {maps.shape}"
        )
    if not all(0 < fraction < 1 for fraction in fractions):
        raise ValueError(f"fractions must lie between 0 and 1, but are {tuple(fractions)}")
    if len(set(seeds)) < _FEWEST_SEEDS:
        raise ValueError(f"give at least {_FEWEST_SEEDS} different seeds, not {tuple(seeds)}")


def _fields(pixels: np.ndarray, fields: Array | None) -> Masks:
    shape = (len(pixels), *pixels.shape[2:])
    inside = np.ones(shape, bool) if fields is None else as_numpy(fields).astype(bool)
    if inside.shape != shape:
        raise ValueError(f"fields are {inside.shape}, but the images need {shape}")
    return inside


def _accuracies(
    train: TrainOf, images: Sequence[np.ndarray], seeds: Sequence[int]
) -> tuple[float, ...]:
    found = tuple(float(train(own, seed)) for own, seed in zip(images, seeds, strict=True))
    if not all(0 <= accuracy <= 1 for accuracy in found):
        raise ValueError(f"train must return accuracies in [0, 1], but gave {found}")
    return found


def _strongest(on: Ground, fraction: float, seed: int) -> Bool[np.ndarray, "row column"]:
    """Of a flat map, pixels drawn at random: it tells none apart."""
    return top(on, max(1, round(fraction * on.area)), seed)


def _drawn(fields: Masks, fraction: float, seed: int) -> Masks:
    random = np.random.default_rng(seed)
    gone = np.zeros(fields.shape, bool)
    for own, field in zip(gone, fields, strict=True):
        inside = np.flatnonzero(field)
        count = max(1, round(fraction * len(inside)))
        own.ravel()[random.choice(inside, size=count, replace=False)] = True
    return gone


def _without(pixels: np.ndarray, gone: Masks, fields: Masks) -> np.ndarray:
    """The images with the mean colour of their field in place of what is gone."""
    weight = fields[:, None].astype(pixels.dtype)
    mean = (pixels * weight).sum(axis=(2, 3)) / weight.sum(axis=(2, 3))
    return np.where(gone[:, None], mean[:, :, None, None], pixels)


def _shape_of(pixels: np.ndarray, gone: Masks) -> np.ndarray:
    """Images of nothing but the masks."""
    return np.broadcast_to(~gone[:, None], pixels.shape).astype(pixels.dtype)


def _null(random: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """What one seed of the random arm loses beyond the others."""
    by_seed = np.mean(random, axis=0)
    others = (by_seed.sum() - by_seed) / (len(by_seed) - 1)
    return tuple((others - by_seed).tolist())
