"""Do the numbers of a published table fit together? They are taken as rounded, no more."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil, floor


@dataclass(frozen=True, kw_only=True)
class ClassLine:
    """One printed line of a report by class; everything but the support in percent."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, kw_only=True)
class OverlapLine:
    """One printed line of a table of maps against regions."""

    region: str
    dice: float | None = None
    """Mean Dice coefficient, in [0, 1]; `None` where none is printed."""
    salient_share: float | None = None
    """Percent of the map's salient pixels that lie in the region."""


def check_class_report(
    lines: Sequence[ClassLine],
    *,
    accuracy: float | None = None,
    macro_f1: float | None = None,
    decimals: int = 1,
) -> list[str]:
    """What cannot be true in a table of precision, recall, F1 and support; empty when all fits.

    Each number may be off by half of its last printed digit. Checked are: F1 as the harmonic mean
    of precision and recall; recall as a share of whole cases; the accuracy as sum(recall support) /
    sum(support); macro-F1 as the mean of the F1s; and that the predictions which precision and
    recall imply are as many as the cases.

    Raises:
        ValueError: No lines, a percentage outside [0, 100] or a support that is not positive.
    """
    _check_lines(lines)
    half = 0.5 * 10**-decimals
    found = [text for line in lines for text in (_harmonic(line, half), _whole(line, half)) if text]
    cases = sum(line.support for line in lines)
    if accuracy is not None:
        implied = sum(line.recall * line.support for line in lines) / cases
        if abs(accuracy - implied) > 2 * half:
            found.append(
                f"accuracy {accuracy} % does not follow from recalls and supports, which give "
                f"{implied:.2f} %"
            )
    if macro_f1 is not None:
        implied = sum(line.f1 for line in lines) / len(lines)
        if abs(macro_f1 - implied) > 2 * half:
            found.append(
                f"macro-F1 {macro_f1} % is not the mean of the F1 scores, which is {implied:.2f} %"
            )
    predicted = [_predicted(line, half) for line in lines]
    low, high = (sum(limits) for limits in zip(*predicted, strict=True))
    if not low <= cases <= high:
        found.append(
            f"precision and recall imply {low:.0f} to {high:.0f} predictions in all, but there are "
            f"{cases} cases"
        )
    return found


def check_overlap_table(
    lines: Sequence[OverlapLine], *, share_decimals: int = 0, dice_decimals: int = 2
) -> list[str]:
    """What cannot be true in a table of Dice and shares of salient pixels; empty when all fits.

    The regions are taken as a partition of the image, as a table with a background says they are:
    shares sum to 100 %, and no two together exceed it. A Dice coefficient cannot exceed
    2 P / (1 + P), where P is the share of the salient pixels in the region (its precision), also
    for means, since the bound is concave in P.

    Raises:
        ValueError: No lines, a share outside [0, 100] or a Dice outside [0, 1].
    """
    _check_overlaps(lines)
    shares = [(line.region, line.salient_share) for line in lines if line.salient_share is not None]
    half = 0.5 * 10**-share_decimals
    found = []
    total = sum(share for _, share in shares)
    if shares and abs(total - 100) > half * len(shares) + 1e-9:
        found.append(
            f"the shares of salient pixels sum to {total:g} %, but disjoint regions that cover the "
            "image sum to 100 %"
        )
    for (one, first), (other, second) in combinations(shares, 2):
        if first + second > 100 + 2 * half + 1e-9:
            found.append(
                f"{one} ({first:g} %) and {other} ({second:g} %) exceed 100 % together, so they "
                "cannot be disjoint"
            )
    return found + [text for line in lines if (text := _bounded(line, half, dice_decimals))]


def _harmonic(line: ClassLine, half: float) -> str | None:
    low, high = (_f1(line.precision + off, line.recall + off) for off in (-half, half))
    if low - half <= line.f1 <= high + half:
        return None
    return (
        f"{line.label}: F1 {line.f1} % is not the harmonic mean of precision {line.precision} % "
        f"and recall {line.recall} %, which is {_f1(line.precision, line.recall):.2f} %"
    )


def _whole(line: ClassLine, half: float) -> str | None:
    fewest, most = _hits(line, half)
    if ceil(fewest - 1e-9) <= floor(most + 1e-9):
        return None
    return f"{line.label}: no number of {line.support} cases gives a recall of {line.recall} %"


def _f1(precision: float, recall: float) -> float:
    precision, recall = max(precision, 0.0), max(recall, 0.0)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _hits(line: ClassLine, half: float) -> tuple[float, float]:
    """Fewest and most true positives that print as this recall."""
    low, high = max(line.recall - half, 0.0), min(line.recall + half, 100.0)
    return low * line.support / 100, high * line.support / 100


def _predicted(line: ClassLine, half: float) -> tuple[float, float]:
    """Fewest and most predictions of the class that print as these numbers."""
    low, high = _hits(line, half)
    if line.precision <= half:
        return 0.0, float("inf")
    return 100 * low / (line.precision + half), 100 * high / (line.precision - half)


def _bounded(line: OverlapLine, half: float, decimals: int) -> str | None:
    if line.dice is None or line.salient_share is None:
        return None
    precision = (line.salient_share + half) / 100
    bound = 2 * precision / (1 + precision)
    if line.dice - 0.5 * 10**-decimals <= bound:
        return None
    exact = line.salient_share / 100
    return (
        f"{line.region}: a Dice coefficient of {line.dice} is impossible with "
        f"{line.salient_share:g} % of the salient pixels in the region; it cannot exceed "
        f"{2 * exact / (1 + exact):.2f}"
    )


def _check_lines(lines: Sequence[ClassLine]) -> None:
    if not lines:
        raise ValueError("the report has no lines")
    for line in lines:
        if line.support < 1 or not all(
            0 <= n <= 100 for n in (line.precision, line.recall, line.f1)
        ):
            raise ValueError(
                f"percentages lie in [0, 100] and a support is positive, but got {line}"
            )


def _check_overlaps(lines: Sequence[OverlapLine]) -> None:
    if not lines:
        raise ValueError("the table has no lines")
    for line in lines:
        if not 0 <= (line.salient_share or 0) <= 100 or not 0 <= (line.dice or 0) <= 1:
            raise ValueError(f"a share lies in [0, 100] and a Dice in [0, 1], but got {line}")
