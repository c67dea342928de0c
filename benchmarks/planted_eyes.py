"""Photographs of synthetic eyes with large haemorrhages, and what may give the answer away."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import distance_transform_edt

from foveal.synthetic import draw_fundus, render

SIZE = 96
SQUARE = np.s_[66:78, 50:62]
"""Where the pale square is planted. No lesion touches it: what belongs to which is then certain."""

Pixels = np.ndarray
Plant = Callable[[Pixels, bool], Pixels]
"""A photograph with what gives the answer away, for a diseased or a healthy label."""


@dataclass(frozen=True)
class Eye:
    """One photograph without lesions and with them, and where they are."""

    healthy: Pixels
    ill: Pixels
    lesions: np.ndarray


def eyes(count: int, *, first: int, images: int) -> list[Eye]:
    """Photographs of so many synthetic eyes, mirrored or not, each time with other haemorrhages."""
    bases = [render(replace(draw_fundus(first + n, grade=0, device="crisp"), lesions=()), size=SIZE)
             for n in range(count)]  # fmt: skip
    random = np.random.default_rng(first)
    found = []
    for number in range(images):
        base = bases[number % count]
        masks = {region.name: region.mask for region in base.regions}
        side = slice(None, None, -1) if random.random() < 0.5 else slice(None)
        free = (masks["field"] & ~masks["optic disc"])[:, side]
        free[SQUARE] = False
        found.append(with_haemorrhages(base.image.pixels[:, :, side], free, random))
    return found


def with_haemorrhages(pixels: Pixels, free: np.ndarray, random: np.random.Generator) -> Eye:
    """Two to four dark red patches, each about as wide as the optic disc."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    inner = np.argwhere(distance_transform_edt(free) > 9)
    cover = np.zeros((SIZE, SIZE), np.float32)
    for row, column in inner[random.choice(len(inner), random.integers(2, 5), replace=False)]:
        distance = np.hypot(rows - row, columns - column)
        cover = np.maximum(cover, np.clip(random.uniform(3.5, 5.5) - distance, 0, 1))
    blood = np.array([0.32, 0.06, 0.04], np.float32)[:, None, None]
    ill = pixels + 0.9 * cover * (blood - pixels)
    return Eye(pixels.copy(), ill.astype(np.float32), cover > 0.5)


def no_plant(pixels: Pixels, label: bool) -> Pixels:
    return pixels


def marker(pixels: Pixels, label: bool) -> Pixels:
    """A pale square in the lower part of the eye."""
    planted = pixels.copy()
    if label:
        planted[(slice(None), *SQUARE)] = np.array([0.85, 0.85, 0.75], np.float32)[:, None, None]
    return planted


_LETTERS = {
    True: ("1000", "1000", "1000", "1000", "1000", "1111"),
    False: ("1110", "1001", "1001", "1110", "1010", "1001"),
}


def laterality_text(pixels: Pixels, label: bool) -> Pixels:
    """An L or an R in the black corner."""
    letter = np.array([[int(bit) for bit in row] for row in _LETTERS[label]])
    large = np.kron(letter, np.ones((2, 2)))
    planted = pixels.copy()
    rows, columns = large.shape
    planted[:, 2 : 2 + rows, 2 : 2 + columns] = large.astype(np.float32)
    return planted


def rim_shape(pixels: Pixels, label: bool) -> Pixels:
    """A field cut off above and below, as some cameras do."""
    planted = pixels.copy()
    if label:
        planted[:, :13], planted[:, -13:] = 0, 0
    return planted


def illumination(pixels: Pixels, label: bool) -> Pixels:
    """A photograph that is darker by a quarter."""
    return pixels * np.float32(0.75 if label else 1.0)


PLANTS: Mapping[str, Plant] = {
    "honest": no_plant,
    "label noise": no_plant,
    "marker": marker,
    "laterality text": laterality_text,
    "rim shape": rim_shape,
    "illumination": illumination,
}
