from dataclasses import dataclass
from math import isfinite
from typing import Literal

Unit = Literal["patient", "eye", "image"]
"""What is drawn and counted as one: numbers of one unit are alike, so they are not new evidence."""

FEW_UNITS = 30
"""Below so many units a bootstrap interval comes out too narrow (Cameron et al. 2008)."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One number about a cohort with its confidence interval, or the reason why there is none.

    Raises:
        ValueError: An estimate and a reason that are both missing, one limit without the other,
            or limits the wrong way round.
    """

    estimate: float | None
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    n_units: int
    """Independent units behind the number, not rows."""
    unit: Unit
    method: str
    """How the interval was made."""
    notes: tuple[str, ...] = ()
    """What the reader must know about this number."""
    reason: str | None = None
    """Why the estimate, or only its interval, is missing."""

    def __post_init__(self) -> None:
        limits = (self.low, self.high)
        if (None in limits) != (limits == (None, None)):
            raise ValueError(f"an interval needs both limits or none, but got {limits}")
        if (self.low is None) != (self.reason is not None):
            raise ValueError(
                f"an interval or the reason why there is none, but got {limits} and {self.reason!r}"
            )
        if self.estimate is None and self.low is not None:
            raise ValueError("an interval needs an estimate")
        numbers = [n for n in (self.estimate, *limits) if n is not None]
        if not all(isfinite(number) for number in numbers):
            raise ValueError(f"an estimate must be finite, but got {numbers}")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"the lower limit {self.low} lies above the upper one {self.high}")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two things on the same units: their difference (second less first) and the evidence for it.

    Raises:
        ValueError: A p-value outside [0, 1].
    """

    first: str
    second: str
    difference: Estimate
    p: float | None
    """Two-sided; `None` where no test is possible, for the reason of the difference."""
    p_adjusted: float | None = None
    """After Holm within its family; `None` outside a family."""
    test: str

    def __post_init__(self) -> None:
        for p in (self.p, self.p_adjusted):
            if p is not None and not 0 <= p <= 1:
                raise ValueError(f"a p-value lies in [0, 1], but is {p}")
