"""One process at a time in a run's folder."""

import json
import os
import socket
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from foveal.core import StoreError

LOCK = ".lock"


@contextmanager
def at_work(folder: Path) -> Generator[None]:
    """Keep other processes out of a run's folder, which is made where it is not there.

    The lock of a process of this machine that has died is taken over.

    Raises:
        StoreError: Another process is at work in the folder, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = _take(folder / LOCK)
    except OSError as problem:
        raise StoreError(
            f"cannot write the run into {folder}: {problem.strerror or problem}"
        ) from problem
    if not taken:
        who = _holder(folder / LOCK)
        raise StoreError(
            f"another foveal is at work in {folder} (process {who.get('process', 'unknown')} on "
            f"{who.get('host', 'unknown')}); wait for it, or remove {LOCK} there if it is gone"
        )
    try:
        yield
    finally:
        (folder / LOCK).unlink(missing_ok=True)
        with suppress(OSError):  # what holds a run stays
            folder.rmdir()


def is_free(folder: Path) -> bool:
    """Whether no process that may be alive is at work in the folder."""
    return not (folder / LOCK).exists() or _is_dead(_holder(folder / LOCK))


def _take(lock: Path) -> bool:
    if lock.exists() and _is_dead(_holder(lock)):
        lock.unlink(missing_ok=True)
    own = lock.with_name(f"{lock.name}.{os.getpid()}")
    try:
        # The lock is there with its holder's name or not at all, whenever the process is killed.
        text = json.dumps({"process": os.getpid(), "host": socket.gethostname()})
        own.write_text(text, encoding="utf-8")
        if hasattr(os, "link") and _links(own, lock):
            return True
        with lock.open("x", encoding="utf-8") as file:  # where a disk knows no second names
            file.write(text)
    except FileExistsError:
        return False
    finally:
        own.unlink(missing_ok=True)
    return True


def _links(own: Path, lock: Path) -> bool:
    """Give a file a second name; false on disks that know none.

    Raises:
        FileExistsError: The name is taken.
    """
    try:
        os.link(own, lock)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True


def _holder(lock: Path) -> Mapping[str, object]:
    try:
        held = json.loads(lock.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def _is_dead(holder: Mapping[str, object]) -> bool:
    """Whether the process was on this machine and is no more; where unsure, it is alive."""
    process = holder.get("process")
    if holder.get("host") != socket.gethostname() or not isinstance(process, int):
        return False
    if process == os.getpid():  # a container that starts again counts from 1 again
        return True
    if os.name == "nt":  # there, signal 0 is Ctrl-C
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False
