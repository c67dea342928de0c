"""Methods that only ask for scores: they work on any callable."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import torch
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
from foveal.explainers.reference import Reference, check_reference, reference

_WINDOW_SHARE = 8
"""The default window is an eighth of each side."""


@dataclass(frozen=True, kw_only=True)
class Occlusion(AbstractExplainer):
    """How much does the score fall when a window of the image is covered?

    The value at a pixel is the mean drop of the score over the windows that cover it. Windows lie
    wholly inside the image, the last one of a row or column moved flush to the edge. Where the
    field of view is known only its pixels are covered, so windows outside change nothing. The
    window must fit the lesion: many small lesions hide each other, as each one alone changes
    little.

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
        cover = reference(self.fill, images, frame)

        def build(number: int) -> Tensor:
            covered = images.clone()
            where = (slice(None), slice(None), *windows[number])
            covered[where] = cover[where]
            return covered

        return (Probes(count=len(windows), build=build),)

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        grid = clean.images.shape[2:]
        drops = torch.zeros((len(clean.images), *grid), device=clean.images.device)
        covers = torch.zeros(grid, device=clean.images.device)
        for where, seen in zip(self._windows(grid), answers[0], strict=True):
            drop = (clean.scores - seen.scores).float()
            drops[(slice(None), *where)] += drop.reshape(-1, *[1] * len(grid))
            covers[where] += 1
        return Fold(map=drops / covers)

    def _windows(self, grid: Sequence[int]) -> list[tuple[slice, ...]]:
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
