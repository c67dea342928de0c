"""What pytorch-grad-cam measures: images multiplied by maps, and the imputation of ROAD."""

from collections.abc import Iterator
from unittest.mock import patch

import numpy as np
import torch
from pytorch_grad_cam.metrics.cam_mult_image import (
    CamMultImageConfidenceChange,
    DropInConfidence,
    IncreaseInConfidence,
)
from pytorch_grad_cam.metrics.perturbation_confidence import (
    PerturbationConfidenceMetric,
    RemoveLeastRelevantFirst,
    RemoveMostRelevantFirst,
)
from pytorch_grad_cam.metrics.road import NoisyLinearImputer, ROADMostRelevantFirst
from pytorch_grad_cam.utils.model_targets import (
    ClassifierOutputSoftmaxTarget,
    ClassifierOutputTarget,
)

from benchmarks.peers.row import Row
from benchmarks.peers.scored import SIDE, TARGET, Scored
from foveal.measures import (
    average_drop,
    imputation,
    keep_only,
    pct_increase_confidence,
    road_curves,
    road_lerf,
    road_morf,
    sufficiency_delta,
)


def rows() -> Iterator[Row]:
    on = [Scored(number) for number in range(6)]
    yield from _kept(on)
    yield from _imputed(on[0])


def _kept(several: list[Scored]) -> Iterator[Row]:
    """Its maps are at most 1 and multiply the image: 0 is black, as nothing is standardised."""
    signed = [one.map * (-1) ** number for number, one in enumerate(several)]
    maps = [np.maximum(map, 0) / map.max() for map in signed]  # every other one against the class

    def score(batch: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return several[0].model(batch).softmax(dim=1)[:, TARGET]

    def theirs(metric: type) -> np.ndarray:
        batch = torch.stack([one.image for one in several])
        targets = [ClassifierOutputSoftmaxTarget(TARGET)] * len(several)
        return metric()(batch, np.float32(maps), targets, several[0].model)

    kept = [
        keep_only(score, one.image, map, baseline=0.0, draws=0)
        for one, map in zip(several, maps, strict=True)
    ]
    made = {
        measure: np.array([
            measure(score, one.image, map, kept=k).value
            for one, map, k in zip(several, maps, kept, strict=True)
        ], float)
        for measure in (sufficiency_delta, pct_increase_confidence, average_drop)
    }  # fmt: skip
    how = "probability; image times map, black where the map is 0"
    yield Row(
        measure="sufficiency_delta", peer="CamMultImageConfidenceChange", how=how,
        ours=made[sufficiency_delta], theirs=theirs(CamMultImageConfidenceChange),
    )  # fmt: skip
    yield Row(
        measure="pct_increase_confidence", peer="IncreaseInConfidence", how=f"{how}; by 100",
        ours=made[pct_increase_confidence] / 100, theirs=theirs(IncreaseInConfidence),
    )  # fmt: skip
    whole = [k.whole for k in kept if not isinstance(k, str)]
    yield Row(
        measure="average_drop", peer="DropInConfidence", how=f"{how}; times the score by 100",
        ours=made[average_drop] * whole / 100, theirs=theirs(DropInConfidence),
    )  # fmt: skip
    yield Row(
        measure="average_drop", peer="DropInConfidence", same=False,
        how="absolute there; Chattopadhay et al. 2018 divide by the image's own score",
        ours=made[average_drop] / 100, theirs=theirs(DropInConfidence),
    )  # fmt: skip


def _imputed(on: Scored) -> Iterator[Row]:
    image, whole = on.image.numpy().astype(float), np.ones((SIDE, SIDE), bool)
    removed = np.random.default_rng(1).random((SIDE, SIDE)) < 0.7
    with patch.object(imputation, "NOISE", 0.0):
        ours = imputation.Imputation(image=image, field=whole).filled(removed)
    yield Row(
        measure="road (imputation)", peer="NoisyLinearImputer",
        how="noise 0, 70 % of the pixels removed, no field",
        ours=ours,
        theirs=NoisyLinearImputer(noise=0)(on.image, torch.from_numpy(~removed).float()),
    )  # fmt: skip
    yield from _road(on)
    sparse = np.zeros((SIDE, SIDE))
    sparse[4:6, 4:6] = [[1, 2], [3, 4]]
    made = road_curves(on.score, on.image, sparse, fractions=(0.1,))
    after = ROADMostRelevantFirst(percentile=90).perturbation(on.image, torch.from_numpy(sparse))
    yield Row(
        measure="road_morf", peer="ROADMostRelevantFirst", same=False,
        how="share removed at 10 %, of a map mostly 0: its percentile is 0, and every pixel goes",
        ours=np.nan if isinstance(made, str) else made.fractions[0],
        theirs=(after != on.image).float().mean(),
    )  # fmt: skip


def _road(on: Scored) -> Iterator[Row]:
    """Its percentiles say how many pixels go: as many as are at least as high."""
    relevance = (on.map - on.map.min()) / np.ptp(on.map)
    percentiles = (90, 70, 50, 30)
    fractions = tuple(
        float((relevance >= np.percentile(relevance, percentile)).mean())
        for percentile in percentiles
    )
    with patch.object(imputation, "NOISE", 0.0):
        made = road_curves(on.score, on.image, relevance, fractions=fractions)
    orders = ((road_morf, RemoveMostRelevantFirst), (road_lerf, RemoveLeastRelevantFirst))
    for measure, order in orders:
        changes = [
            PerturbationConfidenceMetric(order(percentile, NoisyLinearImputer(noise=0)))(
                on.image[None], relevance[None], [ClassifierOutputTarget(TARGET)], on.model
            )
            for percentile in percentiles
        ]
        yield Row(
            measure=measure.__name__, peer=order.__name__,
            how="noise 0, maps without ties; the mean change with its sign turned",
            ours=measure(on.score, on.image, relevance, curves=made).value,
            theirs=-np.mean(changes),
        )  # fmt: skip
