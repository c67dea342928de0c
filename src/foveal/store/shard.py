"""One shard of a run: a folder that appears whole or not at all."""

import json
import os
import shutil
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from PIL import Image as PillowImage

from foveal.core import Region, StoreError
from foveal.store import tables
from foveal.store.case import Case, Explained, Loss, View
from foveal.store.tables import Row

_QUALITY = 92
"""Of the JPEG that a display copy is kept as."""
_ARRAYS = "arrays.zarr"
_PICTURES = "pictures"


def write_shard(folder: Path, cases: Sequence[Case], *, again: bool = False) -> None:
    """Write the cases of one shard beside its place and move them there in one step.

    With `again` a shard that is there makes place for the new one.

    Raises:
        StoreError: The folder cannot be written or the disk is full; nothing half-written stays.
    """
    hidden = folder.with_name(f".{folder.name}.{os.getpid()}")
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    try:
        shutil.rmtree(hidden, ignore_errors=True)
        hidden.mkdir(parents=True)
        _Writer(hidden).write(cases)
        _flush(hidden)
        if again:
            folder.rename(aside)
        hidden.rename(folder)
    except OSError as problem:
        raise StoreError(
            f"cannot write the shard {folder.name} of the run ({problem.strerror or problem}); "
            "make room or choose another folder, then run the same plan again: finished shards stay"
        ) from problem
    finally:
        if aside.exists() and not folder.exists():
            aside.rename(folder)
        shutil.rmtree(hidden, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)


def read_shard(folder: Path) -> Iterator[Case]:
    """The cases of a shard, one by one; their maps are read when their turn comes.

    Raises:
        StoreError: A shard that is damaged.
    """
    with _damage_named(folder):
        yield from _Reader(folder).cases()


def read_failures(folder: Path) -> dict[str, str]:
    """The images of a shard that failed, and why, without reading anything else.

    Raises:
        StoreError: A shard that is damaged.
    """
    with _damage_named(folder):
        table = pq.read_table(folder / "images.parquet", columns=["image", "failure"])
    rows = table.to_pylist()
    return {row["image"]: row["failure"] for row in rows if row["failure"] is not None}


@contextmanager
def _damage_named(folder: Path) -> Generator[None]:
    try:
        yield
    except (OSError, KeyError, pa.ArrowException, json.JSONDecodeError) as problem:
        raise StoreError(
            f"the shard {folder.name} of the run is damaged ({problem}); remove its folder and "
            "run the same plan again"
        ) from problem


