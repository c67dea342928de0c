"""What the faithfulness measures share: the image, what replaces it, and the scores of probes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from scipy.special import expit
from torch import Tensor

from foveal.explainers.base import Frame
from foveal.explainers.reference import check_reference, reference
from foveal.measures.base import Array, as_numpy

ScoreOf = Callable[..., Array]
"""From images in display units (probe, channel, row, column) to one number a probe."""
Scale = Literal["given", "probability", "log-odds"]
"""What the score is. Log-odds are turned into probabilities, and both are reported."""
Baseline = float | int | str | Array


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One image under perturbation: itself, what replaces it, its field, and who scores it."""

    image: Float[Tensor, "channel row column"]
    baseline: Float[Tensor, "channel row column"]
    field: Bool[np.ndarray, "row column"]
    score: ScoreOf
    as_array: bool
    """Whether the score is to be given arrays, as the image was one."""
    scale: Scale
    max_batch: int

    def scores(self, masks: Iterator[Float[Tensor, "row column"]]) -> list[float]:
        """The raw score with each mask's pixels replaced by the baseline, 1 being all of it."""
        numbers: list[float] = []
        waiting = list(islice(masks, self.max_batch))
        while waiting:
            batch = self.image.new_empty((len(waiting), *self.image.shape))
            for probe, mask in zip(batch, waiting, strict=True):
                torch.lerp(self.image, self.baseline, mask, out=probe)
            numbers += self._ask(batch)
            waiting = list(islice(masks, self.max_batch))
        return numbers

    def value(self, raw: float) -> float:
        """A raw score as the number that is reported."""
        return float(expit(raw)) if self.scale == "log-odds" else raw

    def mask(self, removed: Shaped[np.ndarray, "row column"]) -> Float[Tensor, "row column"]:
        """What is removed of each pixel, 0 to 1, as `scores` takes it."""
        return torch.from_numpy(removed).to(self.image.device, self.image.dtype)

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
) -> Subject:
    """Check an image and build what replaces it: `blur` inside the field, or as given.

    Raises:
        ValueError: An image that is not (channel, row, column) on the map's grid or not in
            [0, 1], or an unknown baseline or scale.
    """
    if scale not in ("given", "probability", "log-odds"):
        raise ValueError(f"scale must be given, probability or log-odds, but is {scale!r}")
    pixels = _tensor(image)
    if pixels.ndim != 3 or tuple(pixels.shape[1:]) != field.shape:
        raise ValueError(
            f"image must be (channel, row, column) on the map's {field.shape} grid, but its shape "
            f"is {tuple(pixels.shape)}"
        )
    if not pixels.is_floating_point() or float(pixels.min()) < 0 or float(pixels.max()) > 1:
        raise ValueError("image must be in display units: floating-point numbers in [0, 1]")
    inside = _tensor(field).to(pixels.device).unsqueeze(0)
    frame = Frame(display=True, field=inside)
    value = _tensor(baseline) if isinstance(baseline, np.ndarray | Tensor) else baseline
    check_reference("baseline", value)
    replaced = reference(value, pixels.unsqueeze(0), frame)[0]  # type: ignore[arg-type]
    return Subject(
        image=pixels,
        baseline=replaced,
        field=field,
        score=score,
        as_array=not isinstance(image, Tensor),
        scale=scale,
        max_batch=max_batch,
    )


def _tensor(values: Array) -> Tensor:
    """Without gradients; of an array that is locked or flipped a copy, since no tensor is."""
    if isinstance(values, Tensor):
        return values.detach()
    return torch.from_numpy(np.require(values, requirements=["C", "W"]))
