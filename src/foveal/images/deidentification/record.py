"""What was done, file by file, by pseudonym only; from it a stopped run goes on."""

import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from foveal.core import StoreError
from foveal.images.deidentification.key import SecretKey

FILES, QUARANTINE = "files", "quarantine"
REPORT, READABLE, _JOURNAL = "deidentification.json", "deidentification.md", ".deidentification"
_HALF = re.compile(r"\..+\.half-\d+")
"""What `write_atomically` calls a file until it is whole; other hidden files are somebody's."""
_FORMAT = "foveal-deidentification"
_VERSION = 1

Outcome = Literal["written", "quarantined", "refused", "left out", "failed"]
NEED_EYES: tuple[Outcome, ...] = ("quarantined", "refused", "failed")


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """What became of one file."""

    name: str
    """Its pseudonym; where it was written, below `files` or `quarantine`."""
    kind: str
    outcome: Outcome
    source: str = ""
    """A keyed hash of the input's content."""
    reasons: tuple[str, ...] = ()
    """What needs a human eye, or why it was not written."""
    notes: tuple[str, ...] = ()
    actions: Mapping[str, int] = field(default_factory=dict)
    """How often what was done to which attribute: "PatientName replaced"."""


@dataclass(frozen=True, kw_only=True)
class Deidentified:
    """What `deidentify` did; the same stands in `deidentification.json`."""

    out: Path
    settings: Mapping[str, object]
    """Options, table, versions, and which key, by its fingerprint."""
    files: tuple[FileRecord, ...]

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """Files by what became of them."""
        return Counter(record.outcome for record in self.files)

    @property
    def need_eyes(self) -> tuple[FileRecord, ...]:
        """Files that a person must look at, or that could not be done."""
        return tuple(record for record in self.files if record.outcome in NEED_EYES)

    @property
    def actions(self) -> Mapping[str, int]:
        """How often what was done to which attribute, over all files."""
        total: Counter[str] = Counter()
        for record in self.files:
            total.update(record.actions)
        return dict(sorted(total.items()))


class Journal:
    """The records of an output folder, one line each as soon as a file is done.

    Raises:
        StoreError: A folder that holds something else, or the work of another key or other options.
    """

    def __init__(self, out: Path, settings: Mapping[str, object], key: SecretKey) -> None:
        self._path = out / f"{_JOURNAL}.jsonl"
        self.known: dict[str, FileRecord] = {}
        there = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
        earlier = [name for name in (REPORT, self._path.name) if name in there]
        if there and not (earlier and key.kept):
            raise StoreError(
                f"the output folder {out} is not empty; choose a new one (only work under the "
                "same key file can be gone on with)"
            )
        if REPORT in there:
            self._take(_read(out / REPORT), settings)
        whole = _whole_lines(self._path)
        if whole:
            self._take(_lines(whole), settings)
        out.mkdir(parents=True, exist_ok=True)
        for half in out.rglob(".*"):  # what a killed run was writing
            if _HALF.fullmatch(half.name) and half.is_file():
                half.unlink()
        header = {"format": _FORMAT, "version": _VERSION, "settings": settings}
        write_atomically(self._path, whole or f"{json.dumps(header)}\n".encode())

    def add(self, record: FileRecord) -> None:
        """Note that a file is done."""
        self.known[record.name] = record
        self._append(asdict(record))

    def close(self, found: Deidentified) -> None:
        """The report in place of the journal."""
        write_atomically(found.out / REPORT, _json(found))
        self._path.unlink()

    def _append(self, content: Mapping[str, object]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(content) + "\n")

    def _take(self, content: Mapping[str, Any], settings: Mapping[str, object]) -> None:
        if content.get("settings") != json.loads(json.dumps(settings)):
            raise StoreError(
                "the output folder holds work under another key, other options or another "
                "version; choose a new folder"
            )
        for fields in content["files"]:
            texts = {word: tuple(fields[word]) for word in ("reasons", "notes")}
            record = FileRecord(**{**fields, **texts})
            self.known[record.name] = record


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """A file that is there whole or not at all.

    Raises:
        StoreError: It cannot be written.
    """
    hidden = path.with_name(f".{path.name}.half-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(path)
    except OSError as problem:
        raise StoreError(f"cannot write into the output: {problem.strerror}") from problem
    finally:
        hidden.unlink(missing_ok=True)


def _json(found: Deidentified) -> bytes:
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "settings": found.settings,
        "counts": found.counts,
        "actions": found.actions,
        "files": [asdict(record) for record in found.files],
    }
    return (json.dumps(content, indent=1) + "\n").encode()


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise StoreError(f"{path} cannot be read ({problem}); choose a new folder") from problem
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise StoreError(f"{path} is no report of foveal deidentify; choose a new folder")
    return content


def _whole_lines(path: Path) -> bytes:
    """The journal without a line that was being written when the run stopped."""
    text = path.read_bytes() if path.exists() else b""
    return text[: text.rfind(b"\n") + 1]


def _lines(text: bytes) -> dict[str, Any]:
    """The journal in the form of a report."""
    try:
        header, *records = map(json.loads, text.splitlines())
    except ValueError as problem:
        raise StoreError(
            f"the journal in the output folder is damaged ({problem}); choose a new folder"
        ) from problem
    return {**header, "files": records}
