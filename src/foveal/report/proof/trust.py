"""Can the model's confidence be believed, and what is gained when the unsure go to a person?"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from foveal.analysis.calibration import CalibrationErrors, classwise_ece, ece
from foveal.analysis.calibration_line import CalibrationLine, smooth_curve
from foveal.analysis.confidence import (
    DECISIONS,
    ConfidenceLocalisation,
    Decision,
    conf_loc_corr,
    decide,
)
from foveal.analysis.deferral import Deferral, defer_by_coverage, defer_with_guarantee
from foveal.analysis.estimate import Estimate
from foveal.analysis.proper_scores import Murphy, log_losses, murphy, squared_errors
from foveal.analysis.proportions import proportion
from foveal.analysis.recalibrated import split_by_patient
from foveal.analysis.records import Place, Records
from foveal.analysis.reliability import ReliabilityBin, reliability_table
from foveal.analysis.resampling import Bootstrap, interval
from foveal.analysis.selective import COVERAGES, RiskCoverage, SelectiveRate, aurc, risk_coverage
from foveal.analysis.statistic import Mean
from foveal.report.proof.matches import headline_regions
from foveal.report.proof.performance import Judged
from foveal.report.words import counted

PLACED = "relevance_mass"
"""The measure of place that confidence is set against; a map is on the lesions above its chance."""
KEPT = 0.8
"""Share of answers that are kept where no threshold was chosen before the run."""
RISK, DELTA = 0.1, 0.05
"""Asked of the threshold with a guarantee."""
_FEW_FOR_BINS = 150
"""With fewer images than ten a bin, there are fewer bins."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One set of probabilities: the model's own, or calibrated."""

    name: str
    top: CalibrationErrors
    """Of the predicted class."""
    classwise: float | None
    """Mean over the classes."""
    numbers: tuple[tuple[str, str, Estimate], ...]
    murphy: Murphy
    """Of the predicted class."""
    bins: tuple[ReliabilityBin, ...]
    smooth: tuple[tuple[float, float], ...]
    """Points of the curve without bins."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A threshold, and how the answers of other patients that it keeps do."""

    deferral: Deferral
    chosen: str
    """On which patients, in words."""
    coverage: Estimate | None
    risk: Estimate | None
    """Of the judged patients; `None` without a threshold."""


