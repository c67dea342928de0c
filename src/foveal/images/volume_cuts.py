"""Other sections of a volume: across its own, as cubes, or as a model gets them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from foveal.core import Image, ImageError, Region, Volume
from foveal.images.preparation import prepare
from foveal.images.volume_sizes import missing_spacing


def cross_section(volume: Volume, column: int) -> Image:
    """The volume cut across its sections: rows stay rows, sections become columns.

    Columns of the picture are as wide as sections are apart, so it looks coarse; spacing is `None`
    where that distance is unknown.

    Raises:
        IndexError: No such column.
    """
    columns = volume.pixels.shape[3]
    if not 0 <= column < columns:
        raise IndexError(f"there are columns 0 to {columns - 1}, but no {column}")
    spacing = None
    if volume.spacing_mm is not None and volume.slice_spacing_mm is not None:
        spacing = volume.spacing_mm[0], volume.slice_spacing_mm
    return Image(
        pixels=np.ascontiguousarray(volume.pixels[..., column].transpose(1, 2, 0)),
        spacing_mm=spacing,
        modality=volume.modality,
        laterality=volume.laterality,
        patient=volume.patient,
        eye=volume.eye,
        visit=volume.visit,
        source=volume.source,
        sha256=volume.sha256,
        lines={name: line[:, column] for name, line in volume.lines.items()},
        facts={**volume.facts, "cross_section": column},
    )


def resampled(volume: Volume, mm: float) -> Volume:
    """The volume with cubes as pixels, trilinear; axial, lateral and slice spacing become one.

    Between sections there is nothing to be seen: what stands there is interpolated. Lines are
    interpolated too and NaN where a neighbour is; places on the localizer are dropped.

    Args:
        volume: With spacing in all three directions.
        mm: Side of the cubes.

    Raises:
        ImageError: A spacing is missing.
        ValueError: A side that is not positive, or that makes more than 500 million pixels.
    """
    if volume.spacing_mm is None or volume.slice_spacing_mm is None:
        raise ImageError(f"cannot be resampled: {missing_spacing(volume)}")
    old = (volume.slice_spacing_mm, *volume.spacing_mm)
    sides = np.array([len(volume), *volume.pixels.shape[2:]])
    if not mm > 0 or (new := np.maximum(1, np.rint(sides * old / mm)).astype(int)).prod() > 5e8:
        raise ValueError(f"mm must be positive and leave at most 500 million pixels, not {mm}")
    # Both grids span the same box, with pixel centres at +0.5.
    centres = [(np.arange(n) + 0.5) * side / n - 0.5 for n, side in zip(new, sides, strict=True)]
    pixels = np.stack(
        [_interpolated(volume.pixels[:, c], centres) for c in range(volume.pixels.shape[1])], axis=1
    )
    lines = {
        name: _interpolated(line, [centres[0], centres[2]]) * (new[1] / sides[1])
        for name, line in volume.lines.items()
    }
    slices_mm, rows_mm, columns_mm = (sides * old / new).tolist()
    return replace(
        volume,
        pixels=pixels.clip(0, 1),
        spacing_mm=(rows_mm, columns_mm),
        slice_spacing_mm=slices_mm,
        lines=lines,
        places=None,
        facts={**volume.facts, "resampled_mm": mm},
    )


def prepare_volume(
    volume: Volume, steps: Sequence[Mapping[str, object]]
) -> tuple[list[Image], list[Region]]:
    """Each section as the model gets it, with its field: `prepare`, section by section.

    Steps look at each section on its own, so two neighbours may be shifted or cut differently;
    each section's steps say how.

    Raises:
        ImageError: A section cannot be prepared; the message names it.
        ValueError: An unknown step or setting.
    """
    images, fields = [], []
    for number, section in enumerate(volume, 1):
        try:
            image, field = prepare(section, steps)
        except ImageError as error:
            raise ImageError(f"section {number} of {len(volume)} {error}") from error
        images.append(image)
        fields.append(field)
    return images, fields


def _interpolated(
    values: Float[np.ndarray, "..."], centres: Sequence[np.ndarray]
) -> Float[np.ndarray, "..."]:
    """Linear along one axis after the other; outside the outer centres as at them."""
    for axis, places in enumerate(centres):
        size = values.shape[axis]
        at = places.clip(0, size - 1)
        low = np.minimum(at.astype(int), max(size - 2, 0))
        high = np.minimum(low + 1, size - 1)
        shape = [-1 if other == axis else 1 for other in range(values.ndim)]
        part = (at - low).astype(np.float32).reshape(shape)
        values = values.take(low, axis) * (1 - part) + values.take(high, axis) * part
    return values
