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
_SIDES = ("r", "l", "od", "os", "ou", "right", "left", "both")


def clean_manifest(
    path: Path, key: SecretKey, found: Sequence[Found], *, keep_columns: tuple[str, ...]
) -> bytes:
    """A CSV table with its images, patients, eyes and visits renamed as files and folders are.

    Columns that are neither these nor asked for are left out.

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
    photographs = {file.path.stem for file in found}
    text = StringIO()
    writer = csv.DictWriter(text, taken, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                name: (row[name] or "")
                if name in keep_columns
                else _new(name.lower(), row[name] or "", key, photographs)
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


def _new(column: str, value: str, key: SecretKey, photographs: set[str]) -> str:
    if not value or value.lower() in _SIDES:
        return value
    if column == "image":
        return renamed(value, key, photographs=photographs)
    return key.alias(value)
