"""What a reviewer asks of a report: requirements with their proof, lists, deviations, history."""

from collections.abc import Mapping
from dataclasses import dataclass

from foveal.report.checklist import CHECKLISTS, REQUIREMENTS, Answer, Filled, filled
from foveal.report.course import Change, Deviation
from foveal.report.facts import SECTIONS
from foveal.report.limits import Limit
from foveal.report.record import Record
from foveal.store.statement import TOPICS


@dataclass(frozen=True, kw_only=True)
class Regulator:
    """The part of a report that is read against a list."""

    requirements: Filled
    """The thirteen things, each traced to a section and a file."""
    checklists: tuple[Filled, ...]
    deviations: tuple[Deviation, ...]
    changes: tuple[Change, ...]
    limits: tuple[Limit, ...]
    """Found in the run's own numbers."""
    statement: Mapping[str, str]
    """What people stated, by topic."""

    @property
    def sections(self) -> Mapping[str, str]:
        """What the page calls the sections that answers point to."""
        return SECTIONS


def regulator(record: Record) -> Regulator:
    """Every list that comes with the package, filled where the run or its statement knows."""
    return Regulator(
        requirements=filled(REQUIREMENTS, record),
        checklists=tuple(filled(key, record) for key in CHECKLISTS),
        deviations=record.deviations,
        changes=record.changes,
        limits=record.limits,
        statement={topic: record.statement[topic] for topic in TOPICS if topic in record.statement},
    )


def plain(told: Regulator) -> Mapping[str, object]:
    """The same in plain values, for the audit file."""
    return {
        "requirements": _filled(told.requirements),
        "checklists": [_filled(one) for one in told.checklists],
        "deviations": [vars(one) for one in told.deviations],
        "changes": [vars(one) for one in told.changes],
        "limits": [limit._asdict() for limit in told.limits],
        "statement": told.statement,
    }


def _filled(one: Filled) -> Mapping[str, object]:
    return {
        "name": one.checklist.name,
        "title": one.checklist.title,
        "citation": one.checklist.citation,
        "items": [_answer(answer) for answer in one.answers],
    }


def _answer(answer: Answer) -> Mapping[str, object]:
    item = answer.item
    return {
        "number": item.number,
        "part": item.part,
        "asks": item.asks,
        "asked_by": item.asked_by,
        "status": answer.status,
        "answers": [vars(part) for part in answer.parts],
    }
