"""Infidelity and sensitivity of Captum, which take perturbations from outside."""

from collections.abc import Iterator

import numpy as np
import torch
from captum.metrics import infidelity as captum_infidelity
from captum.metrics import sensitivity_max
from torch import Tensor

from benchmarks.peers.row import Row, values
from benchmarks.peers.scored import PATCH, SIDE, Scored
from foveal.measures import infidelity, infidelity_normalized, max_sensitivity, perturbed_images

_DRAWS = 60


def rows() -> Iterator[Row]:
    yield from _infidelity(Scored())
    yield from _sensitivity(Scored())


def _infidelity(on: Scored) -> Iterator[Row]:
    blocks = (SIDE // PATCH) ** 2
    members = np.random.default_rng(0).random((_DRAWS, blocks)) < 0.3
    made = on.removed(members, PATCH)
    gone = [torch.from_numpy(made.patches.pixels(np.flatnonzero(one)))[None] for one in members]
    for measure, normalised in ((infidelity, False), (infidelity_normalized, True)):
        given = iter(gone)

        def perturb(batch: Tensor, given: Iterator[Tensor] = given) -> tuple[Tensor, Tensor]:
            removed = torch.stack([next(given) for _ in batch]).float()
            return removed, batch * (1 - removed)

        theirs = captum_infidelity(
            on.score, perturb, on.image[None], torch.from_numpy(on.map)[None, None],
            n_perturb_samples=_DRAWS, normalize=normalised, max_examples_per_batch=16,
        )  # fmt: skip
        yield Row(
            measure=measure.__name__, peer="infidelity",
            how=f"normalize={normalised}; I is 1 where a pixel is removed; the same sets of blocks",
            ours=measure(on.score, on.image, on.map, subsets=made).value, theirs=theirs[0],
        )  # fmt: skip


def _sensitivity(on: Scored) -> Iterator[Row]:
    noisy = perturbed_images(on.image, n=8, sigma=0.02, max_batch=1)
    copies = list(noisy.batches())[1:]

    def theirs(factor: float) -> float:
        given = iter(copies)
        return float(
            sensitivity_max(
                lambda batch: (factor * on.explain(batch[0])[:, None],),
                on.image[None],
                perturb_func=lambda batch: (next(given),),
                n_perturb_samples=len(copies),
                max_examples_per_batch=1,
            )
        )

    yield Row(
        measure="max_sensitivity", peer="sensitivity_max", how="8 copies, the same noise",
        ours=max_sensitivity(on.explain, on.image, n=8, sigma=0.02).value, theirs=theirs(1),
    )  # fmt: skip
    empty = max_sensitivity(lambda batch: 0 * on.explain(batch), on.image, n=8, sigma=0.02)
    yield Row(
        measure="max_sensitivity", peer="sensitivity_max", same=False,
        how="a map that is always empty is 0 there, perfectly stable; here it is missing",
        ours=values([empty]), theirs=[theirs(0)],
    )  # fmt: skip
