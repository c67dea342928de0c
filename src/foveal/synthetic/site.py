"""Where lesions may be: inside the field, off the disc, apart from larger vessels."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

import numpy as np
from jaxtyping import Float

from foveal.synthetic.spec import Device, Disc, Exposure, Point, Vessel


@dataclass(frozen=True, kw_only=True, eq=False)
class Site:
    """One eye in one camera's field, and the chance that picks places in it."""

    random: np.random.Generator
    disc: Disc
    device: Device
    exposure: Exposure
    vessels: Float[np.ndarray, "place 3"]
    """Row, column and radius along the larger vessels."""

    def place(
        self, *, spread: float, extent: float, least: float = 0.9, apart: float | None = None
    ) -> Point:
        """A place for a lesion of this extent, at least so far from the fovea; all in degrees."""
        while True:
            row, column = self.random.normal(0, spread), self.random.normal(1, 1.15 * spread)
            free = apart is None or self._from_vessels((row, column)) > apart
            if free and hypot(row, column) > least and self.holds((row, column), extent):
                return row, column

    def holds(self, point: Point, extent: float) -> bool:
        """Whether what reaches this far around the place lies in the field and off the disc."""
        radius = self.device.field_deg / 2
        down, across = point[0] - self.exposure.gaze[0], point[1] - self.exposure.gaze[1]
        if hypot(down, across) + extent > 0.96 * radius:
            return False
        if abs(down) + extent > 0.97 * radius * self.device.clip:
            return False
        down, across = point[0] - self.disc.row, point[1] - self.disc.column
        return hypot(down / self.disc.aspect, across) > 1.15 * self.disc.radius + extent

    def _from_vessels(self, point: Point) -> float:
        rows, columns, radii = self.vessels.T
        return float((np.hypot(rows - point[0], columns - point[1]) - radii).min())


def larger_vessels(vessels: Sequence[Vessel]) -> Float[np.ndarray, "place 3"]:
    """Row, column and radius wherever a vessel would hide a microaneurysm."""
    places = [(*p, r) for v in vessels for p, r in zip(v.points, v.radii, strict=True) if r > 0.08]
    return np.array(places)
