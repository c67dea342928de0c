"""How many are needed? Counts are rounded up; for two eyes a patient, times the design effect."""

from bisect import bisect_left
from math import ceil, pi, sqrt

from scipy.special import ndtri

_WILCOXON_EFFICIENCY = 3 / pi
"""Of signed ranks against the t-test on normal differences: 3 / pi = 0.955 (Lehmann 1975)."""
_MOST = 10**9
"""Cases beyond which nobody looks for a sample size."""


def size_for_proportion(share: float, half_width: float, *, level: float = 0.95) -> int:
    """Independent cases for a share known within +- `half_width`: n = z^2 p (1 - p) / d^2.

    For a sensitivity count the diseased, for a specificity the healthy.

    Raises:
        ValueError: A share outside (0, 1) or a half width that is not positive.
    """
    _check("share", share)
    _check("half_width", half_width)
    return ceil(_z(level) ** 2 * share * (1 - share) / half_width**2)


def size_for_paired_difference(
    difference: float, sd: float, *, power: float = 0.8, level: float = 0.95, ranks: bool = True
) -> int:
    """Patients that show a mean difference: n = (z_level + z_power)^2 sd^2 / difference^2.

    `sd` is the standard deviation of the patients' differences. With `ranks` the count is for
    Wilcoxon's test, which needs 1 / 0.955 as many on normal differences. Two-sided.

    Raises:
        ValueError: No difference, an sd that is not positive, or a power outside (0, 1).
    """
    _check("power", power)
    if difference == 0 or sd <= 0:
        raise ValueError(f"difference must not be 0 and sd positive, but got {difference} and {sd}")
    needed = (_z(level) + float(ndtri(power))) ** 2 * (sd / difference) ** 2
    return ceil(needed / _WILCOXON_EFFICIENCY if ranks else needed)


def design_effect(rows_per_unit: float, correlation: float) -> float:
    """By how much rows of one patient count less than independent ones: 1 + (m - 1) rho.

    Multiply a number of independent eyes by it for the eyes that are needed.

    Raises:
        ValueError: Fewer than one row a unit, or a correlation outside [-1, 1].

    Reference:
        Kish 1965.
    """
    if rows_per_unit < 1 or not -1 <= correlation <= 1:
        raise ValueError(
            "rows_per_unit must be 1 or more and correlation in [-1, 1], but are "
            f"{rows_per_unit} and {correlation}"
        )
    return 1 + (rows_per_unit - 1) * correlation


def auc_error(auc: float, positives: float, negatives: float) -> float:
    """The standard error that an area under the ROC curve will have.

    SE^2 = [A (1 - A) + (m - 1)(Q1 - A^2) + (n - 1)(Q2 - A^2)] / (m n) with m positives, n
    negatives, Q1 = A / (2 - A) and Q2 = 2 A^2 / (1 + A).

    Raises:
        ValueError: An area outside (0, 1), or no case of one kind.

    Reference:
        Hanley & McNeil 1982.
    """
    _check("auc", auc)
    if positives < 1 or negatives < 1:
        raise ValueError(f"both kinds are needed, but there are {positives} and {negatives}")
    first, second = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    positive = (positives - 1) * (first - auc**2)
    negative = (negatives - 1) * (second - auc**2)
    return sqrt((auc * (1 - auc) + positive + negative) / (positives * negatives))


def size_for_auc(
    auc: float, half_width: float, *, prevalence: float = 0.5, level: float = 0.95
) -> int:
    """Independent cases, positive and negative together, for an area within +- `half_width`.

    Raises:
        ValueError: An area, a half width or a prevalence outside (0, 1).
    """
    _check("auc", auc)
    _check("half_width", half_width)
    _check("prevalence", prevalence)

    def is_enough(cases: int) -> bool:
        error = auc_error(auc, cases * prevalence, cases * (1 - prevalence))
        return _z(level) * error <= half_width

    least = ceil(1 / min(prevalence, 1 - prevalence))
    return bisect_left(range(_MOST), True, lo=least, key=is_enough)


def _z(level: float) -> float:
    _check("level", level)
    return float(ndtri((1 + level) / 2))


def _check(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, but is {value}")
