"""How many cases for an agreement that is known well enough? Rows independent, one a patient."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, log

import numpy as np
from jaxtyping import Float, Int, Num
from scipy.special import ndtri

from foveal.analysis.statistic import AbstractStatistic

_FIRST = 50
_ROUNDS = 3
"""Of guessing the number of cases from the error that so many have."""


def size_for_icc(icc: float, half_width: float, *, readers: int, level: float = 0.95) -> int:
    """Cases for an intraclass correlation known within +- `half_width`, by so many readers.

    Where readers differ in level ICC(A,1) needs more: the formula knows consistency only.

    Raises:
        ValueError: An ICC, a half width or a level outside (0, 1), or fewer than two readers.

    Reference:
        Bonett 2002, with the correction for two readers and an ICC of 0.7 or more.
    """
    _check(readers, icc=icc, half_width=half_width, level=level)
    z = float(ndtri((1 + level) / 2))
    spread = (1 - icc) ** 2 * (1 + (readers - 1) * icc) ** 2 / (readers * (readers - 1))
    few = 5 * icc if readers == 2 and icc >= 0.7 else 0.0
    return ceil(2 * z**2 * spread / half_width**2 + 1 + few)


def size_for_icc_above(
    icc: float, least: float, *, readers: int, power: float = 0.8, level: float = 0.95
) -> int:
    """Cases that show that an intraclass correlation is above the `least` that is acceptable.

    The test is one-sided at 1 - `level`.

    Raises:
        ValueError: Numbers outside (0, 1), an ICC that is not above the least, or fewer than two
            readers.

    Reference:
        Walter, Eliasziw & Donner 1998.
    """
    _check(readers, icc=icc, least=least, power=power, level=level)
    if icc <= least:
        raise ValueError(f"icc must be above the least of {least}, but is {icc}")
    ratio = (1 + readers * least / (1 - least)) / (1 + readers * icc / (1 - icc))
    z = float(ndtri(level) + ndtri(power))
    return ceil(1 + 2 * z**2 * readers / (log(ratio) ** 2 * (readers - 1)))


@dataclass(frozen=True, kw_only=True)
class SimulatedSize:
    """What a study of so many cases would say, found by making up such studies."""

    cases: int
    agreement: float
    """Mean of the coefficient over the studies."""
    half_width: float
    """Of its interval, from its spread over the studies."""


def size_for_agreement(
    coefficient: Callable[[Num[np.ndarray, "row reader"]], AbstractStatistic],
    shares: Sequence[float],
    answers: Sequence[Sequence[float]],
    half_width: float,
    *,
    readers: int,
    level: float = 0.95,
    studies: int = 1000,
    seed: int = 0,
) -> SimulatedSize:
    """Cases for a kappa or an alpha known within +- `half_width`, by simulation.

    Each case is of one kind, and each reader answers by that kind alone, whatever the others say.
    With 1,000 studies the number of cases is right within about a tenth.

    Args:
        coefficient: `KrippendorffAlpha`, `FleissKappa`, or a function that makes another.
        shares: How common each kind of case is.
        answers: For each kind, how often a reader gives each of the labels 0, 1, 2, ...
        half_width: Of the interval that is wanted.
        readers: How many read each case.
        level: Of that interval.
        studies: Made up in each round.
        seed: Of the random numbers.

    Raises:
        ValueError: Shares or answers that are no shares, fewer than two readers, or a coefficient
            that is missing in studies of that kind.
    """
    _check(readers, half_width=half_width, level=level)
    kinds, said = np.array(shares, dtype=np.float64), np.array(answers, dtype=np.float64)
    if said.ndim != 2 or len(said) != len(kinds) or not (_are_shares(kinds) and _are_shares(said)):
        raise ValueError(
            "shares and each kind's answers must be shares that sum to 1, with answers for each "
            f"of the {len(kinds)} kinds, but are {kinds.tolist()} and {said.tolist()}"
        )
    random, z = np.random.default_rng(seed), float(ndtri((1 + level) / 2))

    def of_studies(cases: int) -> Float[np.ndarray, " study"]:
        drawn = (_ratings(random, kinds, said, cases, readers) for _ in range(studies))
        found = np.array([coefficient(table)(np.ones((1, cases)))[0] for table in drawn])
        if np.isfinite(found).mean() < 0.5 or np.nanstd(found) == 0:
            raise ValueError(
                f"in studies of {cases} such cases the coefficient is missing or always the same: "
                "the answers vary too little"
            )
        return found[np.isfinite(found)]

    cases = _FIRST
    for _ in range(_ROUNDS):
        # The error falls with the root of the number of cases.
        reached = z * float(of_studies(cases).std(ddof=1))
        cases = max(2, ceil(cases * (reached / half_width) ** 2))
    found = of_studies(cases)
    return SimulatedSize(
        cases=cases, agreement=float(found.mean()), half_width=z * float(found.std(ddof=1))
    )


def _ratings(
    random: np.random.Generator,
    shares: Float[np.ndarray, " kind"],
    answers: Float[np.ndarray, "kind label"],
    cases: int,
    readers: int,
) -> Int[np.ndarray, "row reader"]:
    kinds = random.choice(len(shares), size=cases, p=shares)
    drawn = random.random((cases, readers, 1))
    return (drawn >= np.cumsum(answers, axis=1)[kinds, None, :-1]).sum(axis=2)


def _are_shares(numbers: Float[np.ndarray, "*kind label"]) -> bool:
    return bool((numbers >= 0).all() and np.allclose(numbers.sum(axis=-1), 1))


def _check(readers: int, **numbers: float) -> None:
    if readers < 2:
        raise ValueError(f"agreement needs two readers or more, but got {readers}")
    for name, value in numbers.items():
        if not 0 < value < 1:
            raise ValueError(f"{name} must lie between 0 and 1, but is {value}")
