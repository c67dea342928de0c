"""Batch norm folded into the convolution before it: the same function with less to compute."""

from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import ExitStack, contextmanager
from types import MethodType
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.conv import _ConvNd  # pyright: ignore[reportPrivateUsage]

from foveal.models.norm_pairs import Pair, pairs_in, tensors_in

_TOLERANCE = 1e-4
"""Largest difference between folded and plain output, as a share of the largest output."""


@contextmanager
def folded(
    module: nn.Module,
    examples: Tensor,
    forward: Callable[[Tensor], object],
    *,
    keep: Collection[str] = (),
) -> Generator[tuple[str, ...]]:
    """The module with its batch norms folded into the convolutions before them.

    A norm is folded only where one pass over an example shows that the convolution runs once and
    its output goes nowhere else. The module as a whole gives the same output and the same input
    gradient up to rounding, which is tried once for each module and shape of image. Afterwards
    every parameter is the object it was and was never written to, also after an exception.
    Nothing is folded in half precision, under autocast or where a part is in train mode.

    What looks at a batch norm's input or at its parameters (FullGrad, relevance propagation) must
    not run inside.

    Args:
        module: The network, borrowed.
        examples: Images that the network takes; the first is sent to find what can be folded.
        forward: From images to the raw output of the network.
        keep: Names of layers whose own output is watched: a convolution among them stays as it
            is. A norm's output is the same to rounding.

    Yields:
        The names of the batch norms that are folded.
    """
    pairs: list[Pair] = []
    if _may_be_folded(module, examples.device):
        known = _known_pairs(module, examples, forward)
        pairs = [pair for pair in known if pair.seen_as.isdisjoint(keep)]
    with _all_folded(module, pairs):
        yield tuple(pair.norm for pair in pairs)


def _may_be_folded(module: nn.Module, device: torch.device) -> bool:
    parts = list(module.modules())
    return (
        any(isinstance(part, _BatchNorm) for part in parts)
        and not any(part.training for part in parts)
        and not torch.is_autocast_enabled(device.type)
    )


_KNOWN: "WeakKeyDictionary[nn.Module, dict[object, tuple[Pair, ...]]]" = WeakKeyDictionary()
"""Pairs found before; a module whose parts changed is looked at again."""


def _known_pairs(
    module: nn.Module, examples: Tensor, forward: Callable[[Tensor], object]
) -> tuple[Pair, ...]:
    state = tuple((name, id(part), type(part)) for name, part in module.named_modules())
    key = (state, tuple(examples.shape[1:]), examples.dtype)
    known = _KNOWN.setdefault(module, {})
    if key not in known:
        known[key] = _pairs(module, examples[:1], forward)
    return tuple(pair for pair in known[key] if _is_free(module, pair))


@torch.no_grad()
def _pairs(
    module: nn.Module, example: Tensor, forward: Callable[[Tensor], object]
) -> tuple[Pair, ...]:
    """What can be folded, proved by comparing the outputs; nothing where they differ."""
    found, plain = pairs_in(module, example.clone(), forward)
    pairs = tuple(pair for pair in found if _is_free(module, pair))
    if not pairs:
        return ()
    with _all_folded(module, pairs):
        changed = forward(example.clone())
    return pairs if _same(plain, changed) else ()


def _is_free(module: nn.Module, pair: Pair) -> bool:
    """Whether a pair can be folded as it is now: of known kinds, unhooked, in full precision."""
    convolution, norm = _parts(module, pair)
    return (
        norm.running_mean is not None
        and norm.running_var is not None
        and _rest_of(norm) is not None
        and convolution.weight.dtype == norm.running_var.dtype
        and convolution.weight.dtype in (torch.float32, torch.float64)
        and not any(_is_hooked(part) or "forward" in vars(part) for part in (convolution, norm))
    )


def _is_hooked(part: nn.Module) -> bool:
    return any(hooks for name, hooks in vars(part).items() if name in _HOOKS)


_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def _rest_of(norm: _BatchNorm) -> Callable[[nn.Module, Tensor], Tensor] | None:
    """What is left of a norm's forward without its norm; `None` where that is not known."""
    if type(norm) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
        return lambda _, values: values
    if type(norm).__name__ == "BatchNormAct2d":  # of timm: norm, dropout and activation in one
        return lambda part, values: part.act(part.drop(values))  # type: ignore[operator]
    return None


@contextmanager
def _all_folded(module: nn.Module, pairs: Sequence[Pair]) -> Generator[None]:
    with ExitStack() as stack:
        for pair in pairs:
            _fold(*_parts(module, pair), stack)
        yield


@torch.no_grad()
def _fold(convolution: _ConvNd, norm: _BatchNorm, stack: ExitStack) -> None:
    """Lend weights with gamma (W x + b - mean) / sigma + beta = (s W) x + (b - mean) s + beta.

    The factor s = gamma / sigma is worked out in float64, so that weights are rounded once.
    """
    weight, mean, variance = convolution.weight, norm.running_mean, norm.running_var
    rest = _rest_of(norm)
    if mean is None or variance is None or rest is None:
        raise TypeError(f"a {type(norm).__name__} without running statistics cannot be folded")
    scale = (variance.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    bias = -mean.double() if convolution.bias is None else convolution.bias.double() - mean.double()
    bias = bias * scale if norm.bias is None else bias * scale + norm.bias.double()
    _lend(convolution, "weight", _scaled(convolution, scale.to(weight.dtype)), stack)
    _lend(convolution, "bias", bias.to(weight.dtype), stack)
    norm.forward = MethodType(rest, norm)
    stack.callback(delattr, norm, "forward")


def _scaled(convolution: _ConvNd, scale: Tensor) -> Tensor:
    """The weight with its output channels scaled."""
    weight, ones = convolution.weight, [1] * (convolution.weight.ndim - 2)
    if not convolution.transposed:
        return weight * scale.reshape(-1, 1, *ones)
    # A transposed weight is (group and input, output of the group, ...).
    groups = weight.unflatten(0, (convolution.groups, -1))
    return (groups * scale.reshape(convolution.groups, 1, -1, *ones)).flatten(0, 1)


def _lend(convolution: _ConvNd, name: str, value: Tensor, stack: ExitStack) -> None:
    stack.callback(setattr, convolution, name, getattr(convolution, name))
    setattr(convolution, name, nn.Parameter(value, requires_grad=False))


def _parts(module: nn.Module, pair: Pair) -> tuple[_ConvNd, _BatchNorm]:
    convolution, norm = module.get_submodule(pair.convolution), module.get_submodule(pair.norm)
    if not isinstance(convolution, _ConvNd) or not isinstance(norm, _BatchNorm):
        raise TypeError(f"{pair.convolution} and {pair.norm} are no convolution and batch norm")
    return convolution, norm


def _same(plain: object, changed: object) -> bool:
    """Whether two outputs are the same up to rounding; false where there is nothing to compare."""
    ones, others = ([t.double() for t in tensors_in(output)] for output in (plain, changed))
    if not ones or [one.shape for one in ones] != [other.shape for other in others]:
        return False
    scales = [float(one.abs().amax()) if one.numel() else 0.0 for one in ones]
    return all(
        torch.allclose(one, other, rtol=0, atol=_TOLERANCE * scale)
        for one, other, scale in zip(ones, others, scales, strict=True)
    )
