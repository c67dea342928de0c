"""What the faithfulness measures share: the image, what replaces it, and the scores of probes."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from jaxtyping import Bool, Float, Shaped
from scipy.special import expit
from torch import Tensor

from foveal.measures.base import Array, as_numpy
from foveal.measures.baselines import Baseline, baseline_image, tensor
from foveal.measures.imputation import Imputation
from foveal.measures.patches import patch_side

ScoreOf = Callable[..., Array]
"""From images in display units (probe, channel, row, column) to one number a probe."""
Scale = Literal["given", "probability", "log-odds"]
"""What the score is. Log-odds are turned into probabilities, and both are reported."""
_CELLS_PER_PATCH = 2
"""Cells along a patch's side on which linear imputation is solved: what fills a hole then differs
from a solution on pixels by about as much as the noise that is added, and costs a tenth of it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """One image under perturbation: itself, what replaces it, its field, and who scores it.

    It depends on no map: all explanations of one image, target, baseline and seed share it.
    """

    image: Float[Tensor, "channel row column"]
    baseline: Float[Tensor, "channel row column"]
    """The image with all of its field replaced."""
    field: Bool[np.ndarray, "row column"]
    score: ScoreOf
    as_array: bool
    """Whether the score is to be given arrays, as the image was one."""
    scale: Scale
    max_batch: int
    imputation: Imputation | None = None
    """Where what replaces a pixel depends on the pixels that are left."""
    feather_px: float = 0.0
    """Width over which the edges of removed patches fade."""
    image_score: float | None = None
    """The raw score of the image as it is, where another subject of it asked before."""

    @cached_property
    def whole(self) -> float:
        """The raw score of the image as it is: one pass, once."""
        if self.image_score is not None:
            return self.image_score
        return self._ask(self.image.unsqueeze(0))[0]

    @cached_property
    def bare(self) -> float:
        """The raw score with all of the field replaced: one pass, once."""
        return self._ask(self.baseline.unsqueeze(0))[0]

    def scores(self, masks: Iterable[Float[Tensor, "row column"]]) -> list[float]:
        """The raw score with each mask's pixels replaced by the baseline, 1 being all of it."""
        return self.scores_of(self._without(masks))

    def scores_of(self, probes: Iterable[Float[Tensor, "channel row column"]]) -> list[float]:
        """The raw score of probes that were made elsewhere."""
        numbers: list[float] = []
        coming = iter(probes)
        while waiting := list(islice(coming, self.max_batch)):
            numbers += self._ask(torch.stack(waiting))
        return numbers

    def blended(
        self, removed: Float[np.ndarray, "row column"]
    ) -> Float[Tensor, "channel row column"]:
        """The image on its way to the one with all of its field replaced, pixel by pixel."""
        return torch.lerp(self.image, self.baseline, self.mask(removed))

    def scores_without(self, removed: Iterable[Bool[np.ndarray, "row column"]]) -> list[float]:
        """The raw score without the pixels of each mask, their edges faded."""
        return self.scores(self._feathered(self.mask(one)) for one in removed)

    def scores_between_ends(self, removed: Iterable[Bool[np.ndarray, "row column"]]) -> list[float]:
        """The same, with `whole` and `bare` in the first batch where they are not known yet."""
        ends = {"whole": self.image, "bare": self.baseline}
        known = {*vars(self), *(() if self.image_score is None else ("whole",))}
        unknown = {name: probe for name, probe in ends.items() if name not in known}
        masks = (self._feathered(self.mask(one)) for one in removed)
        numbers = self.scores_of(chain(unknown.values(), self._without(masks)))
        vars(self).update(zip(unknown, numbers, strict=False))  # where their properties look
        return numbers[len(unknown) :]

    def value(self, raw: float) -> float:
        """A raw score as the number that is reported."""
        return float(expit(raw)) if self.scale == "log-odds" else raw

    def mask(self, removed: Shaped[np.ndarray, "row column"]) -> Float[Tensor, "row column"]:
        """What is removed of each pixel, 0 to 1, as `scores` takes it."""
        return torch.from_numpy(removed).to(self.image.device, self.image.dtype)

    def _without(
        self, masks: Iterable[Float[Tensor, "row column"]]
    ) -> Iterator[Float[Tensor, "channel row column"]]:
        for mask in masks:
            yield torch.lerp(self.image, self._replacement(mask), mask)

    def _replacement(
        self, mask: Float[Tensor, "row column"]
    ) -> Float[Tensor, "channel row column"]:
        if self.imputation is None:
            return self.baseline
        filled = self.imputation.filled((mask > 0).cpu().numpy())
        return torch.from_numpy(filled).to(self.image)

    def _feathered(self, mask: Float[Tensor, "row column"]) -> Float[Tensor, "row column"]:
        """Blurred inside the field only, so that nothing and everything stay what they are."""
        if self.feather_px == 0:
            return mask
        inside, weight = self._inside
        return torch.where(inside > 0, _blurred(mask, self.feather_px) / weight, mask)

    @cached_property
    def _inside(self) -> tuple[Float[Tensor, "row column"], Float[Tensor, "row column"]]:
        inside = self.mask(self.field)
        return inside, _blurred(inside, self.feather_px).clamp(min=1e-6)

    def _ask(self, batch: Float[Tensor, "probe channel row column"]) -> list[float]:
        answer = self.score(batch.cpu().numpy() if self.as_array else batch)
        numbers = as_numpy(answer).astype(np.float64)
        if numbers.shape != (len(batch),):
            raise ValueError(
                f"score must give one number per image, so shape ({len(batch)},), but gave "
                f"{numbers.shape}"
            )
        if not np.isfinite(numbers).all():
            raise ValueError("score gave a number that is not finite")
        return numbers.tolist()


