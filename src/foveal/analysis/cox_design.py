from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Num

from foveal.analysis.follow_up import NO_EVENT, FollowUp
from foveal.analysis.units import Units

FEW_EVENTS = 10
"""Fewer events a covariate make hazard ratios unsteady (Peduzzi et al. 1995)."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Where a covariate is split into high (at least this) and low.

    Raises:
        ValueError: Without a word on where it was chosen.
    """

    at: float
    chosen_on: str
    """The other data; a cut chosen on these rows makes any covariate look prognostic."""

    def __post_init__(self) -> None:
        if not np.isfinite(self.at) or not self.chosen_on.strip():
            raise ValueError(
                "a cut needs a number and the data it was chosen on, such as 'the training "
                f"cohort', but has {self.at} and {self.chosen_on!r}"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """The rows that count, their covariates scaled, or the reason why nothing can be fitted."""

    names: tuple[str, ...]
    per: tuple[str, ...]
    chosen: Bool[np.ndarray, " row"]
    time: Float[np.ndarray, " chosen"]
    event: Bool[np.ndarray, " chosen"]
    columns: Float[np.ndarray, "chosen covariate"]
    used: Units
    notes: tuple[str, ...]
    reason: str | None


def design_of(
    follow_up: FollowUp,
    covariates: Mapping[str, Num[np.ndarray, " row"]],
    cuts: Mapping[str, Cut],
    units: Units,
) -> Design:
    """Checks the covariates, leaves out rows that lack one, and scales the others.

    Raises:
        ValueError: No covariates, columns of different lengths, or a cut of no covariate.
    """
    rows = len(follow_up.time)
    if not covariates or any(len(column) != rows for column in covariates.values()):
        lengths = {name: len(column) for name, column in covariates.items()}
        raise ValueError(f"give covariates, each with {rows} rows; these have {lengths}")
    if set(cuts) - set(covariates):
        raise ValueError(f"cuts {sorted(set(cuts) - set(covariates))} are of no covariate")
    table = np.column_stack([column.astype(np.float64) for column in covariates.values()])
    known = np.all(np.isfinite(table), axis=1)
    chosen = follow_up.valid & known
    event, used, names = follow_up.event[chosen], units.chosen(chosen), tuple(covariates)
    scaled = [
        _scaled(column, cuts.get(name)) for name, column in zip(names, table[chosen].T, strict=True)
    ]
    flat = [name for name, (column, _) in zip(names, scaled, strict=True) if len(set(column)) < 2]
    lacking = int((follow_up.valid & ~known).sum())
    return Design(
        names=names,
        per=tuple(per for _, per in scaled),
        chosen=chosen,
        time=follow_up.time[chosen],
        event=event,
        columns=np.column_stack([column for column, _ in scaled]),
        used=used,
        notes=(
            *used.remarks(),
            *follow_up.notes,
            *(f"{lacking} rows lack a covariate and do not count",) * (lacking > 0),
            *_few(int(event.sum()), len(names)),
            *(
                f"{name} is cut at {cut.at:g}, chosen on {cut.chosen_on}"
                for name, cut in cuts.items()
            ),
        ),
        reason=_reason(used, int(event.sum()), flat, len(names)),
    )


def _scaled(
    column: Float[np.ndarray, " row"], cut: Cut | None
) -> tuple[Float[np.ndarray, " row"], str]:
    if cut is not None:
        return (column >= cut.at).astype(np.float64), f"{cut.at:g} and above, against below"
    distinct = np.unique(column)
    if distinct.size < 2:
        return np.zeros_like(column), "none: it does not vary"
    if distinct.size == 2:
        return (column == distinct[1]).astype(
            np.float64
        ), f"{distinct[1]:g} against {distinct[0]:g}"
    spread = float(column.std(ddof=1))
    return (column - column.mean()) / spread, f"SD of {spread:.3g}"


def _few(events: int, covariates: int) -> tuple[str, ...]:
    if not 0 < events < FEW_EVENTS * covariates:
        return ()
    return (
        f"{events} events for {covariates} covariate{'s' * (covariates > 1)}: fewer than "
        f"{FEW_EVENTS} each, so the ratios are unsteady",
    )


def _reason(used: Units, events: int, flat: list[str], covariates: int) -> str | None:
    if not used.codes.size:
        return "no row has a time, a cause and all covariates"
    if not events:
        return NO_EVENT
    if flat:
        return f"{', '.join(flat)} does not vary"
    if used.count <= covariates:
        return (
            f"{used.counted} for {covariates} covariates: nothing says how much {used.unit}s differ"
        )
    return None
