"""What files of annotations say, before it becomes regions."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from foveal.core import FovealWarning, Grid, Image, ImageError, Region
from foveal.images.annotations.shapes import AbstractShape, reaches_beyond
from foveal.images.masks import check_grid
from foveal.images.names import region_name
from foveal.images.raster import check_size
from foveal.images.reading import MAX_PIXELS

_SHOWN = 5
"""How many names an error lists."""

ELSEWHERE = (
    "one has this file's name, but other folders: where it is the same picture, name it there "
    "with the folders that the file is in, or with none"
)
"""What to do about a picture that may be another patient's."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Mark:
    """One thing that a grader drew."""

    label: str
    """As the file has it."""
    shape: AbstractShape
    grader: str | None = None
    exact: bool = False
    """Whether the label is the region's name already, and no code to be looked up."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """One picture that a file speaks of."""

    names: tuple[str, ...] = ()
    """What the file calls it; nothing where it is about one picture and does not say which."""
    uid: str | None = None
    """Its SOP instance, where it is a DICOM object."""
    grid: Grid | None = None
    """Rows and columns, where the file says."""
    marks: Callable[[], Sequence[Mark]]
    """Looked at for the asked picture only, so that a broken mark of another one does no harm."""
    facts: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """What every region of it should know."""


def picture_of(pictures: Sequence[Picture], image: Image | None) -> Picture | None:
    """The picture of a file that is the image; `None` where the file does not mention it.

    A SOP instance decides where there is one, else the file's name. A name with folders is only
    that of a file whose path ends in them, since two patients may both have an eye_1.jpg; of
    several that fit, the longest counts. Where no name fits, names count without their suffix,
    since pictures are converted after they were annotated.

    Raises:
        ImageError: Several pictures and no image to choose by, or two that fit.
    """
    if image is None or image.source is None:
        if len(pictures) == 1:
            return pictures[0]
        raise ImageError(
            f"holds annotations of {len(pictures)} pictures; pass image= to read those of one"
        )
    found = _fitting(pictures, Path(image.source))
    if len(found) > 1:
        raise ImageError(
            f"mentions this photograph {len(found)} times; leave one, or name each with the "
            "folders of its file"
        ) from ImageError(f"as {_called(found[0])}")
    return found[0] if found else None


def is_shared(
    picture: Picture, pictures: Sequence[Picture], source: Path, others: Iterable[Path]
) -> bool:
    """Whether a picture that was found for one file is that of another file as well."""
    if picture.uid is not None and picture.uid == _sop_instance(source):
        return False
    return any(
        _fitting([picture], other) and picture in _fitting(pictures, other) for other in others
    )


def not_mentioned(pictures: Sequence[Picture], image: Image | None) -> ImageError:
    """What to say of a file without the image; its cause names pictures, which reports must not."""
    shown = ", ".join(map(_called, pictures[:_SHOWN])) or "none"
    more = ", ..." if len(pictures) > _SHOWN else ""
    error = ImageError(
        f"does not mention this photograph, but {len(pictures)} others{_hint(pictures, image)}"
    )
    error.__cause__ = ImageError(f"it annotates {shown}{more}")
    return error


def is_elsewhere(pictures: Sequence[Picture], source: Path) -> bool:
    """Whether a file has a picture of the image's name, but in other folders."""
    names = {_parts(name)[-1] for picture in pictures for name in picture.names}
    return source.name in names and not _fitting(pictures, source)


def regions_in(
    picture: Picture, image: Image | None, names: Mapping[str, str], source: str
) -> list[Region]:
    """The regions of one picture: marks of one name and one grader are joined.

    Raises:
        ImageError: Another size than the image's, or a size that nothing says.

    Warns:
        FovealWarning: Marks that were cut or run over themselves, or a photograph that was turned.
    """
    grid = _grid_of(picture, image)
    if image is not None and "orientation" in image.facts:
        warnings.warn(
            "the photograph is turned or mirrored by its EXIF orientation; marks are taken as "
            "drawn on it upright, as browsers do, so look at where they lie",
            FovealWarning,
            stacklevel=3,
        )
    joined: dict[tuple[str, str | None], list[Mark]] = {}
    marks = picture.marks()
    for mark in marks:
        name = mark.label if mark.exact else region_name(mark.label, names)[0]
        joined.setdefault((name, mark.grader), []).append(mark)
    return [
        _joined(name, grader, own, grid, picture, source) for (name, grader), own in joined.items()
    ]


