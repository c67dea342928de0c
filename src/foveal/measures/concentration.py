"""How concentrated is a map? Neither way is better by itself; both extremes are warnings."""

import numpy as np
from jaxtyping import Float, Shaped

from foveal.core import Score
from foveal.measures.base import Array, Ground, MeasureCard, ground
from foveal.measures.tolerance import Pair, check_spacing

EBC_SHARE = 0.2
"""The share of the field in whose strongest pixels the evidence is counted."""
_MISSING = "nothing in the field is positive"
_CHANCE = "none: a map without information may be of any size"

MEAN_ATTRIBUTION_AREA = MeasureCard(
    name="mean_attribution_area",
    question="How much of the field reaches half of the map's maximum?",
    direction="context",
    range=(0, 1),
    needs=("field",),
    chance=_CHANCE,
    missing=_MISSING,
    cost="none",
    reference="area at half maximum; near 0 for noise, 1 for a constant map",
)
EBC = MeasureCard(
    name="ebc",
    question="How much of the evidence lies in the strongest fifth of the field?",
    direction="context",
    range=(0, 1),
    needs=("field",),
    chance=_CHANCE,
    missing=_MISSING,
    cost="none",
    reference="energy-based compression: a point of the Lorenz curve; 0.2 for a constant map",
)
GINI = MeasureCard(
    name="gini",
    question="How unequally is the evidence spread over the field?",
    direction="context",
    range=(0, 1),
    needs=("field",),
    chance=_CHANCE,
    missing=_MISSING,
    cost="none",
    reference="Gini 1912; Chalasani et al. 2020 (sparseness); 0.41 for white noise",
)
MAP_ENTROPY = MeasureCard(
    name="map_entropy",
    question="How near does the evidence come to being spread evenly?",
    direction="context",
    range=(0, 1),
    needs=("field",),
    chance=_CHANCE,
    missing=_MISSING,
    cost="none",
    reference="Shannon 1948, by the logarithm of the pixels; Bhatt et al. 2020 (complexity)",
)


def mean_attribution_area(
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    spacing_um: Pair | None = None,
) -> Score:
    """Share of the field where the map reaches half of its maximum.

    Read it beside `ebc`: a round blob over 14 % of a round field has an EBC of 0.63, white noise
    covers 2 % and still has 0.44.

    Args:
        map: Signed values; negative ones count as 0.
        field: The field of view; the whole image by default.
        spacing_um: Spacing of rows and columns in micrometres, where it is known.

    Returns:
        A share in (0, 1], 1 for a constant map; neither way is better. With a spacing
        `parts["area_mm2"]` is the area in square millimetres. Missing (`zero_map`, `nan_map`)
        where nothing is positive.

    Raises:
        ValueError: Shapes that differ, a field that is not binary or empty, or a spacing that is
            not positive.
    """
    check_spacing(spacing_um)
    on = ground(map, None, field, needs_mask=False)
    problem = _problem(on)
    if problem is not None:
        return MEAN_ATTRIBUTION_AREA.none(problem)
    count = int((on.positive[on.field] >= 0.5 * on.positive.max()).sum())
    parts = {} if spacing_um is None else {"area_mm2": count * np.prod(spacing_um) / 1e6}
    return MEAN_ATTRIBUTION_AREA.score(count / on.area, parts=parts)


def ebc(
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    q: float = EBC_SHARE,
) -> Score:
    """Energy-based compression: share of the evidence in the strongest `q` of the field.

    Returns:
        A share in [q, 1], `q` for a constant map, near 1 where few pixels hold everything; neither
        way is better. Missing (`zero_map`, `nan_map`) where nothing is positive.

    Raises:
        ValueError: Shapes that differ, a field that is not binary or empty, or a `q` that is not
            in (0, 1].
    """
    if not 0 < q <= 1:
        raise ValueError(f"q must be in (0, 1], but is {q}")
    on = ground(map, None, field, needs_mask=False)
    problem = _problem(on)
    if problem is not None:
        return EBC.none(problem, params={"q": q})
    # A part of a pixel counts by its part, so that the share of the field is exactly q.
    pixels = np.arange(on.area + 1)
    held = np.append(0, np.cumsum(_ascending(on)[::-1]))
    return EBC.score(np.interp(q * on.area, pixels, held) / held[-1], params={"q": q})


def gini(
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
) -> Score:
    """Gini coefficient of the positive values over the field.

    Returns:
        0 for a constant map, 1 - 1 / n where one of n pixels holds everything; neither way is
        better. Missing (`zero_map`, `nan_map`) where nothing is positive.

    Raises:
        ValueError: Shapes that differ, or a field that is not binary or empty.

    Reference:
        Chalasani et al. 2020, Concise Explanations of Neural Networks using Adversarial Training.
    """
    on = ground(map, None, field, needs_mask=False)
    problem = _problem(on)
    if problem is not None:
        return GINI.none(problem)
    values = _ascending(on)
    weights = 2 * np.arange(1, on.area + 1) - on.area - 1
    return GINI.score(max(0.0, float(weights @ values / (on.area * values.sum()))))


def map_entropy(
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
) -> Score:
    """Entropy of the positive values as shares of their sum, by the logarithm of the pixels.

    Returns:
        0 where one pixel holds everything, 1 for a constant map; neither way is better. Missing
        (`zero_map`, `nan_map`) where nothing is positive, and (`too_few`) in a field of one pixel.

    Raises:
        ValueError: Shapes that differ, or a field that is not binary or empty.

    Reference:
        Bhatt et al. 2020, Evaluating and Aggregating Feature-based Model Explanations, complexity;
        divided by ln n here, so that images of any size compare.
    """
    on = ground(map, None, field, needs_mask=False)
    problem = _problem(on)
    if problem is not None:
        return MAP_ENTROPY.none(problem)
    if on.area == 1:
        return MAP_ENTROPY.none("too_few", text="the field has only one pixel")
    values = on.positive[on.positive > 0]
    shares = values / values.sum()
    return MAP_ENTROPY.score(max(0.0, -float((shares * np.log(shares)).sum() / np.log(on.area))))


def _ascending(on: Ground) -> Float[np.ndarray, " pixel"]:
    return np.sort(on.positive[on.field])


def _problem(on: Ground) -> str | None:
    """A constant map is as spread as can be, which is a number."""
    return None if on.problem == "constant_map" else on.problem
