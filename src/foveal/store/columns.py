"""A run's tables as columns, for statistics: no map and no picture is read."""

from collections.abc import Container, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool

from foveal.core import StoreError
from foveal.store.run import Run
from foveal.store.tables import SCHEMAS


def columns(run: Run, table: str, names: Sequence[str]) -> Iterator[pa.Table]:
    """Some columns of a run's `images`, `views`, `maps` or `scores`, one table a finished shard.

    Texts come as dictionaries, since most of them repeat. A column that an older run lacks is null.

    Raises:
        StoreError: A shard that is damaged.
        KeyError: A table or a column that no run has.
    """
    schema = pa.schema([SCHEMAS[table].field(name) for name in names])
    texts = [field.name for field in schema if field.type == pa.string()]
    for number in run.numbers():
        path = run.shard(number) / f"{table}.parquet"
        try:
            yield _read(path, schema, texts)
        except (OSError, pa.ArrowException) as problem:
            raise StoreError(
                f"the shard {path.parent.name} of the run is damaged ({problem}); remove its "
                "folder and run the same plan again"
            ) from problem


def among(column: pa.ChunkedArray, names: Container[str]) -> Bool[np.ndarray, " row"]:
    """Which rows of a column of texts hold one of some names."""
    whole = column.unify_dictionaries().combine_chunks()
    known = np.array([name in names for name in whole.dictionary.to_pylist()], dtype=bool)
    return known[whole.indices.to_numpy()]


def _read(path: Path, schema: pa.Schema, texts: Sequence[str]) -> pa.Table:
    there = set(pq.read_schema(path).names)
    with pq.ParquetFile(path, read_dictionary=[name for name in texts if name in there]) as file:
        table = file.read(columns=[name for name in schema.names if name in there])
    for field in schema:
        if field.name not in there:
            empty = pa.nulls(len(table), field.type)
            table = table.append_column(
                field.name, empty.dictionary_encode() if field.name in texts else empty
            )
    return table.select(schema.names)
