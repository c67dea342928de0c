"""Localisation and complexity of Quantus: a map, a region, no model."""

from collections.abc import Callable, Iterator

import numpy as np
import quantus

from benchmarks.peers.row import Case, Row, cases, values
from foveal.core import Score
from foveal.measures import (
    gini,
    map_entropy,
    mean_attribution_area,
    pap,
    pixel_auc,
    pointing_game,
    relevance_mass,
    relevance_rank_accuracy,
)

_K = 40
"""Pixels of `TopKIntersection`."""


def rows() -> Iterator[Row]:
    yield from _localisation(cases())
    yield from _refused(cases())
    yield from _complexity(cases())


def _localisation(every: list[Case]) -> Iterator[Row]:
    signed, masks = [one.map for one in every], [one.mask for one in every]
    rectified = [one.rectified for one in every]
    yield Row(
        measure="relevance_mass", peer="AttributionLocalisation",
        how="positive_attributions, abs=False, normalise=False; signed and rectified maps",
        ours=_ours(relevance_mass, signed + rectified, masks * 2),
        theirs=_quantus("AttributionLocalisation", signed + rectified, masks * 2,
                        positive_attributions=True),
    )  # fmt: skip
    yield Row(
        measure="relevance_mass", peer="RelevanceMassAccuracy", how="rectified maps",
        ours=_ours(relevance_mass, rectified, masks),
        theirs=_quantus("RelevanceMassAccuracy", rectified, masks),
    )  # fmt: skip
    yield Row(
        measure="relevance_rank_accuracy", peer="RelevanceRankAccuracy", how="maps without ties",
        ours=_ours(relevance_rank_accuracy, signed, masks),
        theirs=_quantus("RelevanceRankAccuracy", signed, masks),
    )  # fmt: skip
    yield Row(
        measure="pap", peer="TopKIntersection", how=f"k={_K} pixels (rule quantile), no ties",
        ours=_ours(lambda map, mask: pap(map, mask, quantile=_K / map.size),
                   [one.positive for one in every], masks) / 100,
        theirs=_quantus("TopKIntersection", signed, masks, k=_K),
    )  # fmt: skip
    yield Row(
        measure="pointing_game", peer="PointingGame", how="tolerance 0, one maximum, marked images",
        ours=_ours(lambda map, mask: pointing_game(map, mask, tolerance_px=0), signed, masks),
        theirs=_quantus("PointingGame", signed, masks),
    )  # fmt: skip
    yield Row(
        measure="pixel_auc", peer="AUC", how="signed and rectified maps (tied)",
        ours=_ours(pixel_auc, signed + rectified, masks * 2),
        theirs=_quantus("AUC", signed + rectified, masks * 2),
    )  # fmt: skip


def _refused(every: list[Case]) -> Iterator[Row]:
    """What its definitions do to signed and tied maps, and to images without a region."""
    signed, masks = [one.map for one in every], [one.mask for one in every]
    yield Row(
        measure="relevance_mass", peer="RelevanceMassAccuracy", same=False,
        how="signed maps are not clipped there, so that shares below 0 come out",
        ours=_ours(relevance_mass, signed, masks),
        theirs=_quantus("RelevanceMassAccuracy", signed, masks),
    )  # fmt: skip
    flat = [(one.map > np.quantile(one.map, 0.7)).astype(float) for one in every]
    yield Row(
        measure="relevance_rank_accuracy", peer="RelevanceRankAccuracy", same=False,
        how="tied pixels count there in the order of the sort, here by their expected share",
        ours=_ours(relevance_rank_accuracy, flat, masks),
        theirs=_quantus("RelevanceRankAccuracy", flat, masks),
    )  # fmt: skip
    yield Row(
        measure="pointing_game", peer="PointingGame", same=False,
        how="with several maxima one inside is a hit there, here the share inside",
        ours=_ours(lambda map, mask: pointing_game(map, mask, tolerance_px=0), flat, masks),
        theirs=_quantus("PointingGame", flat, masks),
    )  # fmt: skip
    none = np.zeros_like(masks[0])
    yield Row(
        measure="pointing_game", peer="PointingGame", same=False,
        how="an image without a region is a hit there (NaN becomes True), here missing",
        ours=_ours(pointing_game, signed[:1], [none]),
        theirs=_quantus("PointingGame", signed[:1], [none]),
    )  # fmt: skip


def _complexity(every: list[Case]) -> Iterator[Row]:
    maps = [one.positive for one in every] + [one.rectified for one in every]
    masks = [one.mask for one in every] * 2
    plain = {"abs": True, "normalise": True}
    yield Row(
        measure="gini", peer="Sparseness", how="one image a call; 1e-7 is added there",
        ours=_ours(lambda map, mask: gini(map), maps, masks),
        theirs=_quantus("Sparseness", maps, masks, **plain),
    )  # fmt: skip
    yield Row(
        measure="map_entropy", peer="Complexity", how="times ln n; 1e-12 is added there",
        ours=_ours(lambda map, mask: map_entropy(map), maps, masks) * np.log(maps[0].size),
        theirs=_quantus("Complexity", maps, masks, **plain),
    )  # fmt: skip
    half = _ours(lambda map, mask: mean_attribution_area(map), maps, masks)
    yield Row(
        measure="mean_attribution_area", peer="EffectiveComplexity",
        how="one image a call; eps=0.5 of the maximum; pixels by n",
        ours=half,
        theirs=_quantus("EffectiveComplexity", maps, masks, **plain, eps=0.5) / maps[0].size,
    )  # fmt: skip
    yield Row(
        measure="mean_attribution_area", peer="EffectiveComplexity", same=False,
        how="several images a call are divided by one maximum, so that each depends on the others",
        ours=half,
        theirs=_quantus("EffectiveComplexity", maps, masks, together=True, **plain, eps=0.5)
        / maps[0].size,
    )  # fmt: skip


def _ours(
    measure: Callable[..., Score], maps: list[np.ndarray], masks: list[np.ndarray]
) -> np.ndarray:
    return values([measure(map, mask) for map, mask in zip(maps, masks, strict=True)])


def _quantus(
    name: str,
    maps: list[np.ndarray],
    masks: list[np.ndarray],
    *,
    together: bool = False,
    **settings: object,
) -> np.ndarray:
    """Its numbers, one call an image unless they are to be judged together."""
    plain = {"abs": False, "normalise": False, "disable_warnings": True}
    metric = getattr(quantus, name)(**{**plain, **settings})
    size = len(maps) if together else 1
    found = []
    for start in range(0, len(maps), size):
        batch = np.stack(maps[start : start + size])[:, None]
        found += list(metric(
            model=None, x_batch=batch.copy(), y_batch=np.zeros(len(batch), int),
            a_batch=batch.copy(), s_batch=np.stack(masks[start : start + size])[:, None],
        ))  # fmt: skip
    return np.array(found, float)
