"""Do readers lean on an AI where it is right, and not where it is wrong?

A row is one case as one reader read it, before and after the AI's answer or map was shown. The
intervals draw patients with all their readings and keep the readers.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from foveal.analysis.estimate import Comparison, Estimate
from foveal.analysis.mixed import mixed_model
from foveal.analysis.proportions import proportion
from foveal.analysis.resampling import Bootstrap, interval
from foveal.analysis.statistic import AbstractStatistic, Mean, Values, Weights
from foveal.analysis.units import Units

AiRight = Bool[np.ndarray, " row"] | Num[np.ndarray, " row"] | Sequence[float]
"""Of each row, whether the AI was right on its case: 1 or true, 0 or false, never missing."""

_ENOUGH_WRONG = 0.2
"""Share of readings with a wrong AI below which leaning on it too much stays unseen."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """What readers said of each row at one time; NaN is missing.

    Raises:
        ValueError: Columns of different lengths, a confidence outside [0, 100], or an answer that
            is neither 0 nor 1.
    """

    confidence: Num[np.ndarray, " row"]
    """In their own answer, from 0 to 100."""
    correct: Num[np.ndarray, " row"] | Bool[np.ndarray, " row"]
    """1 where their answer was right, else 0."""
    seconds: Num[np.ndarray, " row"] | None = None
    """How long they took."""

    def __post_init__(self) -> None:
        columns = [self.confidence, self.correct]
        columns += [] if self.seconds is None else [self.seconds]
        lengths = set(map(len, columns))
        if len(lengths) != 1:
            raise ValueError(f"a reading needs columns of one length, but has {sorted(lengths)}")
        known = self.confidence[np.isfinite(self.confidence)]
        if not ((known >= 0) & (known <= 100)).all():
            raise ValueError("confidence goes from 0 to 100; stretch other scales to it")
        answers = self.correct[np.isfinite(self.correct)]
        if not np.isin(answers, (0, 1)).all():
            raise ValueError("correct must be 1 for a right answer and 0 for a wrong one")


class Gap(AbstractStatistic):
    """Mean of the rows of one kind less the mean of the others."""

    missing = "no reading has a number where the AI was right, or none where it was wrong"

    def __init__(self, values: Num[np.ndarray, " row"], kind: Bool[np.ndarray, " row"]) -> None:
        self.valid = np.isfinite(values)
        self._of = [Mean(np.where(rows, values, np.nan)) for rows in (kind, ~kind)]

    def __call__(self, weights: Weights) -> Values:
        first, second = (mean(weights) for mean in self._of)
        return first - second

    def by_unit(
        self, codes: Int[np.ndarray, " row"], counted: Bool[np.ndarray, " row"]
    ) -> Callable[[Float[np.ndarray, "replicate unit"]], Values]:
        """Two ratios of sums over units."""
        first, second = (mean.by_unit(codes, counted) for mean in self._of)
        return lambda weights: first(weights) - second(weights)


@dataclass(frozen=True, kw_only=True)
class Reliance:
    """What the AI did to readers."""

    gap: Estimate
    """Change of confidence where the AI was right less that where it was wrong, in points."""
    when_right: Estimate
    """Mean change of confidence where the AI was right, after less before."""
    when_wrong: Estimate
    """The same where it was wrong; above 0 readers believe it too much."""
    accuracy: Estimate
    """Change of the share of right answers."""
    to_right: Estimate
    """Share of wrong answers that became right."""
    to_wrong: Estimate
    """Share of right answers that became wrong."""
    seconds: Estimate | None
    """Change of time a reading; `None` without times."""


def reliance(
    before: Reading,
    after: Reading,
    ai_right: AiRight,
    units: Units,
    *,
    how: Bootstrap | None = None,
) -> Reliance:
    """Appropriate reliance: does confidence grow where the AI is right more than where it is wrong?

    The `gap` is the endpoint, 0 where readers cannot tell when to follow; the mean change alone
    rewards an AI that makes readers sure of anything. Every reading counts alike; where readers
    did not read the same cases, `reliance_model` keeps their levels apart. Rows without a number
    do not count for it.

    Args:
        before: What readers said without the AI.
        after: What they said of the same rows with it.
        ai_right: Whether the AI was right on the row's case, as truth values or as 1 and 0.
        units: The patient of each row; a patient is drawn with the readings of all readers.
        how: How intervals are made.

    Raises:
        ValueError: Columns of different lengths, or an `ai_right` that is neither 0 nor 1.
    """
    change, right = _changes(before, after, ai_right, units)
    share = float(np.mean(~right)) if len(right) else 1.0
    few = f"the AI was wrong in {share:.0%} of the readings: leaning on it too much is hard to see"
    notes = (few,) * (share < _ENOUGH_WRONG)
    gap = interval(Gap(change, right), units, how)

    def mean(values: Num[np.ndarray, " row"]) -> Estimate:
        return interval(Mean(values), units, how)

    was, became = before.correct.astype(np.float64), after.correct.astype(np.float64)
    timed = None
    if before.seconds is not None and after.seconds is not None:
        timed = mean(_less(after.seconds, before.seconds))
    return Reliance(
        gap=replace(gap, notes=(*gap.notes, *notes)),
        when_right=mean(np.where(right, change, np.nan)),
        when_wrong=mean(np.where(right, np.nan, change)),
        accuracy=mean(became - was),
        to_right=proportion(np.where(was == 0, became, np.nan), units, how),
        to_wrong=proportion(np.where(was == 1, 1 - became, np.nan), units, how),
        seconds=timed,
    )


def reliance_model(
    before: Reading,
    after: Reading,
    ai_right: AiRight,
    readers: Sequence[Hashable],
    units: Units,
    *,
    images: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> Comparison:
    """The gap of `reliance` in a linear mixed model: each reader's level fixed, patients random.

    It speaks of these readers, as the bootstrap does. Where patients have several images give the
    `images` too: all readers meet one and the same image, which makes their answers alike.

    Raises:
        FovealError: statsmodels is not installed.
        ValueError: Columns of different lengths, an `ai_right` that is neither 0 nor 1, or an AI
            that was always right or always wrong.

    Reference:
        Laird & Ware 1982.
    """
    change, right = _changes(before, after, ai_right, units)
    if len(readers) != len(change) or (images is not None and len(images) != len(change)):
        raise ValueError(f"each of the {len(change)} rows needs its reader, and its image if any")
    # The first name is what the others are compared with.
    order = np.argsort(right, kind="stable")
    (found,) = mixed_model(
        change[order],
        [("AI wrong", "AI right")[int(one)] for one in right[order]],
        replace(units, codes=units.codes[order], eyes=None),
        within=None if images is None else [images[row] for row in order],
        blocks=[readers[row] for row in order],
        level=level,
    )
    return found


def _changes(
    before: Reading, after: Reading, ai_right: AiRight, units: Units
) -> tuple[Float[np.ndarray, " row"], Bool[np.ndarray, " row"]]:
    """How far each row's confidence moved, and whether the AI was right there."""
    lengths = [len(before.correct), len(after.correct), len(ai_right), len(units.codes)]
    if len(set(lengths)) != 1:
        raise ValueError(
            f"before, after, ai_right and units need the same rows, but have {lengths}"
        )
    told = np.asarray(ai_right, dtype=np.float64)
    strange = np.flatnonzero(~np.isin(told, (0, 1)))
    if strange.size:
        raise ValueError(
            f"ai_right must be 1 where the AI was right and 0 where it was wrong, but row "
            f"{strange[0]} says {told[strange[0]]}; leave out rows of which it is not known"
        )
    return _less(after.confidence, before.confidence), told == 1


def _less(
    after: Num[np.ndarray, " row"], before: Num[np.ndarray, " row"]
) -> Num[np.ndarray, " row"]:
    """A difference as a real number: whole numbers without a sign would wrap below 0."""
    return np.subtract(after, before, dtype=np.float64)
