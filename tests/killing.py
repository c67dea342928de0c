"""Kills a run at random moments, takes it up until it is done, and compares what is there.

`python killing.py PLAN KILLS SEED` in the folder of a plan whose output is `out`, its key file
`out.key.json`; prints a line of JSON: how many were killed, at which stage, and what differs.
The runs are children of this process, which loads the most once, runs nothing and so has no
thread.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from foveal.app.cli import main as foveal_main
from foveal.report import write_manifest, write_results
from foveal.run import run as run_job

_TOUCHES = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree")
"""Moments at which what is on the disk changes."""
_OUT, _KEY = Path("out"), Path("out.key.json")


def killed_runs(folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """What came of so many kills of the cohort's run, in a process that has no thread yet."""
    plan = folder / "plan.toml"
    for old, new in _SMALLER:
        text = plan.read_text()
        assert old in text
        plan.write_text(text.replace(old, new))
    done = subprocess.run(
        [sys.executable, __file__, plan.name, str(kills), str(seed)],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


_SMALLER = (
    ('level = "standard"', 'level = "quick"'),
    ('targets = ["predicted", "grade>=2"]', 'targets = ["predicted"]'),
    ("images_per_shard = 2", "images_per_shard = 1\nfigures = false\nreport = []"),
)


def main(plan: str, kills: int, seed: int) -> dict[str, object]:
    """As many kills, each run of them taken up until it is done."""
    torch.set_num_threads(1)
    random = np.random.default_rng(seed)
    new_key = json.dumps({"format": "foveal-key", "secret": bytes(range(32)).hex(), "names": {}})
    _KEY.write_text(new_key)
    start = time.monotonic()
    _end(_started(plan, told_in=Path("touches")), expected=True)
    seconds, touches = time.monotonic() - start, int(Path("touches").read_text())
    right = _tree()
    killed, runs, states, wrong = 0, 0, Counter[str](), []
    while killed < kills or _OUT.exists():
        if not _OUT.exists():
            _KEY.write_text(new_key)
            runs += 1
        if killed < kills and random.integers(2):
            child = _started(plan, die_at=int(random.integers(1, touches + 1)))
        else:
            child = _started(plan)
            if killed < kills and random.integers(4):
                _wait(child, random.uniform(0, seconds))
        if not _end(child):
            killed += 1
            states[_state()] += 1
            continue
        found = _tree()
        wrong += [name for name in sorted({*right, *found}) if right.get(name) != found.get(name)]
        shutil.rmtree(_OUT)
    return {"killed": killed, "runs": runs, "states": dict(states), "wrong": wrong}


def _tree() -> dict[str, bytes]:
    """Every file of the run and its key file; the log holds times."""
    files = [path for path in sorted(_OUT.rglob("*")) if path.is_file()]
    return {str(path): path.read_bytes() for path in (*files, _KEY) if path.name not in _TIMED}


_TIMED = ("log.jsonl", "manifest.json", "report.json")
"""The manifest holds the hash of the log."""


_LOADED = (run_job, write_manifest, write_results)
"""What every child needs."""


def _state() -> str:
    """How far a killed run had come."""
    if not (_OUT / "run.json").exists():
        return "nothing"
    shards = sum(path.name.isdecimal() for path in (_OUT / "shards").iterdir())
    hidden = any(path.name.startswith(".") for path in (_OUT / "shards").iterdir())
    done = f"{shards} shards{' and a part' if hidden else ''}"
    return "the tables begun" if (_OUT / "results.csv").exists() else done


def _started(plan: str, *, die_at: int = 0, told_in: Path | None = None) -> int:
    """A child that does the run, and dies when it touches the disk for the so manieth time.

    One that lives tells how often it did.
    """
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        touched = _count_touches(die_at)
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            foveal_main(["run", plan, "--trust"])
    except SystemExit as end:
        code = int(end.code or 0)
        if told_in is not None:
            told_in.write_text(str(touched()))
    finally:
        os._exit(code)
    return 0


def _count_touches(die_at: int) -> Callable[[], int]:
    count = 0

    def touch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event in _TOUCHES and "out" in str(arguments[0]):
            count += 1
            if count == die_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(touch)
    return lambda: count


def _wait(child: int, seconds: float) -> None:
    """Give a child some time, then kill it, unless it has ended before."""
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)


def _end(child: int, *, expected: bool = False) -> bool:
    """Whether a child came to its end; 3 says that some images failed, as they must."""
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL and not expected:
        return False
    if os.waitstatus_to_exitcode(status) != 3:
        raise SystemExit(f"a run ended with {os.waitstatus_to_exitcode(status)}")
    return True


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))) + "\n")
