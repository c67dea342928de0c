"""What lies in a folder, and what it is called afterwards: names of files and folders tell too."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from foveal.core import ImageError
from foveal.images.content import identify
from foveal.images.deidentification.key import SecretKey
from foveal.images.names import region_name, split_stem

_VENDORS = {
    b"HSF-OCT": "a Heidelberg .vol volume",
    b"CMDb": "a Heidelberg .E2E volume",
    b"FOCT": "a Topcon .fda volume",
}
_VENDOR_SUFFIXES = (".vol", ".e2e", ".fda", ".fds", ".oct", ".img", ".sdb", ".xml")

_PLAIN_FOLDERS = (
    "images", "masks", "train", "training", "test", "testing", "val", "validation", "left",
    "right", "od", "os", "fundus", "oct", "faf", "segmentations", "annotations", "lesions",
)  # fmt: skip
"""Folder names that say nothing about a person and that plans refer to."""

_MASK_ENDINGS = ("mask", "masks", "seg", "segmentation", "label", "labels", "gt")


@dataclass(frozen=True, kw_only=True)
class Found:
    """One file of the input."""

    path: Path
    kind: str
    """PNG, JPEG, TIFF or DICOM; `vendor`, `link` or `other` for what is not written."""
    name: str
    """Its path in the output, made of pseudonyms."""
    why_not: str = ""
    """Why nothing can be written from it, in words that name nobody."""
    mask: bool = False
    """Whether it is named as the mask of a photograph that is there too."""


def find(source: Path, key: SecretKey) -> list[Found]:
    """Every file below a folder, or the one file, in the order of their names.

    Links are listed and never followed. Files that would get one name are numbered.
    """
    paths = _files(source)
    root = source if source.is_dir() else source.parent
    sniffed = [(path, *_kind(path)) for path in paths]
    photographs = {path.stem for path, _, why_not in sniffed if not why_not}
    seen: Counter[str] = Counter()
    found = []
    for path, kind, why_not in sniffed:
        name, mask = _name(path.relative_to(root), kind, photographs, key)
        seen[name] += 1
        found.append(
            Found(
                path=path,
                kind=kind,
                name=name if seen[name] == 1 else _numbered(name, seen[name]),
                why_not=why_not,
                mask=mask,
            )
        )
    return found


def renamed(text: str, key: SecretKey, *, photographs: set[str]) -> str:
    """A path as a table gives it, with the new names of its folders and of its stem.

    Its suffix becomes that of the output where there is one.
    """
    path = PurePosixPath(text.replace("\\", "/"))
    suffix = path.suffix.lower()
    kind = {".dcm": "DICOM", "": "none"}.get(suffix, "PNG")
    known = kind != "PNG" or suffix in (".png", ".jpg", ".jpeg", ".tif", ".tiff")
    shown = path if known else PurePosixPath(f"{path}.none")  # a point inside a name is no suffix
    name, _ = _name(shown, kind if known else "none", photographs, key)
    return name


def _files(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    paths: list[Path] = []
    for folder, folders, files in os.walk(source, followlinks=False):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        paths += [Path(folder) / name for name in (*files, *links)]
    return sorted(paths)


def _kind(path: Path) -> tuple[str, str]:
    """What a file is, by its content, and why it is not written if it is not."""
    if path.is_symlink():
        return "link", "is a link; links are not followed"
    if not path.is_file():
        return "other", "is no regular file"
    try:
        return identify(path), ""
    except ImageError as error:
        with path.open("rb") as file:
            start = file.read(512)
        if any(tag in start for tag in _ANNOTATIONS) or start.lstrip().startswith(_JSON):
            return "other", f"{error}; {_MASKS_FIRST}"
        for magic, words in _VENDORS.items():
            if start.startswith(magic):
                return "vendor", f"is {words}; {_EXPORT}"
        if path.suffix.lower() in _VENDOR_SUFFIXES:
            return "vendor", f"may be a file of an OCT device; {_EXPORT}"
        return "other", str(error)


_ANNOTATIONS = (b"<annotations>", b"<ASAP_Annotations", b"region_shape_attributes", b"CSV_HEADER")
"""What CVAT, ASAP and tables of VGG Image Annotator have near their beginning."""
_JSON = (b"{", b"[", b"\xef\xbb\xbf{", b"\xef\xbb\xbf[")

_MASKS_FIRST = (
    "annotations find pictures by their names, which are others here, and may hold names of "
    "people: write them as masks beside the images and do this again"
)
_EXPORT = (
    "such files carry the patient inside, in places that no standard lists; export the sections "
    "as DICOM or PNG"
)


def _name(
    path: Path | PurePosixPath, kind: str, photographs: set[str], key: SecretKey
) -> tuple[str, bool]:
    folders = [
        part.lower() if part.lower() in _PLAIN_FOLDERS else key.alias(part)
        for part in path.parts[:-1]
    ]
    owner, region = _split(path.stem, photographs)
    stem = f"{key.alias(owner)}_{region}" if region else key.alias(path.stem)
    suffix = {"PNG": ".png", "JPEG": ".png", "TIFF": ".png", "DICOM": ".dcm"}.get(kind, "")
    return "/".join([*folders, stem + suffix]), bool(region)


def _split(stem: str, photographs: set[str]) -> tuple[str, str]:
    """The photograph and the region in a mask's name, where both are known."""
    ends = [stem.rpartition("_")[::2], split_stem(stem)]
    for owner, region in ends:
        known = region_name(region, {})[1] != "unknown" or region.lower() in _MASK_ENDINGS
        if owner in photographs and known:
            return owner, region
    return stem, ""


def _numbered(name: str, number: int) -> str:
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem}-{number}{path.suffix}"))
