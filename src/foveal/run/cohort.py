"""The images of a plan, one entry each, in a fixed order."""

import hashlib
import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np

from foveal.core import Image, ImageError, Laterality, Modality, PlanError
from foveal.images import AnatomyPart, Method, find_map, read_volume
from foveal.run.folders import images_in, volumes_in
from foveal.run.manifest import read_manifest
from foveal.run.plan import ImagesTable, MapsTable, Plan

_SIDES: Mapping[str, Laterality] = {
    "r": "right", "right": "right", "od": "right", "l": "left", "left": "left", "os": "left",
    "b": "both", "both": "both", "ou": "both",
}  # fmt: skip
_TOLD = ("image", "patient", "eye", "laterality", "visit")
"""Columns that say what an image is; the others are labels."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One image of the cohort, not yet read."""

    path: Path
    name: str
    """Its path from the plan's folder, or from the root where it lies elsewhere: what its
    pseudonym is made from."""
    regions: str | None = None
    namesakes: Sequence[Path] = ()
    """Files of this stem whose regions are looked for in the same place, itself among them."""
    consensus: Method = "majority"
    modality: Modality | None = None
    patient: str | None = None
    eye: str | None = None
    visit: str | None = None
    laterality: Laterality | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    maps: Mapping[str, Path] = field(default_factory=dict)
    """Files of maps made elsewhere, by their name in the run."""
    section: int | None = None
    """Which section of the volume in `path` it is, counted from 1; `None` for a picture."""
    lines: str | None = None
    """Pattern of the pictures of the volume's layer boundaries; {stem} is the volume's."""
    layers: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Regions between two boundaries, by name."""
    anatomy: tuple[AnatomyPart, ...] = ()
    """What is looked for where no mask shows it."""

    @property
    def stem(self) -> str:
        """What {stem} stands for: of a section the volume's, with its number."""
        number = "" if self.section is None else f"_{self.section:03d}"
        return f"{self.path.stem}{number}"

    @property
    def file(self) -> Path:
        """What its regions are named after: of a section a picture of it beside the volume."""
        return self.path if self.section is None else self.path.with_name(f"{self.stem}.png")

    @property
    def volume(self) -> str | None:
        """The name of the volume that a section is of."""
        return None if self.section is None else str(PurePosixPath(self.name).parent)

    @property
    def told_eye(self) -> str | None:
        """The eye, as far as it is known without the file."""
        return self.eye or _eye_of(self.patient, self.laterality)

    def described(self, image: Image) -> Image:
        """The image with what the manifest says; it goes before what the file says."""
        side = self.laterality or image.laterality
        patient = self.patient or image.patient
        eye = self.eye
        if eye is None and (patient, side) == (image.patient, image.laterality):
            eye = image.eye
        return replace(
            image,
            patient=patient,
            laterality=side,
            eye=eye or _eye_of(patient, side),
            visit=self.visit or image.visit,
        )


def cohort(plan: Plan, folder: Path) -> list[Entry]:
    """All images of the plan, in the order of their paths.

    Raises:
        PlanError: A pattern or a manifest without images, a manifest that cannot be read or lacks
            a column, an image that is named twice, or maps of which no image has one.
        ImageError: Several maps of one name for one image.
    """
    entries = images_of(plan.images, folder)
    for table in plan.maps:
        entries = _with_maps(entries, table, folder)
    return entries


def images_of(tables: Sequence[ImagesTable], folder: Path) -> list[Entry]:
    """All images that the tables name, in the order of their paths.

    Raises:
        PlanError: As for `cohort`.
    """
    entries = [
        replace(entry, consensus=table.consensus)
        for table in tables
        for entry in _entries(table, folder)
    ]
    places = Counter((entry.path.resolve(), entry.section) for entry in entries)
    (((path, _), times),) = places.most_common(1)
    if times > 1:
        raise PlanError(f"{path} is in the plan twice; each image counts once")
    return sorted(_with_namesakes(entries), key=lambda entry: entry.name)


def cohort_mark(entries: Sequence[Entry]) -> str:
    """SHA-256 over the names and sizes of the images and over the maps that were made elsewhere.

    Another cohort gives another one. Maps of one grid have files of one size, so they are read.
    """
    facts = [(e.name, _size(e.path), dict(e.labels), *_hashes(e.maps)) for e in entries]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _entries(table: ImagesTable, folder: Path) -> Iterator[Entry]:
    named = [replace(entry, anatomy=table.anatomy) for entry in _named(table, folder)]
    if table.sections is None:
        yield from named
        return
    if table.lines is not None and "{stem}" not in table.lines and len(named) > 1:
        raise PlanError(
            f"lines = {table.lines!r} would give {len(named)} volumes the same layers; put "
            "{stem} into it, which stands for each volume's name without suffix"
        )
    for entry in named:
        lines = None if table.lines is None else str(folder / table.lines)
        yield from _sections(replace(entry, lines=lines, layers=table.layers), table.sections)


