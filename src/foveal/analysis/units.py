from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from foveal.analysis.estimate import FEW_UNITS, Unit

Ids = Sequence[Hashable] | np.ndarray
"""Names of patients, eyes or images, one a row; `None`, NaN and empty text are missing."""

_KINDS: tuple[Unit, ...] = ("image", "eye", "patient")


@dataclass(frozen=True, kw_only=True, eq=False)
class Units:
    """Which rows of a table belong to one patient, and so are not independent."""

    codes: Int[np.ndarray, " row"]
    """The unit of each row, from 0."""
    unit: Unit
    eyes: Int[np.ndarray, " row"] | None = None
    """The eye of each row, from 0; `None` unless every row has one."""
    notes: tuple[str, ...] = ()
    mixed: bool = False
    """Whether some rows lack the name that others count by, so that each of them is one unit."""

    @property
    def count(self) -> int:
        """Different units."""
        return 0 if self.codes.size == 0 else int(self.codes.max()) + 1

    def chosen(self, rows: Bool[np.ndarray, " row"]) -> "Units":
        """The units of some rows, counted anew."""
        return Units(
            codes=_coded(self.codes[rows]),
            unit=self.unit,
            eyes=None if self.eyes is None else _coded(self.eyes[rows]),
            notes=self.notes,
            mixed=self.mixed,
        )

    @property
    def counted(self) -> str:
        """`1 patient`, `2 patients`; `3 units` where rows without a patient count too."""
        kind = "unit" if self.mixed else self.unit
        return f"{self.count} {kind}{'s' * (self.count != 1)}"

    def remarks(self) -> tuple[str, ...]:
        """What must be said beside a number from these units; of none there is no number."""
        if not self.count or self.count >= FEW_UNITS:
            return self.notes
        return (*self.notes, f"only {self.counted}: fewer than {FEW_UNITS}, so be wary")


def units_of(patients: Ids, eyes: Ids | None = None, images: Ids | None = None) -> Units:
    """The unit of each row: its patient; without one its eye; without that its image.

    Eyes of one patient must have different names (`P7/left`, not `left`), or they are counted as
    one. Where some rows have a patient and others do not, the others count by eye or image, and
    a note says how many: should they belong to known patients, intervals are too narrow.

    Raises:
        ValueError: Columns of different lengths.
    """
    columns = [list(ids) if ids is not None else None for ids in (patients, eyes, images)]
    lengths = {len(column) for column in columns if column is not None}
    if len(lengths) != 1:
        raise ValueError(
            f"patients, eyes and images need a name for each row, but have lengths {lengths}"
        )
    (rows,) = lengths
    named: list[tuple[Unit, Hashable]] = [("image", f"row {row}") for row in range(rows)]
    for kind, column in zip(_KINDS, reversed(columns), strict=True):
        for row, name in enumerate(column or ()):
            if not is_missing(name):
                named[row] = (kind, name)
    kinds: list[Unit] = [kind for kind, _ in named]
    unit = max(kinds, key=_KINDS.index) if kinds else "patient"
    eye_of = columns[1]
    return Units(
        codes=_numbered(named),
        unit=unit,
        eyes=None if eye_of is None or any(map(is_missing, eye_of)) else _numbered(eye_of),
        notes=(*_notes(unit, kinds), *_repeats(columns[2])),
        mixed=len(set(kinds)) > 1,
    )


def unit_means(
    values: Num[np.ndarray, "row column"], units: Units
) -> Float[np.ndarray, "unit column"]:
    """Each unit's mean over its rows; NaN rows do not count, and NaN where a unit has no number."""
    sums, counts = unit_sums(values, units)
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def unit_sums(
    values: Num[np.ndarray, "row column"], units: Units
) -> tuple[Float[np.ndarray, "unit column"], Float[np.ndarray, "unit column"]]:
    """Sum and count of each unit's finite rows.

    Raises:
        ValueError: Other rows than those that have a unit.
    """
    if len(values) != len(units.codes):
        raise ValueError(f"{len(values)} rows of values, but {len(units.codes)} rows have a unit")
    sums, counts = np.zeros((2, units.count, values.shape[1]))
    for column in range(values.shape[1]):
        finite = np.isfinite(values[:, column])
        codes = units.codes[finite]
        sums[:, column] = np.bincount(codes, values[finite, column], minlength=units.count)
        counts[:, column] = np.bincount(codes, minlength=units.count)
    return sums, counts


def is_missing(name: Hashable) -> bool:
    """Whether a table's cell says nothing: `None`, NaN or empty text."""
    return name is None or name == "" or bool(name != name)


def _notes(unit: Unit, kinds: Sequence[Unit]) -> tuple[str, ...]:
    notes = []
    if unit != "patient":
        notes.append(f"no patient ids: each {unit} counts as one, so intervals may be too narrow")
    others = len(kinds) - kinds.count(unit)
    if others:
        notes.append(f"{others} of {len(kinds)} rows have no {unit} id and count by themselves")
    return tuple(notes)


def _repeats(images: Sequence[Hashable] | None) -> tuple[str, ...]:
    told = [name for name in images or () if not is_missing(name)]
    again = len(told) - len(set(told))
    rows = "1 row repeats" if again == 1 else f"{again} rows repeat"
    return (f"{rows} an image id; every row counts, within its unit",) * (again > 0)


def _numbered(names: Sequence[Hashable]) -> Int[np.ndarray, " row"]:
    """Numbers from 0 in the order in which names are met."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


def _coded(codes: Int[np.ndarray, " row"]) -> Int[np.ndarray, " row"]:
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)
