"""Layer boundaries of a section: from expert line pictures, onto other grids, and to regions."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Shaped

from foveal.core import AbstractStep, Grid, Image, ImageError, Region

BONN_LINES = {255: "RPE", 127: "BM"}
"""Grey levels of the Bonn drusen annotations (Gorgi Zadeh et al. 2020)."""


def lines_from_mask(
    image: Image,
    *,
    names: Mapping[int, str] = BONN_LINES,
    least_drawn: float = 0.5,
    touching: bool = True,
) -> dict[str, Float[np.ndarray, " column"]]:
    """Lines from a picture on which an expert drew them, one grey level each.

    A column's row is the mean of the line's pixels in it, which centres steep strokes. Two lines
    that touch share their pixels, so only one is drawn there: in a column where just one of the
    lines is drawn, the others get its row. A line that is drawn in fewer than `least_drawn` of the
    columns is taken for missing, not for hidden, and is unknown everywhere.

    Args:
        image: The picture, read with `foveal.read`.
        names: Which line each level is, of 255.
        least_drawn: Share of columns in [0, 1].
        touching: Whether a hidden line gets the row of the one that hides it; else it is unknown.

    Returns:
        Row of each column by name, pixel centres at +0.5, NaN where not drawn.

    Raises:
        ImageError: None of the levels is in the picture.
    """
    levels = np.rint(image.pixels[0] * 255).astype(int)
    lines = {name: _mean_row(levels == level) for level, name in names.items()}
    drawn = {name: np.isfinite(line) for name, line in lines.items()}
    if not any(columns.any() for columns in drawn.values()):
        raise ImageError(f"shows none of the levels {list(names)}; it is no picture of these lines")
    kept = [name for name, columns in drawn.items() if columns.mean() >= least_drawn]
    if touching and kept:
        rows = np.stack([lines[name] for name in kept])
        alone = np.isfinite(rows).sum(axis=0) == 1
        only = np.where(alone, np.nansum(rows, axis=0), np.nan)
        lines |= {name: np.where(np.isnan(lines[name]), only, lines[name]) for name in kept}
    unknown = np.full(levels.shape[1], np.nan)
    return {name: lines[name] if name in kept else unknown.copy() for name in lines}


def layer_regions(image: Image, between: Mapping[str, tuple[str, str]]) -> list[Region]:
    """What lies between two lines of a section, on the section's original grid.

    A pixel belongs to a layer when its centre lies on or under the upper line and above the lower
    one. Columns where either line is unknown are left out.

    Args:
        image: A section with lines, as `Volume.section` gives it.
        between: Names of regions with their upper and lower line: `{"retina": ("ILM", "BM")}`.

    Raises:
        ImageError: The section has no such line.
    """
    regions = []
    for name, (upper, lower) in between.items():
        top, bottom = (known_line(image, line) for line in (upper, lower))
        centre = np.arange(image.original_grid[0])[:, np.newaxis] + 0.5
        mask = (centre >= top) & (centre < bottom)  # NaN compares as false
        source = f"{image.source or 'section'}, between {upper} and {lower}"
        regions.append(Region(name=name, mask=mask, kind="anatomy", source=source))
    return regions


def drusen(
    image: Image, *, upper: str = "RPE", lower: str = "BM", least_um: float = 40.0
) -> Region:
    """Where the pigment epithelium is lifted off Bruch's membrane.

    Everything between the lines in columns where they are at least `least_um` apart. Lines are
    drawn some 20 um apart over a flat epithelium (median of 36,748 columns of the Bonn volume, an
    eye with drusen: 27 um), so without a least elevation the whole epithelium would count. The
    default is this package's choice and no standard; name it with every number.

    Args:
        image: A section with both lines and spacing.
        upper: The line of the epithelium.
        lower: The line of the membrane.
        least_um: Least distance of the lines in micrometres.

    Raises:
        ImageError: A line or the spacing is missing.
    """
    if image.spacing_mm is None:
        raise ImageError("has no spacing, so elevations have no micrometres; give it spacing_mm")
    row_um = 1000 * _original_row_mm(image)
    raised = (known_line(image, lower) - known_line(image, upper)) * row_um >= least_um
    (between,) = layer_regions(image, {"drusen": (upper, lower)})
    source = f"{between.source}, at least {least_um:g} um apart"
    return Region(name="drusen", mask=between.mask & raised, kind="lesion", source=source)


def known_line(image: Image, name: str) -> Float[np.ndarray, " column"]:
    """A line of the original grid.

    Raises:
        ImageError: The image has no line of that name.
    """
    if name not in image.lines:
        known = f"it has {', '.join(image.lines)}" if image.lines else "it has none"
        raise ImageError(f"has no line {name!r}; {known}")
    return image.lines[name]


def line_on_grid(
    line: Float[np.ndarray, " column"], steps: Sequence[AbstractStep], grid: Grid
) -> Float[np.ndarray, " column_out"]:
    """A line of the original grid on the one that steps lead to.

    Rows are interpolated between the neighbouring columns; a column that no known part of the line
    covers is NaN.
    """
    points = np.stack([line, np.arange(len(line)) + 0.5], axis=1)
    for step in steps:
        points = step.points_forward(points)
    columns = np.arange(grid[1]) + 0.5
    order = np.argsort(points[:, 1])
    rows, places = points[order].T
    known = np.isfinite(rows)
    if not known.any():
        return np.full(grid[1], np.nan)
    found = np.interp(columns, places[known], rows[known])
    apart = float(np.diff(places).max()) if len(places) > 1 else 1.0
    nearest = np.abs(columns[:, np.newaxis] - places[known]).min(axis=1)
    return np.where(nearest <= max(apart, 1.0) / 2 + 1e-6, found, np.nan)


def _mean_row(mask: Shaped[np.ndarray, "row column"]) -> Float[np.ndarray, " column"]:
    count = mask.sum(axis=0)
    total = mask.T @ (np.arange(len(mask)) + 0.5)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _original_row_mm(image: Image) -> float:
    """Row spacing before the steps."""
    if image.spacing_mm is None:
        raise ImageError("has no spacing")
    row_mm = image.spacing_mm[0]
    for step in reversed(image.steps):
        edges = step.points_back(np.array([[0.0, 0.0], [float(step.target[0]), 0.0]]))
        row_mm /= float(edges[1, 0] - edges[0, 0]) / step.target[0]
    return row_mm
