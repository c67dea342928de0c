"""What is wrong with the maps, for a reader: of one image map by map, of a cohort as counts."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from foveal.analysis import ROWS, frequencies
from foveal.core import FINDINGS, Evidence, Finding
from foveal.report.cohort import pooled_target
from foveal.report.words import map_name, measure_name, number, percent, target_in_words
from foveal.store import Case, Explained


@dataclass(frozen=True, kw_only=True)
class FindingSheet:
    """The finding of one map in words."""

    map: str
    label: str
    text: str
    cause: str | None
    evidence: tuple[tuple[str, str], ...]
    """A measure with its region, and its number or why there is none."""
    next_step: str
    warnings: tuple[str, ...]
    unchecked: tuple[str, ...]


def finding_sheets(maps: Sequence[Explained]) -> Iterator[FindingSheet]:
    """The findings of the maps that were diagnosed."""
    for explained in maps:
        finding = explained.finding
        if finding is not None:
            yield FindingSheet(
                map=map_name(explained.key, explained.attribution),
                label=label_in_words(finding.label),
                text=finding.text,
                cause=finding.cause,
                evidence=tuple(map(evidence_in_words, finding.evidence)),
                next_step=finding.next_step,
                warnings=finding.warnings,
                unchecked=finding.unchecked,
            )


def label_in_words(label: str) -> str:
    """`Shortcut suspected` instead of `SHORTCUT_SUSPECTED`."""
    return label.replace("_", " ").capitalize().replace(" ood", " OOD")


def evidence_in_words(one: Evidence) -> tuple[str, str]:
    """What was measured, and the number beside what random maps or places reach."""
    name = measure_name(one.measure) + (f" on {one.region}" if one.region else "")
    if one.value is None:
        return name, one.reason or ""
    told = [number(one.value)]
    if one.chance is not None:
        told.append(f"chance {number(one.chance)}")
    if one.percentile is not None:
        above = one.percentile >= 0.5
        share = percent(one.percentile if above else 1 - one.percentile)
        told.append(f"{'above' if above else 'below'} {share} of random ones")
    return name, ", ".join(told)


class Asked(NamedTuple):
    """Whose findings are counted together."""

    model: str
    target: str
    key: str


class FindingCounts:
    """How often each finding was made, case by case."""

    def __init__(self) -> None:
        self._found: dict[Asked, list[Finding]] = {}
        self._unchecked: Counter[str] = Counter()

    def add(self, case: Case) -> None:
        """Count the maps of one case."""
        for view in case.views:
            for explained in view.explained:
                if explained.finding is not None:
                    target = pooled_target(explained.attribution.target)
                    asked = Asked(view.model, target, explained.key)
                    self._found.setdefault(asked, []).append(explained.finding)
                    self._unchecked.update(explained.finding.unchecked)

    @property
    def counts(self) -> dict[Asked, dict[str, int]]:
        """By whose maps they are, in the order of the checks."""
        return {asked: frequencies(found) for asked, found in self._found.items()}

    @property
    def unchecked(self) -> list[tuple[str, int]]:
        """Checks that stayed open, and for how many maps, the commonest first."""
        return self._unchecked.most_common()

    @property
    def maps(self) -> int:
        """Maps that were diagnosed."""
        return sum(map(len, self._found.values()))


@dataclass(frozen=True, kw_only=True)
class FindingTable:
    """All counts of a run, ready for a table."""

    labels: tuple[str, ...]
    """The findings that occur, in the order of the checks."""
    rows: tuple[tuple[str, str, tuple[int, ...]], ...]
    """Question, map's name in the run, and a count for each label."""
    meanings: tuple[tuple[str, str, str], ...]
    """Of every finding that there is: its name, what it says, what to do next."""
    gates: tuple[tuple[str, str, str], ...]
    """Model, map's name, and whether its method notices a ruined model."""
    unchecked: tuple[tuple[str, int], ...]


def finding_table(counts: FindingCounts, header: Mapping[str, Any]) -> FindingTable:
    """What the page shows of a run's findings."""
    found = counts.counts
    met = {label for own in found.values() for label in own}
    labels = [label for label in FINDINGS if label in met]
    return FindingTable(
        labels=tuple(map(label_in_words, labels)),
        rows=tuple(
            (_question(asked), asked.key, tuple(own.get(label, 0) for label in labels))
            for asked, own in found.items()
        ),
        meanings=tuple(
            (label_in_words(row.label), FINDINGS[row.label], row.next_step) for row in ROWS
        ),
        gates=tuple(_gates(header.get("gates", ()))),
        unchecked=tuple(counts.unchecked),
    )


def _question(asked: Asked) -> str:
    what = "the predicted class" if asked.target == "predicted" else target_in_words(asked.target)
    return f"{asked.model}, {what}"


def _gates(gates: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    for gate in gates:
        yield gate["model"], gate["key"], _verdict(gate["score"])


def _verdict(score: Mapping[str, Any]) -> str:
    parts = score["parts"]
    if score["value"] is None:
        return f"no verdict: {score['reason_text']}"
    if parts.get("auroc_interval") is None:
        return "no verdict: too few patients"
    low, high = map(number, parts["auroc_interval"])
    said = "notices" if parts["passed"] else "not shown to notice"
    said = "draws the same whatever the weights" if parts.get("unchanged") else said
    return (
        f"{said}: a map is told from other patients' by its likeness to the ruined model's map "
        f"with AUROC {number(parts['auroc'])} (95 % interval {low} to {high}; passed up to 0.6)"
    )
