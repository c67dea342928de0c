"""What is present or absent in a probe: parts of the image, and the features beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from foveal.explainers.base import Fold, Frame, Probes
from foveal.explainers.fitting import Fit
from foveal.explainers.reference import Reference, reference
from foveal.explainers.superpixels import Superpixels, superpixels


@dataclass(frozen=True, kw_only=True)
class Players:
    """The parts of each image, and each feature of the tabular inputs where it may be absent."""

    images: Float[Tensor, "sample channel ..."]
    cover: Float[Tensor, "sample channel ..."]
    """What stands for an absent part."""
    parts: Superpixels
    beside: tuple[Tensor, ...]
    """The model's other inputs."""
    absent: tuple[Tensor | None, ...]
    """What stands for an absent feature of each of them; `None` for inputs that stay."""

    @property
    def features(self) -> int:
        """How many features may be absent."""
        return sum(one.numel() for one in self.absent if one is not None)

    @property
    def counts(self) -> tuple[int, ...]:
        """How many players each image has: its parts first, then the features."""
        return tuple(count + self.features for count in self.parts.counts)

    def probes(self, tables: Sequence[Bool[Tensor, "_ _"]]) -> Probes:
        """One probe for each row of the images' tables of who is present.

        An image with a shorter table than others is sent as it is for the rows it does not have.
        """

        def present(number: int) -> list[Tensor]:
            return [t[number] if number < len(t) else t.new_ones(t.shape[1]) for t in tables]

        return Probes(
            count=max(len(table) for table in tables),
            build=lambda number: self._images_with(present(number)),
            beside=lambda number: self._beside_with(present(number)),
        )

    def fold(self, fits: Sequence[Fit], stability: Sequence[float]) -> Fold:
        """The map and what belongs beside it, for the fit of each image.

        The coefficients stand in one row until `per_image` gives each image its own.
        """
        device, features = self.images.device, self.features
        each = [fit.coefficients.to(device, torch.float32) for fit in fits]
        shared = [own[: len(own) - features] for own in each]
        parts: dict[str, object] = {
            "coefficients": torch.cat(shared),
            "players": torch.tensor(self.parts.counts, device=device),
            "intercept": torch.tensor([fit.intercept for fit in fits], device=device),
            "r2": torch.tensor([fit.r2 for fit in fits], device=device),
            "stability": torch.tensor(stability, device=device),
            "segments": self.parts.labels,
        }
        if features:
            parts["tabular"] = torch.stack([own[len(own) - features :] for own in each])
        return Fold(map=self.parts.painted(shared), parts=parts)

    def _images_with(self, present: Sequence[Tensor]) -> Tensor:
        parts = [own[:count] for own, count in zip(present, self.parts.counts, strict=True)]
        shown = self.parts.shown([own.to(self.images.device) for own in parts])
        return torch.where(shown.unsqueeze(1), self.images, self.cover)

    def _beside_with(self, present: Sequence[Tensor]) -> tuple[Tensor, ...]:
        rest = torch.stack([own[len(own) - self.features :] for own in present])
        given = []
        for values, absent in zip(self.beside, self.absent, strict=True):
            if absent is None:
                given.append(values)
                continue
            own, rest = rest[:, : absent.numel()], rest[:, absent.numel() :]
            given.append(torch.where(own.to(values.device), values, absent))
        return tuple(given)


def players(
    images: Float[Tensor, "sample channel ..."],
    frame: Frame,
    *,
    segments: Tensor | None,
    count: int,
    fill: Reference,
    tabular: Sequence[float] | None,
) -> Players:
    """The players of a batch, by the settings of a method.

    Raises:
        ValueError: Segments or a fill that do not fit the images, or another number of tabular
            references than the model has features beside the image.
    """
    return Players(
        images=images,
        cover=reference(fill, images, frame),
        parts=superpixels(segments, count, images, frame),
        beside=frame.beside,
        absent=_absent(frame.beside, tabular),
    )


def per_image(parts: Mapping[str, object]) -> Mapping[str, object]:
    """The coefficients of each image in a row of its own, NaN where it has fewer parts."""
    coefficients, counts = parts["coefficients"], parts["players"]
    if not (isinstance(coefficients, Tensor) and isinstance(counts, Tensor)):
        raise TypeError("coefficients and players must be tensors")
    rows = torch.nn.utils.rnn.pad_sequence(
        list(coefficients.split(counts.tolist())), batch_first=True, padding_value=torch.nan
    )
    others = {name: part for name, part in parts.items() if name != "players"}
    return {**others, "coefficients": rows}


def check_tabular(values: object) -> tuple[float, ...] | None:
    """References of tabular features as plain numbers.

    Raises:
        TypeError: No sequence of numbers.
        ValueError: None at all, or one that is not finite.
    """
    if values is None:
        return None
    if isinstance(values, str) or not isinstance(values, Sequence | Tensor):
        raise TypeError(f"tabular must hold one number for each feature, but is {values!r}")
    numbers = torch.as_tensor(values, dtype=torch.float64)
    if numbers.ndim != 1 or len(numbers) == 0 or not bool(numbers.isfinite().all()):
        raise ValueError(f"tabular must hold one finite number for each feature, but is {values!r}")
    return tuple(numbers.tolist())


def _absent(beside: Sequence[Tensor], tabular: Sequence[float] | None) -> tuple[Tensor | None, ...]:
    """The references of each input beside the image that is a table (sample, feature)."""
    if tabular is None:
        return tuple(None for _ in beside)
    sizes = [one.shape[1] if one.ndim == 2 and one.is_floating_point() else 0 for one in beside]
    if sum(sizes) != len(tabular):
        raise ValueError(
            f"tabular has {len(tabular)} references, but the model is given {sum(sizes)} features "
            "beside the image in tables (sample, feature) of floating-point numbers; give one for "
            "each, in the order of the inputs"
        )
    references = torch.tensor(tabular).split(sizes)
    return tuple(
        own.to(one.device, one.dtype) if size else None
        for own, one, size in zip(references, beside, sizes, strict=True)
    )
