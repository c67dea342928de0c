"""Does the map stay when the image hardly changes? Stable maps may still be wrong ones."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Unpack

import numpy as np
from jaxtyping import Shaped

from foveal.core import Score
from foveal.measures.base import Array, MeasureCard, as_numpy
from foveal.measures.perturbed import (
    ExplainOf,
    NoiseKeywords,
    NoiseSettings,
    PerturbedMaps,
    PredictOf,
    changes,
    field_on,
    perturbed_maps,
)
from foveal.measures.similarity import STATISTICS, Statistic, similarities, varies

_COST = "51 explanations for all measures of stability together"
_NOISE = "under Gaussian noise of 1 %"
_OTHERS = "the same for pairs of maps of different patients, which a run of two or more has; else"
_FLIPPED = "the map is zero, or the prediction changes under every draw"
_FLAT = "the map is constant, or the prediction changes under every draw"

MAX_SENSITIVITY = MeasureCard(
    name="max_sensitivity",
    question=f"How far does the map move at worst {_NOISE}?",
    direction="lower",
    range=(0, np.inf),
    needs=("explainer",),
    chance="the same for maps of other images, where they are given; else that of the map with its "
    "pixels shuffled",
    missing=_FLIPPED,
    cost=_COST,
    reference="Yeh et al. 2019, On the (In)fidelity and Sensitivity of Explanations, eq. 2, by "
    "the map's norm; Gaussian noise here",
)
AVG_SENSITIVITY = MeasureCard(
    name="avg_sensitivity",
    question=f"How far does the map move on average {_NOISE}?",
    direction="lower",
    range=(0, np.inf),
    needs=("explainer",),
    chance=MAX_SENSITIVITY.chance,
    missing=_FLIPPED,
    cost=_COST,
    reference="Yeh et al. 2019 with the mean instead of the maximum",
)
MAP_SSIM = MeasureCard(
    name="map_ssim",
    question=f"How much of the map's local structure stays {_NOISE}?",
    direction="higher",
    range=(-1, 1),
    needs=("explainer",),
    chance=f"{_OTHERS} for the map turned by half a circle: two blobs that do not even touch can "
    "reach 0.72",
    missing=f"{_FLAT}, or its grid has fewer than 11 rows or columns",
    cost=_COST,
    reference="Wang et al. 2004, with their window, over the field of maps divided by their "
    "largest magnitude",
)
MAP_PEARSON = MeasureCard(
    name="map_pearson",
    question=f"How well do the map's values correlate {_NOISE}?",
    direction="higher",
    range=(-1, 1),
    needs=("explainer",),
    chance=f"{_OTHERS} 0",
    missing=_FLAT,
    cost=_COST,
    reference="Pearson correlation over the field",
)
MAP_SPEARMAN = MeasureCard(
    name="map_spearman",
    question=f"How well does the order of the map's pixels stay {_NOISE}?",
    direction="higher",
    range=(-1, 1),
    needs=("explainer",),
    chance=f"{_OTHERS} 0",
    missing=_FLAT,
    cost=_COST,
    reference="Spearman correlation over the field, as in Adebayo et al. 2018",
)
TOPK_IOU = MeasureCard(
    name="topk_iou",
    question=f"How much of the map's strongest tenth stays in place {_NOISE}?",
    direction="higher",
    range=(0, 1),
    needs=("explainer",),
    chance=f"{_OTHERS} 0.053",
    missing=_FLAT,
    cost=_COST,
    reference="Jaccard 1912 of the positive pixels among the strongest tenth of the field",
)


class RunKeywords(NoiseKeywords, total=False):
    """What all measures of stability take by keyword."""

    field: Shaped[Array, "row column"] | None
    perturbed: PerturbedMaps | None
    others: Shaped[Array, "image row column"] | None
    predict: PredictOf | None


@dataclass(frozen=True, kw_only=True)
class _Asked(NoiseSettings):
    field: Array | None = None
    perturbed: PerturbedMaps | None = None
    others: Array | None = None
    predict: PredictOf | None = None

    def runs(self, explain: ExplainOf, image: Array) -> PerturbedMaps:
        """The maps of the image and of its copies."""
        return self.perturbed or perturbed_maps(
            explain,
            image,
            field=self.field,
            predict=self.predict,
            n=self.n,
            sigma=self.sigma,
            seed=self.seed,
            max_batch=self.max_batch,
        )


def max_sensitivity(
    explain: ExplainOf, image: Shaped[Array, "channel row column"], **settings: Unpack[RunKeywords]
) -> Score:
    """The largest change of the map over n noisy copies of the image, ||M' - M|| / ||M||.

    Args:
        explain: From images in display units (probe, channel, row, column) to maps (probe, row,
            column), the target fixed beforehand. It is given tensors or arrays, as `image` is one.
        image: The prepared image (channel, row, column) in display units.
        **settings: `field`, the field of view, on whose grid the maps are compared (the whole map
            on its own grid by default); `perturbed`, the maps, where `perturbed_maps` made them
            before; `others`, maps of other images for the null; `predict`, from a batch to classes,
            to leave out copies for which the prediction changes; `n` (50), `sigma` (0.01), `seed`,
            `max_batch`.

    Returns:
        0 or more, in units of the map's Euclidean norm over the field; lower is better. The maximum
        grows with n, which is among the `params`. `null` holds the same distance for the maps of
        other images, its mean is the chance; without them chance is the root mean square distance
        of the map with its pixels shuffled. `parts` counts the copies for which the predicted
        class changes; they do not enter the value. Missing (`zero_map`, `nan_map`) where the map
        has no norm: a map that is always empty is not perfectly stable; `prediction_changed` where
        every copy changes the class.

    Raises:
        ValueError: An image not in display units, a field of another grid, not one map an image,
            or a setting out of range.

    Reference:
        Yeh et al. 2019, On the (In)fidelity and Sensitivity of Explanations, eq. 2. There the
        maximum is over a ball; Gaussian noise of 1 % is what imaging adds.
    """
    return _changed(MAX_SENSITIVITY, np.max, explain, image, _Asked(**settings))


def avg_sensitivity(
    explain: ExplainOf, image: Shaped[Array, "channel row column"], **settings: Unpack[RunKeywords]
) -> Score:
    """The mean change of the map over the same copies.

    Arguments, errors and reasons as for `max_sensitivity`.

    Returns:
        0 or more, in units of the map's norm; lower is better.
    """
    return _changed(AVG_SENSITIVITY, np.mean, explain, image, _Asked(**settings))


def map_ssim(explain: ExplainOf | Array, image: Array, **settings: Unpack[RunKeywords]) -> Score:
    """Mean structural similarity of the map with those of noisy copies, over the field.

    Maps are divided by their largest magnitude in the field. Read it beside the correlations and
    the null: where most of both maps is empty, they agree in that alone.

    Args:
        explain: As for `max_sensitivity`; or a map (row, column) itself.
        image: As there; or another map, which the first one is compared with.
        **settings: As there.

    Returns:
        A mean in [-1, 1]; higher is better. Chance is the mean of `null`, the same with maps of
        other images, where they are given, else with the map turned by half a circle. Copies whose
        map is constant are counted in `parts["constant_maps"]` and do not enter. Missing
        (`zero_map`, `constant_map`, `nan_map`) where the map or all others are flat,
        `prediction_changed`, and `too_few` on a grid that is smaller than the window.

    Raises:
        ValueError: As there, or two maps of different shapes.

    Reference:
        Wang et al. 2004, Image Quality Assessment: From Error Visibility to Structural Similarity:
        a Gaussian window of sigma 1.5 over 11 pixels, K1 = 0.01, K2 = 0.03, L = 1.
    """
    return _alike(MAP_SSIM, STATISTICS["ssim"], explain, image, _Asked(**settings))


def map_pearson(explain: ExplainOf | Array, image: Array, **settings: Unpack[RunKeywords]) -> Score:
    """Mean Pearson correlation of the map with those of noisy copies, over the field.

    Arguments, reasons and errors as for `map_ssim`.

    Returns:
        A mean in [-1, 1]; higher is better. Chance is 0, or the mean of the null.
    """
    return _alike(MAP_PEARSON, STATISTICS["pearson"], explain, image, _Asked(**settings))


def map_spearman(
    explain: ExplainOf | Array, image: Array, **settings: Unpack[RunKeywords]
) -> Score:
    """Mean rank correlation of the map with those of noisy copies, over the field.

    Arguments, reasons and errors as for `map_ssim`; ties share their ranks.

    Returns:
        A mean in [-1, 1]; higher is better. Chance is 0, or the mean of the null.
    """
    return _alike(MAP_SPEARMAN, STATISTICS["spearman"], explain, image, _Asked(**settings))


def topk_iou(explain: ExplainOf | Array, image: Array, **settings: Unpack[RunKeywords]) -> Score:
    """Mean overlap of the strongest tenth of the field, intersection over union.

    Where fewer pixels are positive, these alone count: zeros have no order. Arguments, reasons and
    errors as for `map_ssim`.

    Returns:
        A mean in [0, 1]; higher is better. Chance is 0.1 / 1.9, or the mean of the null.
    """
    return _alike(TOPK_IOU, STATISTICS["topk_iou"], explain, image, _Asked(**settings))


def _changed(
    card: MeasureCard,
    summary: Callable[..., float],
    explain: ExplainOf,
    image: Array,
    asked: _Asked,
) -> Score:
    runs = asked.runs(explain, image)
    params, parts = runs.settings.params(), runs.counts()
    if runs.problem is not None:
        return card.none(runs.problem, params=params, parts=parts)
    null = changes(runs.clean, _others(runs, asked.others), runs.field)
    return card.score(
        float(summary(runs.changes)),
        chance=float(null.mean()) if len(null) else _shuffled(runs),
        null=tuple(null.tolist()) or None,
        params=params,
        parts={**parts, "values": runs.changes.tolist()},
    )


def _alike(
    card: MeasureCard,
    statistic: Statistic,
    explain: ExplainOf | Array,
    image: Array,
    asked: _Asked,
) -> Score:
    runs = asked.runs(explain, image) if callable(explain) else _two(explain, image, asked.field)
    params = runs.settings.params() if callable(explain) else {}
    parts = runs.counts() if callable(explain) else {}
    problem = _flat(runs)
    if problem is not None:
        return card.none(problem, params=params, parts=parts)
    if min(runs.clean.shape) < statistic.smallest_side:
        text = f"the map has {runs.clean.shape}, fewer than {statistic.smallest_side} on a side"
        return card.none("too_few", text=text, params=params, parts=parts)
    values = similarities(runs.clean, runs.kept, runs.field, statistic)
    defined = values[~np.isnan(values)]
    parts["constant_maps"] = len(values) - len(defined)
    if not len(defined):
        return card.none("constant_map", params=params, parts=parts)
    null = similarities(runs.clean, _others(runs, asked.others), runs.field, statistic)
    null = null[~np.isnan(null)]
    return card.score(
        float(defined.mean()),
        chance=float(null.mean()) if len(null) else _chance(runs, statistic),
        ceiling=1,
        null=tuple(null.tolist()) or None,
        params=params,
        parts={**parts, "values": defined.tolist()},
    )


def _shuffled(runs: PerturbedMaps) -> float:
    """E ||M' - M||^2 = 2 (||M||^2 - n mean(M)^2) over all orders of the n pixels."""
    values = runs.clean[runs.field].astype(np.float64)
    return float(np.sqrt(2 * values.var() / (values**2).mean()))


