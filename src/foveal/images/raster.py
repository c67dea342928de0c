"""From the numbers of a file to display units: orientation, palette, alpha and range."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from jaxtyping import Float, Shaped, UInt
from PIL import ImageCms

from foveal.core import ImageError

Facts = dict[str, str | int | float | bool]
"""What reading found and records; never anything that could name a person."""

ORIENTATION = 274
"""The tag of TIFF 6.0, which EXIF took over."""

_ORIENTATIONS = {
    1: lambda samples: samples,
    2: lambda samples: samples[:, ::-1],
    3: lambda samples: samples[::-1, ::-1],
    4: lambda samples: samples[::-1],
    5: lambda samples: samples.swapaxes(0, 1),
    6: lambda samples: np.rot90(samples, k=-1),
    7: lambda samples: samples[::-1, ::-1].swapaxes(0, 1),
    8: lambda samples: np.rot90(samples, k=1),
}
"""How to turn stored rows and columns upright, by the value of the tag."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Raster:
    """The samples of a file as they are stored, upright, before anyone interprets them."""

    samples: Shaped[np.ndarray, "row column channel"]
    """Unsigned numbers or floats; grey, grey and alpha, three colours, or three and alpha."""
    full_scale: float = 255.0
    """The sample that means white."""
    palette: UInt[np.ndarray, "entry 4"] | None = None
    """Red, green, blue and alpha of each index, 8 bit, when the samples are indices."""
    facts: Mapping[str, str | int | float | bool] = field(default_factory=dict)

    def colors(self) -> Shaped[np.ndarray, "row column channel"]:
        """The samples with their palette looked up."""
        if self.palette is None:
            return self.samples
        entries = np.zeros((int(self.samples.max()) + 1, 4), self.palette.dtype)
        entries[: len(self.palette)] = self.palette[: len(entries)]  # an index past it is black
        return entries[self.samples[..., 0]]


def upright(
    samples: Shaped[np.ndarray, "row column channel"], orientation: object
) -> tuple[Shaped[np.ndarray, "row_out column_out channel"], Facts]:
    """Apply an EXIF orientation; what is not one of the eight is read as 1, as viewers do."""
    code = orientation if isinstance(orientation, int) and orientation in _ORIENTATIONS else 1
    return _ORIENTATIONS[code](samples), {"orientation": code} if code != 1 else {}


def display(raster: Raster) -> tuple[Float[np.ndarray, "channel row column"], Facts]:
    """Display units in [0, 1], with alpha laid over black.

    Black is what surrounds the field in every photograph of the eye. An alpha channel that hides
    nothing is dropped.

    Raises:
        ImageError: Floating samples outside [0, 1].
    """
    samples, full_scale = raster.colors(), np.float32(raster.full_scale)
    facts: Facts = dict(raster.facts)
    if samples.dtype.kind == "f":
        _check_unit_range(samples)
    rows, columns, channels = samples.shape
    has_alpha = channels in (2, 4)
    pixels = np.empty((channels - has_alpha, rows, columns), np.float32)
    for channel, plane in enumerate(pixels):  # by channel: the fastest way out of row-major colours
        np.divide(samples[..., channel], full_scale, out=plane, dtype=np.float32)
    if has_alpha:
        alpha = samples[..., -1]
        opaque = bool((alpha == full_scale).all())
        facts["alpha"] = "opaque, dropped" if opaque else "laid over black"
        if not opaque:
            pixels *= np.divide(alpha, full_scale, dtype=np.float32)
    return pixels, facts


def profile_name(profile: bytes | None) -> Facts:
    """The name of an ICC profile; colours are recorded, never converted."""
    if not profile:
        return {}
    try:
        opened = ImageCms.ImageCmsProfile(BytesIO(profile))
        return {"icc": ImageCms.getProfileDescription(opened).strip()}
    except (OSError, ImageCms.PyCMSError):
        return {"icc": f"unreadable, {len(profile)} bytes"}


def check_size(rows: int, columns: int, max_pixels: int) -> None:
    """Refuse a picture by its header, before memory is taken for it.

    Raises:
        ImageError: More pixels than allowed, or none.
    """
    if rows * columns > max_pixels:
        raise ImageError(
            f"is {rows} x {columns} (row x column), more than the {max_pixels} pixels allowed; "
            "if it is meant to be that large, raise max_pixels"
        )
    if rows < 1 or columns < 1:
        raise ImageError(f"is {rows} x {columns} (row x column), so there is no picture in it")


def frame_index(frame: int | None, count: int, *, word: str) -> int:
    """Which of several pictures is meant, from 0; people count from 1, as DICOM does.

    Raises:
        ImageError: Several and no choice, or a choice that is not there.
    """
    if frame is None and count > 1:
        raise ImageError(f"holds {count} {word}s; choose one with frame=1 to frame={count}")
    chosen = 1 if frame is None else frame
    if not 1 <= chosen <= count:
        raise ImageError(
            f"holds {count} {word}{'' if count == 1 else 's'}, counted from 1, "
            f"so there is no frame {frame}"
        )
    return chosen - 1


def _check_unit_range(samples: Shaped[np.ndarray, "row column channel"]) -> None:
    low, high = float(samples.min()), float(samples.max())
    if not (low >= 0 and high <= 1):
        raise ImageError(
            f"holds floating-point samples from {low:g} to {high:g}, and nothing says what white "
            "is; scale them to [0, 1], or save 8 or 16 bit"
        )
