"""All that a run knows of itself, gathered for those who ask by a list."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from foveal.report.cohort import Cohort, Pool
from foveal.report.course import Change, Deviation, changes, deviations, sittings
from foveal.report.families import by_family
from foveal.report.history import History, history
from foveal.report.limits import Limit
from foveal.report.resolution import own_limits
from foveal.report.traits import Traits
from foveal.store import Run
from foveal.store.statement import statement_of


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a run knows, what people stated of it, and how it went."""

    header: Mapping[str, Any]
    """The run's `run.json`."""
    cohort: Cohort
    traits: Traits
    history: History
    statement: Mapping[str, str]
    """What the run cannot know, by topic, as far as people said it."""
    limits: tuple[Limit, ...]
    """Those found in this run's own numbers."""
    deviations: tuple[Deviation, ...]
    changes: tuple[Change, ...]
    sittings: int
    unfinished: int
    """Parts of the run that are still to be done."""
    concluded: Mapping[str, str]
    """What the statistics over all images say, by the names of the facts that they answer."""

    @cached_property
    def measured(self) -> Mapping[str, tuple[str, ...]]:
        """Measures with at least one number, under the question that they answer."""
        found = dict.fromkeys(pool.place.measure for pool in self.pools if pool.valid)
        return {title: tuple(names) for title, names in by_family(found).items()}

    @cached_property
    def pools(self) -> list[Pool]:
        """Every measure on every region."""
        return self.cohort.pools()


def record_of(
    run: Run, cohort: Cohort, traits: Traits, concluded: Mapping[str, str] = MappingProxyType({})
) -> Record:
    """The record of a run whose cases were all counted.

    Raises:
        PlanError: A statement beside the run that is damaged.
    """
    told = history(run)
    unfinished = max(0, run.header.get("shards", 0) - len(run.numbers()))  # type: ignore[operator]
    return Record(
        header=run.header,
        cohort=cohort,
        traits=traits,
        history=told,
        statement=statement_of(run),
        limits=own_limits(run.header, cohort, traits),
        deviations=deviations(run.header, cohort, traits, told, unfinished),
        changes=changes(run),
        sittings=sittings(run),
        unfinished=unfinished,
        concluded=concluded,
    )
