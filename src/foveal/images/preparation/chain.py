"""A list of steps as one journey: to the model's grid and back to the file's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from foveal.core import AbstractStep, Image, ImageError, Region
from foveal.images.preparation.field import find_field
from foveal.images.preparation.registry import fit_step

Steps = Sequence[AbstractStep]
"""First step first, as `Image.steps` holds them."""
Watch = Callable[[Float[np.ndarray, "channel row column"]], None]
"""Called with the pixels after each step."""


def prepare(
    image: Image, steps: Sequence[Mapping[str, object]], *, watch: Watch | None = None
) -> tuple[Image, Region]:
    """The image as the model gets it, and its field of view on the same grid.

    Args:
        image: As it was read, or already prepared; its steps are kept and the new ones appended.
        steps: What the card asks for, in order: `{"step": "resize", "size": [512, 512]}`.
        watch: Sees the pixels after each step, which are not kept otherwise.

    Raises:
        ImageError: No field of view: the image is black or nearly of one colour, or a step leaves
            nothing of it.
        ValueError: An unknown step or setting, a missing setting, or one out of range.
    """
    field = find_field(image)
    for asked in steps:
        step = fit_step(asked, image, field)
        field = step.mask_forward(field)
        if not field.any():
            raise ImageError(
                f"has no field of view left after the step {step.name!r} to {step.target} (row, "
                "column); its field is too small for that, leave it out"
            )
        image = replace(
            image,
            pixels=step.pixels_forward(image.pixels),
            spacing_mm=spacing_after(image.spacing_mm, [step]),
            steps=(*image.steps, step),
        )
        if watch is not None:
            watch(image.pixels)
    return image, Region(name="field of view", mask=field, kind="field", source=image.source)


def points_to_prepared(
    points: Float[np.ndarray, "point 2"], steps: Steps
) -> Float[np.ndarray, "point 2"]:
    """Where points of the original lie on the prepared grid; exact, also outside of it."""
    for step in steps:
        points = step.points_forward(points)
    return points


def points_to_original(
    points: Float[np.ndarray, "point 2"], steps: Steps
) -> Float[np.ndarray, "point 2"]:
    """Where points of the prepared grid lie on the original; exact."""
    for step in reversed(steps):
        points = step.points_back(points)
    return points


def map_to_prepared(
    values: Float[np.ndarray, "row column"], steps: Steps
) -> Float[np.ndarray, "row_out column_out"]:
    """A map of the original on the prepared grid, bilinear."""
    for step in steps:
        values = step.map_forward(values)
    return values


def map_to_original(
    values: Float[np.ndarray, "row column"], steps: Steps
) -> Float[np.ndarray, "row_out column_out"]:
    """A map of the prepared grid on the original, bilinear; zero where nothing was prepared."""
    for step in reversed(steps):
        values = step.map_back(values)
    return values


def mask_to_prepared(
    mask: Bool[np.ndarray, "row column"], steps: Steps
) -> Bool[np.ndarray, "row_out column_out"]:
    """The prepared pixels of which a mask of the original covers at least half.

    Small lesions may vanish: `carry_region` counts them.
    """
    for step in steps:
        mask = step.mask_forward(mask)
    return mask


def mask_to_original(
    mask: Bool[np.ndarray, "row column"], steps: Steps
) -> Bool[np.ndarray, "row_out column_out"]:
    """A mask of the prepared grid on the original, its edge cut at one half."""
    for step in reversed(steps):
        mask = step.mask_back(mask)
    return mask


def spacing_after(
    spacing_mm: tuple[float, float] | None, steps: Steps
) -> tuple[float, float] | None:
    """Spacing grows as pixels get fewer: by the source pixels that one target pixel spans.

    Where columns are shifted against each other it is that along each of them.
    """
    if spacing_mm is None:
        return None
    for step in steps:
        ends = [[0, 0], [step.target[0], 0], [0, step.target[1]]]
        origin, down, across = step.points_back(np.array(ends, dtype=np.float64))
        rows = abs(down - origin)[0] / step.target[0]
        columns = abs(across - origin)[1] / step.target[1]  # a flip turns their order
        spacing_mm = spacing_mm[0] * float(rows), spacing_mm[1] * float(columns)
    return spacing_mm
