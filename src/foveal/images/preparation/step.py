from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool

from foveal.core import AbstractStep, Image


class AbstractPreparation(AbstractStep):
    """A step that a card can ask for by `name`, with settings, before it has seen the image.

    Asking and doing are apart: `fit` looks at the image once and puts what it found into plain
    numbers; everything after depends on the numbers alone, so a stored step can be revived without
    the image and gives the same result on any machine. `numbers()` holds the name under "step";
    the rest are the keyword arguments that make the step again.
    """

    reversible: ClassVar[str]
    """What can be taken back, of points, maps and masks and of pixels; in words, for a report."""

    @classmethod
    @abstractmethod
    def fit(
        cls, image: Image, field: Bool[np.ndarray, "row column"], *args: Any, **settings: Any
    ) -> "AbstractPreparation":
        """The step for one image.

        Implementations name their settings as keyword-only parameters; these are what a card can
        set, and a card that sets others is told so.

        Args:
            image: The image as the steps before have left it.
            field: Its field of view.
            *args: None; the signature leaves the parameters to the implementation.
            **settings: The implementation's own.

        Raises:
            ValueError: A setting out of range.
        """

    @abstractmethod
    def numbers(self) -> Mapping[str, object]:
        """The name and the keyword arguments, with nothing in them that JSON would change."""


def plain_fields(step: Any) -> dict[str, object]:
    """What makes a step again that is a dataclass: its fields, with lists in place of tuples."""
    values = {field.name: getattr(step, field.name) for field in fields(step)}
    lists = {key: list(value) for key, value in values.items() if isinstance(value, tuple)}
    return {**values, **lists}
