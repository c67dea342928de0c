"""How a run went beside how it was planned: its deviations, and what was done to it when."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from foveal.core import REASONS
from foveal.report.cohort import Cohort
from foveal.report.history import History
from foveal.report.traits import Traits
from foveal.report.words import ELSEWHERE, counted, listed, measure_name, method_name, some
from foveal.store import Run

_OF_THE_IMAGE = frozenset({"empty_mask", "full_mask", "no_outside", "made_elsewhere"})
"""Reasons for which no number could have been made, whatever the run did."""
_OF_A_BLANK = _OF_THE_IMAGE | {"zero_map", "constant_map"}
"""The same for a map made elsewhere: somebody may have had nothing to mark."""


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """One thing that the plan asked for and the run did otherwise."""

    asked: str
    done: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that was done to a run."""

    time: str
    """Coordinated universal time, to the minute."""
    what: str


def deviations(
    header: Mapping[str, Any], cohort: Cohort, traits: Traits, history: History, unfinished: int
) -> tuple[Deviation, ...]:
    """What the plan asked against what the run did, the gravest first."""
    return (
        *_of_images(header, cohort, unfinished),
        *_of_models(header),
        *_of_maps(header, cohort, traits),
        *_of_numbers(header, cohort, traits),
        *(
            Deviation(asked="no warning", done=f"{text} ({some(images)})")
            for text, images in history.warnings.items()
        ),
    )


def changes(run: Run) -> tuple[Change, ...]:
    """The log's own account: each sitting, each measuring again, each end."""
    return tuple(
        Change(time=str(event["time"])[:16].replace("T", " "), what=what)
        for event in run.events()
        if (what := _told(event)) is not None
    )


def sittings(run: Run) -> int:
    """How often work on the run was taken up; more than once where it was stopped."""
    return sum(event.get("event") == "started" for event in run.events())


def _told(event: Mapping[str, Any]) -> str | None:
    match event.get("event"):
        case "started":
            before = event.get("done", 0)
            begun = f"taken up again with {counted(before, 'image')} done" if before else "started"
            foveal = event.get("versions", {}).get("foveal")
            return f"{begun} by foveal {foveal}" if foveal else begun
        case "measured":
            return f"measured again: {listed([measure_name(n) for n in event['measures']])}"
        case "finished":
            failed = event.get("failed", 0)
            done = f"finished with {counted(event.get('images', 0), 'image')}"
            return f"{done}, {failed} of them failed" if failed else done
    return None


def _of_images(header: Mapping[str, Any], cohort: Cohort, unfinished: int) -> Iterator[Deviation]:
    asked = counted(header.get("images", cohort.images), "image")
    if unfinished:
        yield Deviation(
            asked=asked,
            done=f"{counted(unfinished, 'part')} of the run still to be done: "
            f"{counted(cohort.images, 'image')} so far",
        )
    if cohort.failures:
        yield Deviation(
            asked=f"{asked} explained",
            done=f"{counted(len(cohort.failures), 'image')} could not be explained; each is named "
            "with its reason under “What failed”",
        )


def _of_models(header: Mapping[str, Any]) -> Iterator[Deviation]:
    for model in header["models"]:
        if model["check"] == "no check":
            yield Deviation(
                asked=f"{model['name']} checked at loading",
                done="not checked: its card holds no check",
            )
        for note in model["notes"]:
            yield Deviation(asked=f"{model['name']} loaded as its card says", done=note)


def _of_maps(header: Mapping[str, Any], cohort: Cohort, traits: Traits) -> Iterator[Deviation]:
    made = {key.partition("@")[0] for key in traits.keys}
    for method in header["methods"]:
        if method["key"] not in made and cohort.explained:
            own = method["name"] != ELSEWHERE
            name = method_name(method["name"]) if own else f"{method['key']} ({ELSEWHERE})"
            yield Deviation(
                asked=f"maps of {name}", done="none was made" if own else "none is there"
            )
    for reason, times in (cohort.without_map - traits.blank_elsewhere).items():
        yield Deviation(
            asked=counted(cohort.maps, "map"),
            done=f"{times} with nothing to show: {REASONS.get(reason, reason)}",
        )
    for note, times in traits.notes.items():
        yield Deviation(
            asked="each method as its paper says",
            done=f"{note} ({counted(times, 'map')})",
        )


def _of_numbers(header: Mapping[str, Any], cohort: Cohort, traits: Traits) -> Iterator[Deviation]:
    """Measures that were never made, and numbers that are missing, each with the reason.

    Only those that could have been made: not on a region that an image has not, of a method that
    is not here, or of what somebody left blank.
    """
    elsewhere = {method["key"] for method in header["methods"] if method["name"] == ELSEWHERE}
    pools = cohort.pools()
    met = {pool.place.measure for pool in pools}
    for measure in header["measures"]:
        possible = traits.regions or "mask" not in measure["needs"]
        if cohort.maps and possible and measure["name"] not in met:
            yield Deviation(
                asked=measure_name(measure["name"]),
                done=f"never made; it needs {_needs(measure['needs'])}",
            )
    missing: dict[tuple[str, str], int] = {}
    numbers: dict[str, int] = {}
    for pool in pools:
        name = pool.place.measure
        numbers[name] = numbers.get(name, 0) + pool.valid + sum(pool.missing.values())
        excused = _OF_A_BLANK if pool.place.key in elsewhere else _OF_THE_IMAGE
        for reason, times in pool.missing.items():
            if reason not in excused:
                missing[name, reason] = missing.get((name, reason), 0) + times
    for (name, reason), times in missing.items():
        yield Deviation(
            asked=f"{measure_name(name)}, {counted(numbers[name], 'number')}",
            done=f"{times} missing: {REASONS.get(reason, reason)}",
        )


def _needs(needs: Sequence[str]) -> str:
    return listed(list(needs)) if needs else "nothing but the map"