class _Writer:
    """Collects rows and arrays of a shard and writes them sorted by image."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.arrays: dict[str, list[np.ndarray]] = {}
        self.rows: dict[str, list[Row]] = {"images": [], "views": [], "maps": [], "scores": []}

    def write(self, cases: Sequence[Case]) -> None:
        for case in cases:
            self._add(case)
        for name, schema in _SCHEMAS.items():
            table = pa.Table.from_pylist(self.rows[name], schema=schema)
            pq.write_table(table, self.folder / f"{name}.parquet", compression="zstd")
        if self.arrays:
            self._write_arrays()

    def _add(self, case: Case) -> None:
        picture, regions = self._pictures(case)
        self.rows["images"].append(tables.image_row(case, picture, regions))
        for view in case.views:
            masks = np.array([region.mask for region in view.regions], dtype=bool)
            row = tables.view_row(case, view)
            row["pixels_array"], row["pixels_index"] = self._place("pixels", view.pixels)
            row["field_array"], row["field_index"] = self._place("fields", view.field)
            row["regions_array"], row["regions_index"] = (
                self._place("regions", masks) if view.regions else (None, None)
            )
            self.rows["views"].append(row)
            for explained in view.explained:
                self.rows["maps"].append(self._map_row(case, view, explained))
                self.rows["scores"] += [
                    tables.score_row(case, view, explained, measured)
                    for measured in explained.scores
                ]

    def _map_row(self, case: Case, view: View, explained: Explained) -> Row:
        row = tables.map_row(case, view, explained)
        values = explained.attribution.map.astype(np.float32)
        if values.size <= tables.SMALL_MAP:
            row["values"], row["array"], row["index"] = values.ravel(), None, None
        else:
            row["values"] = None
            row["array"], row["index"] = self._place("maps", values)
        return row

    def _place(self, kind: str, values: np.ndarray) -> tuple[str, int]:
        """Where an array goes: with the others of its kind and shape."""
        name = f"{kind}/{'x'.join(map(str, values.shape))}"
        held = self.arrays.setdefault(name, [])
        held.append(values)
        return name, len(held) - 1

    def _write_arrays(self) -> None:
        group = zarr.open_group(self.folder / _ARRAYS, mode="w")
        for name, values in sorted(self.arrays.items()):
            stacked = np.stack(values)
            group.create_array(
                name,
                data=stacked,
                chunks=(1, *stacked.shape[1:]),
                shards=stacked.shape,
            )

    def _pictures(self, case: Case) -> tuple[str | None, list[Mapping[str, object]]]:
        if case.picture is None:
            return None, []
        folder = self.folder / _PICTURES
        folder.mkdir(exist_ok=True)
        stem = f"{len(self.rows['images']):04d}"
        name = f"{stem}.jpg"
        picture = PillowImage.fromarray(case.picture.squeeze())
        picture.save(folder / name, quality=_QUALITY, subsampling=0)
        regions = []
        for number, region in enumerate(case.regions):
            file = f"{stem}_{number}.png"
            PillowImage.fromarray(region.mask).save(folder / file)
            regions.append({"name": region.name, "kind": region.kind, "file": file})
        return name, regions


class _Reader:
    """Reads a shard's tables at once and its arrays one by one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = {
            name: pq.read_table(folder / f"{name}.parquet").to_pylist() for name in _SCHEMAS
        }
        has_arrays = (folder / _ARRAYS).is_dir()
        self.group = zarr.open_group(folder / _ARRAYS, mode="r") if has_arrays else None

    def cases(self) -> Iterator[Case]:
        for row in self.rows["images"]:
            views = [self._view(v) for v in self.rows["views"] if v["image"] == row["image"]]
            yield self._case(row, tuple(views))

    def _case(self, row: Row, views: tuple[View, ...]) -> Case:
        spacing = row["row_spacing_mm"], row["column_spacing_mm"]
        return Case(
            id=row["image"],
            patient=row["patient"],
            eye=row["eye"],
            visit=row["visit"],
            laterality=row["laterality"],
            modality=row["modality"],
            grid=None if row["rows"] is None else (row["rows"], row["columns"]),
            spacing_mm=None if spacing[0] is None else spacing,
            sha256=row["sha256"],
            facts=json.loads(row["facts"]),
            labels=json.loads(row["labels"]),
            picture=self._picture(row["picture"]),
            regions=tuple(
                Region(name=r["name"], kind=r["kind"], mask=self._mask(r["file"]))
                for r in json.loads(row["regions"])
            ),
            views=views,
            failure=row["failure"],
        )

    def _view(self, row: Row) -> View:
        named = json.loads(row["regions"])
        masks = self._array(row["regions_array"], row["regions_index"]) if named else ()
        own = [m for m in self.rows["maps"] if _same_view(m, row)]
        return View(
            model=row["model"],
            steps=tuple(json.loads(row["steps"])),
            pixels=self._array(row["pixels_array"], row["pixels_index"]),
            field=self._array(row["field_array"], row["field_index"]),
            prediction=tables.prediction_from(row),
            regions=tuple(
                Region(name=region["name"], kind=region["kind"], mask=mask)
                for region, mask in zip(named, masks, strict=True)
            ),
            losses=tuple(Loss(**loss) for loss in json.loads(row["losses"])),
            explained=tuple(self._explained(m) for m in own),
        )

    def _explained(self, row: Row) -> Explained:
        scores = [s for s in self.rows["scores"] if _same_view(s, row) and _same_map(s, row)]
        if row["values"] is None:
            values = self._array(row["array"], row["index"])
        else:
            values = np.asarray(row["values"], np.float32).reshape(row["shape"])
        return Explained(
            key=row["key"],
            attribution=tables.attribution_from(row, values),
            scores=tuple(tables.measured_from(score) for score in scores),
        )

    def _array(self, name: str, index: int) -> np.ndarray:
        if self.group is None:
            raise KeyError(name)
        return np.asarray(self.group[name][index])  # type: ignore[index]

    def _picture(self, name: str | None) -> np.ndarray | None:
        if name is None:
            return None
        with PillowImage.open(self.folder / _PICTURES / name) as picture:
            pixels = np.asarray(picture)
        return pixels[:, :, None] if pixels.ndim == 2 else pixels

    def _mask(self, name: str) -> np.ndarray:
        with PillowImage.open(self.folder / _PICTURES / name) as picture:
            return np.asarray(picture, dtype=bool)


_SCHEMAS = {
    "images": tables.IMAGES,
    "views": tables.VIEWS,
    "maps": tables.MAPS,
    "scores": tables.SCORES,
}


def _same_view(one: Row, other: Row) -> bool:
    return one["image"] == other["image"] and one["model"] == other["model"]


def _same_map(one: Row, other: Row) -> bool:
    return one["key"] == other["key"] and one["target"] == other["target"]


def _flush(folder: Path) -> None:
    """Have everything on the disk before the rename says that it is there."""
    for path in [*folder.rglob("*"), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            with suppress(OSError):  # some file systems cannot flush a folder
                os.fsync(handle)
        finally:
            os.close(handle)
