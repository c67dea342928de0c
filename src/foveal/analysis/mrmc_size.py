from bisect import bisect_left
from math import inf, isfinite

from scipy.special import fdtri, ncfdtr

from foveal.analysis.obuchowski_rockette import VarianceComponents

_MOST = 10**6
"""Patients beyond which nobody looks for a reader study."""


def mrmc_power(
    pilot: VarianceComponents,
    difference: float,
    *,
    readers: int,
    patients: int,
    level: float = 0.95,
) -> float:
    """Chance that `mrmc` finds a true difference of two arms, over readers and patients.

    The errors of the pilot shrink with the number of patients; with as many positives for each
    negative as the pilot had. Readers must be like the pilot's.

    Raises:
        ValueError: Fewer than two readers, no patients, no difference, a level outside (0, 1), or a
            pilot without a number for each of its variances.

    Reference:
        Hillis, Obuchowski & Berbaum 2011.
    """
    parts = (pilot.arm_reader, pilot.error, pilot.cov1, pilot.cov2, pilot.cov3)
    if not all(map(isfinite, parts)) or pilot.n_units < 1:
        raise ValueError(
            f"nothing can be planned from a pilot without all its variances, but got {pilot}: look "
            "at the reason its mrmc gives"
        )
    sought = isfinite(difference) and difference != 0
    if readers < 2 or patients < 1 or not sought or not 0 < level < 1:
        raise ValueError(
            "a reader study needs two readers or more, patients, a difference to find and a level "
            f"in (0, 1), but got {readers}, {patients}, {difference} and {level}"
        )
    return _power(pilot, difference, readers, pilot.n_units / patients, level)


def size_for_mrmc(
    pilot: VarianceComponents,
    difference: float,
    *,
    readers: int,
    power: float = 0.8,
    level: float = 0.95,
) -> int:
    """Patients, positive and negative together, with whom so many readers show a difference.

    Readers usually buy more power than patients: look at several numbers of them.

    Args:
        pilot: The `components` of a pilot's `mrmc`, with the same share of positives.
        difference: Of the mean figures of two arms, the smallest that would matter.
        readers: Of the planned study.
        power: Chance of showing it.
        level: Of the planned intervals.

    Raises:
        ValueError: As `mrmc_power`; a power outside (0, 1); or a million patients are not enough,
            since readers differ too much: ask more of them.

    Reference:
        Hillis, Obuchowski & Berbaum 2011.
    """
    if not 0 < power < 1:
        raise ValueError(f"power must lie between 0 and 1, but is {power}")
    most = mrmc_power(pilot, difference, readers=readers, patients=_MOST, level=level)
    if not most >= power:
        raise ValueError(
            f"{readers} readers reach a power of {most:.3f} with {_MOST:,} patients, not of "
            f"{power}: ask more readers, or look for a larger difference"
        )
    return bisect_left(
        range(_MOST),
        True,
        lo=1,
        key=lambda n: _power(pilot, difference, readers, pilot.n_units / n, level) >= power,
    )


def _power(
    pilot: VarianceComponents, difference: float, readers: int, scale: float, level: float
) -> float:
    """`scale` is by what the errors of the pilot are multiplied."""
    change = max(pilot.arm_reader, 0.0)
    own = scale * (pilot.error - pilot.cov1)
    shared = scale * pilot.shared
    left = change + own - shared
    error = change + own + (readers - 1) * shared
    if error <= 0:
        return 1.0
    freedom = error**2 * (readers - 1) / left**2 if left > 0 else inf
    centre = readers * difference**2 / (2 * error)
    # The functions take no infinite degrees of freedom; with so many more do not matter.
    freedom = min(freedom, 1e9)
    return 1 - float(ncfdtr(1, freedom, centre, fdtri(1, freedom, level)))
