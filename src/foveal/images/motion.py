"""Visits of one eye on one grid: rigid registration of two pictures.

Reference:
    Reddy & Chatterji 1996, An FFT-based technique for translation, rotation, and scale-invariant
    image registration (IEEE Trans. Image Processing 5:1266): the spectrum's magnitude turns with
    the picture and does not move, so a phase correlation of the two magnitudes in polar
    coordinates gives the angle, and a second one of the turned pictures the shift.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from foveal.core import Grid, Image, ImageError
from foveal.images.preparation import find_field

LEAST_QUALITY = 0.5
"""Correlation below which a fit is refused: twelve pairs of unrelated fundus photographs (IDRiD)
reach 0.01 to 0.48, one synthetic eye at several gazes and with a new lesion 0.77 and more."""

_LEAST_OVERLAP = 0.25
_RIM = 12.0
"""Pixels from the rim of the field at which structure counts in full."""
_ANGLES = 720
"""Quarter degrees over half a turn: the magnitude of a spectrum repeats after that."""
_MOST_DEGREES = 30.0


@dataclass(frozen=True, kw_only=True)
class RigidMotion:
    """How a picture lies on another: turned about its middle, then moved.

    The pixel of the fixed grid at middle + p shows what the moving picture has at
    middle + R(p - shift), with both middles at half their grid and R a turn by `degrees`.
    """

    source: Grid
    """Of the moving picture."""
    target: Grid
    """Of the fixed one."""
    degrees: float
    """By how much the moving picture is turned counter-clockwise against the fixed one."""
    shift: tuple[float, float]
    """Rows and columns by which the moving picture's middle lies off the fixed one's."""
    quality: float
    """Correlation of the two pictures where they overlap, in [-1, 1], smoothed by 2 pixels."""
    overlap: float
    """Share of the fixed grid that the moving picture covers, in [0, 1]."""

    def points_back(self, points: Float[np.ndarray, "point 2"]) -> Float[np.ndarray, "point 2"]:
        """Where points of the fixed grid lie in the moving picture, pixel centres at +0.5."""
        offset = points - np.array(self.target) / 2 - np.array(self.shift)
        return offset @ _turn(self.degrees).T + np.array(self.source) / 2

    def points_forward(self, points: Float[np.ndarray, "point 2"]) -> Float[np.ndarray, "point 2"]:
        """Where points of the moving picture lie on the fixed grid."""
        turned = (points - np.array(self.source) / 2) @ _turn(self.degrees)
        return turned + np.array(self.shift) + np.array(self.target) / 2


def register(moving: Image, fixed: Image) -> RigidMotion:
    """The rotation and translation that lay one picture of an eye on another of the same scale.

    Turns of up to 30 degrees are sought, and no change of scale: bring both to one spacing first.
    The result of the phase correlations is refined by a search for the best correlation.

    Raises:
        ImageError: The pictures differ in scale, or do not fit: the correlation is below 0.5 or
            less than a quarter of the fixed grid is covered.
    """
    _check_scale(moving, fixed)
    one, two = (_prepared(image) for image in (moving, fixed))
    side = max(max(one.shape), max(two.shape))
    large = tuple(_centred(plane, side) for plane in (one, two))
    found = [_fit(degrees, *large) for degrees in _turns(*large)]
    _, degrees, shift = max(found)
    degrees, shift = _refined(large[0], large[1], degrees, shift)
    motion = RigidMotion(
        source=moving.grid,
        target=fixed.grid,
        degrees=degrees,
        shift=shift,
        quality=0.0,
        overlap=0.0,
    )
    return _judged(motion, one, two)


def carry_to_first(
    values: Float[np.ndarray, "row column"], motion: RigidMotion
) -> Float[np.ndarray, "row_out column_out"]:
    """A map of the moving picture on the fixed grid, bilinear; NaN where it does not reach.

    Raises:
        ValueError: A map of another grid than the moving picture's.
    """
    if values.shape != motion.source:
        raise ValueError(f"the map is {values.shape}, but the moving picture {motion.source}")
    rows, columns = np.indices(motion.target) + 0.5
    points = motion.points_back(np.stack([rows.ravel(), columns.ravel()], axis=1))
    reach = ((points >= 0) & (points <= np.array(motion.source))).all(axis=1)
    found = ndimage.map_coordinates(
        values.astype(np.float64), (points - 0.5).T, order=1, mode="nearest"
    )
    return np.where(reach, found, np.nan).reshape(motion.target)


def _check_scale(moving: Image, fixed: Image) -> None:
    if moving.spacing_mm is None or fixed.spacing_mm is None:
        return
    ratios = np.array(moving.spacing_mm) / np.array(fixed.spacing_mm)
    if np.abs(ratios - 1).max() > 0.02:
        raise ImageError(
            f"has pixels of {moving.spacing_mm} mm, the other of {fixed.spacing_mm} mm; bring both "
            'to one with the step "spacing" first'
        )


def _prepared(image: Image) -> Float[np.ndarray, "row column"]:
    """Structure without shading: both cameras and both days light the eye differently.

    The rim of the field belongs to the camera and lies still when the eye moves, so that it must
    not be correlated: blurs count what is inside the field alone, and structure fades towards it.
    """
    grey = image.pixels.mean(axis=0, dtype=np.float64)
    field = _field(image)
    inside = field.astype(np.float64)

    def blurred(sigma: float) -> Float[np.ndarray, "row column"]:
        weight = ndimage.gaussian_filter(inside, sigma)
        return ndimage.gaussian_filter(grey * inside, sigma) / np.maximum(weight, 1e-6)

    structure = blurred(1) - blurred(16)
    if field.all():
        return structure
    depth = np.asarray(ndimage.distance_transform_edt(field))
    return structure * np.clip(depth / _RIM, 0, 1)


def _field(image: Image) -> Bool[np.ndarray, "row column"]:
    """Where the eye is; everywhere in a picture that shows no rim."""
    try:
        return find_field(image)
    except ImageError:
        return np.ones(image.grid, bool)


def _centred(plane: Float[np.ndarray, "row column"], side: int) -> Float[np.ndarray, "side side"]:
    """On a square, middle on middle, its edge faded out, so that no edge is correlated."""
    window = np.sqrt(np.outer(np.hanning(plane.shape[0]), np.hanning(plane.shape[1])))
    start = [(side - length) / 2 for length in plane.shape]
    padded = np.zeros((side, side))
    rows, columns = (int(np.floor(first)) for first in start)
    padded[rows : rows + plane.shape[0], columns : columns + plane.shape[1]] = plane * window
    parts = [first - np.floor(first) for first in start]
    return ndimage.shift(padded, parts, order=1) if any(parts) else padded


def _turns(moving: np.ndarray, fixed: np.ndarray) -> list[float]:
    """The best angle by the magnitudes of the spectra, and none, which needs no proof."""
    one, two = (_polar(np.abs(np.fft.fftshift(np.fft.fft2(plane)))) for plane in (moving, fixed))
    product = np.fft.fft(one, axis=0) * np.conj(np.fft.fft(two, axis=0))
    correlation = np.fft.ifft(product.sum(axis=1)).real
    angles = (np.arange(_ANGLES) + _ANGLES // 2) % _ANGLES - _ANGLES // 2
    near = np.abs(angles * 180 / _ANGLES) <= _MOST_DEGREES
    best = int(np.where(near, correlation, -np.inf).argmax())
    angle = angles[best] * 180 / _ANGLES
    return sorted({0.0, float(angle), float(-angle)})


def _polar(magnitude: Float[np.ndarray, "side side"]) -> Float[np.ndarray, "angle radius"]:
    """The logarithm of a spectrum's magnitude by angle and radius, each radius without its mean."""
    middle = len(magnitude) // 2
    angle = np.arange(_ANGLES)[:, np.newaxis] * np.pi / _ANGLES
    radius = np.linspace(0.05, 0.6, 96) * middle
    where = [middle + np.sin(angle) * radius, middle + np.cos(angle) * radius]
    seen = np.log(ndimage.map_coordinates(magnitude, where, order=1) + 1e-9)
    return (seen - seen.mean(axis=0)) / (seen.std(axis=0) + 1e-9)


