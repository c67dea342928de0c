"""What stands at the top of a report: the run in a few words, and how its maps did."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from functools import partial
from typing import Any

from foveal.report.cohort import Cohort, Pool
from foveal.report.concepts import concept_scores, methods_of
from foveal.report.families import by_family, headline
from foveal.report.history import History
from foveal.report.proof.conclude import Proof
from foveal.report.proof.say import estimate_in_words, question
from foveal.report.words import (
    DIRECTIONS,
    answer_in_words,
    counted,
    listed,
    measure_name,
    method_name,
    number,
    region_in_words,
    target_in_words,
)
from foveal.store import ALL_LESIONS

Header = Mapping[str, Any]
"""A run's `run.json`."""
Terms = tuple[tuple[str, str], ...]

_ANSWERS = 6
"""Different answers that are listed one by one, where the model has fewer classes."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How often the maps of one model and target did better than chance, measure by measure."""

    title: str
    measures: tuple[str, ...]
    rows: tuple["StandingRow", ...]
    notes: tuple[str, ...] = ()
    """What must be known before the numbers are read."""


@dataclass(frozen=True, kw_only=True)
class StandingRow:
    """One method's maps."""

    method: str
    pools: tuple[Pool | None, ...]


@dataclass(frozen=True, kw_only=True)
class Part:
    """All numbers of one model and target."""

    title: str
    families: tuple[tuple[str, tuple["PartGroup", ...]], ...]
    """Questions, and the measures that answer them."""


