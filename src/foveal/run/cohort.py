"""The images of a plan, one entry each, in a fixed order."""

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from foveal.core import Image, Laterality, Modality, PlanError
from foveal.run.plan import ImagesTable, Plan

_SIDES: Mapping[str, Laterality] = {
    "r": "right", "right": "right", "od": "right", "l": "left", "left": "left", "os": "left",
    "b": "both", "both": "both", "ou": "both",
}  # fmt: skip
_COLUMNS = ("image", "patient", "eye", "laterality", "visit")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One image of the cohort, not yet read."""

    path: Path
    name: str
    """Its path as the plan or the manifest has it: what its pseudonym is made from."""
    regions: str | None = None
    modality: Modality | None = None
    patient: str | None = None
    eye: str | None = None
    visit: str | None = None
    laterality: Laterality | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    def described(self, image: Image) -> Image:
        """The image with what the manifest says; it goes before what the file says."""
        side = self.laterality or image.laterality
        patient = self.patient or image.patient
        known_side = side if side in ("right", "left") else None
        eye = self.eye or image.eye or (f"{patient}/{side}" if patient and known_side else None)
        return replace(
            image, patient=patient, laterality=side, eye=eye, visit=self.visit or image.visit
        )


def cohort(plan: Plan, folder: Path) -> list[Entry]:
    """All images of the plan, in the order of their paths.

    Raises:
        PlanError: A pattern or a manifest without images, a manifest that cannot be read or lacks
            a column, or an image that is named twice.
    """
    entries = [entry for table in plan.images for entry in _entries(table, folder)]
    paths = [entry.path.resolve() for entry in entries]
    twice = {str(path) for path in paths if paths.count(path) > 1} if _repeats(paths) else set()
    if twice:
        raise PlanError(f"{sorted(twice)[0]} is in the plan twice; each image counts once")
    return sorted(entries, key=lambda entry: entry.name)


def cohort_mark(entries: Sequence[Entry]) -> str:
    """SHA-256 over the names and sizes of the images: another cohort gives another one."""
    facts = [(entry.name, _size(entry.path), dict(entry.labels)) for entry in entries]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _entries(table: ImagesTable, folder: Path) -> Iterator[Entry]:
    regions = None if table.regions is None else str(folder / table.regions)
    if table.manifest is not None:
        yield from _from_manifest(folder / table.manifest, regions, table.modality)
        return
    pattern = table.files or ""
    found = sorted(path for path in _glob(folder, pattern) if path.is_file())
    if not found:
        raise PlanError(
            f"no file matches {pattern!r} in {folder.resolve()}; write a pattern such as "
            "'images/*.jpg', relative to the plan"
        )
    for path in found:
        name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
        yield Entry(path=path, name=name, regions=regions, modality=table.modality)


def _glob(folder: Path, pattern: str) -> Iterator[Path]:
    absolute = Path(pattern)
    if absolute.is_absolute():
        yield from Path(absolute.anchor).glob(str(absolute.relative_to(absolute.anchor)))
    else:
        yield from folder.glob(pattern)


def _from_manifest(path: Path, regions: str | None, modality: Modality | None) -> Iterator[Entry]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise PlanError(f"cannot read the manifest {path}: {problem}") from problem
    if not rows:
        raise PlanError(f"the manifest {path} has no rows")
    if "image" not in rows[0]:
        raise PlanError(f"the manifest {path} needs a column 'image', but has {', '.join(rows[0])}")
    for number, row in enumerate(rows, start=2):
        if not row["image"]:
            raise PlanError(f"the manifest {path} names no image in line {number}")
        yield _from_row(row, path, regions, modality)


def _from_row(
    row: Mapping[str, str], manifest: Path, regions: str | None, modality: Modality | None
) -> Entry:
    eye = (row.get("eye") or "").strip()
    side = (row.get("laterality") or "").strip().lower()
    return Entry(
        path=manifest.parent / row["image"],
        name=row["image"],
        regions=regions,
        modality=modality,
        patient=row.get("patient") or None,
        eye=None if eye.lower() in _SIDES else eye or None,
        visit=row.get("visit") or None,
        laterality=_SIDES.get(side) or _SIDES.get(eye.lower()),
        labels={key: value for key, value in row.items() if key not in _COLUMNS and value},
    )


def _repeats(paths: Sequence[Path]) -> bool:
    return len(set(paths)) < len(paths)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1
