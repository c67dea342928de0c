"""How good is each reader with each arm of a study, and how do these numbers vary together?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np
from jaxtyping import Bool, Float, Num, Shaped

from foveal.analysis.delong import contest_of
from foveal.analysis.estimate import Unit
from foveal.analysis.statistic import AbstractStatistic, Mean
from foveal.analysis.units import Units

Reads = Num[np.ndarray, "row arm reader"] | Bool[np.ndarray, "row arm reader"]
"""What each reader said of each image in each arm, such as without and with the map."""
Make = Callable[[Shaped[np.ndarray, " row"]], AbstractStatistic]
"""A figure of merit from what one reader said in one arm."""

_MANY = (
    "leave those images out for all readers and arms, `reads[np.isfinite(reads).all(axis=(1, 2))]`,"
    " if they are missing by chance; designs in which readers read different images need another "
    "method (Gallas 2006, iMRMC)"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class ReaderFigures:
    """One figure of merit for each arm and reader, and the covariance that patients cause.

    Made by `reader_aucs`, `reader_rates` and `reader_figures`, or by hand from a published table.

    Raises:
        ValueError: Fewer than two arms or readers, or shapes that do not fit each other.
    """

    arms: tuple[str, ...]
    values: Float[np.ndarray, "arm reader"]
    covariance: Float[np.ndarray, "arm reader arm reader"]
    """Of the errors by the patients drawn, for these readers; NaN where nothing says it."""
    n_units: int
    """Patients behind the figures."""
    unit: Unit
    method: str
    """How the covariance was found."""
    bounds: tuple[float, float] = (-inf, inf)
    """What the figure can be at all; limits do not pass it."""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = self.values.shape
        if min(shape) < 2:
            raise ValueError(
                f"a study of arms and readers needs two of each, but has {shape[0]} x {shape[1]}; "
                "for one reader compare_auc and mcnemar compare two arms"
            )
        if len(self.arms) != shape[0] or self.covariance.shape != (*shape, *shape):
            raise ValueError(
                f"{len(self.arms)} arms, values {shape} and covariance {self.covariance.shape} do "
                "not fit: the covariance has an axis of arms and of readers twice"
            )


def reader_aucs(
    truth: Shaped[np.ndarray, " row"], reads: Reads, units: Units, *, arms: Sequence[str]
) -> ReaderFigures:
    """Each reader's area under the ROC curve in each arm; higher ratings speak for disease.

    With the covariance of DeLong, or Obuchowski's for several rows a patient. Rows without a truth
    do not count.

    Raises:
        ValueError: A rating is missing, a truth that is neither 0, 1 nor missing, or names that do
            not fit.

    Reference:
        DeLong et al. 1988; Obuchowski 1997.
    """
    columns = _columns(reads, units, arms)
    contest = contest_of(truth, columns, units)
    shape = reads.shape[1:]
    reason = () if contest.reason is None else (contest.reason,)
    return ReaderFigures(
        arms=tuple(arms),
        values=contest.areas.reshape(shape),
        covariance=(contest.covariance * (np.nan if reason else 1)).reshape(*shape, *shape),
        n_units=contest.used.count,
        unit=contest.used.unit,
        method=contest.method,
        bounds=(0, 1),
        notes=(*contest.used.remarks(), *contest.notes, *reason),
    )


def reader_rates(
    truth: Shaped[np.ndarray, " row"], reads: Reads, units: Units, *, arms: Sequence[str]
) -> dict[str, ReaderFigures]:
    """Each reader's `sensitivity` and `specificity` in each arm, from yes (1) and no (0).

    With the covariance of the jackknife by patient, over the patients of the kind that counts. NaN
    where there is no patient of that kind, which a note says.

    Raises:
        ValueError: As `reader_aucs`, or a reading that is neither 0 nor 1.
    """
    if len(truth) != len(reads):
        raise ValueError(f"{len(truth)} rows have a truth, but {len(reads)} were read")
    answers = truth.astype(np.float64)
    said = reads.astype(np.float64)
    for name, column in (("truth", answers), ("reads", said)):
        if not np.isin(column[np.isfinite(column)], (0, 1)).all():
            raise ValueError(f"{name} must be 0 or 1; fix a threshold on other patients first")

    def right_on(answer: int) -> Make:
        return lambda column: Mean(np.where(answers == answer, column == answer, np.nan))

    unknown = int(np.isnan(answers).sum())
    note = (f"{unknown} of {len(answers)} rows lack a truth and do not count",) * (unknown > 0)
    found = {}
    for name, answer in (("sensitivity", 1), ("specificity", 0)):
        one = reader_figures(right_on(answer), said, units, arms=arms, bounds=(0, 1))
        none = (f"no row with a truth of {answer}, so there is no {name}",) * (not one.n_units)
        found[name] = replace(one, notes=(*one.notes, *note, *none))
    return found


def reader_figures(
    make: Make,
    reads: Reads,
    units: Units,
    *,
    arms: Sequence[str],
    bounds: tuple[float, float] = (-inf, inf),
) -> ReaderFigures:
    """Any figure of merit of each reader in each arm, its covariance by the jackknife.

    Each patient is left out in turn with all rows: `make` turns what a reader said in an arm into
    a statistic, such as `lambda said: Auc(truth, said)`. NaN where the figure uses no row.

    Raises:
        ValueError: A rating is missing, names that do not fit, a figure of other rows than those
            read, or one that uses other rows for one reader than for another.

    Reference:
        Quenouille 1956; for readers, Obuchowski & Rockette 1995.
    """
    made = [make(column) for column in _columns(reads, units, arms)]
    valid = made[0].valid
    if len(valid) != len(reads):
        raise ValueError(f"the figure has {len(valid)} rows, but {len(reads)} were read")
    if any(not np.array_equal(one.valid, valid) for one in made):
        raise ValueError("the figure must use the same rows of all readers and arms")
    used = units.chosen(valid)
    values, covariance = _jackknife(made, used, valid)
    shape = reads.shape[1:]
    return ReaderFigures(
        arms=tuple(arms),
        values=values.reshape(shape),
        covariance=covariance.reshape(*shape, *shape),
        n_units=used.count,
        unit=used.unit,
        method=f"jackknife by {used.unit}",
        bounds=bounds,
        notes=used.remarks(),
    )


def _jackknife(
    made: Sequence[AbstractStatistic], used: Units, valid: Bool[np.ndarray, " row"]
) -> tuple[Float[np.ndarray, " figure"], Float[np.ndarray, "figure figure"]]:
    """Figures of all patients, and the covariance of those without each; NaN where none is used."""
    if not used.count:
        return np.full(len(made), np.nan), np.full((len(made), len(made)), np.nan)
    codes = np.zeros(len(valid), np.int64)
    codes[valid] = used.codes
    by_unit = [one.by_unit(codes, valid) for one in made]
    left_out = np.stack([one(1 - np.eye(used.count)) for one in by_unit])
    values = np.array([one(np.ones((1, used.count)))[0] for one in by_unit])
    surplus = left_out - left_out.mean(axis=1, keepdims=True)
    share = (used.count - 1) / used.count if used.count > 1 else np.nan
    return values, share * surplus @ surplus.T


def _columns(reads: Reads, units: Units, arms: Sequence[str]) -> list[Shaped[np.ndarray, " row"]]:
    """What one reader said in one arm, arm by arm; refused where a reading is missing."""
    rows, of_arms, readers = reads.shape
    if rows != len(units.codes) or of_arms != len(arms) or len(set(arms)) < len(arms):
        raise ValueError(
            f"reads of {rows} rows, {of_arms} arms and {readers} readers need as many units and "
            f"different names, but there are {len(units.codes)} units and the names {list(arms)}"
        )
    holes = np.argwhere(~np.isfinite(reads))
    if holes.size:
        row, arm, reader = holes[0].tolist()
        raise ValueError(
            f"every reader must read every image in every arm, but {len(holes)} of {reads.size} "
            f"readings are missing (the first: row {row}, arm {arms[arm]!r}, reader {reader}); "
            + _MANY
        )
    return list(reads.reshape(rows, -1).T)
