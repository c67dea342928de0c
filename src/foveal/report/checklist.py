"""Lists of what reviewers ask for, as data, and a run's answer to each of their items."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from foveal.report.facts import FACTS
from foveal.report.record import Record
from foveal.store.statement import TOPICS

Status = Literal["answered", "in part", "open"]

REQUIREMENTS = "requirements"
STATED, _STATED_IN = "statement", ("run.json", "statement.toml")
"""Where the page and the folder hold what people stated."""
CHECKLISTS = ("claim-2024", "tripod-ai", "stard-ai", "clix-m")
"""The lists that a report fills, by their files."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing that is asked for.

    Raises:
        ValueError: Nothing that could answer it, or a fact or a topic that there is not.
    """

    number: str
    part: str
    asks: str
    """In our own, shorter words."""
    facts: tuple[str, ...] = ()
    """What a run may know that answers it, by the names of `FACTS`."""
    statement: tuple[str, ...] = ()
    """What only people can say, by the names of `TOPICS`."""
    elsewhere: str | None = None
    """Where the answer belongs when neither a run nor its statement holds it."""
    asked_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = [name for name in self.facts if name not in FACTS]
        unknown += [topic for topic in self.statement if topic not in TOPICS]
        if unknown:
            raise ValueError(f"item {self.number}: nothing is called {', '.join(unknown)}")
        if not (self.facts or self.statement or self.elsewhere):
            raise ValueError(f"item {self.number} names nothing that could answer it")


@dataclass(frozen=True, kw_only=True)
class Checklist:
    """A list with its source."""

    key: str
    name: str
    title: str
    citation: str
    wording: str
    """Whose words its items are in, and whose numbers."""
    items: tuple[Item, ...]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One answer to an item, or what has to be supplied."""

    text: str
    is_open: bool
    section: str | None = None
    """The anchor on the page where more is said."""
    files: tuple[str, ...] = ()
    """Where the proof lies, from the run's folder."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a run and its statement answer to an item."""

    item: Item
    parts: tuple[Part, ...]

    @property
    def status(self) -> Status:
        """Whether all of its parts are known, some, or none."""
        known = sum(not part.is_open for part in self.parts)
        return "answered" if known == len(self.parts) else "in part" if known else "open"

    @property
    def proof(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Anchors of the sections that say more, and the files with the proof, each once."""
        found: dict[str, dict[str, None]] = {}
        for part in self.parts:
            if part.section is not None:
                found.setdefault(part.section, {}).update(dict.fromkeys(part.files))
        return tuple((section, tuple(files)) for section, files in found.items())


@dataclass(frozen=True, kw_only=True)
class Filled:
    """A list with a run's answers."""

    checklist: Checklist
    answers: tuple[Answer, ...]

    def count(self, status: Status) -> int:
        """How many items have this status."""
        return sum(answer.status == status for answer in self.answers)


@cache
def checklist(key: str) -> Checklist:
    """A list that comes with the package, by its file's name.

    Raises:
        ValueError: A list whose items name what there is not.
    """
    text = files("foveal.report").joinpath("checklists", f"{key}.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    return Checklist(
        key=key,
        name=table["name"],
        title=table["title"],
        citation=table["citation"],
        wording=table["wording"],
        items=tuple(Item(**_tuples(item)) for item in table["items"]),
    )


def filled(key: str, record: Record) -> Filled:
    """A list with what a run and its statement answer."""
    found = checklist(key)
    answers = tuple(Answer(item=i, parts=tuple(_parts(i, record))) for i in found.items)
    return Filled(checklist=found, answers=answers)


def _parts(item: Item, record: Record) -> Iterator[Part]:
    for name in item.facts:
        fact = FACTS[name]
        text = fact.tells(record)
        if text is None:
            yield Part(text=f"Open: {fact.supply}.", is_open=True)
        else:
            yield Part(text=text, is_open=False, section=fact.section, files=fact.files)
    for topic in item.statement:
        text = record.statement.get(topic)
        if text is None:
            asked = f"{TOPICS[topic]} (“{topic}” in the statement)"
            yield Part(text=f"Open: {asked}.", is_open=True)
        else:
            said = f"{topic.replace('_', ' ').capitalize()}: {text}"
            yield Part(text=said, is_open=False, section=STATED, files=_STATED_IN)
    if item.elsewhere is not None:
        yield Part(text=f"Open: {item.elsewhere}.", is_open=True)


def _tuples(table: Mapping[str, Any]) -> dict[str, Any]:
    """TOML's lists as tuples, so that an item is frozen."""
    return {
        name: tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        for name, value in table.items()
    }
