"""Faithfulness, robustness and randomisation of Quantus: a model is asked."""

from collections.abc import Iterator

import numpy as np
import quantus
import torch
from quantus.functions.similarity_func import correlation_spearman

from benchmarks.peers.row import Row, values
from benchmarks.peers.scored import PATCH, SIDE, TARGET, Scored
from foveal.measures import (
    aopc,
    avg_sensitivity,
    completeness_error,
    deletion_auc,
    faithfulness_correlation,
    faithfulness_estimate,
    infidelity,
    map_ssim,
    max_sensitivity,
    perturbed_images,
    random_logit,
    relevance_rank_correlation,
    sensitivity_n,
)

_PIXELS, _DRAWS, _TAKEN = SIDE**2, 100, 29
_BLACK = {"perturb_baseline": 0.0}


def rows() -> Iterator[Row]:
    on = Scored()
    yield from _correlations(on)
    yield from _infidelity(on)
    yield from _curves(on)
    yield from _robustness(on)
    yield from _other_class(on)


def _correlations(on: Scored) -> Iterator[Row]:
    asked = (on.score, on.image, on.map)
    pixel = {"baseline": 0.0, "patch_px": 1}
    np.random.seed(0)  # noqa: NPY002 (Quantus draws from this generator)
    drawn = [_drawn() for _ in range(_DRAWS)]
    members = [np.isin(np.arange(_PIXELS), one) for one in drawn]
    np.random.seed(0)  # noqa: NPY002
    yield Row(
        measure="faithfulness_correlation", peer="FaithfulnessCorrelation",
        how="pixels to black, one channel, the same random sets",
        ours=faithfulness_correlation(*asked, subsets=on.removed(members, 1), share=0.2).value,
        theirs=_quantus(on, "FaithfulnessCorrelation", nr_runs=_DRAWS, subset_size=_TAKEN,
                        return_aggregate=False, **_BLACK),
    )  # fmt: skip
    yield Row(
        measure="faithfulness_estimate", peer="FaithfulnessEstimate",
        how="pixels to black one by one, one channel",
        ours=faithfulness_estimate(*asked, **pixel).value,
        theirs=_quantus(on, "FaithfulnessEstimate", **_BLACK),
    )  # fmt: skip
    yield Row(
        measure="faithfulness_estimate", peer="FaithfulnessEstimate", same=False,
        how="black there is the smallest value of the image, here 0",
        ours=faithfulness_estimate(*asked, **pixel).value,
        theirs=_quantus(on, "FaithfulnessEstimate", perturb_baseline="black"),
    )  # fmt: skip
    colour = Scored(channels=3)
    yield Row(
        measure="faithfulness_estimate", peer="FaithfulnessEstimate", same=False,
        how="a pixel of three channels is three features there, one removed at a time; here one",
        ours=faithfulness_estimate(colour.score, colour.image, colour.map, **pixel).value,
        theirs=_quantus(colour, "FaithfulnessEstimate", **_BLACK),
    )  # fmt: skip
    yield Row(
        measure="relevance_rank_correlation", peer="FaithfulnessEstimate",
        how="the same with similarity_func=correlation_spearman",
        ours=relevance_rank_correlation(*asked, **pixel).value,
        theirs=_quantus(on, "FaithfulnessEstimate", similarity_func=correlation_spearman, **_BLACK),
    )  # fmt: skip


