"""Statistics of 100,000 images x 6 methods x 20 measures, from the run's tables to conclusions."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foveal.analysis.records import read_records
from foveal.analysis.resampling import Bootstrap
from foveal.measures.cost import peak_memory
from foveal.report.proof.matches import matches
from foveal.store import Run
from foveal.store.tables import SCHEMAS

_IMAGES, _METHODS, _MEASURES, _SHARDS = 100_000, 6, 20, 10
_SECONDS, _BYTES = 60.0, 4 * 2**30


def main() -> bool:
    """Print time and memory; true when both promises are kept."""
    print(f"statistics of {_IMAGES:,} images x {_METHODS} methods x {_MEASURES} measures")
    with tempfile.TemporaryDirectory() as folder:
        write_run(Path(folder) / "run")
        code = f"from benchmarks.cohort_statistics import one; one({str(Path(folder) / 'run')!r})"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
    *lines, facts = done.stdout.splitlines()
    print("\n".join(lines))
    seconds, peak = json.loads(facts)
    print(f"  peak memory: {peak / 2**30:.2f} GiB, promised: at most {_BYTES / 2**30:.0f}")
    return seconds <= _SECONDS and peak <= _BYTES


def one(folder: str) -> None:
    """Read and conclude in a process of its own; the last line is for `main`."""
    run = Run.open(Path(folder))
    times = {}
    started = process_time(), perf_counter()

    def lap(name: str) -> None:
        nonlocal started
        now = process_time(), perf_counter()
        times[name] = now[0] - started[0]
        print(f"  {name}: {times[name]:.1f} s of processor time, {now[1] - started[1]:.1f} s")
        started = process_time(), perf_counter()

    records = read_records(run)
    lap("read the tables")
    matches(records, Bootstrap())
    lap("intervals (2000 resamples, BCa), Friedman, all pairs with Holm")
    proved = sum(times.values())
    print(f"  tables and comparisons: {proved:.1f} s, promised: at most {_SECONDS:.0f} s")
    print(json.dumps([proved, peak_memory()]))


def write_run(folder: Path) -> None:
    """A run of numbers alone: no map, no picture; two eyes a patient, alike."""
    random = np.random.default_rng(0)
    names = ["No DR", "Mild", "Moderate", "Severe", "Proliferative"]
    run = Run.create(
        folder,
        {
            "name": "numbers", "fingerprint": "0" * 64, "seed": 0,
            "versions": {}, "methods": [], "measures": [],
            "models": [{"name": "grader", "task": "ordinal", "classes": names}],
        },
    )  # fmt: skip
    size = _IMAGES // _SHARDS
    for number in range(_SHARDS):
        shard = run.shard(number)
        shard.mkdir(parents=True)
        _write(shard, "images", _images(number * size, size, random))
        _write(shard, "views", _views(number * size, size, names, random))
        _write(shard, "scores", _scores(number * size, size, random))


def _write(shard: Path, name: str, columns: dict[str, object]) -> None:
    rows = len(next(iter(columns.values())))  # type: ignore[arg-type]
    arrays = [
        pa.array(columns[f.name]).cast(f.type) if f.name in columns else pa.nulls(rows, f.type)
        for f in SCHEMAS[name]
    ]
    pq.write_table(pa.table(arrays, schema=SCHEMAS[name]), shard / f"{name}.parquet")


def _images(first: int, size: int, random: np.random.Generator) -> dict[str, object]:
    images = range(first, first + size)
    grades, ages = random.integers(5, size=size), random.integers(30, 90, size=size)
    devices = random.integers(4, size=size)
    labels = [
        json.dumps({"grade": str(grade), "age": str(age), "device": f"camera {device}"})
        for grade, age, device in zip(grades, ages, devices, strict=True)
    ]
    return {
        "image": [f"I-{n:06d}" for n in images],
        "patient": [f"P-{n // 2:06d}" for n in images],
        "eye": [f"E-{n:06d}" for n in images],
        "laterality": ["right" if n % 2 else "left" for n in images],
        "labels": labels,
        "facts": ["{}"] * size,
    }


def _views(first: int, size: int, names: list[str], random: np.random.Generator):
    chances = random.dirichlet(np.ones(5), size=size)
    return {
        "image": [f"I-{n:06d}" for n in range(first, first + size)],
        "model": ["grader"] * size,
        "predicted_index": chances.argmax(axis=1),
        "values": [json.dumps(list(zip(names, row, strict=True))) for row in chances.tolist()],
        "calibrated": ["[]"] * size,
    }


def _scores(first: int, size: int, random: np.random.Generator) -> dict[str, object]:
    image = np.repeat(np.arange(size), _METHODS * _MEASURES)
    key = np.tile(np.repeat(np.arange(_METHODS), _MEASURES), size)
    measure = np.tile(np.arange(_MEASURES), size * _METHODS)
    patient = np.repeat(random.normal(size=(size // 2, 1)), 2, axis=0)
    numbers = patient[image, 0] + 0.02 * key + random.normal(size=len(image))
    empty = random.random(len(image)) < 0.01
    named = ["relevance_mass", "srg", *(f"measure_{n:02d}" for n in range(2, _MEASURES))]
    return {
        "image": _texts(image, [f"I-{first + n:06d}" for n in range(size)]),
        "model": _texts(0 * image, ["grader"]),
        "key": _texts(key, [f"method{n}" for n in range(_METHODS)]),
        "target": _texts(0 * image, ["predicted: Severe"]),
        "measure": _texts(measure, named),
        "value": pa.array(numbers, mask=empty),
        "reason": pa.array(np.where(empty, "zero_map", None), pa.string()),
        "direction": _texts(0 * image, ["higher"]),
        "chance": np.zeros(len(image)),
    }


def _texts(codes: np.ndarray, names: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(names))
