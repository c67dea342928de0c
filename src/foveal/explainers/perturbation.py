"""Methods that only ask for scores: they work on any callable."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import ClassVar

import torch
from torch import Tensor

from foveal.core import ScoreMode
from foveal.explainers.base import (
    AbstractExplainer,
    Cover,
    Fold,
    Frame,
    MethodCard,
    Need,
    Probes,
    Seen,
    Window,
    check_count,
)
from foveal.explainers.grid import resize
from foveal.explainers.reference import Reference, check_reference, reference
from foveal.explainers.settings import check_number

_WINDOW_SHARE = 8
"""The default window is an eighth of each side."""


@dataclass(frozen=True, kw_only=True)
class Occlusion(AbstractExplainer):
    """How much does the score fall when a window of the image is covered?

    The value at a pixel is the mean drop of the score over the windows that cover it. Windows lie
    wholly inside the image, the last one of a row or column moved flush to the edge. Where the
    field of view is known only its pixels are covered, so windows outside change nothing.

    On eyes, use it for any model, also one that gives scores only, and for findings that come once:
    a large haemorrhage, a macular hole, the disc, a pocket of fluid. The window must fit the
    lesion. Not for many small lesions, which stand in for each other, so that each one alone
    changes little, and not with a fill that looks like disease: black covers look like
    haemorrhages. It costs 225 forward passes with the default window, 3375 for a volume.

    Args:
        window: Side of the window in pixels, or one side per axis; an eighth of the image by
            default.
        stride: Step of the window; half of the window by default.
        fill: What covers: a number, a tensor that fits the images, or a name: `blur`; in display
            units also `black` and `field-mean`.

    Raises:
        ValueError: A window or stride below one, a window larger than the image, a stride larger
            than the window, or an unknown fill.

    Reference:
        Zeiler and Fergus 2014, Visualizing and Understanding Convolutional Networks, section 4.2.
    """

    window: int | Sequence[int] | None = None
    stride: int | Sequence[int] | None = None
    fill: Reference = 0.0

    name: ClassVar[str] = "occlusion"
    needs: ClassVar[tuple[Need, ...]] = ("scores",)
    compares: ClassVar[bool] = True
    card: ClassVar[MethodCard] = MethodCard(
        question="How much does the score fall when a part of the image is covered?",
        sign="positive: covering it lowers the score; negative: raises it",
        grid="the input's",
        cost="225 F with the default window, 3375 F for a volume",
        reference="Zeiler and Fergus 2014, Visualizing and Understanding CNNs, sec. 4.2",
    )

    def __post_init__(self) -> None:
        for what in ("window", "stride"):
            value = getattr(self, what)
            if isinstance(value, Sequence):
                object.__setattr__(self, what, tuple(value))
            if value is not None:
                for side in value if isinstance(value, Sequence) else (value,):
                    check_count(what, side)
        check_reference("fill", self.fill)

    def probes(self, clean: Seen, frame: Frame) -> Sequence[Probes]:
        images = clean.images
        windows = self._windows(images.shape[2:])
        pixels = reference(self.fill, images, frame)

        def build(number: int) -> Tensor:
            covered = images.clone()
            where = (slice(None), slice(None), *windows[number])
            covered[where] = pixels[where]
            return covered

        cover = Cover(windows=windows, pixels=pixels)
        return (Probes(count=len(windows), build=build, cover=cover),)

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        grid = clean.images.shape[2:]
        drops = torch.zeros((len(clean.images), *grid), device=clean.images.device)
        covers = torch.zeros(grid, device=clean.images.device)
        for where, seen in zip(self._windows(grid), answers[0], strict=True):
            drop = (clean.scores - seen.scores).float()
            drops[(slice(None), *where)] += drop.reshape(-1, *[1] * len(grid))
            covers[where] += 1
        return Fold(map=drops / covers)

    def _windows(self, grid: Sequence[int]) -> list[Window]:
        windows = _per_axis("window", self.window, [max(1, n // _WINDOW_SHARE) for n in grid])
        strides = _per_axis("stride", self.stride, [max(1, w // 2) for w in windows])
        for window, stride, side in zip(windows, strides, grid, strict=True):
            if window > side:
                raise ValueError(f"the window of {window} pixels exceeds the image's {side}")
            if stride > window:
                raise ValueError(
                    f"a stride of {stride} with a window of {window} would leave pixels out; "
                    f"use a stride of at most {window}"
                )
        starts = [_starts(*axis) for axis in zip(windows, strides, grid, strict=True)]
        return [
            tuple(slice(s, s + w) for s, w in zip(corner, windows, strict=True))
            for corner in product(*starts)
        ]


@dataclass(frozen=True, kw_only=True)
class RISE(AbstractExplainer):
    """Which places keep the class probable when most of the image is hidden at random?

    The mean of random masks weighted by the class probability of what they leave, sum_i p_i m_i /
    (N p1). Masks are coarse random grids, enlarged smoothly and shifted each by itself. For a
    callable target its value takes the place of the probability. The map is never negative for
    probabilities, and high all over where hiding changes nothing: only its differences say
    something. Noise falls with the square root of the number of masks.

    On eyes, use it for models that give scores only, where findings fill a good part of a cell:
    with 8 cells to a side that is an eighth of the image, about as wide as the disc. Not for
    microaneurysms, vessels or OCT layers, nor for a model that is sure of a healthy eye, which
    nothing hidden changes. It costs 4000 forward passes.

    Args:
        masks: How many.
        cells: Cells of the coarse grid to a side.
        keep: Probability p1 that a cell is left.
        fill: What hides: a number, a tensor that fits the images, or a name: `blur`; in display
            units also `black` and `field-mean`.

    Raises:
        ValueError: No masks or cells, `keep` outside (0, 1), more cells than pixels to a
            side, or an unknown fill.

    Reference:
        Petsiuk et al. 2018, RISE, equation 6, and section 3.2 for the masks.
    """

    masks: int = 4000
    cells: int = 8
    keep: float = 0.5
    fill: Reference = 0.0

    name: ClassVar[str] = "rise"
    needs: ClassVar[tuple[Need, ...]] = ("scores",)
    card: ClassVar[MethodCard] = MethodCard(
        question="Which places keep the class probable when most of the image is hidden?",
        sign="higher: what is left there makes the class more probable; zero has no meaning",
        grid="the input's",
        cost="4000 F",
        reference="Petsiuk et al. 2018, RISE, eq. 6",
    )

    def __post_init__(self) -> None:
        check_count("masks", self.masks)
        check_count("cells", self.cells)
        check_number("keep", self.keep)
        if not 0 < self.keep < 1:
            raise ValueError(f"keep must be in (0, 1), but is {self.keep}")
        check_reference("fill", self.fill)

    @property
    def weighs_by(self) -> ScoreMode:
        return "probability"

    def probes(self, clean: Seen, frame: Frame) -> Sequence[Probes]:
        images = clean.images
        smallest = min(images.shape[2:])
        if self.cells > smallest:
            raise ValueError(f"{self.cells} cells a side do not fit the image's {smallest} pixels")
        cover = reference(self.fill, images, frame)

        def build(number: int) -> Tensor:
            return cover + self._mask(number, images, frame).unsqueeze(1) * (images - cover)

        return (Probes(count=self.masks, build=build),)

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        images = clean.images
        total = torch.zeros((len(images), *images.shape[2:]), device=images.device)
        for number, seen in enumerate(answers[0]):
            weight = seen.scores.float().reshape(-1, *[1] * (images.ndim - 2))
            total += weight * self._mask(number, images, frame).float()
        return Fold(map=total / (self.masks * self.keep))

    def _mask(self, number: int, images: Tensor, frame: Frame) -> Tensor:
        """What one probe leaves, (1, row, column): the same for all images of a batch."""
        grid = images.shape[2:]
        sides = [ceil(side / self.cells) for side in grid]
        axes = len(grid)
        drawn = frame.draw.uniform(number, (self.cells**axes + axes,))
        coarse = (drawn[axes:] < self.keep).float().reshape(1, *[self.cells] * axes)
        smooth = resize(coarse, [(self.cells + 1) * side for side in sides])
        shifts = [int(share * side) for share, side in zip(drawn[:axes], sides, strict=True)]
        where = tuple(slice(s, s + side) for s, side in zip(shifts, grid, strict=True))
        return smooth[(slice(None), *where)].to(images.device, images.dtype)


def _starts(window: int, stride: int, side: int) -> list[int]:
    """Where windows begin; the last one lies flush with the edge."""
    starts = list(range(0, side - window + 1, stride))
    if starts[-1] != side - window:
        starts.append(side - window)
    return starts


def _per_axis(what: str, value: int | Sequence[int] | None, default: list[int]) -> list[int]:
    if value is None:
        return default
    if isinstance(value, int):
        return [value] * len(default)
    if len(value) != len(default):
        raise ValueError(f"{what} has {len(value)} sides, but the image has {len(default)} axes")
    return list(value)
