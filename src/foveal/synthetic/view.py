"""Where the picture's pixels lie on the eye, and what varies smoothly over it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from foveal.synthetic.spec import FundusSpec

SPAN = 45.0
"""Textures are defined this far from the middle in every direction."""
SPLINE_DEVIATION = 151 / 315
"""What a cubic B-spline leaves of the standard deviation of independent nodes: along one axis the
integral of its square is left of the variance."""


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """A picture's grid, in degrees on the retina or millimetres on the front of the eye."""

    rows: Float[np.ndarray, " row"]
    columns: Float[np.ndarray, " column"]
    """Decreasing for a left eye, whose nose is on the other side."""
    pixels_per_unit: float

    @property
    def offsets(self) -> tuple[Float[np.ndarray, "row 1"], Float[np.ndarray, "1 column"]]:
        """Row and column of every pixel, ready to broadcast."""
        return self.rows[:, None].astype(np.float32), self.columns[None, :].astype(np.float32)

    def to_pixels(self, points: Float[np.ndarray, "point 2"]) -> Float[np.ndarray, "point 2"]:
        """Places on the eye as (row, column) on the picture, pixel centres at whole numbers."""
        origin = np.array([self.rows[0], self.columns[0]])
        step = np.array([1.0, np.sign(self.columns[1] - self.columns[0])]) / self.pixels_per_unit
        return (points - origin) / step


def view_of(spec: FundusSpec, size: int) -> View:
    scale = spec.device.diameter * size / spec.device.field_deg
    from_middle = (np.arange(size) + 0.5 - size / 2) / scale
    nose = 1.0 if spec.laterality == "right" else -1.0
    row, column = spec.exposure.gaze
    return View(rows=row + from_middle, columns=column + nose * from_middle, pixels_per_unit=scale)


def smooth_noise(
    view: View, *, seed: int, layer: int, step_deg: float
) -> Float[np.ndarray, "row column"]:
    """A random field with mean 0 and standard deviation 1 that lies still on the eye.

    A cubic B-spline over a lattice of independent normal numbers, so that the same seed gives the
    same eye at any size, side and gaze.
    """
    nodes = int(2 * SPAN / step_deg) + 4
    random = np.random.default_rng([seed, layer])
    lattice = random.standard_normal((nodes, nodes), dtype=np.float32)
    by_row = _spline(lattice, (view.rows + SPAN) / step_deg)
    return _spline(by_row.T, (view.columns + SPAN) / step_deg).T / SPLINE_DEVIATION


def _spline(
    lattice: Float[np.ndarray, "node other"], places: Float[np.ndarray, " place"]
) -> Float[np.ndarray, "place other"]:
    first = np.clip(np.floor(places).astype(int), 0, len(lattice) - 4)
    t = (places - first).astype(np.float32)[:, None]
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    values = np.zeros((len(places), lattice.shape[1]), np.float32)
    for k, weight in enumerate(weights):
        values += weight / 6 * lattice[first + k]
    return values
