"""XRAI: integrated gradients gathered in regions."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.ndimage import distance_transform_edt, find_objects
from skimage.segmentation import felzenszwalb
from skimage.transform import resize
from torch import Tensor

from foveal.explainers.base import (
    AbstractExplainer,
    Fold,
    Frame,
    MethodCard,
    Need,
    Probes,
    Seen,
    check_count,
)
from foveal.explainers.gradients import IntegratedGradients
from foveal.explainers.reference import Reference, check_reference

Baselines = Literal["black-and-white", "image-extremes"]

_SCALES = (50, 100, 150, 250, 500, 1200)
_SIGMA = 0.8
_SMALLEST_SEGMENT = 150
"""Pixels, as the scales and sigma at a side of 224."""
_SIDE = 224
_DILATION = 5
"""Pixels at a side of 224 by which a segment is widened, so that edges belong to both sides."""
_SMALLEST_GAIN = 50
"""Pixels at a side of 224 that a segment must add."""


@dataclass(frozen=True, kw_only=True)
class Patch:
    """A segment as the box around it and its pixels in that box."""

    where: tuple[slice, ...]
    """Along plane, row and column."""
    pixels: Bool[np.ndarray, "1 row column"]


@dataclass(frozen=True, kw_only=True)
class XRAI(AbstractExplainer):
    """Which regions of the image raised the score most for their size?

    Integrated gradients from two baselines, averaged, and the image cut into overlapping segments
    at six scales. Segments are taken up one after the other, always the one whose pixels that are
    not yet taken have the highest mean attribution; that mean is their value on the map. What no
    segment takes gets its own mean.

    On eyes, use it for one look at where the evidence lies: exudate plaques, haemorrhages, the
    disc, fluid. Not for microaneurysms, since the smallest segment is 0.3 % of the image, 150 of
    224 x 224 pixels, nor for vessels, which run together with what surrounds them. Volumes are
    segmented slice by slice; the slices compete in one ranking. It costs 100 forward and backward
    passes, and two forward passes for the baselines.

    Beside the map: `completeness_error` and `score_change` of the integrated gradients, averaged
    over the baselines, and which `baselines` these were. With the sum over the channels the map
    sums to the change of the score as they do.

    Args:
        steps: Points on the path from each baseline.
        baselines: `black-and-white` as in the paper, which needs display units; `image-extremes`,
            each image's own smallest and largest value, as in the authors' code; or references as
            integrated gradients take them. By default black and white in display units, else the
            extremes.
        channels: The attribution of a pixel is the `sum` over its channels, which keeps what the
            map adds up to, or the `max`, as in the authors' code.

    Raises:
        ValueError: No steps, or unknown baselines or channels.
        TypeError: Steps that are no whole number.

    Reference:
        Kapishnikov et al. 2019, XRAI: Better Attributions Through Regions, algorithm 1, with the
        authors' code for what it leaves open. At another size than 224 x 224 the image is segmented
        at that area, and what counts pixels scales with it.
    """

    steps: int = 50
    baselines: Baselines | Sequence[Reference] | None = None
    channels: Literal["sum", "max"] = "sum"

    name: ClassVar[str] = "xrai"
    needs: ClassVar[tuple[Need, ...]] = ("input gradient", "scores")
    card: ClassVar[MethodCard] = MethodCard(
        question="Which regions of the image raised the score most for their size?",
        sign="positive: the region's difference from the baselines raised the score",
        grid="the input's",
        cost="100 F + 100 B, and 2 F for the baselines",
        reference="Kapishnikov et al. 2019, XRAI, algorithm 1",
    )

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        if self.channels not in ("sum", "max"):
            raise ValueError(f"channels must be sum or max, but is {self.channels!r}")
        given = self.baselines
        if isinstance(given, Sequence) and not isinstance(given, str):
            object.__setattr__(self, "baselines", tuple(given))
            if not given:
                raise ValueError("baselines needs at least one reference")
            for one in given:
                check_reference("baselines", one)
        elif given not in (None, "black-and-white", "image-extremes"):
            raise ValueError(
                "baselines must be black-and-white, image-extremes or references in a list, but is "
                f"{given!r}"
            )

    def probes(self, clean: Seen, frame: Frame) -> Sequence[Probes]:
        paths = self._paths(clean.images, frame)
        return [probes for path, own in paths for probes in path.probes(clean, own)]

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        paths = self._paths(clean.images, frame)
        folds = [
            path.fold(clean, answers[2 * n : 2 * n + 2], own) for n, (path, own) in enumerate(paths)
        ]
        attribution = torch.stack([_map(fold) for fold in folds]).mean(dim=0)
        attribution = attribution.sum(1) if self.channels == "sum" else attribution.amax(1)
        fields = [None] * len(attribution) if frame.field is None else list(frame.field)
        maps = [_by_regions(*one) for one in zip(attribution, clean.images, fields, strict=True)]
        means = {
            name: torch.stack([_number(fold, name) for fold in folds]).mean(dim=0)
            for name in ("completeness_error", "score_change")
        }
        return Fold(
            map=torch.stack(maps).to(attribution), parts={**means, "baselines": self._named(frame)}
        )

    def _named(self, frame: Frame) -> Baselines | tuple[Reference, ...]:
        if self.baselines is None:
            return "black-and-white" if frame.display else "image-extremes"
        return self.baselines if isinstance(self.baselines, str) else tuple(self.baselines)

    def _paths(self, images: Tensor, frame: Frame) -> list[tuple[IntegratedGradients, Frame]]:
        """Integrated gradients from each baseline, and the frame in which it stands."""
        baselines = self._named(frame)
        if baselines == "image-extremes":
            frame = replace(frame, first=0, total=len(images))
            baselines = _extremes(images, frame)
        elif baselines == "black-and-white":
            baselines = ("black", 1.0)
        return [(IntegratedGradients(steps=self.steps, baseline=b), frame) for b in baselines]


def gathered(
    attribution: Float[np.ndarray, "plane row column"],
    inside: Bool[np.ndarray, "plane row column"],
    patches: Sequence[Patch],
    smallest: float,
) -> Float[np.ndarray, "plane row column"]:
    """Each pixel's value: the mean attribution of the pixels that its segment added.

    Greedy, as in algorithm 1 of the paper. A segment that would add fewer than `smallest` pixels is
    dropped; the pixels that are left inside get their own mean, those outside 0.
    """
    if not np.isfinite(attribution).all():
        return np.full_like(attribution, np.nan)
    result, free = np.zeros_like(attribution), inside.copy()
    gains = np.array([_gain(attribution, free, patch, smallest) for patch in patches])
    starts, stops = (
        np.array([[getattr(axis, end) for axis in patch.where] for patch in patches])
        for end in ("start", "stop")
    )
    while np.isfinite(gains).any():
        best = int(gains.argmax())
        where, pixels = patches[best].where, patches[best].pixels
        result[where][pixels & free[where]] = gains[best]
        free[where] &= ~pixels
        touched = ((starts < stops[best]) & (stops > starts[best])).all(axis=1)
        for number in np.flatnonzero(touched & np.isfinite(gains)).tolist():
            gains[number] = _gain(attribution, free, patches[number], smallest)
    if free.any():
        result[free] = attribution[free].mean()
    return result


def patches_of(image: Float[np.ndarray, "channel row column"], plane: int = 0) -> list[Patch]:
    """The segments of an image at all scales, widened, on its grid.

    Felzenszwalb's segmentation of the image with its values in [-1, 1] and about 224 x 224 pixels
    of the same shape.
    """
    rows, columns = image.shape[1:]
    enlarged = _SIDE / np.sqrt(rows * columns)
    sides = [max(1, round(side * enlarged)) for side in (rows, columns)]
    radius = round(_DILATION / enlarged)
    small = resize(_to_range(image).transpose(1, 2, 0), sides, order=1, anti_aliasing=True)
    nearest = [
        ((np.arange(full) + 0.5) * few / full).astype(int)
        for full, few in zip((rows, columns), sides, strict=True)
    ]
    found = []
    for scale in _SCALES:
        with warnings.catch_warnings():
            # More than three channels are meant.
            warnings.filterwarnings("ignore", "Got image with third dimension", RuntimeWarning)
            labels = felzenszwalb(small, scale=scale, sigma=_SIGMA, min_size=_SMALLEST_SEGMENT)
        found += _widened(labels[np.ix_(*nearest)], radius, plane)
    return found


def _by_regions(attribution: Tensor, image: Tensor, inside: Tensor | None) -> Tensor:
    """The map of one image or volume."""
    *_, rows, columns = attribution.shape
    planes = attribution.reshape(-1, rows, columns).double().cpu().numpy()
    pixels = image.reshape(len(image), *planes.shape).double().cpu().numpy()
    where = np.ones(planes.shape, bool) if inside is None else inside.cpu().numpy()[None]
    patches = [p for n in range(len(planes)) for p in patches_of(pixels[:, n], plane=n)]
    smallest = _SMALLEST_GAIN * rows * columns / _SIDE**2
    return torch.from_numpy(gathered(planes, where, patches, smallest)).reshape(attribution.shape)


def _gain(attribution: np.ndarray, free: np.ndarray, patch: Patch, smallest: float) -> float:
    added = patch.pixels & free[patch.where]
    count = int(added.sum())
    if count == 0 or count < smallest:
        return -np.inf
    return float(attribution[patch.where][added].mean())


def _widened(labels: Int[np.ndarray, "row column"], radius: int, plane: int) -> list[Patch]:
    """Each segment with all pixels at most `radius` away from it."""
    patches = []
    for number, box in enumerate(find_objects(labels + 1)):
        if box is None:  # lost where the grid is coarser than that of the segmentation
            continue
        wide = tuple(
            slice(max(0, axis.start - radius), min(side, axis.stop + radius))
            for axis, side in zip(box, labels.shape, strict=True)
        )
        away = np.asarray(distance_transform_edt(labels[wide] != number))
        patches.append(Patch(where=(slice(plane, plane + 1), *wide), pixels=away[None] <= radius))
    return patches


def _to_range(image: np.ndarray) -> np.ndarray:
    """Values from -1 at the smallest to 1 at the largest."""
    low, high = image.min(), image.max()
    return np.zeros_like(image) if high == low else 2 * (image - low) / (high - low) - 1


def _extremes(images: Tensor, frame: Frame) -> tuple[Tensor, ...]:
    """Each image with its smallest value all over its field, and with its largest."""
    inside = torch.ones_like(images[:, :1], dtype=torch.bool)
    if frame.field is not None:
        inside = frame.field.unsqueeze(1)
    shape = (-1, *[1] * (images.ndim - 1))
    low = images.masked_fill(~inside, torch.inf).flatten(1).amin(dim=1)
    high = images.masked_fill(~inside, -torch.inf).flatten(1).amax(dim=1)
    return tuple(torch.where(inside, end.reshape(shape), images) for end in (low, high))


def _map(fold: Fold) -> Tensor:
    if fold.map is None:
        raise TypeError("integrated gradients gave no map")
    return fold.map


def _number(fold: Fold, name: str) -> Tensor:
    value = fold.parts[name]
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a tensor")
    return value
