"""Maps made elsewhere, from files: of other libraries, a clinician's drawing, a gaze map."""

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from tokenize import TokenError
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from foveal.core import Grid, ImageError
from foveal.images.content import about, described, first_bytes, identify
from foveal.images.patterns import files_of
from foveal.images.photo import decode
from foveal.images.raster import Raster, check_size
from foveal.images.reading import MAX_PIXELS

_NUMPY, _GZIP = b"\x93NUMPY", b"\x1f\x8b"
_NIFTI = ((344, b"n+1\0"), (4, b"n+2\0"))
"""Where a NIfTI-1 and a NIfTI-2 file say what they are."""
_SAVE = "save the map itself as npy, NIfTI, floating-point TIFF or grey PNG"


@dataclass(frozen=True, kw_only=True, eq=False)
class GivenMap:
    """A map as its file holds it, before anybody asks which grid it is on."""

    values: Float[np.ndarray, "row column"]
    """As given, nothing scaled; only the grey levels of pictures are divided by their full range.
    May hold what is no number: then nothing is measured on it."""
    signed: bool
    """Whether the file can say what speaks against; a picture of grey levels cannot."""
    sha256: str
    """Of the file's bytes, or of the array's."""
    facts: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """What reading found: the format, and what was done to come to rows and columns."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))

    @property
    def grid(self) -> Grid:
        """Rows and columns."""
        return self.values.shape[0], self.values.shape[1]


def read_map(path: str | PathLike[str], *, name: str = "", signed: bool | None = None) -> GivenMap:
    """A map from an npy, NIfTI, TIFF or PNG file; the content decides which, not the suffix.

    Arrays are rows x columns; axes of length 1 are dropped, and three channels, first or last, are
    summed with their sign. The first axis of NIfTI runs along the columns, as ITK-SNAP, 3D Slicer
    and MONAI write pictures. PNG and integer TIFF are pictures of a map: their grey levels are
    read as values from 0 to 1.

    Args:
        path: The file.
        name: What to call the map in errors, where it has a name.
        signed: What the map is said to hold: False refuses negative values, True refuses files
            that cannot hold any. As the file has it by default.

    Raises:
        ImageError: No such file, another kind of file, a damaged one, more or fewer axes than rows
            and columns, a picture in colours, or values that contradict `signed`.
    """
    path = Path(path)
    with about(path, part=f"the map {name!r}" if name else "the map"):
        start = first_bytes(path)
        if start.startswith(_NUMPY):
            found = map_from_array(_numpy(path), format="npy")
        elif start.startswith(_GZIP) or any(start[at:].startswith(word) for at, word in _NIFTI):
            found = _nifti(path)
        else:
            found = _picture(path, start)
        _check_sign(found, signed)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return GivenMap(values=found.values, signed=found.signed, sha256=digest, facts=found.facts)


def map_from_array(
    values: Shaped[np.ndarray, "..."], *, signed: bool | None = None, format: str = "array"
) -> GivenMap:
    """The same from an array.

    Raises:
        ImageError: As for `read_map`.
    """
    if values.dtype.kind not in "biuf":
        raise ImageError(f"holds {values.dtype} values; a map holds real numbers")
    plain, facts = _rows_and_columns(values)
    digest = hashlib.sha256(np.ascontiguousarray(plain).tobytes()).hexdigest()
    found = GivenMap(values=plain, signed=True, sha256=digest, facts={"format": format, **facts})
    _check_sign(found, signed)
    return found


def find_map(pattern: str, stem: str) -> Path | None:
    """The map file of one photograph; `None` where there is none.

    Args:
        pattern: A path with {stem}, such as `maps/{stem}.npy`; `*` and `?` match as in a shell.
        stem: The name of the photograph's file without its suffix.

    Raises:
        ImageError: Several files.
    """
    found = files_of(pattern, stem)
    if len(found) > 1:
        with about(found[1]):
            raise ImageError("is a second map of this photograph; make the pattern narrower")
    return found[0] if found else None


def _rows_and_columns(
    values: Shaped[np.ndarray, "..."],
) -> tuple[Float[np.ndarray, "row column"], dict[str, str]]:
    """Two axes in float32; what was dropped or summed is said."""
    shape = values.shape
    kept = [size for size in shape if size != 1] if values.ndim > 2 else list(shape)
    facts: dict[str, str] = {}
    plain: np.ndarray = values.reshape(kept)
    if plain.ndim == 3 and (plain.shape[0] == 3) != (plain.shape[-1] == 3):
        plain = plain.sum(axis=0 if plain.shape[0] == 3 else -1, dtype=np.float64)
        facts["channels"] = "three, summed with their sign"
    if plain.ndim != 2:
        raise ImageError(
            f"has the shape {shape}, but a map has rows and columns, and at most three channels "
            "that are summed; save one map of one class in a file"
        )
    check_size(plain.shape[0], plain.shape[1], MAX_PIXELS)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, which is no number
        return plain.astype(np.float32), facts


def _numpy(path: Path) -> Shaped[np.ndarray, "..."]:
    """Mapped from the disk, so that a header cannot ask for more memory than the file has."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, SyntaxError, TokenError, OverflowError, RecursionError) as error:
        raise ImageError(
            "is an npy file that cannot be read: it is damaged, empty or holds Python objects; "
            "save one array of numbers with numpy.save"
        ) from error