def _infidelity(on: Scored) -> Iterator[Row]:
    asked = (on.score, on.image, on.map)
    gradient = on.map / on.image[0].numpy()
    theirs = _quantus(
        on, "Infidelity", map=gradient, perturb_patch_sizes=[PATCH], n_perturb_samples=1, **_BLACK
    )
    blocks = (SIDE // PATCH) ** 2
    one_more = np.tril(np.ones((blocks, blocks), bool))
    yield Row(
        measure="infidelity", peer="Infidelity",
        how="gradients there, gradient x input here; the sets it removes: one block more each time",
        ours=infidelity(*asked, subsets=on.removed(one_more, PATCH)).value, theirs=theirs,
    )  # fmt: skip
    alone = np.eye(blocks, dtype=bool)
    yield Row(
        measure="infidelity", peer="Infidelity", same=False,
        how="its blocks add up in one order; eq. 1 of Yeh et al. 2019 takes each set on its own",
        ours=infidelity(*asked, subsets=on.removed(alone, PATCH)).value, theirs=theirs,
    )  # fmt: skip


def _curves(on: Scored) -> Iterator[Row]:
    image, relevance = on.image, np.abs(on.map)
    steps, whole = _PIXELS // 12, float(on.score(image[None])[0])
    even = tuple(step / steps for step in range(steps + 1))
    ours = deletion_auc(on.score, image, relevance, baseline=0.0, patch_px=1, fractions=even)
    curve = _quantus(on, "PixelFlipping", map=relevance, features_in_step=12, **_BLACK)
    yield Row(
        measure="deletion_auc", peer="PixelFlipping",
        how="12 pixels a step to black; its curve with the image's score in front",
        ours=ours.parts["scores"], theirs=[whole, *curve],
    )  # fmt: skip
    area = _quantus(on, "PixelFlipping", map=relevance, features_in_step=12,
                    return_auc_per_sample=True, **_BLACK)  # fmt: skip
    yield Row(
        measure="deletion_auc", peer="PixelFlipping", same=False,
        how="its area starts after the first step and is not divided by the number of steps",
        ours=ours.value, theirs=area,
    )  # fmt: skip
    blocks = (SIDE // PATCH) ** 2
    even = tuple(step / blocks for step in range(blocks + 1))
    for order in ("morf", "lerf"):
        drops = _quantus(on, "RegionPerturbation", map=relevance, patch_size=PATCH, order=order,
                         regions_evaluation=blocks, **_BLACK)  # fmt: skip
        yield Row(
            measure=f"aopc ({order})", peer="RegionPerturbation",
            how="4 x 4 blocks to black; its drops summed by L + 1, as the step 0 is left out",
            ours=aopc(on.score, image, relevance, order=order, baseline=0.0, patch_px=PATCH,
                      fractions=even).value,
            theirs=drops.sum() / (blocks + 1),
        )  # fmt: skip


def _robustness(on: Scored) -> Iterator[Row]:
    noisy = perturbed_images(on.image, n=8, sigma=0.02, max_batch=1)
    copies = [one.numpy() for one in noisy.batches()][1:]
    for name, measure in (("MaxSensitivity", max_sensitivity), ("AvgSensitivity", avg_sensitivity)):
        given = iter(copies)
        yield Row(
            measure=measure.__name__, peer=name, how="8 copies, the same noise",
            ours=measure(on.explain, on.image, n=8, sigma=0.02).value,
            theirs=_quantus(
                on, name, nr_samples=8, explained=True,
                perturb_func=lambda arr, given=given, **rest: next(given).reshape(arr.shape),
            ),
        )  # fmt: skip
    yield Row(
        measure="completeness_error", peer="Completeness", same=False,
        how="true or false there: whether two floating-point numbers are equal to the last digit",
        ours=completeness_error(on.score, on.image, on.map, baseline=0.0).value,
        theirs=_quantus(on, "Completeness", **_BLACK),
    )  # fmt: skip
    yield _sensitivity_n()


def _sensitivity_n() -> Row:
    several = [Scored(number) for number in range(4)]
    metric = quantus.SensitivityN(
        abs=False, normalise=False, features_in_step=12, return_aggregate=True,
        disable_warnings=True, **_BLACK,
    )  # fmt: skip
    found = metric(
        model=several[0].model, x_batch=np.stack([one.image.numpy() for one in several]),
        y_batch=np.full(4, TARGET), a_batch=np.stack([one.map[None] for one in several]),
        softmax=False, channel_first=True, device="cpu",
    )  # fmt: skip
    score = several[0].score
    ours = [sensitivity_n(score, one.image, one.map, baseline=0.0, patch_px=1) for one in several]
    return Row(
        measure="sensitivity_n", peer="SensitivityN", same=False,
        how="one order of pixels, correlated over images; Ancona et al. 2018 draw sets of each",
        ours=values(ours).mean(), theirs=np.mean(found),
    )  # fmt: skip


def _other_class(on: Scored) -> Iterator[Row]:
    other = on.explain(on.image[None], 0)[0].numpy()
    settings = {"num_classes": 2, "explained": True}
    yield Row(
        measure="random_logit", peer="RandomLogit",
        how="two classes, signed maps, similarity_func=correlation_spearman",
        ours=random_logit(on.map, on.image, other=other).value,
        theirs=_quantus(on, "RandomLogit", similarity_func=correlation_spearman, **settings),
    )  # fmt: skip
    yield Row(
        measure="map_ssim", peer="RandomLogit", same=False,
        how="its default ssim gets each map as one line of pixels, which has no neighbours above",
        ours=map_ssim(on.map, other).value, theirs=_quantus(on, "RandomLogit", **settings),
    )  # fmt: skip


def _drawn() -> np.ndarray:
    return np.random.choice(_PIXELS, _TAKEN, replace=False)  # noqa: NPY002


def _quantus(
    on: Scored,
    name: str,
    *,
    map: np.ndarray | None = None,
    explained: bool = False,
    **settings: object,
) -> np.ndarray:
    plain = {"abs": False, "normalise": False, "disable_warnings": True}
    metric = getattr(quantus, name)(**{**plain, **settings})

    def explain(
        model: object, inputs: np.ndarray, targets: np.ndarray, **rest: object
    ) -> np.ndarray:
        batch = torch.from_numpy(np.asarray(inputs, np.float32))
        return on.explain(batch, int(np.ravel(targets)[0])).numpy()[:, None]

    found = metric(
        model=on.model, x_batch=on.image[None].numpy(), y_batch=np.array([TARGET]),
        a_batch=(on.map if map is None else map)[None, None].astype(np.float32),
        explain_func=explain if explained else None, softmax=False, channel_first=True,
        device="cpu",
    )  # fmt: skip
    return np.ravel(np.asarray(found, float))
