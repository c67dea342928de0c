"""Which rule for the strongest pixels suits a map? Tried on images set aside for development."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from jaxtyping import Shaped

from foveal.measures.base import Array
from foveal.measures.overlap import dice
from foveal.measures.thresholds import Threshold

CANDIDATES = (
    Threshold(rule="quantile", quantile=0.05),
    Threshold(rule="quantile", quantile=0.1),
    Threshold(rule="otsu"),
    Threshold(rule="mode_kstd", k=1.5),
    Threshold(rule="mode_kstd", k=2.0),
    Threshold(rule="mode_kstd", k=2.5),
)
"""Fixed quantiles, Otsu, and the adaptive threshold."""

Marked = tuple[
    Shaped[Array, "row column"], Shaped[Array, "row column"], Shaped[Array, "row column"] | None
]
"""A map, its region, and its field or `None`."""


@dataclass(frozen=True, kw_only=True)
class ThresholdDice:
    """How one rule did on the development images."""

    threshold: Threshold
    mean_dice: float | None
    """`None` where no image has a number."""
    valid: int
    missing: int
    """Images without a region or with a map that is not a number."""
    fell_back: int
    """Images on which Otsu's threshold stood in for the adaptive one."""


def compare_thresholds(
    images: Iterable[Marked], candidates: Sequence[Threshold] = CANDIDATES
) -> tuple[ThresholdDice, ...]:
    """Mean Dice coefficient of each rule, in the order of the candidates.

    For the choice of a rule and of its `k`. The images that chose it must not be those that it is
    judged on, nor eyes of the same patients.

    Args:
        images: Maps with their regions and fields, of the development patients alone.
        candidates: Rules to compare.

    Raises:
        ValueError: Shapes that differ, or masks that are not binary.
    """
    kept = list(images)
    return tuple(_tried(threshold, kept) for threshold in candidates)


def _tried(threshold: Threshold, images: Sequence[Marked]) -> ThresholdDice:
    settings = {k: v for k, v in vars(threshold).items() if k != "rule"}
    scores = [dice(m, g, field=f, rule=threshold.rule, **settings) for m, g, f in images]
    values = [score.value for score in scores if score.value is not None]
    return ThresholdDice(
        threshold=threshold,
        mean_dice=fmean(values) if values else None,
        valid=len(values),
        missing=len(scores) - len(values),
        fell_back=sum(bool(score.parts.get("fell_back")) for score in scores),
    )
