"""Reads mutants in a process of its own, so that what ends or fills a process is found out.

`python mutant_worker.py SEED FIRST LAST PART PARTS [KIND NUMBER]` tries the mutants of these
numbers of every kind in a part of the kinds, from behind one where a kind and number are given, and
writes two lines of JSON for each: that it starts, and what came of it.
"""

import faulthandler
import json
import logging
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import mutations
from specimens import NAME, Specimen, specimens

from foveal.core import FovealError

SLOWEST_S = 10.0
_STUCK_S = 120
"""Of the clock: other processes may hold the machine."""
_MOST_GROWTH = 2**30
"""Resident memory that one file may cost; readers are told to refuse more than a million pixels."""
_MOST_ADDRESSES = 16 * 2**30


@dataclass
class Watch:
    """What is opened, made, moved or removed outside the folder of a trial."""

    allowed: Path
    watching: bool = False
    seen: list[str] = field(default_factory=list)

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        """Python's own report of an event, see sys.addaudithook."""
        if not self.watching or event not in _EVENTS:
            return
        if event == "open" and not _writes(arguments):
            paths = [str(arguments[0])] if "canary" in str(arguments[0]) else []
        else:
            paths = [os.fsdecode(one) for one in arguments[: _EVENTS[event]] if _is_path(one)]
        for path in paths:
            whole = os.path.realpath(path)
            inside = whole.startswith((f"{self.allowed}{os.sep}", tempfile.gettempdir() + "/numba"))
            if "canary" in path or not (inside or whole == str(self.allowed)):
                self.seen.append(f"{event} {path}")


_EVENTS: Mapping[str, int] = {
    "open": 1,
    "os.mkdir": 1,
    "os.rmdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.link": 2,
    "os.symlink": 2,
    "os.chmod": 1,
    "os.truncate": 1,
    "shutil.rmtree": 1,
    "os.system": 1,
    "subprocess.Popen": 1,
    "socket.connect": 0,
}
"""And how many of their first arguments are paths."""


def _writes(arguments: tuple[object, ...]) -> bool:
    _, mode, flags = (*arguments, None, None)[:3]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _is_path(value: object) -> bool:
    return isinstance(value, str | bytes | os.PathLike)


def tried(specimen: Specimen, path: Path, watch: Watch) -> dict[str, object]:
    """What came of reading one file."""
    before, start = _resident(reset=True), time.process_time()
    watch.seen.clear()
    watch.watching = True
    faulthandler.dump_traceback_later(_STUCK_S, exit=True)
    _LOGGED.clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        problem, told = "", ""
        try:
            shown = specimen.read(path)
            outcome = "read"
            problem = "told: " + told if (told := _named_in(shown)) else ""
        except (FovealError, *specimen.also) as error:
            outcome = type(error).__name__
            cause = error.__cause__
            if isinstance(cause, FovealError) and NAME in str(cause):
                problem = f"names the patient: {cause}"
        except BaseException as error:  # noqa: BLE001 (the very thing that is looked for)
            outcome = f"untyped {type(error).__name__}"
            problem = "".join(traceback.format_exception(error)[-8:])
    faulthandler.cancel_dump_traceback_later()
    watch.watching = False
    seconds, growth = time.process_time() - start, _resident() - before
    for words in (*(str(warning.message) for warning in said), *_LOGGED):
        if NAME in words:
            problem = f"a warning names the patient: {words}"
    problem = f"outside its folder: {watch.seen}" if watch.seen else problem
    problem = problem or (f"took {seconds:.1f} s" if seconds > SLOWEST_S else "")
    problem = problem or (f"took {growth / 2**20:.0f} MB" if growth > _MOST_GROWTH else "")
    return {"outcome": outcome, "seconds": seconds, "bytes": growth, "problem": problem}


_LOGGED: list[str] = []


class Keeping(logging.Handler):
    """Keeps what libraries log, which is printed otherwise."""

    def emit(self, record: logging.LogRecord) -> None:
        """Add the message."""
        _LOGGED.append(record.getMessage())


def _named_in(shown: object) -> str:
    """What of the shown names the patient, photographs' pixels aside."""
    parts = shown if isinstance(shown, tuple) else (shown,)
    for part in parts:
        if isinstance(part, bytes) and NAME.encode() in part:
            at = part.index(NAME.encode())
            return repr(part[max(0, at - 40) : at + 40])
        if not isinstance(part, bytes) and NAME in str(part):
            return str(part)[:2000]
    return ""


def _resident(*, reset: bool = False) -> int:
    """The most memory since the last reset, where the system can tell, else since the start."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    except (OSError, IndexError, ValueError):
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(seed: int, numbers: range, kinds: slice, after: tuple[str, int] | None) -> None:
    """Try some mutants of some kinds, of the first kind only those after one."""
    watch = Watch(allowed=Path(tempfile.mkdtemp()).resolve())
    sys.addaudithook(watch)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_ADDRESSES, _MOST_ADDRESSES))
    logging.getLogger().addHandler(Keeping())
    (watch.allowed / "canary.png").write_bytes(b"")
    names = list(specimens().items())[kinds]
    if after is not None:
        names = names[[name for name, _ in names].index(after[0]) :]
    for name, specimen in names:
        folder = watch.allowed / f"{NAME} {zlib.crc32(name.encode())}"
        folder.mkdir()
        os.chdir(folder)
        path = specimen.write(folder)
        right = path.read_bytes()
        with suppress(FovealError), warnings.catch_warnings(action="ignore"):
            specimen.read(path)  # what is imported and compiled once is not the file's doing
        for number in numbers:
            if after is not None and number <= after[1]:
                continue
            _say({"kind": name, "group": specimen.group, "number": number})
            wrong = mutations.mutant(right, number, (seed, zlib.crc32(name.encode())), _OTHERS)
            path.write_bytes(wrong)
            _say(tried(specimen, path, watch))
        after = None
        os.chdir(watch.allowed)
        shutil.rmtree(folder)


_OTHERS = (
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0\x08\0\0\0", b"MM\0*", b"HSF-OCT-103",
    bytes(128) + b"DICM\x02\0\0\0UL\x04\0", b"CMDb", b"FOCTFDA", b"<annotations>", b"PK\x03\x04",
    b"NRRD0004\n", b"\x93NUMPY\x01\0", b"PAR1", b"\x1f\x8b\x08\0", bytes(600), b"\xff" * 600,
    b"\xef\xbb\xbf", b"\xff\xfe", b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:canary.png'>]>",
)  # fmt: skip


def _say(what: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    seed, first, last, part, parts = map(int, sys.argv[1:6])
    after = (sys.argv[6], int(sys.argv[7])) if len(sys.argv) > 6 else None
    main(seed, range(first, last), slice(part, None, parts), after)
