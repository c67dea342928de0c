"""What a plugged-in model answered, checked before anything is built on it."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool

from foveal.core import Image, ModelError


def checked_masks(answer: object, image: Image) -> dict[str, Bool[np.ndarray, "row column"]]:
    """The masks that a model gave for an image, by name.

    Raises:
        ModelError: No mapping, or something in it that is no mask of the image's size: true and
            false, or 0 and 1.
    """
    if not isinstance(answer, Mapping):
        raise ModelError(
            f"a model of anatomy must give masks by name, but gave {type(answer).__name__}; wrap "
            "it in a function that returns {'optic disc': mask, ...}"
        )
    return {str(name): checked_mask(name, mask, image) for name, mask in answer.items()}


def checked_mask(name: object, mask: object, image: Image) -> Bool[np.ndarray, "row column"]:
    """One mask of a model's answer.

    Raises:
        ModelError: As for `checked_masks`.
    """
    values = np.asarray(mask)
    if values.shape != image.grid:
        raise ModelError(
            f"the model's {name!r} must be on the image's grid {image.grid}, but its shape is "
            f"{values.shape}; carry it back to the original pixels"
        )
    if values.dtype != bool and not (values.dtype.kind in "iuf" and np.isin(values, (0, 1)).all()):
        raise ModelError(
            f"the model's {name!r} must be true and false, or 0 and 1, but is of {values.dtype} "
            "with other values; threshold it first"
        )
    return values.astype(bool)
