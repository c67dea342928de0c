"""What the values of a label image mean, from ITK-SNAP's description file."""

import re
from os import PathLike
from pathlib import Path

from foveal.core import ImageError
from foveal.images.annotations.text import read_text
from foveal.images.content import about, first_bytes

_LINE = re.compile(r"\s*(\d{1,9})(?:\s+[\d.]+){6}\s+\"(.*)\"\s*")
"""Value, red, green, blue, opacity, shown in slices, shown in 3D, and the name in quotes."""


def read_labels(path: str | PathLike[str]) -> dict[int, str | None]:
    """The names of labels by their values, for `read_regions(..., labels=...)`.

    0 is what is not labelled.

    Args:
        path: A file that ITK-SNAP wrote with "Save label descriptions".

    Raises:
        ImageError: No such file, another one, or a value that is named twice.
    """
    path = Path(path)
    with about(path):
        first_bytes(path)
        lines = [line for line in read_text(path).splitlines() if line.strip()]
        told = [_LINE.fullmatch(line) for line in lines if not line.lstrip().startswith("#")]
        if not told or None in told:
            raise ImageError(
                "is no label description of ITK-SNAP, whose lines hold seven numbers and a name in "
                "quotes"
            )
        labels: dict[int, str | None] = {}
        for found in told:
            value, name = int(found[1]), found[2].strip()  # type: ignore[index]
            if value in labels:
                raise ImageError(f"names the value {value} twice")
            labels[value] = name if value and name else None
        return labels
