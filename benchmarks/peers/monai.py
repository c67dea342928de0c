"""Overlaps and structural similarity of MONAI, which are written apart from ours."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from monai.metrics import DiceMetric, SSIMMetric, compute_iou

from benchmarks.peers.row import Case, Row, cases, values
from foveal.measures import dice, iou, map_ssim

_REACH = 5
"""Half of the window of 11 pixels, up to which MONAI leaves the edge out."""


def rows() -> Iterator[Row]:
    every = [*cases(), _unmarked(cases()[0])]
    found = _batch([one.map >= one.map.max() / 2 for one in every])
    marked = _batch([one.mask for one in every])
    how = "pixels of at least half of the maximum (rule fixed); both missing without a region"
    yield Row(
        measure="dice", peer="DiceMetric", how=how,
        ours=values([dice(one.map, one.mask, rule="fixed") for one in every]),
        theirs=DiceMetric(ignore_empty=True)(found, marked)[:, 0],
    )  # fmt: skip
    yield Row(
        measure="iou", peer="compute_iou", how=how,
        ours=values([iou(one.map, one.mask, rule="fixed") for one in every]),
        theirs=compute_iou(found, marked, ignore_empty=True)[:, 0],
    )  # fmt: skip
    yield Row(
        measure="dice", peer="DiceMetric", same=False,
        how="ignore_empty=False: a map on an image without a lesion counts as 0, not as missing",
        ours=values([dice(one.map, one.mask, rule="fixed") for one in every]),
        theirs=DiceMetric(ignore_empty=False)(found, marked)[:, 0],
    )  # fmt: skip
    inside = np.zeros(every[0].map.shape, bool)
    inside[_REACH:-_REACH, _REACH:-_REACH] = True
    scaled = [np.where(inside, one.map, 0) / np.abs(one.map[inside]).max() for one in every]
    pairs = list(pairwise(scaled[:-1]))
    similar = SSIMMetric(spatial_dims=2, data_range=1.0, win_size=11, kernel_sigma=1.5)
    yield Row(
        measure="map_ssim", peer="SSIMMetric",
        how="window 11, sigma 1.5, range 1; over the pixels whose window lies in the image",
        ours=values([map_ssim(first, second, field=inside) for first, second in pairs]),
        theirs=[float(similar(*(torch.from_numpy(m)[None, None] for m in p))) for p in pairs],
    )  # fmt: skip


def _unmarked(case: Case) -> Case:
    return Case(map=case.map, rectified=case.rectified, mask=np.zeros_like(case.mask))


def _batch(masks: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(masks)).float().unsqueeze(1)
