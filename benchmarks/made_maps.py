"""Maps made on purpose: noise, a diffuse one, the lesions, a place far from them, edges."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from foveal.explainers.base import AbstractExplainer, Fold, Frame, MethodCard, Need, Seen


@dataclass(frozen=True, kw_only=True)
class Made(AbstractExplainer):
    """A map made on purpose."""

    kind: str = "noise"
    lesions: Tensor | None = None
    inside: Tensor | None = None
    """The eye: beyond it the map is empty."""

    name: ClassVar[str] = "made"
    needs: ClassVar[tuple[Need, ...]] = ("scores",)
    card: ClassVar[MethodCard] = MethodCard(
        question="none", sign="none", grid="the input's", cost="none", reference="none"
    )

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        images = clean.images
        maps = torch.stack([MAKERS[self.kind](image, self.lesions) for image in images])
        return Fold(map=maps if self.inside is None else maps * self.inside)


def noise(image: Tensor, lesions: Tensor | None) -> Tensor:
    """Another one for every image, however little it differs."""
    seed = int(image.double().sum() * 1e6) % 2**31
    return torch.randn(image.shape[1:], generator=torch.Generator().manual_seed(seed))


def diffuse(image: Tensor, lesions: Tensor | None) -> Tensor:
    side = torch.linspace(-1, 1, image.shape[1])
    return torch.exp(-0.5 * (side[:, None] ** 2 + (side - 0.1) ** 2))


def outlines(image: Tensor, lesions: Tensor | None) -> Tensor:
    """The lesions themselves, whatever the model does."""
    return torch.zeros(image.shape[1:]) if lesions is None else lesions.float()


def elsewhere(image: Tensor, lesions: Tensor | None) -> Tensor:
    """A blob as far from the lesions as the eye allows."""
    rows, columns = np.mgrid[: image.shape[1], : image.shape[2]]
    middle = (image.shape[1] - 1) / 2
    inside = np.hypot(rows - middle, columns - middle) < 0.7 * middle
    away = np.where(inside, distance_transform_edt(outlines(image, lesions).numpy() == 0), -1)
    row, column = np.unravel_index(away.argmax(), away.shape)
    return torch.from_numpy(np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 72.0)).float()


def edges(image: Tensor, lesions: Tensor | None) -> Tensor:
    """How steep the image is: no model is asked."""
    return torch.hypot(*torch.gradient(image.mean(dim=0)))


MAKERS: Mapping[str, Callable[[Tensor, Tensor | None], Tensor]] = {
    "noise": noise,
    "diffuse": diffuse,
    "outlines": outlines,
    "elsewhere": elsewhere,
    "edges": edges,
}
