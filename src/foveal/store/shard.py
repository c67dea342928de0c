"""One shard of a run: a folder that appears whole or not at all."""

import os
import shutil
import zlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from foveal.core import Finding, StoreError
from foveal.store.case import Case, MapName, Scored
from foveal.store.reading import ShardReader, read_scored
from foveal.store.writing import ShardWriter, write_findings

_DAMAGE = (
    OSError, LookupError, ValueError, TypeError, RuntimeError, SyntaxError, EOFError,
    pa.ArrowException, zlib.error,
)  # fmt: skip
"""What readers of Parquet, Zarr, JSON, PNG and JPEG raise at files that are not whole."""


def write_shard(folder: Path, cases: Sequence[Case], *, again: bool = False) -> None:
    """Write the cases of one shard beside its place and move them there in one step.

    With `again` a shard that is there makes place for the new one.

    Raises:
        StoreError: The folder cannot be written or the disk is full; nothing half-written stays.
        ValueError: Two images, models of an image or maps of a view of one name.
    """
    hidden = folder.with_name(f".{folder.name}.{os.getpid()}")
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    try:
        shutil.rmtree(hidden, ignore_errors=True)
        hidden.mkdir(parents=True)
        ShardWriter(hidden).write(cases)
        _flush(hidden)
        if again:
            folder.rename(aside)
        hidden.rename(folder)
    except OSError as problem:
        raise StoreError(
            f"cannot write the shard {folder.name} of the run ({problem.strerror or problem}); "
            "make room or choose another folder, then run the same plan again: finished shards stay"
        ) from problem
    finally:
        if aside.exists() and not folder.exists():
            aside.rename(folder)
        shutil.rmtree(hidden, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)


def restore_shards(folder: Path) -> None:
    """Put shards back that a crash has left aside, between the two renames of a replacement."""
    for aside in sorted(folder.glob(".[0-9]*.old")):
        place = folder / aside.name.split(".")[1]
        if not place.exists():
            with suppress(OSError):  # on a disk that cannot be written it is missing, and named so
                aside.rename(place)


def read_shard(folder: Path) -> Iterator[Case]:
    """The cases of a shard, one by one; their maps are read when their turn comes.

    Raises:
        StoreError: A shard that is damaged.
    """
    with _damage_named(folder):
        yield from ShardReader(folder).cases()


def read_scores(folder: Path) -> list[Scored]:
    """The maps of a shard with their scores and findings, without reading any array.

    Raises:
        StoreError: A shard that is damaged.
    """
    with _damage_named(folder):
        return read_scored(folder)


def replace_findings(folder: Path, findings: Mapping[MapName, Finding]) -> None:
    """Put other findings into a finished shard, in one step; all else stays.

    Raises:
        StoreError: It cannot be written; the findings stay as they were.
    """
    hidden = folder.with_name(f".{folder.name}.{os.getpid()}.findings")
    try:
        write_findings(hidden, findings)
        _flush_file(hidden)
        hidden.replace(folder / "findings.parquet")
    except OSError as problem:
        raise StoreError(
            f"cannot write the findings of the shard {folder.name} "
            f"({problem.strerror or problem}); make room, then run the same command again"
        ) from problem
    finally:
        hidden.unlink(missing_ok=True)


def read_failures(folder: Path) -> dict[str, str]:
    """The images of a shard that failed, and why, without reading anything else.

    Raises:
        StoreError: A shard that is damaged.
    """
    with _damage_named(folder):
        table = pq.read_table(folder / "images.parquet", columns=["image", "failure"])
    rows = table.to_pylist()
    return {row["image"]: row["failure"] for row in rows if row["failure"] is not None}


@contextmanager
def _damage_named(folder: Path) -> Generator[None]:
    try:
        yield
    except _DAMAGE as problem:
        raise StoreError(
            f"the shard {folder.name} of the run is damaged ({problem}); remove its folder and "
            "run the same plan again"
        ) from problem


def _flush(folder: Path) -> None:
    """Have everything on the disk before the rename says that it is there."""
    for path in [*folder.rglob("*"), folder]:
        _flush_file(path)


def _flush_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems cannot flush a folder
            os.fsync(handle)
    finally:
        os.close(handle)
