"""A run on disk: one folder, versioned, read without torch."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from foveal.core import Finding, StoreError
from foveal.store.case import Case, MapName, Scored
from foveal.store.lock import LOCK, is_free
from foveal.store.shard import (
    read_failures,
    read_scores,
    read_shard,
    replace_findings,
    restore_shards,
    write_shard,
)

FORMAT = "foveal-run"
VERSION = 1


class Run:
    """One run's folder. `header` is its `run.json`; cases come from its shards.

    Who writes holds `foveal.store.lock.at_work` meanwhile.
    """

    def __init__(self, folder: Path, header: Mapping[str, object], *, is_new: bool = False) -> None:
        self.folder = folder
        self.header = header
        self.is_new = is_new
        """Whether it was made here, and not taken up."""

    @classmethod
    def create(cls, folder: Path, header: Mapping[str, object]) -> "Run":
        """A new run, or the same run again when the folder holds it already.

        Raises:
            StoreError: The folder holds another run or other files, or cannot be written.
        """
        if (folder / "run.json").exists():
            return cls._again(folder, header)
        if folder.exists() and (not folder.is_dir() or not all(map(_is_left, folder.iterdir()))):
            raise StoreError(
                f"{folder} is not empty and holds no run; choose a new folder for the output"
            )
        run = cls(folder, {"format": FORMAT, "version": VERSION, **header}, is_new=True)
        try:
            (folder / "shards").mkdir(parents=True, exist_ok=True)
            run.write_header(run.header)
        except OSError as problem:
            raise _unwritten(folder, problem) from problem
        except StoreError:
            run.discard()
            raise
        return run

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """A run that exists.

        A shard that lost its place to a crash while it was replaced comes back to it.

        Raises:
            StoreError: There is none, or one of another format or a newer version.
        """
        try:
            header = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        except OSError as problem:
            raise StoreError(
                f"{folder} holds no run: run.json cannot be read ({problem.strerror or problem})"
            ) from problem
        except ValueError as problem:
            raise StoreError(f"run.json in {folder} is damaged: {problem}") from problem
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise StoreError(f"run.json in {folder} is not of a foveal run")
        if header.get("version") != VERSION:
            raise StoreError(
                f"the run in {folder} has version {header.get('version')}, but this foveal reads "
                f"version {VERSION}; use the foveal that wrote it, or a newer one"
            )
        if is_free(folder):
            restore_shards(folder / "shards")
        return cls(folder, header)

    @classmethod
    def _again(cls, folder: Path, header: Mapping[str, object]) -> "Run":
        run = cls.open(folder)
        if run.header.get("fingerprint") != header.get("fingerprint"):
            raise StoreError(
                f"{folder} holds another run ({run.header.get('name')!r}: another plan, other "
                "images or another model); choose a new folder for the output"
            )
        return run

    def shard(self, number: int) -> Path:
        """The folder of a shard, whether it is there or not."""
        return self.folder / "shards" / f"{number:05d}"

    def done(self, number: int) -> bool:
        """Whether a shard is finished: its folder appears in one step when it is."""
        return self.shard(number).is_dir()

    def write(self, number: int, cases: list[Case], *, again: bool = False) -> None:
        """Commit a shard; with `again`, in the place of the one that is there.

        Raises:
            StoreError: It cannot be written.
        """
        write_shard(self.shard(number), cases, again=again)

    def scored_of(self, number: int) -> list[Scored]:
        """The maps of a shard with their scores and findings, without their values.

        Raises:
            StoreError: A shard that is damaged.
        """
        return read_scores(self.shard(number))

    def write_findings(self, number: int, findings: Mapping[MapName, Finding]) -> None:
        """Replace the findings of a shard, in one step; all else of it stays.

        Raises:
            StoreError: They cannot be written.
        """
        replace_findings(self.shard(number), findings)

    def sweep(self) -> None:
        """Take away what writers that died have left; for who is alone at work in the folder."""
        restore_shards(self.folder / "shards")
        # Whatever is written is hidden first, with the writer's number at the end of its name.
        for left in (*self.folder.glob("shards/.*"), *self.folder.glob(".*.[0-9]*")):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)

    def discard(self) -> None:
        """Take away a run in which no shard is finished, so that its folder is free again."""
        if self.numbers():
            return
        for name in ("run.json", "log.jsonl"):
            (self.folder / name).unlink(missing_ok=True)
        shutil.rmtree(self.folder / "shards", ignore_errors=True)
        with suppress(OSError):  # other files are not ours to take away
            self.folder.rmdir()

    def write_header(self, header: Mapping[str, object]) -> None:
        """Replace `run.json`.

        Raises:
            StoreError: It cannot be written.
        """
        try:
            text = json.dumps(header, indent=1, ensure_ascii=False)
            _write_whole(self.folder / "run.json", text)
        except OSError as problem:
            raise _unwritten(self.folder, problem) from problem
        self.header = header

    def numbers(self) -> list[int]:
        """The finished shards, in order."""
        return sorted(int(folder.name) for folder in self.folder.glob("shards/[0-9]*"))

    def cases_of(self, number: int) -> Iterator[Case]:
        """The cases of a shard, one in memory at a time.

        Raises:
            StoreError: A shard that is damaged.
        """
        yield from read_shard(self.shard(number))

    def cases(self) -> Iterator[Case]:
        """All cases of the finished shards in order, one in memory at a time.

        Raises:
            StoreError: A shard that is damaged.
        """
        for number in self.numbers():
            yield from self.cases_of(number)

    def failures(self) -> dict[str, str]:
        """The images that could not be explained, and why."""
        found: dict[str, str] = {}
        for number in self.numbers():
            found |= read_failures(self.shard(number))
        return found

    def log(self, event: str, **facts: object) -> None:
        """Append to `log.jsonl` what is no result: times, the machine, warnings."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event}
        try:
            with (self.folder / "log.jsonl").open("ab+") as log:
                if _ends_within_a_line(log):
                    log.write(b"\n")  # a crash has cut it short
                log.write(json.dumps({**line, **facts}, ensure_ascii=False).encode() + b"\n")
        except OSError as problem:
            raise StoreError(
                f"cannot write the log of the run in {self.folder}: {problem.strerror or problem}"
            ) from problem

    def events(self) -> list[dict[str, object]]:
        """What the log holds; a last line cut short by a crash is left out."""
        path = self.folder / "log.jsonl"
        if not path.exists():
            return []
        found = []
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, RecursionError):
                found.append(json.loads(line))
        return found


def _ends_within_a_line(file: BinaryIO) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read() != b"\n"


def _is_left(path: Path) -> bool:
    """Whether a start that failed, or the one that is under way, has left this."""
    if path.name == "shards":
        return path.is_dir() and not any(path.iterdir())
    return path.name == LOCK or path.name.startswith(".run.json.")


def _unwritten(folder: Path, problem: OSError) -> StoreError:
    return StoreError(f"cannot write the run into {folder}: {problem.strerror or problem}")


def _write_whole(path: Path, text: str) -> None:
    """A file that is there whole or not at all."""
    hidden = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        hidden.write_text(text, encoding="utf-8")
        hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)
