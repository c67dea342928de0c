"""What a map does where there is nothing to find: localisation is undefined there."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Shaped

from foveal.core import Score
from foveal.measures.base import Array, Ground, MeasureCard, ground
from foveal.measures.lesions import spots
from foveal.measures.regions import partition

_HALF = 0.5

NEGATIVE_IMAGE_PROFILE = MeasureCard(
    name="negative_image_profile",
    question="Where no lesion is marked, how many hot spots does the map show, and where?",
    direction="context",
    range=(0, np.inf),
    needs=("field",),
    chance="none: a map without information may have any number",
    missing="the map holds values that are not numbers",
    cost="none",
    reference="spots of at least half of the maximum; shares of the evidence by structure",
)


def negative_image_profile(
    map: Shaped[Array, "row column"],
    regions: Mapping[str, Shaped[Array, "row column"]] | None = None,
    *,
    field: Shaped[Array, "row column"] | None = None,
    positive_energy: float | None = None,
) -> Score:
    """How many hot spots a map shows on an image without the finding, and on what.

    Args:
        map: Signed values.
        regions: The structures that are known, such as disc, macula and vessels.
        field: The field of view; the whole image by default.
        positive_energy: `parts["energy"]` of images with the finding, their mean or median, for
            maps whose scale can be compared.

    Returns:
        Connected spots of at least half of the maximum in the field, 0 for a map without evidence;
        neither way is better. `parts["mass"]` says which share of all positive evidence lies on
        each structure, on the `background` and `outside the field`; `parts["energy"]` is the mean
        positive value in the field, `parts["relative_energy"]` that by `positive_energy`. Missing
        (`nan_map`) where the map holds values that are not numbers.

    Raises:
        ValueError: Shapes that differ, masks that are not binary, or an energy that is not
            positive.
    """
    if positive_energy is not None and not positive_energy > 0:
        raise ValueError(f"positive_energy must be positive, but is {positive_energy}")
    on = ground(map, None, field, needs_mask=False)
    if on.problem == "nan_map":
        return NEGATIVE_IMAGE_PROFILE.none("nan_map")
    peak, energy = float(on.positive.max()), float(on.positive[on.field].mean())
    hot = on.field & (on.positive >= _HALF * peak) & (on.positive > 0)
    parts: dict[str, object] = {"energy": energy, "mass": _mass(on, partition(on, regions or {}))}
    if positive_energy is not None:
        parts["relative_energy"] = energy / positive_energy
    return NEGATIVE_IMAGE_PROFILE.score(spots(hot), parts=parts)


def _mass(on: Ground, labels: Mapping[str, Bool[np.ndarray, "row column"]]) -> dict[str, float]:
    """Shares of the positive evidence, which add up to 1; none where there is no evidence."""
    positive = np.maximum(on.map, 0)
    total = float(positive.sum())
    if total == 0:
        return {}
    masks = {**labels, "outside the field": ~on.field}
    return {name: float(positive[mask].sum() / total) for name, mask in masks.items()}
