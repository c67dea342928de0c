from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num

from foveal.analysis.units import is_missing


@dataclass(frozen=True, kw_only=True, eq=False)
class CrossedReads:
    """A list of readings as a block of every image, arm and reader."""

    reads: Float[np.ndarray, "row arm reader"]
    """NaN where a reader did not read an image in an arm."""
    images: tuple[Hashable, ...]
    """Of each row of the block, in the order in which they were met; so are the others."""
    arms: tuple[str, ...]
    readers: tuple[Hashable, ...]


def crossed_reads(
    said: Num[np.ndarray, " reading"] | Sequence[float],
    *,
    images: Sequence[Hashable],
    arms: Sequence[str],
    readers: Sequence[Hashable],
) -> CrossedReads:
    """Sorts readings, one a line as a study writes them, into the block that `reader_aucs` takes.

    Raises:
        ValueError: Columns of different lengths, a row without its image, arm or reader, or a
            reader who read an image twice in an arm.
    """
    columns = (images, arms, readers)
    lengths = [len(said), *map(len, columns)]
    if len(set(lengths)) != 1:
        raise ValueError(f"each reading needs image, arm and reader, but they have {lengths}")
    for kind, column in zip(("image", "arm", "reader"), columns, strict=True):
        for row, name in enumerate(column):
            if is_missing(name):
                raise ValueError(f"each reading needs its {kind}, but row {row} has {name!r}")
    names = [tuple(dict.fromkeys(column)) for column in columns]
    places = [dict(zip(found, range(len(found)), strict=True)) for found in names]
    reads = np.full([len(found) for found in names], np.nan)
    filled = np.zeros(reads.shape, dtype=bool)
    for value, *told in zip(np.asarray(said, np.float64), *columns, strict=True):
        cell = tuple(place[name] for place, name in zip(places, told, strict=True))
        if filled[cell]:
            image, arm, reader = told
            raise ValueError(
                f"reader {reader!r} read image {image!r} twice in arm {arm!r}; keep one reading, "
                "or name the second time as an arm of its own"
            )
        reads[cell], filled[cell] = value, True
    return CrossedReads(
        reads=reads, images=names[0], arms=tuple(map(str, names[1])), readers=names[2]
    )