def _sections(entry: Entry, wanted: str | int) -> Iterator[Entry]:
    """The sections of a volume, which has to be read once to be counted.

    One that cannot be read is one entry, which fails with the reason when its turn comes.
    """
    try:
        count = int(read_volume(entry.path, sections=(1, 1)).facts["sections_in_file"])
    except ImageError:
        count = 1
    shown = count if isinstance(wanted, str) else min(wanted, count)
    for place in np.unique(np.linspace(1, count, shown).round().astype(int)).tolist():
        section = replace(entry, section=place, modality=entry.modality or "oct")
        yield replace(section, name=f"{entry.name}/{section.stem}")


def _named(table: ImagesTable, folder: Path) -> Iterator[Entry]:
    regions = None if table.regions is None else str(folder / table.regions)
    if table.manifest is not None:
        manifest = folder / table.manifest
        for row in read_manifest(manifest, table.labels):
            yield _from_row(row, manifest.parent / row["image"], folder, regions, table.modality)
        return
    pattern = table.files or ""
    if table.sections is None:
        found = _found(folder, pattern, _masks(regions))
    else:
        found = _volumes(folder, pattern)
    if not found:
        raise PlanError(
            f"no file matches {pattern!r} in {folder.resolve()}; name files, a folder of images, "
            "or a pattern such as 'images/*.jpg'"
        )
    for path in found:
        yield Entry(path=path, name=_name(path, folder), regions=regions, modality=table.modality)


def _with_namesakes(entries: Sequence[Entry]) -> Iterator[Entry]:
    """Entries that know of the others that their regions might be taken for."""
    alike: defaultdict[tuple[str | None, str], list[Path]] = defaultdict(list)
    for entry in entries:
        alike[entry.regions, entry.stem].append(entry.file)
    for entry in entries:
        yield replace(entry, namesakes=alike[entry.regions, entry.stem])


def _with_maps(entries: Sequence[Entry], table: MapsTable, folder: Path) -> list[Entry]:
    found = [find_map(str(folder / table.files), entry.stem) for entry in entries]
    if not any(found):
        raise PlanError(
            f"no map of any image matches {table.files!r} in {folder.resolve()}; {{stem}} stands "
            "for an image's file name without its suffix"
        )
    return [
        entry if path is None else replace(entry, maps={**entry.maps, table.name: path})
        for entry, path in zip(entries, found, strict=True)
    ]


def _masks(pattern: str | None) -> set[Path]:
    """All files that a pattern of masks may mean, which are no images where they lie among them."""
    if pattern is None:
        return set()
    whole = Path(re.sub(r"{\w+}", "*", pattern))
    return set(Path(whole.anchor).glob(str(whole.relative_to(whole.anchor))))


def _found(folder: Path, pattern: str, masks: Container[Path]) -> list[Path]:
    """A file by its very name, the images in a folder, or the files that a pattern matches."""
    named = folder / pattern
    if named.is_file():
        return [named]
    if named.is_dir():
        return images_in(named, masks)
    start, wanted = folder, Path(pattern)
    if wanted.is_absolute():
        start, wanted = Path(wanted.anchor), wanted.relative_to(wanted.anchor)
    return sorted(path for path in start.glob(str(wanted)) if path.is_file())


def _volumes(folder: Path, pattern: str) -> list[Path]:
    """Files and folders, each a volume; of a folder by its name all volumes in it."""
    named = folder / pattern
    if named.is_dir():
        return volumes_in(named)
    if named.exists():
        return [named]
    start, wanted = folder, Path(pattern)
    if wanted.is_absolute():
        start, wanted = Path(wanted.anchor), wanted.relative_to(wanted.anchor)
    return sorted(path for path in start.glob(str(wanted)) if not path.name.startswith("."))


def _name(path: Path, folder: Path) -> str:
    """No two files have the same one."""
    whole, base = (Path(os.path.normpath(one.absolute())) for one in (path, folder))
    return (whole.relative_to(base) if whole.is_relative_to(base) else whole).as_posix()


def _from_row(
    row: Mapping[str, str],
    path: Path,
    folder: Path,
    regions: str | None,
    modality: Modality | None,
) -> Entry:
    eye, side = row.get("eye", ""), row.get("laterality", "").lower()
    return Entry(
        path=path,
        name=_name(path, folder),
        regions=regions,
        modality=modality,
        patient=row.get("patient") or None,
        eye=None if eye.lower() in _SIDES else eye or None,
        visit=row.get("visit") or None,
        laterality=_SIDES.get(side) or _SIDES.get(eye.lower()),
        labels={name: value for name, value in row.items() if name not in _TOLD and value},
    )


def _eye_of(patient: str | None, side: Laterality | None) -> str | None:
    return f"{patient}/{side}" if patient and side in ("right", "left") else None


def _hashes(maps: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    for name, path in maps.items():
        yield name, hashlib.sha256(path.read_bytes()).hexdigest()


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    return path.stat().st_size if path.is_file() else -1