def _chance(runs: PerturbedMaps, statistic: Statistic) -> float | None:
    """What unrelated maps reach; where that depends on them, the same shapes in other places."""
    if statistic.chance is not None:
        return statistic.chance
    turned = similarities(runs.clean, runs.clean[None, ::-1, ::-1], runs.field, statistic)
    return None if np.isnan(turned[0]) else float(turned[0])


def _flat(runs: PerturbedMaps) -> str | None:
    if runs.problem is not None:
        return runs.problem
    return None if varies(runs.clean, runs.field) else "constant_map"


def _two(first: Array, second: Array, field: Array | None) -> PerturbedMaps:
    """Two maps as a map and its one copy."""
    one, other = as_numpy(first).astype(np.float64), as_numpy(second).astype(np.float64)
    if one.ndim != 2 or one.shape != other.shape:
        raise ValueError(
            f"two maps must be (row, column) on one grid, but are {one.shape} and {other.shape}"
        )
    inside = np.ones(one.shape, bool) if field is None else field_on(field, one.shape)
    return PerturbedMaps(
        clean=one, noisy=other[None], field=inside, settings=NoiseSettings(n=1, sigma=0)
    )


def _others(runs: PerturbedMaps, others: Array | None) -> Shaped[np.ndarray, "image row column"]:
    """Maps of other images, for the null."""
    if others is None:
        return np.empty((0, *runs.clean.shape))
    maps = as_numpy(others)
    if maps.ndim != 3 or maps.shape[1:] != runs.clean.shape:
        raise ValueError(
            f"others must be (image, row, column) on the map's grid {runs.clean.shape}, but their "
            f"shape is {maps.shape}"
        )
    return maps
