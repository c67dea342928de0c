"""A model that takes images in display units, and says what it can give."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from foveal.core import Image, ImageError, ModelError, Prediction, Region, Target, Volume
from foveal.images import prepare
from foveal.images.preparation.chain import Watch
from foveal.models.borrow import borrowed
from foveal.models.card import Card
from foveal.models.heads import Head, predicted_class, probabilities
from foveal.models.names import named_target
from foveal.models.scaling import by_own_spread


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedVolume:
    """A volume as one model gets it."""

    numbers: tuple[int, ...]
    """Which of the volume's sections, counted from 1."""
    images: tuple[Image, ...]
    fields: tuple[Region, ...]
    tensor: Float[Tensor, "1 a b row column"]
    """In display units, its axes as the card says."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Model:
    """A network with its card: prepares images, predicts, and knows its targets by name."""

    card: Card
    module: nn.Module
    fingerprint: str
    """SHA-256 over the card and the weights, without the card's calibrator and check."""
    calibrator: Path | None = None
    """Where the calibrator lies that the card names."""
    gives: frozenset[str] = frozenset({"scores"})
    """What the model was seen to give: scores, input gradient, layer gradients."""
    notes: tuple[str, ...] = ()
    """What loading did, and what the owner should know."""
    batch: int | None = None
    """The only batch size the model takes, where it takes just one."""
    check: str = "no check"
    """Outcome of the card's check."""
    _scale: tuple[Tensor, Tensor] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        mean, std = (
            torch.tensor(v, device=self.device).reshape(1, -1, 1, 1)
            for v in (self.card.input.mean, self.card.input.std)
        )
        object.__setattr__(self, "_scale", (mean, std))

    @property
    def device(self) -> torch.device:
        """Where the model's parameters are."""
        first = next(self.module.parameters(), next(self.module.buffers(), None))
        return torch.device("cpu") if first is None else first.device

    @property
    def head(self) -> Head:
        """How the outputs become probabilities."""
        return self.card.activation

    def prepare(self, image: Image, *, watch: Watch | None = None) -> tuple[Image, Region]:
        """The image as the model sees it, in display units, and its field of view.

        `watch` sees the pixels after each step.

        Raises:
            ImageError: An image without a field of view, or with other channels than the card
                says and no way to get there.
        """
        prepared, region = prepare(image, self.steps, watch=watch)
        return self._in_color(prepared), region

    @property
    def steps(self) -> list[dict[str, object]]:
        """The preparation steps of the card, with the input size where one resizes."""
        size = list(self.card.input.size)
        return [
            {"size": size, **step} if step.get("step") == "resize" else dict(step)
            for step in self.card.input.prepare
        ]

    def tensor(self, image: Image) -> Float[Tensor, "1 channel row column"]:
        """Prepared pixels as a batch of one, on the model's device."""
        pixels = np.ascontiguousarray(image.pixels, dtype=np.float32)
        return torch.from_numpy(pixels).unsqueeze(0).to(self.device)

    def look_at(self, volume: Volume) -> "PreparedVolume":
        """A volume as a model of volumes gets it: so many of its sections, evenly spread.

        Raises:
            ImageError: Fewer sections than the model takes, or one that cannot be prepared.
            ModelError: A model of single images.
        """
        wanted = self.card.input.sections
        if wanted is None:
            raise ModelError(
                f"{self.card.name} takes single images; set sections under [input] of its card if "
                "it takes volumes"
            )
        if len(volume) < wanted:
            raise ImageError(
                f"has {len(volume)} sections, but {self.card.name} takes {wanted}; leave it out"
            )
        places = np.linspace(0, len(volume) - 1, wanted).round().astype(int).tolist()
        prepared = [self.prepare(volume.section(place)) for place in places]
        images = [np.ascontiguousarray(image.pixels, dtype=np.float32) for image, _ in prepared]
        axis = 1 if self.card.input.axes.startswith("channel") else 0
        tensor = torch.from_numpy(np.stack(images, axis=axis)).unsqueeze(0).to(self.device)
        return PreparedVolume(
            numbers=tuple(place + 1 for place in places),
            images=tuple(image for image, _ in prepared),
            fields=tuple(field for _, field in prepared),
            tensor=tensor,
        )

    def forward(self, images: Float[Tensor, "probe ..."]) -> object:
        """The raw output for images in display units: normalised, sent, and the part meant taken.

        Raises:
            ModelError: The output has no part of the card's key.
        """
        output = self.module(self._standardised(images))
        key = self.card.output.key
        if key is None:
            return output
        try:
            return output[key]
        except (KeyError, IndexError, TypeError) as problem:
            has = sorted(output) if isinstance(output, Mapping) else type(output).__name__
            raise ModelError(
                f"the output of {self.card.name} has no {key!r}, but {has}"
            ) from problem

    def output(self, images: Float[Tensor, "probe ..."]) -> Tensor:
        """The raw output without gradients, as a tensor with one column per number.

        Raises:
            ModelError: The model gives no tensor; the card must name the part that is one.
        """
        with borrowed(self.module), torch.inference_mode(False), torch.no_grad():
            raw = self.forward(images)
        if not isinstance(raw, Tensor):
            has = sorted(raw) if isinstance(raw, Mapping) else type(raw).__name__
            raise ModelError(
                f"{self.card.name} gives no tensor but {has}; name the part meant under "
                '[output] key = "..." in the model card'
            )
        return raw.float() if raw.ndim > 1 else raw.float().unsqueeze(1)

    def predict(self, images: Float[Tensor, "1 ..."]) -> Prediction:
        """What the model says about one prepared image."""
        return self.read(self.output(images))

    def read(self, output: Float[Tensor, "1 output ..."]) -> Prediction:
        """The raw output for one image in words and numbers."""
        card = self.card
        if card.task == "regression":
            names = card.classes or ("value",)
            values = dict(zip(names, output[0].tolist(), strict=True))
            unit = card.output.unit
            text = ", ".join(f"{value:.3g} {unit or ''}".strip() for value in values.values())
            return Prediction(index=None, label=text, values=values, unit=unit)
        summary = self.summary(output)
        names = card.classes[-1:] if len(summary) == 1 else card.classes
        values = dict(zip(names, summary, strict=True))
        if card.task == "segmentation":
            return Prediction(index=None, label="segmentation", values=values)
        if card.task == "multilabel":
            found = [name for name, p in values.items() if p > 0.5]
            return Prediction(index=None, label=", ".join(found) or "none", values=values)
        index = int(predicted_class(output, self.head)[0])
        if len(summary) == 1:
            # Not 1 - p, which rounds: the odds of a sure answer are in the small one of the two.
            values = dict(zip(card.classes, (*self.summary(-output), *summary), strict=True))
        return Prediction(index=index, label=card.classes[index], values=values)

    def summary(self, output: Float[Tensor, "1 output ..."]) -> list[float]:
        """What the card's check compares: probabilities (their mean over the pixels), or values."""
        if self.card.task == "regression":
            return output[0].tolist()
        # In double precision, so that the logarithms of the probabilities are the logits still.
        chances = probabilities(output.cpu().double(), self.head)
        return (chances.flatten(2).mean(dim=2) if chances.ndim > 2 else chances)[0].tolist()

    def target(self, name: str) -> Target:
        """A target by its name: `predicted`, `Severe`, `Severe-vs-Mild`, `grade>=2`, `value`.

        Raises:
            ValueError: A name that the card does not have; the nearest are offered.
        """
        return named_target(name, self.card)

    def _standardised(self, images: Float[Tensor, "probe ..."]) -> Float[Tensor, "probe ..."]:
        first = images.ndim == 4 or self.card.input.axes.startswith("channel")
        if self.card.input.scale == "image":
            return by_own_spread(images, channel=1 if first else 2)
        mean, std = self._scale
        if images.ndim > 4 and first:
            mean, std = mean.unsqueeze(2), std.unsqueeze(2)
        return (images - mean) / std

    def _in_color(self, image: Image) -> Image:
        wanted = self.card.input.channels
        if image.pixels.shape[0] == wanted:
            return image
        if wanted == 3:
            pixels = np.repeat(image.pixels, 3, axis=0)
        else:  # luminance of ITU-R BT.601, as image libraries take it
            weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
            pixels = np.tensordot(weights, image.pixels, axes=1)[None]
        return replace(image, pixels=np.clip(pixels, 0, 1).astype(np.float32))
