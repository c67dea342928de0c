import numpy as np
from jaxtyping import Bool

from foveal.core import Grid


def circle_around(
    row: float, column: float, radius: float, grid: Grid
) -> Bool[np.ndarray, "row column"]:
    """The pixels of a grid with their centres within a circle, pixel centres at +0.5."""
    down = np.arange(grid[0], dtype=np.float32)[:, None] + 0.5 - row
    across = np.arange(grid[1], dtype=np.float32)[None, :] + 0.5 - column
    return down**2 + across**2 <= radius**2
