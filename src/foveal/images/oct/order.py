"""In which order the sections of a volume lie in the eye, by where their file says they are."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from foveal.core import ImageError

_PARALLEL = 0.02
"""Sine of the angle by which parallel sections may differ."""

_ROUNDING_MM = 0.0011
"""Vendors write places in whole micrometres: two of them may be off by one together."""

_SAME_MM = 0.0005
"""Sections nearer than this lie at one place."""

_EVEN = 0.1
"""Share of the mean distance by which distances of evenly spaced sections may differ."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """The sections of a file in the order in which they lie in the eye."""

    index: tuple[int, ...]
    """Place in the file of the first, second, ... section."""
    slice_spacing: float | None
    """Distance of neighbours in the unit of the places; `None` where it is not one number."""
    words: str
    """How the order was found."""
    changed: bool = False
    """Whether the file held the sections in another order."""


def order_sections(places: Float[np.ndarray, "slice 2 2"] | None, count: int) -> Order:
    """Sort parallel sections along the line across them, in the direction the file goes.

    Args:
        places: Start and end of each section as (row, column) in mm or degrees, or `None` when the
            file does not say.
        count: How many sections there are.

    Raises:
        ImageError: Two sections at one place, or places that are not finite.
    """
    file_order = tuple(range(count))
    if places is None or not (places[:, 0] != places[:, 1]).any():
        return Order(
            index=file_order,
            slice_spacing=None,
            words="as in the file, which does not say where the sections lie",
        )
    if not np.isfinite(places).all():
        raise ImageError("says of some sections that they lie nowhere; export it again")
    if count == 1:
        return Order(index=file_order, slice_spacing=None, words="one section")
    across = _across(places)
    if across is None:
        return Order(
            index=file_order,
            slice_spacing=None,
            words="as in the file, for the sections are not parallel",
        )
    steps = np.diff(across)
    index = np.argsort(across, kind="stable")
    if np.sign(steps).sum() < 0:
        index = index[::-1]
    gaps = np.abs(np.diff(across[index]))
    _check_apart(gaps, index)
    mean = float(gaps.mean())
    even = np.abs(gaps - mean).max() <= _EVEN * mean + _ROUNDING_MM
    changed = not np.array_equal(index, file_order)
    return Order(
        index=tuple(index.tolist()),
        slice_spacing=mean if even else None,
        words="by the places in the file" + ("" if even else ", which are unevenly apart"),
        changed=changed,
    )


def _across(places: Float[np.ndarray, "slice 2 2"]) -> Float[np.ndarray, " slice"] | None:
    """How far along the normal each section lies; `None` unless all run in one direction."""
    run = places[:, 1] - places[:, 0]
    length = np.hypot(*run.T)
    if not length.all():
        return None
    run = run / length[:, np.newaxis]
    mean = run.mean(axis=0)
    norm = float(np.hypot(*mean))
    if norm < 0.5:
        return None
    row, column = mean / norm
    if (run @ [row, column] < 0).any() or np.abs(run @ [-column, row]).max() > _PARALLEL:
        return None
    return places.mean(axis=1) @ [column, -row]


def _check_apart(gaps: Float[np.ndarray, " gap"], index: np.ndarray) -> None:
    if gaps.min() < _SAME_MM:
        first = int(gaps.argmin())
        pair = sorted((int(index[first]) + 1, int(index[first + 1]) + 1))
        raise ImageError(
            f"puts sections {pair[0]} and {pair[1]} at the same place, so their order is not "
            "known; average repeats first, or export one volume alone"
        )
