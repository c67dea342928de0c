"""The files of a shard from its cases."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from PIL import Image as PillowImage

from foveal.core import Finding
from foveal.store import tables
from foveal.store.case import Case, Explained, MapName, View
from foveal.store.tables import Row

_QUALITY = 92
"""Of the JPEG that a display copy is kept as."""


class ShardWriter:
    """Collects rows and arrays of a shard and writes them sorted by image."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.arrays: dict[str, list[np.ndarray]] = {}
        self.rows: dict[str, list[Row]] = {name: [] for name in tables.SCHEMAS}

    def write(self, cases: Sequence[Case]) -> None:
        """Write all files.

        Raises:
            ValueError: Two images, models of an image or maps of a view of one name.
            TypeError: A value that is not plain.
        """
        check_names(cases)
        for case in cases:
            self._add(case)
        for name in tables.SCHEMAS:
            write_table(self.folder / f"{name}.parquet", name, self.rows[name])
        if self.arrays:
            self._write_arrays()

    def _add(self, case: Case) -> None:
        picture, regions = self._pictures(case)
        self.rows["images"].append(tables.image_row(case, picture, regions))
        for view in case.views:
            stages = self._strip(view)
            masks = np.array([region.mask for region in view.regions], dtype=bool)
            row = {**tables.view_row(case, view), "stages": stages}
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
                if explained.finding is not None:
                    name = MapName(case.id, view.model, explained.key, explained.attribution.target)
                    self.rows["findings"].append(tables.finding_row(name, explained.finding))

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
        group = zarr.open_group(self.folder / tables.ARRAYS, mode="w")
        for name, values in sorted(self.arrays.items()):
            stacked = np.stack(values)
            group.create_array(
                name,
                data=stacked,
                chunks=(1, *stacked.shape[1:]),
                shards=stacked.shape,
                config={"write_empty_chunks": True},  # so that what is not there was lost
            )

    def _strip(self, view: View) -> str:
        """All stages of a view side by side in one file, and where each ends."""
        if not view.stages:
            return tables.dumped([])
        folder = self.folder / tables.PICTURES
        folder.mkdir(exist_ok=True)
        rows = max(stage.shape[0] for stage in view.stages)
        strip = np.concatenate(
            [np.pad(one, ((0, rows - len(one)), (0, 0), (0, 0))) for one in view.stages], axis=1
        )
        name = f"steps_{len(self.rows['views']):04d}.jpg"
        PillowImage.fromarray(strip.squeeze(axis=2) if strip.shape[2] == 1 else strip).save(
            folder / name, quality=_QUALITY, subsampling=0
        )
        return tables.dumped([{"file": name, "grid": one.shape[:2]} for one in view.stages])

    def _pictures(self, case: Case) -> tuple[str | None, list[Mapping[str, object]]]:
        if case.picture is None:
            return None, []
        folder = self.folder / tables.PICTURES
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


def write_table(path: Path, name: str, rows: Sequence[Row]) -> None:
    """One table of a shard."""
    table = pa.Table.from_pylist(list(rows), schema=tables.SCHEMAS[name])
    pq.write_table(table, path, compression="zstd")


def write_findings(path: Path, findings: Mapping[MapName, Finding]) -> None:
    """The table of findings."""
    write_table(path, "findings", [tables.finding_row(*one) for one in findings.items()])


def check_names(cases: Sequence[Case]) -> None:
    """The tables are joined by these names: two of one name would share maps and scores.

    Raises:
        ValueError: Two images, models of an image or maps of a view of one name.
    """
    _check_once("images", [case.id for case in cases])
    for case in cases:
        _check_once(f"models of {case.id}", [view.model for view in case.views])
        for view in case.views:
            maps = [(e.key, e.attribution.target) for e in view.explained]
            _check_once(f"maps of {case.id}", maps)


def _check_once(what: str, names: Iterable[object]) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise ValueError(f"two {what} are called {name!r}; give each a name of its own")
