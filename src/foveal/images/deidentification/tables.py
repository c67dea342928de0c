"""Tables beside the images: a manifest with the new names, and the links that lead back."""

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from foveal.core import ImageError
from foveal.images.deidentification.key import SecretKey
from foveal.images.deidentification.record import write_atomically
from foveal.images.deidentification.tree import Found, renamed

_PERSONS = ("patient", "eye", "visit")
_PLAIN_COLUMN = "eye"
"""The one of them in which a side alone names nobody; Ou is also a person's name."""
_SIDES = ("r", "l", "od", "os", "ou", "right", "left", "both")


def clean_manifest(
    path: Path,
    key: SecretKey,
    found: Sequence[Found],
    *,
    root: Path,
    keep_columns: tuple[str, ...],
) -> bytes:
    """A CSV table with its images, patients, eyes and visits renamed as files and folders are.

    An image that is named by its whole path, or by that from the input or from the table, gets the
    name of that very file: two files may differ in nothing but their suffix. Columns that are
    neither these nor asked for are left out.

    Raises:
        ImageError: A file that cannot be read, has no column image or patient, or not one that is
            to be kept.
    """
    try:
        rows = list(csv.DictReader(StringIO(path.read_text("utf-8-sig"), newline="")))
    except (OSError, ValueError, csv.Error) as problem:
        raise ImageError(f"the manifest {path} cannot be read as CSV: {problem}") from problem
    names = list(rows[0]) if rows else []
    missing = [name for name in keep_columns if name not in names]
    taken = [name for name in names if (name and _renames(name)) or name in keep_columns]
    if missing or not any(_renames(name) for name in taken):
        raise ImageError(
            f"the manifest {path} has the columns {', '.join(map(str, names))}; it needs image or "
            f"patient{' and ' * bool(missing)}{', '.join(missing)}"
        )
    new = _NewNames(key, found, roots=(root, path.parent))
    text = StringIO()
    writer = csv.DictWriter(text, taken, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                name: (row[name] or "")
                if name in keep_columns
                else new.of(name.lower(), row[name] or "")
                for name in taken
            }
        )
    return text.getvalue().encode()


def write_links(path: Path, found: Sequence[Found], *, root: Path) -> None:
    """Which pseudonym is which file, for the owner's eyes only; it undoes the de-identification.

    Raises:
        StoreError: It cannot be written.
    """
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "original"])
    writer.writerows((file.name, str(file.path.relative_to(root))) for file in found)
    write_atomically(path, text.getvalue().encode("utf-8", "surrogateescape"), mode=0o600)


def _renames(name: str) -> bool:
    return name.lower() in ("image", *_PERSONS)


class _NewNames:
    """What stands in a table, and what stands there afterwards."""

    def __init__(self, key: SecretKey, found: Sequence[Found], *, roots: Sequence[Path]) -> None:
        self._key, self._roots = key, roots
        self._names = {file.path.absolute(): file.name for file in found}
        self._photographs = {file.path.stem for file in found}

    def of(self, column: str, value: str) -> str:
        """The new form of a value."""
        if not value or (column == _PLAIN_COLUMN and value.lower() in _SIDES):
            return value
        return self._key.alias(value) if column != "image" else self._image(value)

    def _image(self, value: str) -> str:
        plain = value.replace("\\", "/")
        named = (self._names.get(root.absolute() / plain) for root in self._roots)
        found = next((name for name in named if name is not None), None)
        return found or renamed(value, self._key, photographs=self._photographs)
