"""A run over many images: what each stage takes, and whether memory grows with their number."""

import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from time import perf_counter

import torch

from foveal.app.demonstration import write_demo
from foveal.measures.cost import peak_memory
from foveal.report import write_audit, write_figures, write_page
from foveal.run import Summary, open_job, read_plan, run

_FEW, _MANY = 8, 32
_GROWTH = 0.15
"""Share by which four times the images may raise the memory's peak: allocators are not exact."""


def main() -> bool:
    """Print stages and peaks; true when memory stays flat."""
    print(f"the demo's plan over {_FEW}, then {_MANY} eyes, {torch.get_num_threads()} threads")
    few, many = _in_a_process_of_its_own(_FEW), _in_a_process_of_its_own(_MANY)
    growth = many / few - 1
    print(f"  peak memory: {few / 1e6:.0f} MB, then {many / 1e6:.0f} MB ({100 * growth:+.0f} %)")
    return growth < _GROWTH


def one_run(eyes: int) -> None:
    """Run, report, print the stages, and the peak as the last line."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan = write_demo(Path(folder), eyes=eyes, seed=0)
        started = perf_counter()
        summary = run(open_job(read_plan(plan), plan.parent, trust=True))
        explained = perf_counter() - started
        stages = _stages(summary)
        started = perf_counter()
        for write in (write_figures, write_audit, write_page):
            write(summary.run)
        stages["draw"] = perf_counter() - started
    whole = sum(stages.values())
    shares = ", ".join(f"{name} {100 * value / whole:.0f} %" for name, value in stages.items())
    unseen = explained - (whole - stages["draw"])
    print(
        f"  {eyes} eyes: {whole / eyes:.2f} s an image: {shares}; elsewhere {unseen:.1f} s in all"
    )
    print(peak_memory())


def _in_a_process_of_its_own(eyes: int) -> int:
    """A process's peak never falls again, so each run gets its own."""
    code = (
        f"import torch; torch.set_num_threads({torch.get_num_threads()}); "
        f"from benchmarks.cohort import one_run; one_run({eyes})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *lines, peak = done.stdout.splitlines()
    print("\n".join(lines))
    return int(peak)


def _stages(summary: Summary) -> dict[str, float]:
    stages: dict[str, float] = {}
    for event in summary.run.events():
        seconds = event.get("seconds")
        if event["event"] == "shard" and isinstance(seconds, dict):
            for stage, value in seconds.items():
                stages[stage] = stages.get(stage, 0.0) + value
    return stages
