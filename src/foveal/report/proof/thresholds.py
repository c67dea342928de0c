"""Above which confidence an answer is kept, and how that does on patients who did not choose it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from foveal.analysis.deferral import Deferral, defer_by_coverage, defer_with_guarantee
from foveal.analysis.estimate import Estimate
from foveal.analysis.proportions import proportion
from foveal.analysis.recalibrated import split_by_patient
from foveal.analysis.records import Records
from foveal.report.proof.performance import Judged
from foveal.report.words import counted

KEPT = 0.8
"""Share of answers that are kept where no threshold was chosen before the run."""
RISK, DELTA = 0.1, 0.05
"""Asked of the threshold with a guarantee."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A threshold, and how the answers of other patients that it keeps do."""

    deferral: Deferral
    chosen: str
    """On which patients, in words."""
    coverage: Estimate | None
    risk: Estimate | None
    """Of the judged patients; `None` without a threshold."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Halves:
    """The known images in two parts without a common patient: one chooses, the other judges."""

    choose: Bool[np.ndarray, " image"]
    judge: Bool[np.ndarray, " image"]
    words: str


class Tried(NamedTuple):
    kept: Kept
    rows: Bool[np.ndarray, " image"]
    """Known images of the patients that judge the threshold."""


def halves(one: Judged, records: Records, seed: int) -> Halves | None:
    """About half of the patients and the others; `None` where there is one only."""
    rows, units = one.known, records.units
    if units.chosen(rows).count < 2:
        return None
    choose = np.zeros(len(rows), bool)
    choose[rows] = split_by_patient(
        units.chosen(rows), share=0.5, seed=seed, strata=one.truth.index[rows]
    )
    judge = rows & ~choose
    return Halves(
        choose=choose,
        judge=judge,
        words=f"chosen on {units.chosen(choose).counted}, about half, seed {seed}; judged on the "
        f"other {units.chosen(judge).count}",
    )


def thresholds(
    one: Judged,
    records: Records,
    sure: Float[np.ndarray, " image"],
    parts: Halves | None,
    chosen: Deferral | None,
    *,
    seed: int,
) -> Iterator[Tried]:
    """The threshold that was chosen before the run; then those that half of the patients give.

    Args:
        one: The model's answers and the truth.
        records: The run.
        sure: The model's confidence; NaN where there is none.
        parts: Who chooses and who judges.
        chosen: The threshold in the calibrator's file.
        seed: Of the draw of one image a patient.
    """
    units = records.units
    if chosen is not None:
        words = (
            f"chosen before the run, on {counted(chosen.rows, 'image')} of those that judged "
            f"the calibrator; judged on all of this run's {units.chosen(one.known).counted}. Where "
            "patients are in both, the numbers flatter"
        )
        yield Tried(_judged(one, records, sure, one.known, chosen, words), one.known)
    if parts is None:
        return
    confidence, wrong = sure[parts.choose], (~one.right)[parts.choose]
    found = [
        defer_by_coverage(confidence, wrong, coverage=KEPT),
        defer_with_guarantee(
            confidence, wrong, units.chosen(parts.choose), risk=RISK, delta=DELTA, seed=seed
        ),
    ]
    for deferral in found:
        yield Tried(_judged(one, records, sure, parts.judge, deferral, parts.words), parts.judge)


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
