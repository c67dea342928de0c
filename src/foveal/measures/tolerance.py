"""How near counts as a hit: in pixels, in micrometres, or by the size of the field."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import distance_transform_edt

from foveal.measures.base import sides

POINTING_TOLERANCE = 0.015
"""The tolerance as a share of the field's diameter."""
OCT_TOLERANCE_UM = (25.0, 50.0)
"""The tolerance in sections by OCT: along the light (rows) and across it (columns)."""
_SLACK = 1e-9

Pair = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """The half axes of the ellipse around a pixel within which another one is near."""

    px: Pair
    """Rows and columns."""
    um: Pair | None = None

    def params(self) -> dict[str, object]:
        """One number where rows and columns are alike."""
        said: dict[str, object] = {"tolerance_px": _plain(self.px)}
        return said if self.um is None else {**said, "tolerance_um": _plain(self.um)}

    def near(self, mask: Bool[np.ndarray, "row column"]) -> Bool[np.ndarray, "row column"]:
        """The mask and every pixel at most the tolerance away from it; nothing of an empty one."""
        if not mask.any() or max(self.px) == 0:
            return mask
        return self._distance(mask) <= 1 + _SLACK

    def _distance(self, mask: Bool[np.ndarray, "row column"]) -> Float[np.ndarray, "row column"]:
        """Of every pixel to the mask, in units of the tolerance."""
        steps = [1 / side if side > 0 else mask.size for side in self.px]
        return np.asarray(distance_transform_edt(~mask, sampling=steps))


def tolerance_of(
    field: Bool[np.ndarray, "row column"],
    *,
    tolerance_px: float | None = None,
    tolerance_um: float | Pair | None = None,
    spacing_um: Pair | None = None,
) -> Tolerance:
    """The tolerance asked for; 1.5 % of the field's diameter where none is.

    Raises:
        ValueError: A tolerance below 0 or given twice, micrometres without the spacing of the
            pixels, or a spacing that is not positive.
    """
    _check(tolerance_px, tolerance_um, spacing_um)
    if tolerance_px is not None:
        return _in_px((tolerance_px, tolerance_px), spacing_um)
    if spacing_um is None:
        side = POINTING_TOLERANCE * max(sides(field))
        return _in_px((side, side), None)
    if tolerance_um is None:
        lengths = [side * step for side, step in zip(sides(field), spacing_um, strict=True)]
        tolerance_um = POINTING_TOLERANCE * max(lengths)
    rows, columns = tolerance_um if isinstance(tolerance_um, tuple) else (tolerance_um,) * 2
    return _in_px((rows / spacing_um[0], columns / spacing_um[1]), spacing_um)


def _in_px(px: Pair, spacing_um: Pair | None) -> Tolerance:
    px = float(px[0]), float(px[1])
    um = None if spacing_um is None else (px[0] * spacing_um[0], px[1] * spacing_um[1])
    return Tolerance(px=px, um=um)


def _check(px: float | None, um: float | Pair | None, spacing_um: Pair | None) -> None:
    check_spacing(spacing_um)
    if px is not None and um is not None:
        raise ValueError("give either tolerance_px or tolerance_um")
    if um is not None and spacing_um is None:
        raise ValueError("tolerance_um needs spacing_um: the spacing of rows and columns")
    for name, given in (("tolerance_px", px), ("tolerance_um", um)):
        if given is not None and not np.min(given) >= 0:
            raise ValueError(f"{name} must not be negative, but is {given}")


def check_spacing(spacing_um: Pair | None) -> None:
    """Refuse a spacing that is not two positive numbers.

    Raises:
        ValueError: Such a spacing.
    """
    if spacing_um is not None and not (len(spacing_um) == 2 and min(spacing_um) > 0):
        raise ValueError(f"spacing_um must be (row, column), both positive, but is {spacing_um}")


def _plain(pair: Pair) -> float | Pair:
    return pair[0] if pair[0] == pair[1] else pair
