"""What files of annotations say, before it becomes regions."""

import warnings
from collections.abc import Callable, Mapping, Sequence
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

    File names decide, without their folders; where no name fits, names without their suffix, since
    pictures are converted after they were annotated.

    Raises:
        ImageError: Several pictures and no image to choose by, or two that fit.

    Warns:
        FovealWarning: The file tells folders apart, and the image lies in none of that name.
    """
    if image is None or image.source is None:
        if len(pictures) == 1:
            return pictures[0]
        raise ImageError(
            f"holds annotations of {len(pictures)} pictures; pass image= to read those of one"
        )
    nameless = [p for p in pictures if not p.names and p.uid is None]
    found = nameless or _by_uid(pictures, image) or _by_name(pictures, Path(image.source))
    if len(found) == 1 and not nameless and found[0].uid is None:
        _doubt_folders(found[0], pictures, Path(image.source))
    if len(found) > 1:
        raise ImageError(
            f"mentions the picture {found[0].names[0] if found[0].names else found[0].uid} "
            f"{len(found)} times; leave one"
        )
    return found[0] if found else None


def not_mentioned(pictures: Sequence[Picture]) -> str:
    """What to say of a file without the image."""
    names = [p.names[0] if p.names else f"SOP instance {p.uid}" for p in pictures]
    more = ", ..." if len(names) > _SHOWN else ""
    shown = ", ".join(names[:_SHOWN]) or "none"
    return f"does not mention this photograph; it annotates {shown}{more}"


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


def _by_uid(pictures: Sequence[Picture], image: Image) -> list[Picture]:
    """Those that refer to the image's DICOM object."""
    if all(picture.uid is None for picture in pictures):
        return []
    from foveal.images.annotations.segments import sop_instance  # pydicom is slow to import

    uid = sop_instance(Path(str(image.source)))
    if uid is None:  # a photograph that is no DICOM file any more
        return list(pictures) if len(pictures) == 1 else []
    return [picture for picture in pictures if picture.uid == uid]


def _by_name(pictures: Sequence[Picture], source: Path) -> list[Picture]:
    whole = source.as_posix()
    files = [p for p in pictures if any(_base(name) == source.name for name in p.names)]
    if len(files) > 1:
        longer = [p for p in files if any(whole.endswith(f"/{_plain(n)}") for n in p.names)]
        files = longer if len(longer) == 1 else files
    return files or [
        p for p in pictures if any(PurePosixPath(_base(n)).stem == source.stem for n in p.names)
    ]


def _doubt_folders(found: Picture, pictures: Sequence[Picture], source: Path) -> None:
    """Two patients may both have an eye_1.jpg; the one that the file knows may be the other's."""
    folders = {_folder(name) for picture in pictures for name in picture.names}
    own = {_folder(name) for name in found.names}
    if len(folders) > 1 and "" not in own and source.absolute().parent.name not in own:
        warnings.warn(
            f"annotations of {found.names[0]} are taken for this photograph by the file's name "
            "alone, since its folder has another name; look at where they lie",
            FovealWarning,
            stacklevel=3,
        )


def _folder(name: str) -> str:
    """The folder that a file's name tells; an address on a server tells none."""
    return "" if "://" in name else PurePosixPath(_plain(name)).parent.name


def _plain(name: str) -> str:
    return name.replace("\\", "/")


def _base(name: str) -> str:
    """The file's name; only compared, never opened."""
    return _plain(name).rpartition("/")[2]
