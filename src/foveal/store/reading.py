"""The cases of a shard from its files."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import zarr
from PIL import Image as PillowImage

from foveal.core import Region
from foveal.store import tables
from foveal.store.case import Case, Explained, Loss, MapName, Scored, View
from foveal.store.tables import Row

_YOUNGER = "findings"
"""A table that older shards do not have."""


class ShardReader:
    """Reads a shard's tables at once and its arrays one by one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = {name: _rows(folder, name) for name in tables.SCHEMAS}
        has_arrays = (folder / tables.ARRAYS).is_dir()
        self.group = zarr.open_group(folder / tables.ARRAYS, mode="r") if has_arrays else None

    def cases(self) -> Iterator[Case]:
        """The cases, one by one; their maps are read when their turn comes."""
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
            stages=tuple(self._stages(json.loads(row.get("stages") or "[]"))),
            explained=tuple(self._explained(m) for m in own),
        )

    def _explained(self, row: Row) -> Explained:
        scores = [s for s in self.rows["scores"] if _same_view(s, row) and _same_map(s, row)]
        findings = [f for f in self.rows["findings"] if _same_view(f, row) and _same_map(f, row)]
        if row["values"] is None:
            values = self._array(row["array"], row["index"])
        else:
            values = np.asarray(row["values"], np.float32).reshape(row["shape"])
        return Explained(
            key=row["key"],
            attribution=tables.attribution_from(row, values),
            scores=tuple(tables.measured_from(score) for score in scores),
            finding=next(map(tables.finding_from, findings), None),
        )

    def _array(self, name: str, index: int) -> np.ndarray:
        if self.group is None or not self._is_there(name):
            raise KeyError(name)
        return np.asarray(self.group[name][index])  # type: ignore[index]

    def _is_there(self, name: str) -> bool:
        """Zarr reads zeros where a file is missing or empty."""
        files = (self.folder / tables.ARRAYS / name / "c").rglob("*")
        return any(file.stat().st_size for file in files if file.is_file())

    def _picture(self, name: str | None) -> np.ndarray | None:
        if name is None:
            return None
        with PillowImage.open(self.folder / tables.PICTURES / name) as picture:
            pixels = np.asarray(picture)
        return pixels[:, :, None] if pixels.ndim == 2 else pixels

    def _stages(self, named: Sequence[Row]) -> Iterator[np.ndarray]:
        """The pictures after each step, which lie side by side in one file."""
        strip = self._picture(named[0]["file"]) if named else None
        start = 0
        for stage in named if strip is not None else ():
            rows, columns = stage["grid"]
            yield strip[:rows, start : start + columns]  # type: ignore[index]
            start += columns

    def _mask(self, name: str) -> np.ndarray:
        with PillowImage.open(self.folder / tables.PICTURES / name) as picture:
            return np.asarray(picture, dtype=bool)


def read_scored(folder: Path) -> list[Scored]:
    """The maps of a shard without their values, in the order of the table."""
    scores: dict[MapName, list[Row]] = defaultdict(list)
    for row in _rows(folder, "scores"):
        scores[_name(row)].append(row)
    findings = {_name(row): tables.finding_from(row) for row in _rows(folder, "findings")}
    return [
        Scored(
            name=_name(row),
            reason=row["reason"],
            scores=tuple(map(tables.measured_from, scores[_name(row)])),
            finding=findings.get(_name(row)),
        )
        for row in _rows(folder, "maps", columns=[*MapName._fields, "reason"])
    ]


def _rows(folder: Path, name: str, columns: Sequence[str] | None = None) -> list[Row]:
    path = folder / f"{name}.parquet"
    if name == _YOUNGER and not path.exists():
        return []
    return pq.read_table(path, columns=None if columns is None else list(columns)).to_pylist()


def _name(row: Row) -> MapName:
    return MapName(**{field: row[field] for field in MapName._fields})


def _same_view(one: Row, other: Row) -> bool:
    return one["image"] == other["image"] and one["model"] == other["model"]


def _same_map(one: Row, other: Row) -> bool:
    return one["key"] == other["key"] and one["target"] == other["target"]
