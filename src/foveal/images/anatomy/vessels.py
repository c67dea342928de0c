"""Vessels from masks, from a plugged-in model, or as dark lines."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Bool
from scipy import ndimage
from skimage.filters import apply_hysteresis_threshold

from foveal.core import Image, Region
from foveal.images.anatomy.answers import checked_mask, checked_masks
from foveal.images.anatomy.lines import dark_lines, inner_field
from foveal.images.anatomy.reduced import Mask, reduce_field
from foveal.images.anatomy.structure import Structure, missing

VesselModel = Callable[[Image], Bool[np.ndarray, "row column"] | Mapping[str, object]]
"""Takes the image as it was read; gives a mask on the original grid, or masks by name."""

SURE = 0.5
"""Vessels of less confidence are not given out."""
_SPAN = 512
_WIDTHS = (0.002, 0.0032, 0.005, 0.007)
"""Half widths, as shares of the field: 0.1 to 0.35 degrees in a field of 50."""
_WEAK, _STRONG, _GROUND = 84, 93, 70
"""Percentiles of strength in the field: a line is followed down to the first where it reaches the
second somewhere. Vessels cover about a tenth of a photograph centred on the macula."""
_FAINTEST = 0.012
"""Strength below which nothing is a line."""
_SMALLEST = 0.0004
"""Share of the field's square below which a piece is dropped."""
_BEST = 0.78
"""Dice of the clearest photographs tried."""


def vessels_of(
    image: Image, *, regions: Sequence[Region] = (), model: VesselModel | None = None
) -> Structure:
    """The vessels of a photograph of the fundus.

    A mask called "vessels" goes first, then the model, then a filter for dark lines. The filter's
    confidence is the Dice coefficient to expect against a trained segmenter (standard deviation
    0.08; docs/anatomy.md), from how far strong lines stand above the ground.

    Args:
        image: As it was read, without preparation.
        regions: Masks on the original grid.
        model: Any callable; see `VesselModel`.

    Raises:
        ImageError: Nothing to see in the image.
        ModelError: The model gave something else than a mask of the image's size.
        ValueError: A prepared image.
    """
    given = next((r.mask for r in regions if r.name == "vessels" and r.mask.any()), None)
    if given is not None:
        return Structure(name="vessels", mask=given, confidence=1.0, source="mask")
    if model is not None:
        answer = model(image)
        named = checked_masks(answer, image) if isinstance(answer, Mapping) else {}
        if named and "vessels" not in named:
            return missing("vessels", f"the model gave {', '.join(named)}, but no vessels")
        mask = named.get("vessels")
        mask = checked_mask("vessels", answer, image) if mask is None else mask
        return Structure(name="vessels", mask=mask, source="model")
    return _by_looks(image)


def _by_looks(image: Image) -> Structure:
    view = reduce_field(image, _SPAN)
    strength = dark_lines(view, _WIDTHS).strength
    inner = inner_field(view.field, 0.025 * _SPAN)
    if not inner.any():
        return missing("vessels", "the field is too narrow")
    ground, weak, strong = np.percentile(strength[inner], [_GROUND, _WEAK, _STRONG])
    sure = float(np.clip(0.58 * np.log(max(strong, 1e-9) / max(ground, 1e-9)) - 0.045, 0, _BEST))
    if sure < SURE or strong < 2 * _FAINTEST:
        why = f"no dark lines stand out clearly enough (a Dice of {sure:.2f} to expect)"
        return missing("vessels", why, sure)
    found = apply_hysteresis_threshold(strength, max(weak, _FAINTEST), strong) & inner
    mask = view.mask_to_original(_without_small(found))
    return Structure(name="vessels", mask=mask, confidence=sure, source="heuristic")


def _without_small(mask: Mask) -> Mask:
    parts = np.zeros(mask.shape, np.int32)
    ndimage.label(mask, output=parts, structure=np.ones((3, 3)))
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return (sizes >= _SMALLEST * _SPAN**2)[parts]