def _fit(
    degrees: float, moving: np.ndarray, fixed: np.ndarray
) -> tuple[float, float, tuple[float, float]]:
    """How well the turned picture fits at its best shift: quality, angle, shift."""
    turned = _moved(moving, degrees, (0.0, 0.0))
    spectrum = np.fft.fft2(fixed) * np.conj(np.fft.fft2(turned))
    phase = np.fft.ifft2(spectrum / (np.abs(spectrum) + 1e-9 * np.abs(spectrum).max())).real
    place = np.unravel_index(int(phase.argmax()), phase.shape)
    side = len(moving)
    row, column = ((int(axis) + side // 2) % side - side // 2 for axis in place)
    shift = float(row), float(column)
    return _correlation(_moved(moving, degrees, shift), fixed), degrees, shift


def _refined(
    moving: np.ndarray, fixed: np.ndarray, degrees: float, shift: tuple[float, float]
) -> tuple[float, tuple[float, float]]:
    """Climb to the best correlation in ever smaller steps, one number after the other."""
    best = np.array([degrees, *shift])
    value = _correlation(_moved(moving, best[0], (best[1], best[2])), fixed)
    step = np.array([0.5, 0.5, 0.5])
    while step[0] > 0.02:
        trials = [best + sign * step * axis for axis in np.eye(3) for sign in (-1, 1)]
        values = [_correlation(_moved(moving, t[0], (t[1], t[2])), fixed) for t in trials]
        if max(values) > value:
            value, best = max(values), trials[int(np.argmax(values))]
        else:
            step = step / 2
    return float(best[0]), (float(best[1]), float(best[2]))


def _moved(
    plane: Float[np.ndarray, "side side"], degrees: float, shift: tuple[float, float]
) -> Float[np.ndarray, "side side"]:
    turn = _turn(degrees)
    middle = (np.array(plane.shape) - 1) / 2
    offset: Any = middle - turn @ (middle + np.array(shift))
    return ndimage.affine_transform(plane, turn, offset=offset, order=1)


def _turn(degrees: float) -> Float[np.ndarray, "2 2"]:
    """Takes offsets (row, column) on the fixed grid to those in the moving picture."""
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _correlation(one: np.ndarray, two: np.ndarray) -> float:
    scale = float(np.sqrt((one**2).sum() * (two**2).sum()))
    return float((one * two).sum()) / scale if scale > 0 else 0.0


def _judged(motion: RigidMotion, moving: np.ndarray, fixed: np.ndarray) -> RigidMotion:
    """The motion with its quality, if it is good enough."""
    carried = carry_to_first(ndimage.gaussian_filter(moving, 2), motion)
    seen = np.isfinite(carried)
    overlap = float(seen.mean())
    quality = 0.0
    if seen.sum() > 1:
        pair = carried[seen], ndimage.gaussian_filter(fixed, 2)[seen]
        quality = _correlation(*(part - part.mean() for part in pair))
    if quality < LEAST_QUALITY or overlap < _LEAST_OVERLAP:
        raise ImageError(
            f"does not fit on the other picture: correlation {quality:.2f} (needed "
            f"{LEAST_QUALITY:g}) over {overlap:.0%} of it (needed {_LEAST_OVERLAP:.0%}); they may "
            "show different eyes or places, or differ in scale"
        )
    return replace(motion, quality=quality, overlap=overlap)
