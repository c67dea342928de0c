"""A cohort's manifest: a CSV that says which images there are and what is known of them."""

import csv
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from foveal.core import FovealWarning, PlanError

KNOWN = ("image", "patient", "eye", "laterality", "visit", "grade")
"""Columns that are always taken."""
_EMPTY = frozenset({"nan", "<na>"})
"""What tools write into an empty cell."""
_NOBODY = _EMPTY | {"na", "n/a", "null", "none", "unknown"}
"""What people write where a name is not known. As a name it would make one patient of all who have
none; in other columns it may be a class."""
_NAMES = ("patient", "eye", "visit")


def read_manifest(path: Path, labels: Sequence[str] = ()) -> Iterator[Mapping[str, str]]:
    """The rows of a manifest, with the known columns and those asked for as labels.

    Columns are found in capitals or small letters. All others stay out of the run, since a
    hospital's table may hold names and birth dates; a note lists them.

    Raises:
        PlanError: A file that cannot be read, a column that is missing or there twice, or a line
            that does not fit the header or names no image.
    """
    head, *rows = _lines(path)
    columns = _columns(path, [name.strip() for name in head[1]], labels)
    if not rows:
        raise PlanError(f"the manifest {path} has no rows")
    for line, cells in rows:
        if len(cells) != len(head[1]):
            raise PlanError(
                f"line {line} of the manifest {path} has {len(cells)} cells, but the header names "
                f"{len(head[1])} columns; put quotes around a cell that holds a comma"
            )
        row = {name: _told(name, cells[place].strip()) for name, place in columns.items()}
        if not row["image"] or "\0" in row["image"]:
            raise PlanError(f"the manifest {path} names no image in line {line}")
        yield row


def _told(column: str, cell: str) -> str:
    """A cell; empty where it says nothing."""
    return "" if cell.lower() in (_NOBODY if column in _NAMES else _EMPTY) else cell


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """The lines that are not empty, with their numbers."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, cells) for cells in reader if cells]
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise PlanError(f"cannot read the manifest {path}: {problem}") from problem
    if not lines:
        raise PlanError(f"the manifest {path} has no rows")
    return lines


def _columns(path: Path, head: Sequence[str], labels: Sequence[str]) -> dict[str, int]:
    """Where the columns are that the run takes."""
    small = [name.lower() for name in head]
    wanted = {name.lower(): name for name in (*KNOWN, *labels)}
    for name in wanted:
        if small.count(name) > 1:
            raise PlanError(f"the manifest {path} has two columns {name!r}; leave one out")
    for name in ("image", *labels):
        if name.lower() not in small:
            raise PlanError(
                f"the manifest {path} needs a column {name!r}, but has {', '.join(head)}"
            )
    left_out = [name for name in head if name.lower() not in wanted]
    if left_out:
        warnings.warn(
            f"these columns of {path.name} stay out of the run: {', '.join(left_out)}; name those "
            "to be kept in labels = [...] of the plan's [[images]]",
            FovealWarning,
            stacklevel=2,
        )
    return {name: small.index(low) for low, name in wanted.items() if low in small}