def make_subject(
    score: ScoreOf,
    image: Array,
    field: Bool[np.ndarray, "row column"],
    *,
    baseline: Baseline,
    scale: Scale,
    max_batch: int,
    patch_px: int | None = None,
    feather_px: float = 0.0,
    seed: int = 0,
) -> Subject:
    """Check an image and build what replaces it.

    Args:
        score: From images in display units to one number a probe.
        image: The prepared image (channel, row, column) in display units.
        field: Where pixels may be replaced.
        baseline: `blur`, `linear` or `annulus`; `black`, `field-mean`, a number or an image for
            comparison with published numbers.
        scale: What the score is.
        max_batch: Images in one pass at most.
        patch_px: Side of the patches that will be removed, which `annulus` and `linear` go by.
        feather_px: Width over which the edges of removed patches fade.
        seed: Of the noise that `linear` adds.

    Raises:
        ValueError: An image that is not (channel, row, column) on the map's grid or not in
            [0, 1], or an unknown baseline or scale.
    """
    if scale not in ("given", "probability", "log-odds"):
        raise ValueError(f"scale must be given, probability or log-odds, but is {scale!r}")
    pixels = tensor(image)
    if pixels.ndim != 3 or tuple(pixels.shape[1:]) != field.shape:
        raise ValueError(
            f"image must be (channel, row, column) on the map's {field.shape} grid, but its shape "
            f"is {tuple(pixels.shape)}"
        )
    if not pixels.is_floating_point() or float(pixels.min()) < 0 or float(pixels.max()) > 1:
        raise ValueError("image must be in display units: floating-point numbers in [0, 1]")
    side = patch_side(field.shape) if patch_px is None else patch_px
    imputation = None
    if isinstance(baseline, str) and baseline == "linear":
        imputation = Imputation(
            image=as_numpy(pixels).astype(np.float64),
            field=field,
            seed=seed,
            cell_px=max(1, round(side / _CELLS_PER_PATCH)),
        )
    return Subject(
        image=pixels,
        baseline=baseline_image(baseline, pixels, field, side),
        field=field,
        score=score,
        as_array=not isinstance(image, Tensor),
        scale=scale,
        max_batch=max_batch,
        imputation=imputation,
        feather_px=feather_px,
    )


def _blurred(mask: Float[Tensor, "row column"], width: float) -> Float[Tensor, "row column"]:
    """By a Gaussian as wide as a ramp of that width."""
    sigma = width / np.sqrt(12)
    radius = max(1, round(3 * sigma))
    at = torch.arange(-radius, radius + 1, device=mask.device, dtype=mask.dtype)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = (kernel / kernel.sum()).reshape(1, 1, -1, 1)
    down = F.conv2d(mask[None, None], kernel, padding=(radius, 0))
    return F.conv2d(down, kernel.transpose(2, 3), padding=(0, radius))[0, 0]
