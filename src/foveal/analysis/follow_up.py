"""When progression was seen, or until when it was not: the rows behind every survival number."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Num, Shaped

from foveal.analysis.statistic import divided
from foveal.analysis.units import Units

NO_EVENT = "no row has an event"


@dataclass(frozen=True, kw_only=True, eq=False)
class FollowUp:
    """Times and events of a table; rows that are not `valid` say nothing."""

    time: Float[np.ndarray, " row"]
    """From baseline, in the unit that the caller has; 0 where not valid."""
    event: Bool[np.ndarray, " row"]
    valid: Bool[np.ndarray, " row"]
    notes: tuple[str, ...]


def follow_up_of(
    time: Num[np.ndarray, " row"], cause: Shaped[np.ndarray, " row"], units: Units
) -> FollowUp:
    """Checks the columns, and says what their reader must know.

    Args:
        time: Of the event or of the last visit; NaN is missing.
        cause: 1 where progression was seen, 0 where the row was only followed, 2 and above where
            it ended otherwise, such as by death; NaN is missing.
        units: The patient of each row.

    Raises:
        ValueError: Columns of different lengths, negative times, causes that are no whole numbers.
    """
    if len({len(time), len(cause), len(units.codes)}) != 1:
        raise ValueError(
            "times, causes and units need the same rows, but have "
            f"{len(time)}, {len(cause)} and {len(units.codes)}"
        )
    times, causes = time.astype(np.float64), cause.astype(np.float64)
    valid = np.isfinite(times) & np.isfinite(causes)
    if (times[valid] < 0).any():
        raise ValueError(f"times run from baseline, but one is {times[valid].min():g}")
    if ((causes[valid] < 0) | (causes[valid] % 1 != 0)).any():
        raise ValueError("causes are 0 (followed only), 1 (progression), 2 and above (other)")
    event = valid & (causes == 1)
    return FollowUp(
        time=np.where(valid, times, 0.0),
        event=event,
        valid=valid,
        notes=_notes(times[event], causes[valid], valid, units),
    )


def observed_share(
    time: Float[np.ndarray, " row"],
    event: Bool[np.ndarray, " row"],
    weights: Float[np.ndarray, "replicate row"],
) -> Float[np.ndarray, "replicate row"]:
    """Chance of still being followed just before each row's time: Kaplan-Meier of the censoring.

    At a shared time events come before censoring, so rows censored there were still at risk.
    """
    distinct, place = np.unique(time, return_inverse=True)
    if not distinct.size:
        return np.ones_like(weights)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(distinct.size))

    def at_each(rows: Float[np.ndarray, "replicate row"]) -> Float[np.ndarray, "replicate time"]:
        return np.add.reduceat(rows[:, order], starts, axis=1)

    present, seen = at_each(weights), at_each(weights * event)
    at_risk = np.cumsum(present[:, ::-1], axis=1)[:, ::-1] - seen
    kept = 1 - np.nan_to_num(divided(present - seen, at_risk))
    before = np.cumprod(np.c_[np.ones(len(weights)), kept[:, :-1]], axis=1)
    return before[:, place]


def _notes(
    events: Float[np.ndarray, " event"],
    causes: Float[np.ndarray, " row"],
    valid: Bool[np.ndarray, " row"],
    units: Units,
) -> tuple[str, ...]:
    notes = []
    missing = int((~valid).sum())
    if missing:
        notes.append(f"{missing} of {valid.size} rows have no time or cause and do not count")
    others = int((causes > 1).sum())
    if others:
        notes.append(
            f"{others} rows ended by another cause and count as censored there (cause-specific): "
            "this is the rate of progression among those still there, not the share who progress"
        )
    shared = events.size - np.unique(events).size
    if events.size > 1 and shared * 2 >= events.size:
        notes.append(
            f"{events.size} events lie at {np.unique(events).size} times, as visits do: "
            "progression came between two visits, and these are the times at which it was found"
        )
    if units.eyes is not None:
        again = int(valid.sum()) - len(set(units.eyes[valid].tolist()))
        if again:
            notes.append(f"{again} rows repeat an eye: its follow-up counts more than once")
    return tuple(notes)
