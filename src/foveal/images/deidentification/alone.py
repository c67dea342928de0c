"""One process at a time in an output folder."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from foveal.core import StoreError

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None


@contextmanager
def alone_in(folder: Path) -> Generator[None]:
    """Keep other processes out of a folder, which is made where it is not there.

    The lock is the operating system's, on the folder itself: it ends with the process, however that
    ends, and leaves nothing behind. Windows has none, so there two runs are not kept apart.

    Raises:
        StoreError: Another process is at work in the folder, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = None if fcntl is None else os.open(folder, os.O_RDONLY)
    except OSError as problem:
        raise StoreError(f"cannot make the output {folder}: {problem.strerror}") from problem
    if fcntl is None or handle is None:
        yield
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as problem:
        raise StoreError(
            f"another foveal is at work in {folder}; wait for it, or choose a new folder"
        ) from problem
    finally:
        os.close(handle)
