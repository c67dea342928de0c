"""Which file a case was read from, by the hash of its bytes: names play no part."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from foveal.core import ImageError

_CHUNK = 1 << 20


def by_hash(sources: Iterable[str | Path]) -> Mapping[str, Path]:
    """The files that are named, and those in folders that are named, by their SHA-256.

    Raises:
        ImageError: A name behind which there is nothing, or a file that cannot be opened.
    """
    return {_sha256(path): path for path in _files(map(Path, sources))}


def header_of(path: Path) -> Dataset:
    """A file's header.

    Raises:
        ImageError: No DICOM.
    """
    try:
        return pydicom.dcmread(path, stop_before_pixels=True)
    except (InvalidDicomError, OSError, EOFError, ValueError) as problem:
        raise ImageError(
            "is no DICOM file that can be read, so nothing can refer to it"
        ) from problem


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.is_file())
        else:
            yield path


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as problem:
        raise ImageError(f"{path}: cannot be opened: {problem.strerror or problem}") from problem
    return digest.hexdigest()
