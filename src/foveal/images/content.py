"""What a file is, by its first bytes: suffixes lie."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from foveal.core import ImageError

_READABLE = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # BigTIFF
    (b"MM\0+", "TIFF"),
)

_FOREIGN = (
    (b"GIF8", "a GIF image"),
    (b"BM", "a BMP image"),
    (b"RIFF", "a WebP image or another RIFF file"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an Office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89HDF", "an HDF5 file"),
    (b"HSF-OCT", "a Heidelberg .vol volume"),
    (b"CMDb", "a Heidelberg .E2E volume"),
    (b"FOCTFDA", "a Topcon .fda volume"),
    (b"FOCTFDS", "a Topcon .fds volume"),
    (b"FOCT", "a Topcon volume"),
    (b"<HEDX", "a Heidelberg .xml export"),
)

_PREAMBLE = 128
"""DICOM PS3.10 7.1: 128 bytes of any content, then the letters DICM."""


def identify(path: Path, *, assume_dicom: bool = False) -> str:
    """PNG, JPEG, TIFF or DICOM.

    Args:
        path: The file.
        assume_dicom: Take a file that nothing else claims for DICOM without its preamble.

    Raises:
        ImageError: No such file, a folder, an empty file, or content that is none of the four.
    """
    start = first_bytes(path)
    if is_dicom(start):  # its preamble may be that of a TIFF file, PS3.10 7.1
        return "DICOM"
    for magic, name in _READABLE:
        if start.startswith(magic):
            return name
    if assume_dicom:
        return "DICOM"
    words = described(start)
    if is_named_volume(start):
        raise ImageError(f"is {words}; read it with foveal.read_volume")
    raise ImageError(f"is {words}; PNG, JPEG, TIFF and DICOM are read, whatever the file's suffix")


def is_dicom(start: bytes) -> bool:
    """Whether the first bytes of a file are those of DICOM."""
    return start[_PREAMBLE : _PREAMBLE + 4] == b"DICM"


def is_readable(start: bytes) -> bool:
    """Whether the first bytes of a file are those of a PNG, JPEG, TIFF or DICOM file."""
    return is_dicom(start) or any(start.startswith(magic) for magic, _ in _READABLE)


def is_named_volume(start: bytes) -> bool:
    """Whether the first bytes of a file name a vendor's volume."""
    return described(start).endswith((" volume", " export"))


@contextmanager
def about(path: Path, *, part: str = "") -> Generator[None]:
    """Put the file's name before what went wrong with it, and behind it what the library said.

    The error's `__cause__` says it with neither, for reports that must name nobody: a library
    quotes file names and whatever stood in a header. It names the `part` of the image instead that
    the file is.
    """
    try:
        yield
    except ImageError as error:
        nameless = ImageError(f"{part} {error}") if part else error
        quoted = "" if error.__cause__ is None else f" ({error.__cause__})"
        raise ImageError(f"{path}: {error}{quoted}") from nameless


def first_bytes(path: Path) -> bytes:
    """Enough of a file to tell what it is.

    Raises:
        ImageError: No such file, a folder, or an empty file.
    """
    if path.is_dir():
        raise ImageError("is a folder; name the files in it one by one")
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except FileNotFoundError:
        raise ImageError("there is no such file; check the name and the folder") from None
    except OSError as error:
        raise ImageError(f"cannot be opened: {error.strerror}; check its permissions") from None
    if not start:
        raise ImageError("is empty; copy or export it again")
    return start


def described(start: bytes) -> str:
    """What is none of the readable kinds, in words."""
    for magic, words in _FOREIGN:
        if start.startswith(magic):
            return words
    if _is_text(start):
        return "a text file"
    return "of no kind known here (DICOM without its preamble is read with assume_dicom=True)"


def _is_text(start: bytes) -> bool:
    try:
        start.decode()
    except UnicodeDecodeError as error:
        # A character cut off by the end of what was read does not make it binary.
        return b"\0" not in start and error.start >= len(start) - 3
    return b"\0" not in start
