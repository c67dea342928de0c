"""Measures and statistics against those of other packages, under settings that make them the same.

`pip install -r benchmarks/requirements.txt` installs the others; what is missing is left out with a
line that says so. Where another package defines something else, the row says in what it differs,
and breaks the promise as soon as it no longer does.
"""

import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from io import StringIO

import numpy as np

from benchmarks.peers.row import Row
from tools import torchvision_operators  # noqa: F401 (zennit, below Quantus, imports torchvision)

_TOLERANCE = 1e-5
"""Largest difference as a share of the other's largest value: they reckon in single precision."""
_PEERS = {
    "quantus": ("quantus_maps", "quantus_scores"),
    "captum": ("captum",),
    "grad-cam": ("grad_cam",),
    "scikit-learn": ("scikit_learn",),
    "scikit-image": ("scikit_image",),
    "monai": ("monai",),
    "statsmodels": ("scipy_and_statsmodels",),
}
_BELOW = ("numpy", "scipy", "torch")


def main() -> bool:
    """Print a table for each package; true when all that should agree does, and no more."""
    kept = True
    print("measures against other packages; with", ", ".join(f"{n} {version(n)}" for n in _BELOW))
    for package, modules in _PEERS.items():
        try:
            found = f"{package} {version(package)}"
        except PackageNotFoundError:
            print(f"\n{package} is not installed: left out")
            continue
        rows = sorted(_rows(modules), key=lambda row: not row.same)
        kept = all([*map(_holds, rows), kept])
        print(f"\n| our measure | {found} | under which settings | largest difference |")
        print("|---|---|---|---|")
        for row in rows:
            print(f"| {' | '.join(_cells(row))} |{'' if _holds(row) else '  !'}")
    return kept


def _rows(modules: tuple[str, ...]) -> Iterator[Row]:
    """Of one package, without what it says while it counts."""
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        for name in modules:
            yield from import_module(f"benchmarks.peers.{name}").rows()


def _holds(row: Row) -> bool:
    return (row.difference < _TOLERANCE) is row.same


def _cells(row: Row) -> tuple[str, ...]:
    if row.same:
        return f"`{row.measure}`", f"`{row.peer}`", row.how, f"{row.difference:.1e}"
    ours, theirs = (_first(row, numbers) for numbers in (row.ours, row.theirs))
    said = f"{_told(ours)} here, {_told(theirs)} there"
    return f"`{row.measure}`", f"`{row.peer}`", f"differs by definition: {row.how}", said


def _first(row: Row, numbers: object) -> float:
    """Of the case in which the two are furthest apart, or one alone is missing."""
    ours, theirs = (np.ravel(np.asarray(n, np.float64)) for n in (row.ours, row.theirs))
    lacking = np.isnan(ours) != np.isnan(theirs)
    apart = np.where(lacking, np.inf, np.nan_to_num(np.abs(ours - theirs)))
    return float(np.ravel(np.asarray(numbers, np.float64))[int(apart.argmax())])


def _told(value: float) -> str:
    return "missing" if np.isnan(value) else f"{value:.3g}"
