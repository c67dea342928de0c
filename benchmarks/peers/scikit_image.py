"""Structural similarity and thresholds of scikit-image: called by ours, so settings are checked."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from skimage import filters, metrics

from benchmarks.peers.row import Row, cases, values
from foveal.measures import map_ssim, pap


def rows() -> Iterator[Row]:
    every = cases()
    pairs = [(one.map, other.map) for one, other in pairwise(every)]
    ours = values([map_ssim(first, second) for first, second in pairs])
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    yield Row(
        measure="map_ssim", peer="structural_similarity",
        how="the one we call: Gaussian of 1.5, range 1, maps by their largest magnitude",
        ours=ours, theirs=[_ssim(first, second, wang) for first, second in pairs],
    )  # fmt: skip
    yield Row(
        measure="map_ssim", peer="structural_similarity", same=False,
        how="its defaults: a uniform window of 7 pixels, which are not those of Wang et al. 2004",
        ours=ours, theirs=[_ssim(first, second, {}) for first, second in pairs],
    )  # fmt: skip
    otsu = [filters.threshold_otsu(one.rectified) for one in every]
    yield Row(
        measure="pap", peer="threshold_otsu",
        how="the one we call: rule otsu, 256 bins of the positive part",
        ours=values([pap(one.rectified, one.mask, rule="otsu") for one in every]),
        theirs=[
            100 * one.mask[one.rectified >= limit].mean()
            for one, limit in zip(every, otsu, strict=True)
        ],
    )  # fmt: skip


def _ssim(first: np.ndarray, second: np.ndarray, settings: dict[str, object]) -> float:
    one, other = (map / np.abs(map).max() for map in (first, second))
    whole = metrics.structural_similarity(one, other, data_range=1.0, full=True, **settings)[1]
    return float(whole.mean())
