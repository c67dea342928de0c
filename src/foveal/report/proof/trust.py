"""Can the model's confidence be believed, and what is gained when the unsure go to a person?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from foveal.analysis.deferral import Deferral
from foveal.analysis.estimate import Estimate
from foveal.analysis.records import Records
from foveal.analysis.resampling import Bootstrap, interval
from foveal.analysis.selective import COVERAGES, RiskCoverage, SelectiveRate, aurc, risk_coverage
from foveal.report.proof.performance import Judged
from foveal.report.proof.place import Placed, Sure, placed
from foveal.report.proof.readings import Reading, confidence, reading
from foveal.report.proof.thresholds import Halves, Kept, halves, thresholds

_AREAS: tuple[tuple[str, Literal["aurc", "eaurc", "augrc"], str], ...] = (
    ("AURC", "aurc", "mean risk over all coverages"),
    ("E-AURC", "eaurc", "that less the best possible for these errors"),
    ("AUGRC", "augrc", "mean chance that an answer is kept and wrong"),
)


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
    parts: Halves | None
    """Who chose the thresholds that are this run's own, and who judged them; `None` where there is
    one patient only."""
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
    rows, units = one.known, records.units
    sure = np.where(rows, confidence(one, one.answers.shown), np.nan)
    wrong = (rows & ~one.right).astype(np.float64)
    parts = halves(one, records, how.seed)
    tried = list(thresholds(one, records, sure, parts, chosen, seed=how.seed))
    usable = next((t for t in tried if t.kept.deferral.threshold is not None), None)
    threshold = None if usable is None else usable.kept.deferral.threshold
    believed = Sure(sure, threshold, rows if usable is None else usable.rows)
    tables = {"the model's own": one.answers.probability}
    if one.answers.calibrated is not None:
        tables["calibrated"] = one.answers.calibrated
    return Trust(
        model=one.model,
        readings=tuple(reading(one, name, table, records, how) for name, table in tables.items()),
        curve=risk_coverage(sure, wrong),
        areas=tuple(
            (name, meaning, aurc(sure, wrong, units, kind=kind, how=how))
            for name, kind, meaning in _AREAS
        ),
        accuracy=tuple(
            (share, interval(SelectiveRate(sure, one.right, rows, share), units, how))
            for share in COVERAGES
        ),
        kept=tuple(kept for kept, _ in tried),
        threshold=threshold,
        threshold_from="none could be chosen" if usable is None else usable.kept.chosen,
        parts=parts,
        placed=tuple(placed(one, records, believed, parts, how)),
        notes=tuple(_notes(one, calibrator)),
    )


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