def _joined(
    name: str,
    grader: str | None,
    marks: Sequence[Mark],
    grid: Grid,
    picture: Picture,
    source: str,
) -> Region:
    mask = np.zeros(grid, bool)
    cut = empty = doubled = 0
    for mark in marks:
        cut += reaches_beyond(mark.shape, grid)
        patch = mark.shape.draw(grid)
        patch.add_to(mask)
        doubled += patch.doubled
        empty += mark.shape.kind != "pixels" and not patch.mask.any()
    for count, words in (
        (cut, "beyond the picture and cut off at its rim"),
        (doubled, "running over themselves; what they enclose twice is left out"),
        (empty, "without a pixel, since no pixel's centre lies in them"),
    ):
        if count:
            what = f"{count} of {len(marks)} marks of {name!r}"
            warnings.warn(f"{what} found {words}", FovealWarning, stacklevel=3)
    kinds = ", ".join(sorted({mark.shape.kind for mark in marks}))
    return Region(
        name=name,
        mask=mask,
        kind=region_name(name, {})[1],
        source=source,
        grader=grader,
        facts={**picture.facts, "shape": kinds, "marks": len(marks)},
    )


def _grid_of(picture: Picture, image: Image | None) -> Grid:
    if picture.grid is None and image is None:
        raise ImageError("does not say how large its picture is; pass image=")
    if picture.grid is None:
        return image.original_grid  # type: ignore[union-attr]
    if image is not None:
        check_grid(picture.grid, image.original_grid)
    else:
        check_size(*picture.grid, MAX_PIXELS)
    return picture.grid


def _fitting(pictures: Sequence[Picture], source: Path) -> list[Picture]:
    nameless = [p for p in pictures if not p.names and p.uid is None]
    return nameless or _by_uid(pictures, source) or _by_name(pictures, source)


def _by_uid(pictures: Sequence[Picture], source: Path) -> list[Picture]:
    """Those that refer to the image's DICOM object."""
    if all(picture.uid is None for picture in pictures):
        return []
    uid = _sop_instance(source)
    if uid is None:  # a photograph that is no DICOM file any more
        return list(pictures) if len(pictures) == 1 else []
    return [picture for picture in pictures if picture.uid == uid]


def _sop_instance(source: Path) -> str | None:
    from foveal.images.annotations.segments import sop_instance  # pydicom is slow to import

    return sop_instance(source)


def _by_name(pictures: Sequence[Picture], source: Path) -> list[Picture]:
    """Those that share most with the end of the path."""
    for end in (str, _stem):
        shared = [_shared(picture, source, end) for picture in pictures]
        most = max(shared, default=0)
        if most:
            return [p for p, parts in zip(pictures, shared, strict=True) if parts == most]
    return []


def _shared(picture: Picture, source: Path, end: Callable[[str], str]) -> int:
    """How many parts of the path a picture's names tell; 0 where one of them tells others."""
    own = source.absolute().parts
    most = 0
    for name in picture.names:
        *folders, last = _parts(name)
        if end(last) != end(source.name):
            continue
        if list(own[-1 - len(folders) : -1]) != folders:
            return 0
        most = max(most, 1 + len(folders))
    return most


def _parts(name: str) -> list[str]:
    """Folders and name of a file, only compared and never opened; a server's address has none."""
    plain = name.replace("\\", "/")
    parts = [part for part in plain.split("/") if part not in ("", ".", "..")] or [""]
    return parts[-1:] if "://" in plain else parts


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _called(picture: Picture) -> str:
    return picture.names[0] if picture.names else f"SOP instance {picture.uid}"


def _hint(pictures: Sequence[Picture], image: Image | None) -> str:
    if image is None or not is_elsewhere(pictures, Path(str(image.source))):
        return ""
    return f"; {ELSEWHERE}"
