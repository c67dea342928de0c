"""Which layer should a method watch? A table over candidates, for a development split."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from foveal.core import Score
from foveal.measures.base import Array
from foveal.measures.concentration import ebc, mean_attribution_area
from foveal.measures.localisation import relevance_mass
from foveal.measures.perturbed import (
    ExplainOf,
    PerturbedImages,
    field_on,
    perturbed_images,
    perturbed_maps,
)
from foveal.measures.stability import avg_sensitivity

ScoreOfMap = Callable[[Float[np.ndarray, "row column"]], Score]
"""From a map on the image's grid to one score of it."""


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """What one layer's maps are worth."""

    layer: str
    stride_px: tuple[float, float]
    """Rows and columns of the image that one cell of the map stands for."""
    scores: tuple[Score, ...]
    pareto: bool
    """No other layer is at least as good in every score that has a better way, and better in one.
    Scores that a layer lacks do not speak for it."""

    def __getitem__(self, name: str) -> Score:
        return next(score for score in self.scores if score.name == name)


def layer_study(
    candidates: Mapping[str, ExplainOf],
    image: Shaped[Array, "channel row column"],
    *,
    mask: Shaped[Array, "row column"] | None = None,
    field: Shaped[Array, "row column"] | None = None,
    further: Sequence[ScoreOfMap] = (),
    images: PerturbedImages | None = None,
) -> list[LayerRow]:
    """Stride, concentration, agreement with a lesion, stability and more, layer by layer.

    Never choose a layer on the images that are reported: use a development split.

    Args:
        candidates: By the layers' names, from a batch in display units to maps on their native
            grid (probe, row, column), one target for all.
        image: The prepared image (channel, row, column) in display units.
        mask: A lesion, for its share of the relevance.
        field: The field of view; the whole image by default.
        further: What else is measured of each map on the image's grid, such as the symmetric
            relevance gain.
        images: Noisy copies from `perturbed_images`; 50 by default.

    Returns:
        A row for each layer: `mean_attribution_area`, `ebc`, `avg_sensitivity`, with a mask
        `relevance_mass`, then the further ones; and whether the row is Pareto optimal.

    Raises:
        ValueError: No candidate, or as `avg_sensitivity`.
    """
    if not candidates:
        raise ValueError("name at least one layer")
    grid = tuple(image.shape[-2:])
    inside = np.ones(grid, bool) if field is None else field_on(field, grid)
    noisy = images or perturbed_images(image, field=inside)
    rows = [
        (layer, *_measured(explain, image, inside, mask, further, noisy))
        for layer, explain in candidates.items()
    ]
    return [
        LayerRow(
            layer=layer,
            stride_px=stride,
            scores=scores,
            pareto=not any(_beats(other, scores) for _, _, other in rows),
        )
        for layer, stride, scores in rows
    ]


def _measured(
    explain: ExplainOf,
    image: Array,
    field: np.ndarray,
    mask: Array | None,
    further: Sequence[ScoreOfMap],
    noisy: PerturbedImages,
) -> tuple[tuple[float, float], tuple[Score, ...]]:
    native: list[tuple[int, ...]] = []

    def noting(batch: Array) -> Array:
        maps = explain(batch)
        native.append(tuple(maps.shape[-2:]))
        return maps

    made = perturbed_maps(noting, image, field=field, images=noisy)
    map = made.clean
    scores = [
        mean_attribution_area(map, field=field),
        ebc(map, field=field),
        avg_sensitivity(explain, image, perturbed=made),
    ]
    if mask is not None:
        scores.append(relevance_mass(map, mask, field=field))
    scores += [ask(map) for ask in further]
    rows, columns = (side / own for side, own in zip(field.shape, native[0], strict=True))
    return (rows, columns), tuple(scores)


def _beats(other: Sequence[Score], own: Sequence[Score]) -> bool:
    """At least as good in all, and better in one."""
    pairs = [
        (_goodness(a), _goodness(b))
        for a, b in zip(other, own, strict=True)
        if b.direction != "context"
    ]
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def _goodness(score: Score) -> float:
    if score.value is None:
        return -np.inf
    return score.value if score.direction == "higher" else -score.value
