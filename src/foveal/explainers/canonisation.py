"""Linear operations of a model as layers of torch's own, and batch norm merged into them.

Nothing of the model is changed: its weights are read where they are used, by functions and by
modules alike, and a merged layer has weights of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor, nn

from foveal.explainers.operations import Operation

_CONVOLUTIONS: Mapping[str, type[nn.Module]] = {
    "conv1d": nn.Conv1d,
    "conv2d": nn.Conv2d,
    "conv3d": nn.Conv3d,
}
_TRANSPOSED: Mapping[str, type[nn.Module]] = {
    "conv_transpose1d": nn.ConvTranspose1d,
    "conv_transpose2d": nn.ConvTranspose2d,
    "conv_transpose3d": nn.ConvTranspose3d,
}
_FUNCTIONS: Mapping[type[nn.Module], Callable[..., Tensor]] = {
    kind: getattr(F, name) for name, kind in {**_CONVOLUTIONS, **_TRANSPOSED}.items()
}
CONVOLUTIONS = frozenset({*_CONVOLUTIONS, *_TRANSPOSED})
LINEAR = CONVOLUTIONS | {"linear"}
_CONVOLUTION = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_TRANSPOSED_CONVOLUTION = (
    *("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"),
)
_STATISTICS, _AFFINE = ("running_mean", "running_var"), ("weight", "bias")
_BATCH_NORM = ("input", *_STATISTICS, *_AFFINE, "training", "momentum", "eps")
_TORCH_BATCH_NORM = ("input", *_AFFINE, *_STATISTICS, "training", "momentum", "eps")
"""torch.batch_norm and torch.nn.functional.batch_norm differ in the order of their arguments."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scaling:
    """Batch norm in eval mode: each channel times `scale`, plus `shift`."""

    scale: Tensor
    shift: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Linear:
    """A convolution or a fully connected layer."""

    kind: type[nn.Module]
    weight: Tensor
    bias: Tensor | None
    settings: Mapping[str, object]
    """Stride, padding and the like."""
    placed: Tensor | None = None
    """In place of the bias: one that differs from place to place, `(1, channel, ...)`."""

    @property
    def groups(self) -> int:
        """Into how many parts the channels are divided."""
        return cast(int, self.settings.get("groups", 1))

    @property
    def transposed(self) -> bool:
        """Whether it is a transposed convolution, whose weights have their first axes swapped."""
        return self.kind in _TRANSPOSED.values()

    def layer(self) -> nn.Module:
        """The layer, with these very weights."""
        first, second = self.weight.shape[:2]
        channels = (
            (first, second * self.groups) if self.transposed else (second * self.groups, first)
        )
        size = [] if self.kind is nn.Linear else [tuple(self.weight.shape[2:])]
        layer = self.kind(
            *channels, *size, bias=self.bias is not None, device="meta", **self.settings
        )
        layer.weight = nn.Parameter(self.weight.detach(), requires_grad=False)
        if self.bias is not None:
            layer.bias = nn.Parameter(self.bias.detach(), requires_grad=False)
        return layer if self.placed is None else _Placed(self, self.placed)

    def followed_by(self, norm: Scaling) -> "Linear":
        """This layer and the batch norm after it in one."""
        weight, scale, placed = self.weight, norm.scale, self.placed
        if self.transposed:
            weight, scale = self._grouped(), scale.reshape(self.groups, 1, -1)
        weight = (weight * _broadcast(scale, weight)).reshape(self.weight.shape)
        if placed is not None:
            scale, shift = (_broadcast(one, placed[0]) for one in (norm.scale, norm.shift))
            return replace(self, weight=weight, placed=placed * scale + shift)
        bias = norm.shift if self.bias is None else self.bias * norm.scale + norm.shift
        return replace(self, weight=weight, bias=bias)

    def preceded_by(self, norm: Scaling, places: Sequence[int]) -> "Linear":
        """The batch norm before this layer and the layer in one, for an input of these places.

        A convolution pads what batch norm gives with zeros, so that near a padded edge the shift
        does not add the same as elsewhere.
        """
        shift = norm.shift.reshape(1, -1, *[1] * len(places)).expand(1, -1, *places)
        if self.kind is nn.Linear:
            bias = F.linear(shift, self.weight, self.bias)[0]
            return replace(self, weight=self.weight * norm.scale, bias=bias)
        placed = _FUNCTIONS[self.kind](shift, self.weight, self.bias, **self.settings)
        if self.transposed:
            weight = self.weight * _broadcast(norm.scale, self.weight)
        else:
            weight = self._grouped()
            weight = weight * _broadcast(norm.scale.reshape(self.groups, 1, -1), weight)
        return replace(self, weight=weight.reshape(self.weight.shape), bias=None, placed=placed)

    def _grouped(self) -> Tensor:
        """The weights with the groups as an axis of their own in front."""
        return self.weight.reshape(self.groups, -1, *self.weight.shape[1:])


class _Placed(nn.Module):
    """A convolution whose bias differs from place to place."""

    def __init__(self, linear: Linear, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(linear.weight.detach(), requires_grad=False)
        self.bias = nn.Parameter(bias.detach(), requires_grad=False)
        self.function = partial(_FUNCTIONS[linear.kind], **linear.settings)

    def forward(self, taken: Tensor) -> Tensor:
        return self.function(taken, self.weight) + self.bias


def linear_of(operation: Operation) -> Linear:
    """What a convolution or fully connected layer does, as a function was called."""
    name = operation.name
    kinds = {"linear": nn.Linear, **_CONVOLUTIONS, **_TRANSPOSED}
    order = _TRANSPOSED_CONVOLUTION if name in _TRANSPOSED else _CONVOLUTION
    given = operation.named(*order)
    del given["input"]
    weight, bias = cast(Tensor, given.pop("weight")), cast(Tensor | None, given.pop("bias", None))
    return Linear(kind=kinds[name], weight=weight, bias=bias, settings=given)


def scaling_of(operation: Operation) -> Scaling | None:
    """What a batch norm does to each channel; `None` where the batch itself decides."""
    own = operation.function is torch.batch_norm
    given = operation.named(*(_TORCH_BATCH_NORM if own else _BATCH_NORM))
    mean, variance = given["running_mean"], given["running_var"]
    if given.get("training") or not (isinstance(mean, Tensor) and isinstance(variance, Tensor)):
        return None
    weight, bias = given.get("weight"), given.get("bias")
    scale = (variance + cast(float, given.get("eps", 1e-5))).rsqrt()
    scale = scale * weight if isinstance(weight, Tensor) else scale
    shift = -mean * scale
    return Scaling(scale=scale, shift=shift + bias if isinstance(bias, Tensor) else shift)


def _broadcast(numbers: Tensor, weights: Tensor) -> Tensor:
    """Numbers for the first axes of the weights, so that they multiply."""
    return numbers.reshape(*numbers.shape, *[1] * (weights.ndim - numbers.ndim))
