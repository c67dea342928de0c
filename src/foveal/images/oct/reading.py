"""One door for volumes: the content decides who reads."""

import hashlib
from os import PathLike
from pathlib import Path

from foveal.core import ImageError, Volume
from foveal.images.content import about, first_bytes, is_dicom
from foveal.images.oct.heidelberg_vol import read_vol
from foveal.images.oct.pictures import pictures_in, read_export, read_pictures
from foveal.images.oct.sections import Sections
from foveal.images.oct.stack import read_stack

MAX_VOLUME_PIXELS = 200_000_000
"""Largest volume read unless asked otherwise: 800 MB of grey float32."""

_PATTERN = "*?["
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_VOL = (b"HSF-OCT", b"ep-v")  # eyepy writes its own version
_BIOPTIGEN = 8
"""Its first field is a key of this place: magic number and version stand before."""


def read_volume(
    path: str | PathLike[str],
    *,
    sections: Sections = None,
    series: int | None = None,
    max_pixels: int = MAX_VOLUME_PIXELS,
) -> Volume:
    """A volume of OCT sections, in the order in which they lie in the eye.

    Heidelberg .vol and .xml, DICOM OPT, a folder or pattern of pictures with the vendor's .xml
    beside them, and TIFF pages are read as they are; Heidelberg .E2E, Topcon .fda and .fds, Zeiss
    .img, Optovue and Bioptigen .oct with the extra `oct`. Sections are sorted by the places in the
    file, never by the file's order alone where it says more; `facts["order"]` tells.

    Args:
        path: A file, a folder, or a pattern such as `bscans/*.png`.
        sections: First and last section to read, counted from 1; all unless said.
        series: Which scan of a file that holds several, counted from 1.
        max_pixels: Larger volumes are refused by their header.

    Returns:
        Display units in [0, 1]. Spacing is `None` where the file does not say; layer lines are
        row positions with pixel centres at +0.5, NaN where unknown.

    Raises:
        ImageError: A file that is missing, of another kind, damaged, too large, or contradicts
            itself; an extra that is not installed.

    Warns:
        FovealWarning: The file held its sections in another order than they lie in.
    """
    path = Path(path)
    with about(path):
        if path.is_dir():
            return _folder(path, sections, max_pixels)
        if not path.exists() and any(letter in path.name for letter in _PATTERN):
            files = [file for file in path.parent.glob(path.name) if file.is_file()]
            if not files:
                raise ImageError("matches no files; check the pattern")
            return read_pictures(files, source=path, sections=sections, max_pixels=max_pixels)
        return _file(path, sections, series, max_pixels)


def _folder(path: Path, sections: Sections, max_pixels: int) -> Volume:
    descriptions = [file for file in path.iterdir() if file.suffix.lower() == ".xml"]
    pictures = pictures_in(path)
    if pictures:
        return read_pictures(pictures, source=path, sections=sections, max_pixels=max_pixels)
    if len(descriptions) == 1:
        return read_export(descriptions[0], sections=sections, max_pixels=max_pixels)
    files = [file for file in path.iterdir() if file.is_file() and not file.name.startswith(".")]
    if files and is_dicom(first_bytes(files[0])):
        return _dicom(path, sections, max_pixels)
    raise ImageError(
        "is a folder without pictures of sections; name the file, or the folder or pattern of the "
        "pictures"
    )


def _file(path: Path, sections: Sections, series: int | None, max_pixels: int) -> Volume:
    start = first_bytes(path)
    if is_dicom(start):
        return _dicom(path, sections, max_pixels)
    if path.suffix.lower() == ".xml" or start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        return read_export(path, sections=sections, max_pixels=max_pixels)
    sha256 = _sha256(path)
    if start.startswith(_VOL):
        return read_vol(path, sections=sections, max_pixels=max_pixels, sha256=sha256)
    if start.startswith(_TIFF):
        return read_stack(path, sections=sections, max_pixels=max_pixels, sha256=sha256)
    if start.startswith(b"CMDb"):
        from foveal.images.oct.heidelberg_e2e import read_e2e

        return read_e2e(
            path, sections=sections, series=series, max_pixels=max_pixels, sha256=sha256
        )
    from foveal.images.oct import vendors

    read = vendors.reader(path, start)
    if read is None:
        raise ImageError(
            "is no volume of a kind known here; read are DICOM, Heidelberg .vol, .E2E and .xml, "
            "Topcon .fda and .fds, Zeiss .img, Optovue and Bioptigen .oct, TIFF pages, and a "
            "folder of pictures"
        )
    return read(path, sections=sections, series=series, max_pixels=max_pixels, sha256=sha256)


def _dicom(path: Path, sections: Sections, max_pixels: int) -> Volume:
    from foveal.images.dicom_volume import read_dicom_volume  # pydicom is slow to import

    return read_dicom_volume(path, sections=sections, max_pixels=max_pixels)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
