"""What became of a corpus of wrong files, each of them read in a process that it may end."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_WORKER = _HERE / "mutant_worker.py"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One mutant."""

    kind: str
    group: str
    number: int
    outcome: str
    """`read`, the name of an error, or how the process ended."""
    seconds: float = 0.0
    """Of processor time."""
    bytes: int = 0
    """By which resident memory grew at most."""
    problem: str = ""
    """What must not be; empty where all is well."""


def corpus(seed: int, numbers: range, *, part: int = 0, parts: int = 1) -> list[Trial]:
    """The mutants of these numbers of every kind in a part of the kinds."""
    trials: list[Trial] = []
    after: list[str] = []
    while True:
        started, ended, end = _work([seed, numbers.start, numbers.stop, part, parts, *after])
        trials += ended
        if started is None:
            return trials
        trials.append(Trial(**started, outcome=f"the process ended: {end[:60]}", problem=end))
        after = [started["kind"], str(started["number"])]


def summary(trials: Sequence[Trial]) -> str:
    """Counts, and what was slowest and largest, for people."""
    slowest, largest = (max(trials, key=key) for key in (_seconds, lambda trial: trial.bytes))
    lines = [f"{len(trials)} files"]
    for group in dict.fromkeys(trial.group for trial in trials):
        outcomes = Counter(trial.outcome for trial in trials if trial.group == group)
        told = ", ".join(f"{outcome} {count}" for outcome, count in outcomes.most_common())
        lines.append(f"{group}: {sum(outcomes.values())} ({told})")
    lines.append(f"slowest: {slowest.seconds:.2f} s, {slowest.kind} {slowest.number}")
    lines.append(f"largest: {largest.bytes / 2**20:.0f} MB, {largest.kind} {largest.number}")
    return "\n".join(lines)


def problems(trials: Sequence[Trial]) -> str:
    """What must not be, by kind and number: empty where all is well."""
    return "\n\n".join(
        f"{trial.kind} {trial.number}: {trial.outcome}\n{trial.problem}"
        for trial in trials
        if trial.problem
    )


def _seconds(trial: Trial) -> float:
    return trial.seconds


def _work(arguments: Sequence[object]) -> tuple[dict[str, Any] | None, list[Trial], str]:
    """The mutant that ended the worker, if one did, those that came through, and its last words."""
    folders = (_HERE, _HERE / "images", _HERE / "store")
    path = os.pathsep.join(map(str, folders))
    done = subprocess.run(
        [sys.executable, _WORKER, *map(str, arguments)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    started, trials = None, []
    for line in _lines(done.stdout):
        if "kind" in line:
            started = line
        else:
            trials.append(Trial(**started, **line))
            started = None
    if done.returncode and started is None:
        raise RuntimeError(f"the worker failed between two files: {done.stderr[-3000:]}")
    return started, trials, f"exit {done.returncode}: {done.stderr[-3000:]}"


def _lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("{"):  # libraries of C may write in between
            yield json.loads(line)
