"""Concepts from lesion masks: patches around lesions, and random ones matched to them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from scipy import ndimage
from torch import Tensor

from foveal.core import Image, Region
from foveal.explainers.concepts import ConceptSet
from foveal.images import carry_region
from foveal.models import Model

Mask = Bool[np.ndarray, "row column"]
Place = Int[np.ndarray, "2"]
_SHARE = 8
"""A patch's side is this part of the image's smaller side, unless it is given."""


def concept_patches(
    images: Float[Tensor, "image channel row column"] | Sequence[ArrayLike | Tensor],
    masks: Sequence[ArrayLike],
    *,
    size: tuple[int, int] | None = None,
    avoid: Sequence[ArrayLike] | None = None,
    fields: Sequence[ArrayLike] | None = None,
    side: int | None = None,
    count: int = 50,
    matches: int = 3,
    seed: int = 0,
) -> ConceptSet:
    """Patches around lesions, and random patches of the same photographs to tell them from.

    Each lesion's patch brings `matches` random ones of its photograph, of its size and at its
    distance from the middle of the field, so that camera, pigment, sharpness and the darkening
    towards the border are the same on both sides. All lie wholly inside the field, and no random
    one touches a mask. Photographs take turns, so that one full of lesions does not stand for all,
    and no two patches on one side share more than half their width and height. A lesion without
    room for its random patches is left out.

    Args:
        images: (channel, row, column) each, in the units in which the model takes them.
        masks: The lesions of the concept, (row, column) each.
        size: Rows and columns of the model's input, to which patches are resized. By default they
            stay as they are: lesions keep the scale at which the model knows them, for a model
            that takes any size and `TCAV(pool="mean")`.
        avoid: What random patches must not touch, such as all lesions; `masks` by default.
        fields: The fields of view; whole images by default.
        side: Rows and columns of a patch in the image; an eighth of its smaller side by default.
        count: Patches of the concept at most.
        matches: Random patches for each.
        seed: Where lesions and random patches are drawn.

    Raises:
        ValueError: Lists of other lengths, masks of another grid, or no lesion with room for its
            random patches.
    """
    scenes = [
        _scene(*each, side)
        for each in zip(
            images, masks, masks if avoid is None else avoid, fields or [None] * len(masks),
            strict=True,
        )
    ]  # fmt: skip
    random = np.random.default_rng(seed)
    lesions, others = [], []
    for scene, lesion, matched in _in_turns([scene.pairs(matches, random) for scene in scenes]):
        lesions.append(scene.patch(lesion, size))
        others += [scene.patch(place, size) for place in matched]
        if len(lesions) == count:
            break
    if not lesions:
        raise ValueError(
            "no lesion lies inside its field with room for random patches beside it; use a "
            "smaller side, or fewer matches"
        )
    return ConceptSet(torch.cat(lesions), torch.cat(others))


def lesion_patches(
    model: Model,
    images: Sequence[Image],
    regions: Sequence[Sequence[Region]],
    lesion: str,
    *,
    resized: bool = True,
    side: int | None = None,
    count: int = 50,
    matches: int = 3,
    seed: int = 0,
) -> ConceptSet:
    """`concept_patches` of photographs as a model sees them, for `foveal.explain`.

    Args:
        model: Prepares the images; patches are in display units.
        images: From `foveal.read`.
        regions: From `foveal.read_regions`, a list for each image.
        lesion: The name of the regions that show the concept. Random patches avoid all lesions.
        resized: To the model's input, which any model takes, but magnifies lesions beyond what it
            learnt; else patches stay as they are, for `TCAV(pool="mean")`.
        side: Rows and columns of a patch on the prepared grid.
        count: Patches of the concept at most.
        matches: Random patches for each.
        seed: Where lesions and random patches are drawn.

    Raises:
        ImageError: An image without a field of view, or regions of another grid.
        ValueError: No region of this name, or none with room for random patches.
    """
    prepared = [model.prepare(image) for image in images]
    carried = [
        [carry_region(region, image).region for region in own]
        for (image, _), own in zip(prepared, regions, strict=True)
    ]
    names = sorted({region.name for own in carried for region in own if region.kind == "lesion"})
    if lesion not in names:
        raise ValueError(f"there is no lesion {lesion!r}; there is {', '.join(names) or 'none'}")
    fields = [field for _, field in prepared]
    return concept_patches(
        [model.tensor(image)[0].cpu() for image, _ in prepared],
        [_joined(own, field, lesion) for own, field in zip(carried, fields, strict=True)],
        avoid=[_joined(own, field) for own, field in zip(carried, fields, strict=True)],
        fields=[field.mask for field in fields],
        size=model.card.input.size if resized else None,
        side=side,
        count=count,
        matches=matches,
        seed=seed,
    )


@dataclass(frozen=True, kw_only=True)
class _Scene:
    """One photograph, and where patches may lie; places are their first corners."""

    pixels: Float[Tensor, "channel row column"]
    mask: Mask
    side: int
    inside: Bool[np.ndarray, "place_row place_column"]
    """Whether a patch there lies wholly in the field."""
    free: Bool[np.ndarray, "place_row place_column"]
    """Whether it touches nothing that random patches must avoid as well."""
    radius: Float[np.ndarray, "place_row place_column"]
    """How far its middle is from the middle of the field."""

    def pairs(
        self, matches: int, random: np.random.Generator
    ) -> Iterator[tuple["_Scene", Place, list[Place]]]:
        """Lesions in random order, each with its random patches."""
        lesions: list[Place] = []
        others: list[Place] = []
        for place in random.permutation(self._lesions()):
            if not self.inside[tuple(place)] or not self._apart(place, lesions):
                continue
            matched = self._matched(place, others, matches, random)
            if len(matched) == matches:
                lesions.append(place)
                others += matched
                yield self, place, matched

    def patch(
        self, place: Place, size: tuple[int, int] | None
    ) -> Float[Tensor, "1 channel row column"]:
        row, column = place
        cut = self.pixels[None, :, row : row + self.side, column : column + self.side]
        if size is None:
            return cut
        return F.interpolate(cut, size=size, mode="bilinear", align_corners=False, antialias=True)

    def _lesions(self) -> Int[np.ndarray, "lesion 2"]:
        """For each lesion the patch around its middle, or where it is bent its pixel next to it."""
        parts = np.zeros(self.mask.shape, np.int32)
        ndimage.label(self.mask, structure=np.ones((3, 3)), output=parts)
        found = [np.argwhere(parts == number) for number in range(1, parts.max() + 1)]
        middles = [p[((p - p.mean(axis=0)) ** 2).sum(axis=1).argmin()] for p in found]
        last = np.array(self.inside.shape) - 1
        corners = np.array(middles, dtype=int).reshape(-1, 2) - self.side // 2
        return np.clip(corners, 0, last)

    def _matched(
        self, lesion: Place, taken: Sequence[Place], matches: int, random: np.random.Generator
    ) -> list[Place]:
        """Random places as far out as the lesion, to within half a side."""
        near = np.abs(self.radius - self.radius[tuple(lesion)]) <= self.side / 2
        found: list[Place] = []
        for place in random.permutation(np.argwhere(self.free & near)):
            if len(found) == matches:
                break
            if self._apart(place, [*taken, *found]):
                found.append(place)
        return found

    def _apart(self, place: Place, others: Sequence[Place]) -> bool:
        return all(np.abs(place - other).max() >= self.side / 2 for other in others)


def _scene(
    image: ArrayLike | Tensor,
    mask: ArrayLike,
    avoid: ArrayLike,
    field: ArrayLike | None,
    side: int | None,
) -> _Scene:
    pixels = torch.as_tensor(image)
    grid = tuple(pixels.shape[1:])
    whole = np.ones(grid, bool)
    lesion, kept_off, inside = (
        np.asarray(one, dtype=bool) for one in (mask, avoid, whole if field is None else field)
    )
    for one in (lesion, kept_off, inside):
        if one.shape != grid:
            raise ValueError(f"an image is {grid} (row, column), but its mask {one.shape}")
    extent = side or max(2, min(grid) // _SHARE)
    if extent > min(grid):
        raise ValueError(f"a patch of {extent} pixels does not fit into an image of {grid}")
    allowed = ~_touching(~inside, extent)
    rows, columns = np.argwhere(inside).mean(axis=0) + 0.5 if inside.any() else (0, 0)
    at = np.indices(allowed.shape) + extent / 2
    return _Scene(
        pixels=pixels.float(),
        mask=lesion,
        side=extent,
        inside=allowed,
        free=allowed & ~_touching(kept_off | lesion, extent),
        radius=np.hypot(at[0] - rows, at[1] - columns),
    )


def _touching(mask: Mask, side: int) -> Bool[np.ndarray, "place_row place_column"]:
    """Whether a patch with its first corner there holds a pixel of the mask."""
    total = np.pad(mask.astype(np.int64).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    held = total[side:, side:] - total[:-side, side:] - total[side:, :-side]
    return held + total[:-side, :-side] > 0


def _in_turns(
    streams: Sequence[Iterator[tuple[_Scene, Place, list[Place]]]],
) -> Iterator[tuple[_Scene, Place, list[Place]]]:
    for turn in zip_longest(*streams):
        yield from (found for found in turn if found is not None)


def _joined(regions: Sequence[Region], field: Region, name: str | None = None) -> Mask:
    """All lesions, or those of one name, together."""
    chosen = [r.mask for r in regions if r.kind == "lesion" and name in (None, r.name)]
    return np.logical_or.reduce(chosen, axis=0) if chosen else np.zeros(field.grid, bool)