def _nifti(path: Path) -> GivenMap:
    try:
        import nibabel
    except ImportError as error:
        raise ImageError("is a NIfTI file; to read it: pip install 'foveal[nifti]'") from error
    damage = (
        nibabel.filebasedimages.ImageFileError,  # pyright: ignore[reportAttributeAccessIssue]
        nibabel.spatialimages.HeaderDataError,  # pyright: ignore[reportAttributeAccessIssue]
        *(OSError, EOFError, ValueError, zlib.error),
    )
    try:
        file: Any = nibabel.load(path)
        shape = [size for size in file.shape if size != 1]
        if len(shape) != 2:
            raise ImageError(
                f"holds {' x '.join(map(str, file.shape))} values, which is no single picture; "
                "save one section of it"
            )
        check_size(shape[1], shape[0], MAX_PIXELS)
        values = np.asarray(file.dataobj).reshape(shape)
    except damage as error:
        raise ImageError(
            "starts like a NIfTI file but cannot be read; its name must end in .nii or .nii.gz, "
            "and it may be damaged"
        ) from error
    found = map_from_array(values.T, format="NIfTI")
    facts = {**found.facts, "axes": "the first axis runs along the columns"}
    return GivenMap(values=found.values, signed=True, sha256=found.sha256, facts=facts)


def _picture(path: Path, start: bytes) -> GivenMap:
    try:
        content = identify(path)
    except ImageError:
        raise ImageError(f"is {described(start)}; {_SAVE}") from None
    if content not in ("PNG", "TIFF"):
        raise ImageError(f"is a {content} file, which is no place for the values of a map; {_SAVE}")
    raster = decode(path, content, frame=None, max_pixels=MAX_PIXELS)
    grey = _grey_levels(raster)
    facts = {key: raster.facts[key] for key in ("format", "bit_depth") if key in raster.facts}
    if grey.dtype.kind == "f":
        return GivenMap(values=grey.astype(np.float32), signed=True, sha256="", facts=facts)
    values = np.divide(grey, raster.full_scale, dtype=np.float32)
    return GivenMap(values=values, signed=False, sha256="", facts=facts)


def _grey_levels(raster: Raster) -> Shaped[np.ndarray, "row column"]:
    """The one value of each pixel, where there is one."""
    colors = raster.colors()
    if colors.shape[-1] in (2, 4):
        if not (colors[..., -1] == colors[..., -1].max()).all():
            raise ImageError(
                f"is a picture with transparent parts, not the values of a map; {_SAVE}"
            )
        colors = colors[..., :-1]
    if not (colors == colors[..., :1]).all():
        raise ImageError(
            "is a drawing of a map in colours, and its values cannot be told from them: which "
            f"colour means what, and what was clipped, is not in the file; {_SAVE}"
        )
    return colors[..., 0]


def _check_sign(found: GivenMap, signed: bool | None) -> None:
    if signed and not found.signed:
        raise ImageError(
            "is a picture of grey levels, which cannot say what speaks against; save a signed map "
            "as npy, NIfTI or floating-point TIFF"
        )
    if signed is False and (found.values < 0).any():
        raise ImageError(
            f"holds values down to {np.nanmin(found.values):g}, but is said to have no sign; say "
            "signed = true where they speak against, else make them positive"
        )
