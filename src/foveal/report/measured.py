"""What a run's numbers tell, each in one sentence; `None` where there are none."""

from collections.abc import Callable, Mapping

from foveal.core import FINDINGS
from foveal.report import answers
from foveal.report.cohort import missing_in_words
from foveal.report.families import FAMILIES, PLACE
from foveal.report.record import Record
from foveal.report.words import counted, listed, measure_name, region_in_words

MATTERS, STABLE, RUINED = tuple(FAMILIES)[1:4]
_PLACED_AND_PROVEN = (
    "PASS", "PLAUSIBLE_NOT_FAITHFUL", "SHORTCUT_SUSPECTED", "MISLEADING_MAP", "MIXED_EVIDENCE",
    "REDUNDANT_OR_OOD",
)  # fmt: skip
"""Findings that know both where a map lies and what the model depends on: others tell nothing of a
shortcut, not even that there is none."""


def family(*titles: str) -> Callable[[Record], str | None]:
    """The measures of some questions: how many numbers there are, and how many are missing."""

    def tells(record: Record) -> str | None:
        names = [name for title in titles for name in record.measured.get(title, ())]
        if not names:
            return None
        own = [pool for pool in record.pools if pool.place.measure in names]
        valid = sum(pool.valid for pool in own)
        missing = sum(sum(pool.missing.values()) for pool in own)
        measures = listed([measure_name(name) for name in names])
        return f"{measures}: {counted(valid, 'number')}, {missing} missing with their reason."

    return tells


def chances(record: Record) -> str | None:
    compared = [pool for pool in record.pools if pool.compared]
    if not compared:
        return None
    better, all_ = sum(p.better for p in compared), sum(p.compared for p in compared)
    return f"Of {counted(all_, 'number')} with a chance level, {better} are better than it."


def missing(record: Record) -> str | None:
    if not record.pools:
        return None
    total: dict[str, int] = {}
    for pool in record.pools:
        for reason, times in pool.missing.items():
            total[reason] = total.get(reason, 0) + times
    valid = sum(pool.valid for pool in record.pools)
    rule = "A missing number is never a zero: it has its reason, and means leave it out."
    lost = missing_in_words(dict(sorted(total.items()))) or "none missing"
    return f"{rule} {counted(valid, 'number')} there; {lost}."


def interpretation(record: Record) -> str | None:
    """The measures that stand for how the methods of explanation were themselves validated."""
    asked = {PLACE: "place", MATTERS: "faithfulness", STABLE: "stability", RUINED: "sanity"}
    there = [word for title, word in asked.items() if record.measured.get(title)]
    if not there:
        return None
    absent = [word for word in asked.values() if word not in there]
    more = f"; not validated by {listed(absent)}" if absent else ""
    return f"Validated by measures of {listed(there)}{more}."


def regions(record: Record) -> str | None:
    names = {pool.place.region for pool in record.pools if pool.valid and pool.place.region}
    return f"Measured on {listed(sorted(map(region_in_words, names)))}." if names else None


def findings(record: Record) -> str | None:
    """How often the diagnosis said what of a map."""
    told = record.traits.findings.most_common()
    return (
        "; ".join(f"{FINDINGS[label]} ({times})" for label, times in told) + "." if told else None
    )


def shortcuts(record: Record) -> str | None:
    """Whether maps that move the model lie elsewhere than the lesions."""
    told = record.traits.findings
    checked = sum(told[label] for label in _PLACED_AND_PROVEN)
    if not checked:
        return None
    maps = f"{told['SHORTCUT_SUSPECTED']} of {counted(checked, 'map')} that could be checked for it"
    return f"A shortcut is suspected in {maps}, of {told.total()} diagnosed."


def gate(record: Record) -> str | None:
    """Whether each method notices a ruined model, decided over the maps of several patients."""
    gates = record.header.get("gates", ())
    decided = [gate for gate in gates if gate["score"]["parts"].get("passed") is not None]
    told = [
        f"{gate['key']} on {gate['model']} {_noticed(gate['score']['parts'])}" for gate in decided
    ]
    return f"A ruined model: {'; '.join(told)}." if told else None


def _noticed(parts: Mapping[str, object]) -> str:
    if parts.get("unchanged"):
        return "draws the same whatever the weights"
    return "notices it" if parts["passed"] else "is not shown to notice it"


def confidence(record: Record) -> str | None:
    """How far its confidence can be believed, and the calibrator where the model has one."""
    found = record.concluded.get("confidence")
    if found is None:
        return None
    known = (answers.calibration(record), answers.deferral(record))
    return " ".join([found, *(text for text in known if text is not None)])


def concluded(name: str) -> Callable[[Record], str | None]:
    """What only the statistics over all images know."""
    return lambda record: record.concluded.get(name)
