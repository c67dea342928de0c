"""What reading through other packages has in common: missing ones, damaged files, choices."""

import struct
import zlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from foveal.core import FovealError, ImageError

Found = TypeVar("Found")

_DAMAGE = (
    *(OSError, SyntaxError, ValueError, TypeError, RuntimeError, LookupError, AttributeError),
    *(ArithmeticError, MemoryError, EOFError, struct.error, zlib.error),
)
"""What readers of binary files that trust their input raise on damaged ones."""


@contextmanager
def needs_oct(package: str) -> Generator[None]:
    """Say which extra brings the package.

    Raises:
        ImageError: It is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise ImageError(
            f"needs the package {package} to be read; run: pip install 'foveal[oct]'"
        ) from error


@contextmanager
def about_foreign(kind: str) -> Generator[None]:
    """Turn what a vendor's reader raises on damaged files into one typed error.

    Raises:
        ImageError: The file could not be read.
    """
    from construct import ConstructError

    try:
        yield
    except FovealError:
        raise
    except (ConstructError, *_DAMAGE) as error:
        raise ImageError(
            f"starts like a {kind} file but cannot be read; it may be damaged, or of a version "
            "that is not known; export it again, or as DICOM or pictures"
        ) from error


def pick(found: Sequence[Found], number: int | None) -> Found:
    """One of several scans; people count from 1.

    Raises:
        ImageError: None, several and no choice, or a choice that is not there.
    """
    if not found:
        raise ImageError("holds no OCT scan")
    if number is None and len(found) > 1:
        raise ImageError(f"holds {len(found)} scans; choose one with series=1 to {len(found)}")
    chosen = 1 if number is None else number
    if not 1 <= chosen <= len(found):
        raise ImageError(f"holds {len(found)} scan(s), counted from 1, so there is no {chosen}")
    return found[chosen - 1]
