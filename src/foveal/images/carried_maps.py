"""Maps made elsewhere, from the grid they were drawn on to the grid of the prepared image."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from foveal.core import Grid, Image, ImageError
from foveal.images.map_files import GivenMap
from foveal.images.preparation.chain import map_to_prepared, mask_to_original

MapGrid = Literal["original", "prepared"]
"""The photograph as people see it, or what the model is given of it."""
_WORDS = {"original": "the photograph", "prepared": "the prepared image"}


@dataclass(frozen=True, kw_only=True, eq=False)
class CarriedMap:
    """A map on the prepared grid, and what was lost on the way."""

    values: Float[np.ndarray, "row column"]
    """On the prepared grid; may hold what is no number."""
    mass_kept: float | None
    """Share in [0, 1] of the map's absolute values that lie where the model looks; less where the
    map also points outside the crop. `None` where its mass is zero or no number."""


def carry_map(given: GivenMap, image: Image, *, grid: MapGrid = "original") -> CarriedMap:
    """A map on the grid of the prepared image: bilinear, by the image's own steps.

    Args:
        given: The map.
        image: The prepared image.
        grid: Which grid the map is on.

    Raises:
        ImageError: The map has another size than that grid.
    """
    _check_grid(given.grid, image, grid)
    if grid == "prepared":
        return CarriedMap(values=given.values, mass_kept=1.0)
    seen = mask_to_original(np.ones(image.grid, bool), image.steps)
    return CarriedMap(
        values=map_to_prepared(given.values, image.steps), mass_kept=_share(given, seen)
    )


def _share(given: GivenMap, seen: np.ndarray) -> float | None:
    mass = np.abs(given.values, dtype=np.float64)
    total = float(mass.sum())
    return float(mass[seen].sum()) / total if np.isfinite(total) and total > 0 else None


def _check_grid(found: Grid, image: Image, grid: MapGrid) -> None:
    grids: dict[MapGrid, Grid] = {"original": image.original_grid, "prepared": image.grid}
    if found == grids[grid]:
        return
    other: MapGrid = "prepared" if grid == "original" else "original"
    advice = "make it anew for this picture, or enlarge it to one of the two with its own tool"
    if found == grids[other]:
        advice = (
            f'it has the size of {_WORDS[other]}: say so with grid = "{other}", on the command '
            f"line with --maps-grid {other}"
        )
    elif found == grids[grid][::-1]:
        advice = "it looks transposed, turn it upright"
    raise ImageError(
        f"is {found[0]} x {found[1]} (row x column), but {_WORDS[grid]} is {grids[grid][0]} x "
        f"{grids[grid][1]} and {_WORDS[other]} {grids[other][0]} x {grids[other][1]}; {advice}"
    )