class _Tried(NamedTuple):
    kept: Kept
    rows: Bool[np.ndarray, " image"]
    """Known images of the patients that judge the threshold."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Placed:
    """One method's maps beside the model's confidence, over images with outlined lesions."""

    method: str
    target: str
    correlation: ConfidenceLocalisation
    decisions: Mapping[Decision, int]
    """Over the patients that judge the threshold."""
    confidence: Float[np.ndarray, " row"]
    mass: Float[np.ndarray, " row"]
    right: Bool[np.ndarray, " row"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trust:
    """Calibration and deferral of one model."""

    model: str
    readings: tuple[Reading, ...]
    curve: RiskCoverage
    areas: tuple[tuple[str, str, Estimate], ...]
    accuracy: tuple[tuple[float, Estimate], ...]
    """Of the answers kept at each coverage."""
    kept: tuple[Kept, ...]
    threshold: float | None
    """Above it an answer counts as sure in the table of decisions."""
    threshold_from: str
    placed: tuple[Placed, ...]
    notes: tuple[str, ...]


def trust(
    one: Judged, records: Records, how: Bootstrap, chosen: Deferral | None, calibrator: str | None
) -> Trust:
    """How far the confidence of one model can be believed.

    Args:
        one: Its answers and the truth.
        records: The run.
        how: Of the intervals.
        chosen: The threshold in the calibrator's file.
        calibrator: What the calibrator was fitted on, in words.
    """
    rows = one.known
    shown = one.answers.shown
    sure = np.where(rows, _confidence(one, shown), np.nan)
    wrong = (rows & ~one.right).astype(np.float64)
    tried = list(_kept(one, records, sure, chosen, how))
    usable = next((t for t in tried if t.kept.deferral.threshold is not None), None)
    threshold = None if usable is None else usable.kept.deferral.threshold
    tables = {"the model's own": one.answers.probability}
    if one.answers.calibrated is not None:
        tables["calibrated"] = one.answers.calibrated
    units = records.units
    return Trust(
        model=one.model,
        readings=tuple(_reading(one, name, table, records, how) for name, table in tables.items()),
        curve=risk_coverage(sure, wrong),
        areas=(
            ("AURC", "mean risk over all coverages", aurc(sure, wrong, units, how=how)),
            (
                "E-AURC",
                "that less the best possible for these errors",
                aurc(sure, wrong, units, kind="eaurc", how=how),
            ),
            (
                "AUGRC",
                "mean chance that an answer is kept and wrong",
                aurc(sure, wrong, units, kind="augrc", how=how),
            ),
        ),
        accuracy=tuple(
            (share, interval(SelectiveRate(sure, one.right, rows, share), units, how))
            for share in COVERAGES
        ),
        kept=tuple(kept for kept, _ in tried),
        threshold=threshold,
        threshold_from="none could be chosen" if usable is None else usable.kept.chosen,
        placed=tuple(
            _placed(one, records, sure, threshold, rows if usable is None else usable.rows, how)
        ),
        notes=tuple(_notes(one, calibrator)),
    )


def _confidence(one: Judged, table: Float[np.ndarray, "image label"]) -> np.ndarray:
    """The probability of the class that the model named."""
    at = np.maximum(one.answers.predicted, 0)
    return table[np.arange(len(table)), at]


def _reading(
    one: Judged,
    name: str,
    table: Float[np.ndarray, "image label"],
    records: Records,
    how: Bootstrap,
) -> Reading:
    rows = one.known
    units = records.units.chosen(rows)
    sure, right = _confidence(one, table)[rows], one.right[rows]
    truth, table = one.truth.index[rows], table[rows]
    bins = 15 if len(sure) >= _FEW_FOR_BINS else max(3, len(sure) // 10)
    classes = [one.ece for one in classwise_ece(table, truth, bins=bins) if one.ece is not None]
    at = np.linspace(sure.min(), sure.max(), 41)
    line = {part: CalibrationLine(sure, right, part=part) for part in ("intercept", "slope")}
    curve = smooth_curve(sure, right, at)
    return Reading(
        name=name,
        top=ece(sure, right, bins=bins, seed=how.seed),
        classwise=float(np.mean(classes)) if classes else None,
        numbers=(
            ("Brier score", "sum over the classes of squared errors, 0 to 2; lower is better",
             interval(Mean(squared_errors(table, truth)), units, how)),
            ("Log loss", "in nats; lower is better",
             interval(Mean(log_losses(table, truth)), units, how)),
            ("Calibration intercept", "0 is best; below 0 the model is too sure on the whole",
             interval(line["intercept"], units, how)),
            ("Calibration slope", "1 is best; below 1 probabilities are too extreme",
             interval(line["slope"], units, how)),
        ),
        murphy=murphy(sure, right, bins=bins),
        bins=reliability_table(sure, right, units, bins=bins, how=how),
        smooth=tuple((p, f) for p, f in zip(at.tolist(), curve.tolist(), strict=True) if f == f),
    )  # fmt: skip


def _kept(
    one: Judged,
    records: Records,
    sure: Float[np.ndarray, " image"],
    chosen: Deferral | None,
    how: Bootstrap,
) -> Iterator[_Tried]:
    """The threshold that was chosen before the run; else those that half of the patients give."""
    rows, units = one.known, records.units
    if chosen is not None:
        words = (
            f"chosen before the run, on {counted(chosen.rows, 'image')} of those that judged "
            f"the calibrator; judged on all of this run's {units.chosen(rows).counted}. Where "
            "patients are in both, the numbers flatter"
        )
        yield _Tried(_judged(one, records, sure, rows, chosen, words), rows)
    if units.chosen(rows).count < 2:
        return
    known = np.flatnonzero(rows)
    first = np.zeros(len(rows), bool)
    first[known] = split_by_patient(
        units.chosen(rows), share=0.5, seed=how.seed, strata=one.truth.index[rows]
    )
    rest = rows & ~first
    words = (
        f"chosen on {units.chosen(first).counted}, about half, seed {how.seed}; judged on the "
        f"other {units.chosen(rest).count}"
    )
    wrong = (~one.right)[first]
    found = [
        defer_by_coverage(sure[first], wrong, coverage=KEPT),
        defer_with_guarantee(
            sure[first], wrong, units.chosen(first), risk=RISK, delta=DELTA, seed=how.seed
        ),
    ]
    for deferral in found:
        yield _Tried(_judged(one, records, sure, rest, deferral, words), rest)


def _judged(
    one: Judged,
    records: Records,
    sure: Float[np.ndarray, " image"],
    rows: Bool[np.ndarray, " image"],
    deferral: Deferral,
    words: str,
) -> Kept:
    keeps = deferral.keeps(sure) & rows
    units = records.units
    if deferral.threshold is None:
        return Kept(deferral=deferral, chosen=words, coverage=None, risk=None)
    return Kept(
        deferral=deferral,
        chosen=words,
        coverage=proportion(np.where(rows, keeps, np.nan), units),
        risk=proportion(np.where(keeps, ~one.right, np.nan), units),
    )


def _placed(
    one: Judged,
    records: Records,
    sure: Float[np.ndarray, " image"],
    threshold: float | None,
    judges: Bool[np.ndarray, " image"],
    how: Bootstrap,
) -> Iterator[Placed]:
    own = [p for p in records.scores.places if p.model == one.model and p.measure == PLACED]
    for target, key in dict.fromkeys((place.target, place.key) for place in own):
        regions = [p.region for p in own if (p.target, p.key) == (target, key)]
        (region, *others) = headline_regions(regions)
        if others:
            continue  # anatomy alone says nothing of the right place
        found = records.scores.column(Place(one.model, target, key, PLACED, region))
        rows = np.isfinite(found.value) & np.isfinite(found.chance) & np.isfinite(sure)
        if not rows.any():
            continue
        confident = sure >= (np.inf if threshold is None else threshold)
        told = rows & judges
        counts = Counter(decide(confident[told], (found.value > found.chance)[told]))
        yield Placed(
            method=key,
            target=target,
            correlation=conf_loc_corr(
                sure, np.where(rows, found.value, np.nan), records.units,
                correct=one.right, controls=(found.chance,), how=how,
            ),
            decisions={decision: counts[decision] for decision in DECISIONS},
            confidence=sure[rows],
            mass=found.value[rows],
            right=one.right[rows],
        )  # fmt: skip


def _notes(one: Judged, calibrator: str | None) -> Iterator[str]:
    if calibrator is not None:
        yield (
            f"The calibrator was fitted on {calibrator}. Where these patients are in this run too, "
            "the calibrated numbers flatter."
        )
    right = one.right[one.known]
    if right.all():
        yield "Every answer is right, so nothing can be learned of confidence in wrong ones."
    if not right.any():
        yield "No answer is right, so no threshold keeps the right ones."
