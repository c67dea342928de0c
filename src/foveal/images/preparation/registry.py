"""Steps by name: for cards, which ask for them, and for stored runs, which bring them back."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from inspect import Parameter, signature

import numpy as np
from jaxtyping import Bool

from foveal.core import Image, StoreError
from foveal.images.preparation.augmentation import is_augmentation
from foveal.images.preparation.color import Color
from foveal.images.preparation.denoise import Denoise
from foveal.images.preparation.field_of_view import FieldOfView
from foveal.images.preparation.flatten import Flatten
from foveal.images.preparation.flip import Flip
from foveal.images.preparation.illumination import Illumination
from foveal.images.preparation.resize import Resize
from foveal.images.preparation.retina_band import RetinaBand
from foveal.images.preparation.scale import FieldSize, Spacing
from foveal.images.preparation.speckle import Speckle
from foveal.images.preparation.step import AbstractPreparation

_STEPS: dict[str, type[AbstractPreparation]] = {
    step.name: step
    for step in (
        *(FieldOfView, Resize, Illumination, Color, Denoise, Spacing, FieldSize, Flip),
        *(Flatten, RetinaBand, Speckle),
    )
}


def register_step(step: type[AbstractPreparation]) -> type[AbstractPreparation]:
    """Make a step of one's own known under its name; works as a class decorator.

    Raises:
        ValueError: The name is taken.
    """
    known = _STEPS.setdefault(step.name, step)
    if known is not step:
        raise ValueError(
            f"the name {step.name!r} belongs to {known.__qualname__}; name the step otherwise"
        )
    return step


def fit_step(
    asked: Mapping[str, object], image: Image, field: Bool[np.ndarray, "row column"]
) -> AbstractPreparation:
    """The step that a card asks for, for one image.

    Args:
        asked: The name under "step", and settings.
        image: The image as the steps before have left it.
        field: Its field of view.

    Raises:
        ValueError: An unknown step or setting, a missing setting, or one out of range.
    """
    settings = dict(asked)
    name = settings.pop("step", None)
    step = _STEPS.get(str(name))
    if step is None and is_augmentation(str(name)):
        raise ValueError(
            f"{name!r} is augmentation, which belongs to training: an explanation is of one "
            "picture, without chance. Leave it out; stability measures perturb by themselves"
        )
    if step is None:
        raise ValueError(f"there is no preparation step {name!r}; {_nearest(str(name), _STEPS)}")
    known = {
        name: parameter
        for name, parameter in signature(step.fit).parameters.items()
        if parameter.kind is Parameter.KEYWORD_ONLY
    }
    for setting in settings:
        if setting not in known:
            raise ValueError(
                f"the step {name!r} has no setting {setting!r}; {_nearest(setting, known)}"
            )
    for setting, parameter in known.items():
        if parameter.default is Parameter.empty and setting not in settings:
            raise ValueError(f"the step {name!r} needs the setting {setting!r}")
    return step.fit(image, field, **settings)


def revive(stored: Mapping[str, object]) -> AbstractPreparation:
    """The step that `numbers()` described, also years later and without the image.

    Raises:
        StoreError: Numbers that do not make a step of the name that they carry.
    """
    numbers = {
        key: tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        for key, value in stored.items()
    }
    name = numbers.pop("step", None)
    step = _STEPS.get(str(name))
    if step is None:
        raise StoreError(
            f"the stored step {name!r} is not known here; it may need the package that brought it "
            f"(known: {', '.join(_STEPS)})"
        )
    try:
        return step(**numbers)
    except (TypeError, ValueError) as error:
        raise StoreError(f"the stored step {name!r} is damaged: {error}") from error


def _nearest(name: str, known: Mapping[str, object]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
