"""The last step of a run: what is wrong with each map, as far as the whole cohort tells."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from foveal.analysis import diagnose_map, variance_limit
from foveal.analysis.shuffled import shuffled_facts, shuffled_kept
from foveal.core import Finding
from foveal.models import Model
from foveal.run.elsewhere import ELSEWHERE
from foveal.run.gating import Gates, gate_facts, gates_kept, gates_of, witnesses_of
from foveal.run.measuring import Yardstick
from foveal.run.shuffling import LIKENESS, shuffled_of, stable_places
from foveal.store import MapName, Run, Scored

GATE = "mprt"
"""The measure whose verdict over several patients decides whether a method is read at all."""


def conclude(run: Run, yardstick: Yardstick, models: Sequence[Model]) -> None:
    """What only a whole cohort can say, then the finding of every map.

    Raises:
        StoreError: A damaged shard, or one that cannot be written.
        PlanError: A method that cannot be asked again for the gate.
    """
    gated = GATE in yardstick.names
    stable = not LIKENESS.keys().isdisjoint(yardstick.names)
    if models and (gated or stable):
        gates, shuffled = gates_kept(run), shuffled_kept(run.header)
        places = stable_places(_scored(run)) if stable else []
        for model in models:
            witnesses = witnesses_of(run.cases(), model)
            if gated:
                gates |= gates_of(
                    model, witnesses, seed=yardstick.seed, max_batch=yardstick.max_batch
                )
            shuffled |= shuffled_of(model.card.name, witnesses, places)
        told = {"gates": gate_facts(gates)} if gated else {}
        told |= {"shuffled": shuffled_facts(shuffled)} if stable else {}
        run.write_header({**run.header, **told})
    renew_findings(run)


def renew_findings(run: Run) -> None:
    """Write the finding of every map anew, from the scores that the run holds.

    Raises:
        StoreError: A damaged shard, or one that cannot be written.
    """
    gates, limits = gates_kept(run), variance_limits(_scored(run))
    methods: Sequence[Mapping[str, object]] = run.header.get("methods") or ()  # type: ignore[assignment]
    elsewhere = {str(method["key"]) for method in methods if method["name"] == ELSEWHERE}
    for number in run.numbers():
        maps = run.scored_of(number)
        found = findings_of(maps, gates, limits, elsewhere)
        if found != {one.name: one.finding for one in maps}:
            run.write_findings(number, found)


def findings_of(
    maps: Iterable[Scored],
    gates: Gates,
    limits: Mapping[str, float | None],
    elsewhere: Collection[str] = (),
) -> dict[MapName, Finding]:
    """The finding of each map.

    Args:
        maps: Maps by name, with their scores.
        gates: Whether each method notices a ruined model.
        limits: Those of `variance_limits`.
        elsewhere: Names of the maps that were made elsewhere.
    """
    return {
        one.name: diagnose_map(
            one.scores,
            reason=one.reason,
            gate=gates.get((one.name.model, one.name.key)),
            variance_limit=limits.get(one.name.model),
            elsewhere=one.name.key in elsewhere,
        )
        for one in maps
    }


def variance_limits(maps: Iterable[Scored]) -> dict[str, float | None]:
    """By model, the 95th percentile of the maps' `repeat_variance`."""
    values: dict[str, list[float]] = defaultdict(list)
    for one in maps:
        for measured in one.scores:
            score = measured.score
            if score.name == "repeat_variance" and score.value is not None:
                values[one.name.model].append(score.value)
    return {model: variance_limit(own) for model, own in values.items()}


def _scored(run: Run) -> Iterable[Scored]:
    return (one for number in run.numbers() for one in run.scored_of(number))