@dataclass(frozen=True, kw_only=True)
class PartGroup:
    """One measure: its regions, and on each the methods."""

    name: str
    direction: str
    regions: tuple[tuple[str, tuple[Pool, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A run in words and tables."""

    lead: str
    facts: Terms
    standings: tuple[Standing, ...]
    parts: tuple[Part, ...]
    provenance: Terms


def summary(
    header: Header, cohort: Cohort, history: History, unfinished: int, proof: Proof
) -> Summary:
    """The summary of a run.

    Args:
        header: The run's `run.json`.
        cohort: All its cases.
        history: Its log.
        unfinished: Shards that are still to be done.
        proof: What its tables say of the cohort.
    """
    return Summary(
        lead=_lead(header, cohort),
        facts=(*_facts(header, cohort, unfinished), *_proven(proof)),
        standings=tuple(_standings(header, cohort)),
        parts=tuple(_parts(cohort.pools())),
        provenance=tuple(_provenance(header, history)),
    )


def map_label(header: Header, key: str) -> str:
    """What a map's name in the run is in words: its method's, the plan's own for it, its layer."""
    stem, _, layer = key.partition("@")
    name = next((_method_label(m) for m in methods_of(header) if m["key"] == stem), stem)
    return f"{name} at {layer}" if layer else name


_DIFFERENCE = "passed, largest difference "


def check_in_words(check: str) -> str:
    """What a model's check said, and what it means that there was none."""
    if check.startswith(_DIFFERENCE):
        most = Decimal(check.removeprefix(_DIFFERENCE))
        plain = most.quantize(Decimal(1).scaleb(most.adjusted()), ROUND_CEILING)
        return f"passed: the output differs from the expected one by at most {plain:f}"
    if check != "no check":
        return check
    return "none: nothing shows that images are prepared as in training"


def calibrator_in_words(facts: Mapping[str, Any]) -> str:
    """Which calibrator the shown probabilities went through, and that explanations did not."""
    measured = [f"{n} {number(a)} → {number(b)}" for n, (a, b) in facts["measured"].items()]
    judged = f"; on other patients {', '.join(measured)}" if measured else ""
    return (
        f"{facts['method']}, fitted on {counted(facts['units'], facts['unit'])} "
        f"({facts['split']}){judged}. Maps and measures explain the uncalibrated output"
    )


def _lead(header: Header, cohort: Cohort) -> str:
    named = [model["name"] for model in header["models"]]
    models = f"The model{'s' if len(named) > 1 else ''} {listed(named)}"
    text = f"{models} read {counted(cohort.explained, 'image')}{''.join(_done(header, cohort))}."
    failed = len(cohort.failures)
    images = "One image" if failed == 1 else counted(failed, "image")
    return f"{text} {images} could not be explained." if failed else text


def _done(header: Header, cohort: Cohort) -> Iterator[str]:
    """What the methods made of the images."""
    concepts = len({one.concept for one in concept_scores(header)})
    if header["methods"] or not concepts:
        methods = counted(len(header["methods"]), "method")
        maps = counted(cohort.maps, "map")
        yield f", and {methods} drew {maps} of what the answers rest on"
    if concepts:
        tested = counted(concepts, "concept")
        yield f"; {tested} {'was' if concepts == 1 else 'were'} tested over all of them"


def _facts(header: Header, cohort: Cohort, unfinished: int) -> Iterator[tuple[str, str]]:
    yield "Images", f"{cohort.explained} of {cohort.images} explained"
    if unfinished:
        yield "Not finished", f"{counted(unfinished, 'part')} of the run still to be done"
    eyes = [counted(len(cohort.eyes), "eye")] if cohort.eyes else []
    patients = [counted(len(cohort.patients), "patient")] if cohort.patients else []
    yield "Eyes and patients", " of ".join(eyes + patients) or "not stated"
    for model in header["models"]:
        classes = f", {counted(len(model['classes']), 'class', 'classes')}" * bool(model["classes"])
        yield "Model", f"{model['name']}: {model['task']}{classes}"
        yield "Check at loading", check_in_words(model["check"])
        if model.get("calibrator"):
            yield "Calibration", calibrator_in_words(model["calibrator"])
    for model, said in cohort.predictions.items():
        term = "Predicted" if len(cohort.predictions) == 1 else f"Predicted by {model}"
        yield term, _answers(_classes(header, model), said)
    targets = dict.fromkeys(pool.place.target for pool in cohort.pools())
    if targets:
        yield "Explained", ", ".join(map(target_in_words, targets))
    yield "Methods", ", ".join(map(_method_label, methods_of(header)))
    if cohort.without_map:
        yield "Maps with nothing to show", str(cohort.without_map.total())


def _proven(proof: Proof) -> Iterator[tuple[str, str]]:
    """The first number of each part, with its interval."""
    for found in proof.performances:
        name, _, value = found.numbers[0]
        of = counted(found.images, "labelled image")
        yield f"{name} of {found.model}", f"{estimate_in_words(value)}, on {of}"
    for found in proof.trusts:
        for reading in found.readings:
            if reading.top.ece is not None and reading.top.null_mean is not None:
                error, perfect = number(reading.top.ece), number(reading.top.null_mean)
                yield (
                    f"Calibration error, {reading.name}",
                    f"{error}; perfect calibration would show {perfect}",
                )
    if proof.groups.tables:
        clear, gaps = len(proof.groups.found), counted(proof.groups.gaps, "gap")
        told = f"{clear} of {gaps} with an adjusted p below 0.05"
        yield "Groups of eyes", told if proof.groups.gaps else "too small to compare"
    yield "Unit of all intervals", proof.unit


def _answers(classes: Sequence[str], said: Mapping[str, int]) -> str:
    """How often each answer came, in the order of the classes; numbers are only counted."""
    if len(said) > max(len(classes), _ANSWERS):
        return counted(len(said), "different answer")
    known = {name: place for place, name in enumerate(classes)}
    labels = sorted(said, key=lambda label: (known.get(label, len(known)), label))
    return ", ".join(f"{answer_in_words(label)} {said[label]}" for label in labels)


def _method_label(method: Mapping[str, Any]) -> str:
    plain = method_name(method["name"])
    return plain if method["key"] == method["name"] else f"{method['key']} ({plain})"


def _classes(header: Header, name: str) -> Sequence[str]:
    return next((m["classes"] for m in header["models"] if m["name"] == name), ())


def _standings(header: Header, cohort: Cohort) -> Iterator[Standing]:
    for (model, target), own in _by_question(cohort.headline()).items():
        measures = headline(dict.fromkeys(pool.place.measure for pool in own))
        keys = list(dict.fromkeys(pool.place.key for pool in own))
        found = {(pool.place.key, pool.place.measure): pool for pool in own}
        yield Standing(
            title=_title(model, target),
            measures=tuple(measures),
            rows=tuple(
                StandingRow(
                    method=map_label(header, key),
                    pools=tuple(found.get((key, measure)) for measure in measures),
                )
                for key in keys
            ),
            notes=tuple(cohort.verdicts.notes(model, target, partial(map_label, header))),
        )


def _parts(pools: Sequence[Pool]) -> Iterator[Part]:
    for (model, target), own in _by_question(pools).items():
        named = by_family(dict.fromkeys(pool.place.measure for pool in own))
        families = [(title, tuple(_groups(names, own))) for title, names in named.items()]
        yield Part(title=_title(model, target), families=tuple(families))


def _groups(measures: Sequence[str], pools: Sequence[Pool]) -> Iterator[PartGroup]:
    for measure in measures:
        yield _group(measure, [pool for pool in pools if pool.place.measure == measure])


def _group(measure: str, pools: Sequence[Pool]) -> PartGroup:
    met = dict.fromkeys(pool.place.region for pool in pools)
    regions = sorted(met, key=lambda region: region == ALL_LESIONS)
    return PartGroup(
        name=measure_name(measure),
        direction=DIRECTIONS[pools[0].direction],
        regions=tuple(
            (region_in_words(region), tuple(p for p in pools if p.place.region == region))
            for region in regions
        ),
    )


def _by_question(pools: Sequence[Pool]) -> dict[tuple[str, str], list[Pool]]:
    """Pools by model and target: numbers of different questions are never taken together."""
    found: dict[tuple[str, str], list[Pool]] = {}
    for pool in pools:
        found.setdefault((pool.place.model, pool.place.target), []).append(pool)
    return found


def _title(model: str, target: str) -> str:
    return f"{model}, maps for {question(target)}"


def _provenance(header: Header, history: History) -> Iterator[tuple[str, str]]:
    for term, key in (("Level", "level"), ("Seed", "seed"), ("Threads", "threads")):
        if header.get(key) is not None:
            yield term, str(header[key])
    kept = header.get("identity") == "keep"
    yield "Names", "kept as they are" if kept else "pseudonyms; their key is kept apart"
    yield "Versions", ", ".join(f"{name} {text}" for name, text in header["versions"].items())
    for machine in history.machines:
        facts = [f"{name} {_plain(value)}" for name, value in machine.items()]
        yield "Machine", ", ".join(facts)


def _plain(value: object) -> str:
    return number(value) if isinstance(value, float) else str(value)
