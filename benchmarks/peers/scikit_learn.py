"""Pixels of maps, classes and probabilities, as scikit-learn counts them."""

from collections.abc import Iterator

import numpy as np
from sklearn import calibration, isotonic, metrics

from benchmarks.peers.row import Row, cases, values
from foveal import analysis
from foveal.measures import dice, iou, pixel_ap, pixel_auc


def rows() -> Iterator[Row]:
    yield from _pixels()
    yield from _classes()
    yield from _probabilities()


def _pixels() -> Iterator[Row]:
    every = cases()
    field = np.hypot(*(np.indices(every[0].map.shape) - 11.5)) < 12
    maps = [(map, one.mask) for one in every for map in (one.map, one.rectified)]
    inside = [(map[field], mask[field]) for map, mask in maps]
    how = "pixels of the field, signed and rectified maps (tied)"
    yield Row(
        measure="pixel_ap", peer="average_precision_score", how=how,
        ours=values([pixel_ap(map, mask, field=field) for map, mask in maps]),
        theirs=[metrics.average_precision_score(mask, map) for map, mask in inside],
    )  # fmt: skip
    yield Row(
        measure="pixel_auc", peer="roc_auc_score", how=how,
        ours=values([pixel_auc(map, mask, field=field) for map, mask in maps]),
        theirs=[metrics.roc_auc_score(mask, map) for map, mask in inside],
    )  # fmt: skip
    for name, measure, peer in (("iou", iou, "jaccard_score"), ("dice", dice, "f1_score")):
        yield Row(
            measure=name, peer=peer, how="pixels of at least half of the maximum (rule fixed)",
            ours=values([measure(map, mask, field=field, rule="fixed") for map, mask in maps]),
            theirs=[
                getattr(metrics, peer)(mask, map >= map.max() / 2) for map, mask in inside
            ],
        )  # fmt: skip


def _classes() -> Iterator[Row]:
    random = np.random.default_rng(3)
    labels = [0, 1, 2, 3, 4]
    truth = random.integers(0, 4, 300)
    said = np.clip(truth + random.integers(-1, 2, 300), 0, 4)
    units = analysis.units_of([f"P{row}" for row in range(300)])
    found, once = analysis.grades(truth, said, labels), np.ones((1, 300))
    how = "five grades, one of them never true"
    yield Row(
        measure="QuadraticKappa", peer="cohen_kappa_score", how=f"{how}; weights quadratic",
        ours=analysis.QuadraticKappa(found)(once),
        theirs=metrics.cohen_kappa_score(truth, said, weights="quadratic", labels=labels),
    )  # fmt: skip
    yield Row(
        measure="QuadraticKappa", peer="cohen_kappa_score", same=False,
        how="without labels= the grades that never occur drop out, and distances shrink",
        ours=_kappa([0, 0, 1, 1, 4, 4], [0, 1, 1, 1, 4, 1], labels),
        theirs=metrics.cohen_kappa_score(
            [0, 0, 1, 1, 4, 4], [0, 1, 1, 1, 4, 1], weights="quadratic"
        ),
    )  # fmt: skip
    yield Row(
        measure="MacroF1",
        peer="f1_score",
        how=f"{how}; macro over the grades that occur",
        ours=analysis.MacroF1(found)(once),
        theirs=metrics.f1_score(truth, said, average="macro"),
    )
    yield Row(
        measure="confusion_matrix", peer="confusion_matrix", how=how,
        ours=analysis.confusion_matrix(found),
        theirs=metrics.confusion_matrix(truth, said, labels=labels),
    )  # fmt: skip
    score = random.normal(size=300).round(1) + (truth > 1)
    yield Row(
        measure="auc", peer="roc_auc_score", how="scores with ties, one row a patient",
        ours=analysis.auc(truth > 1, score, units).estimate,
        theirs=metrics.roc_auc_score(truth > 1, score),
    )  # fmt: skip


def _kappa(truth: list[int], said: list[int], labels: list[int]) -> np.ndarray:
    found = analysis.grades(truth, said, labels)
    return analysis.QuadraticKappa(found)(np.ones((1, len(truth))))


def _probabilities() -> Iterator[Row]:
    random = np.random.default_rng(5)
    logits = random.normal(size=(300, 3))
    table = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([random.choice(3, p=row) for row in table])
    positive, true = table[:, 1], truth == 1
    yield Row(
        measure="murphy(...).brier", peer="brier_score_loss", how="one class against the rest",
        ours=analysis.murphy(positive, true).brier,
        theirs=metrics.brier_score_loss(true, positive),
    )  # fmt: skip
    yield Row(
        measure="squared_errors", peer="brier_score_loss", how="mean over three classes, whole",
        ours=analysis.squared_errors(table, truth).mean(),
        theirs=metrics.brier_score_loss(truth, table, scale_by_half=False),
    )  # fmt: skip
    yield Row(
        measure="log_losses", peer="log_loss", how="mean over three classes",
        ours=analysis.log_losses(table, truth).mean(), theirs=metrics.log_loss(truth, table),
    )  # fmt: skip
    share, said = calibration.calibration_curve(true, positive, n_bins=15, strategy="quantile")
    yield Row(
        measure="ece", peer="calibration_curve",
        how="15 bins of 20 rows (strategy quantile); mean gap",
        ours=analysis.ece(positive, true, bins=15, draws=10).ece,
        theirs=np.abs(share - said).mean(),
    )  # fmt: skip
    even, at = calibration.calibration_curve(true, positive, n_bins=15)
    yield Row(
        measure="ece", peer="calibration_curve", same=False,
        how="its default bins have equal widths, and no counts by which to weigh the gaps",
        ours=analysis.ece(positive, true, bins=15, draws=10).ece,
        theirs=np.abs(even - at).mean(),
    )  # fmt: skip
    ours = analysis.fit_isotonic(table, truth)
    theirs = isotonic.IsotonicRegression(out_of_bounds="clip").fit(positive, true)
    yield Row(
        measure="fit_isotonic", peer="IsotonicRegression", how="one class, at the fitted points",
        ours=ours.values[1], theirs=theirs.predict(np.array(ours.points[1])),
    )  # fmt: skip
