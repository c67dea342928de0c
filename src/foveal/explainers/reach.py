"""How far a change in a rectangle of a feature map reaches through one operation."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, fx
from torch._ops import OpOverload
from torch.fx.node import map_arg

_aten = torch.ops.aten


@dataclass(frozen=True, kw_only=True, eq=False)
class Places:
    """One rectangle for each window, all of one size, on the grid of one feature map."""

    starts: Int[np.ndarray, "window axis"]
    size: tuple[int, ...]
    grid: tuple[int, ...]

    @property
    def share(self) -> float:
        """How much of the map a rectangle covers."""
        return float(np.prod(self.size) / np.prod(self.grid))

    def of(self, group: Int[np.ndarray, " window"]) -> "Places":
        """The rectangles of some of the windows."""
        return replace(self, starts=self.starts[group])

    def equals(self, other: "Places") -> bool:
        """Whether all rectangles are the same."""
        return self.size == other.size and np.array_equal(self.starts, other.starts)


def enclosing(places: Sequence[Places]) -> Places:
    """For each window the smallest rectangle around those given, all of one size again."""
    first = np.min([one.starts for one in places], axis=0)
    end = np.max([one.starts + one.size for one in places], axis=0)
    return _of_one_size(first, end, places[0].grid)


def _of_one_size(
    first: Int[np.ndarray, "window axis"], end: Int[np.ndarray, "window axis"], grid: Sequence[int]
) -> Places:
    """Rectangles enlarged to the largest one's size, and moved inside the grid."""
    size = (end - first).max(axis=0)
    starts = np.minimum(first, np.array(grid) - size)
    return Places(starts=starts, size=tuple(size.tolist()), grid=tuple(grid))


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Which inputs one output of an operation looks at, for each axis of the grid."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    fill: float = 0.0
    """What lies beyond the edge of the map."""
    changes: Mapping[str, object] = field(default_factory=dict)
    """The arguments of the operation when it is given its surroundings, edges included."""
    alone: bool = False
    """Whether it looks at one map, its first argument; whatever else it takes are its weights."""

    @property
    def extent(self) -> Int[np.ndarray, " axis"]:
        """Inputs from the first to the last that one output looks at."""
        return np.array(self.dilation) * (np.array(self.kernel) - 1) + 1

    def outputs(self, changed: Places, grid: Sequence[int]) -> Places:
        """Every output on `grid` that looks at a changed input."""
        last_output = np.array(grid) - 1
        before = changed.starts + self.padding - (self.extent - 1)
        first = np.clip(-(-before // self.stride), 0, last_output)
        last = (changed.starts + changed.size - 1 + self.padding) // self.stride
        # A stride larger than the kernel may skip all changed inputs; one output stays, unchanged.
        return _of_one_size(first, np.clip(last, first, last_output) + 1, grid)

    def inputs(self, given: Places, grid: Sequence[int]) -> Places:
        """Everything on the input's `grid` that these outputs look at, beyond the edge too."""
        size = (np.array(given.size) - 1) * self.stride + self.extent
        starts = given.starts * self.stride - self.padding
        return Places(starts=starts, size=tuple(size.tolist()), grid=tuple(grid))


def reach_of(node: fx.Node, axes: int) -> Reach | None:
    """The reach of an elementary operation; `None` where it may look at the whole map."""
    target = node.target
    if target is operator.getitem:  # the first result of a batch norm or a pooling
        return replace(_point(axes), alone=True) if node.args[1] == 0 else None
    if not isinstance(target, OpOverload):
        return None
    name = target.overloadpacket
    if name in _SLIDING:
        return _SLIDING[name](arguments(node), axes)
    if name is _aten.cat:
        return _point(axes) if arguments(node)["dim"] in (1, -1 - axes) else None
    if name in _NORMS:
        trains = arguments(node).get("training")
        return None if trains else replace(_point(axes), alone=True)
    seeded = torch.Tag.nondeterministic_seeded in target.tags
    pointwise = torch.Tag.pointwise in target.tags or name in _POINTWISE
    return _point(axes) if pointwise and not seeded else None


def arguments(node: fx.Node) -> dict[str, Any]:
    """The arguments of an elementary operation by name, in their order, defaults included."""
    schema = cast(OpOverload, node.target)._schema.arguments  # pyright: ignore[reportPrivateUsage]
    given = dict(zip((one.name for one in schema), node.args, strict=False))
    defaults = {one.name: one.default_value for one in schema}
    return {**defaults, **given, **node.kwargs}


def apply(
    node: fx.Node, value_of: Callable[[fx.Node], Any], changes: Mapping[str, object]
) -> object:
    """The result of an operation for these values, with some arguments changed."""
    if not isinstance(node.target, OpOverload):
        args = map_arg(node.args, value_of)
        return cast(Callable[..., object], node.target)(*args)
    given = map_arg({**arguments(node), **changes}, value_of)
    schema = node.target._schema.arguments  # pyright: ignore[reportPrivateUsage]
    args = [given[one.name] for one in schema if not one.kwarg_only]
    named = {one.name: given[one.name] for one in schema if one.kwarg_only}
    # The maps may lie in memory otherwise than they did when the network was traced.
    run = torch.reshape if node.target is _aten.view.default else node.target
    return run(*args, **named)


def _point(axes: int) -> Reach:
    ones, zeros = (1,) * axes, (0,) * axes
    return Reach(kernel=ones, stride=ones, padding=zeros, dilation=ones)


def _of_convolution(given: Mapping[str, Any], axes: int) -> Reach | None:
    kernel = tuple(given["weight"].meta["val"].shape[2:])
    if given["transposed"] or len(kernel) != axes:
        return None
    return _sliding(given, kernel, axes)


def _of_max_pool(given: Mapping[str, Any], axes: int) -> Reach | None:
    reach = _sliding(given, given["kernel_size"], axes)
    return replace(reach, fill=-inf, changes={**reach.changes, "ceil_mode": False})


def _of_average_pool(given: Mapping[str, Any], axes: int) -> Reach | None:
    """Only where each mean is over the whole kernel: others have a divisor of their own."""
    reach = _sliding({**given, "dilation": [1]}, given["kernel_size"], axes)
    grid = np.array(given["self"].meta["val"].shape[2:])
    ragged = (grid + 2 * np.array(reach.padding) - reach.kernel) % reach.stride
    if (given["ceil_mode"] and ragged.any()) or (
        any(reach.padding) and not given["count_include_pad"]
    ):
        return None
    return replace(reach, changes={**reach.changes, "ceil_mode": False})


def _of_constant_pad(given: Mapping[str, Any], axes: int) -> Reach | None:
    """Torch lists the last axis first, before and after; axes before the grid must stay."""
    pad = [*given["pad"], *[0] * (2 * axes)]
    if any(pad[2 * axes :]):
        return None
    before = tuple(pad[0 : 2 * axes : 2][::-1])
    changes = {"pad": [0] * (2 * axes)}
    return replace(_point(axes), padding=before, fill=given["value"], changes=changes, alone=True)


def _sliding(given: Mapping[str, Any], kernel: Sequence[int], axes: int) -> Reach:
    return Reach(
        kernel=_each(kernel, axes),
        stride=_each(given["stride"] or kernel, axes),
        padding=_each(given["padding"], axes),
        dilation=_each(given["dilation"], axes),
        changes={"padding": [0] * axes},
        alone=True,
    )


def _each(values: int | Sequence[int], axes: int) -> tuple[int, ...]:
    listed = [values] if isinstance(values, int) else list(values)
    return tuple(listed * axes if len(listed) == 1 else listed)


_SLIDING: Mapping[object, Callable[[Mapping[str, Any], int], Reach | None]] = {
    _aten.convolution: _of_convolution,
    _aten._convolution: _of_convolution,  # in what was traced by torch.jit
    _aten.max_pool2d_with_indices: _of_max_pool,
    _aten.max_pool3d_with_indices: _of_max_pool,
    _aten.avg_pool2d: _of_average_pool,
    _aten.avg_pool3d: _of_average_pool,
    _aten.constant_pad_nd: _of_constant_pad,
}
_NORMS = frozenset(
    {
        _aten.native_batch_norm,
        _aten.cudnn_batch_norm,
        _aten.miopen_batch_norm,
        _aten._native_batch_norm_legit_no_training,
    }
)
_POINTWISE = frozenset(
    {_aten._to_copy, _aten.detach, _aten.alias, _aten.hardswish, _aten._prelu_kernel}
)
"""Operations on each value by itself that torch does not mark as such."""


def cut(
    maps: Float[Tensor, "1 channel ..."], places: Places, fill: float = 0.0
) -> Float[Tensor, "window channel ..."]:
    """The rectangles cut out of one map; `fill` lies beyond its edge."""
    shape = (len(places.starts), maps.shape[1], *places.size)
    outside = (places.starts < 0).any() or (places.starts + places.size > places.grid).any()
    pieces = torch.empty(shape, dtype=maps.dtype, device=maps.device, memory_format=layout(maps))
    if outside:
        pieces.fill_(fill)
    for piece, start in zip(pieces, places.starts, strict=True):
        _copy(maps[0], np.zeros_like(start), piece, start)
    return pieces


def paste(
    patches: Float[Tensor, "window channel ..."],
    places: Places,
    onto: Float[Tensor, "window channel ..."],
    onto_places: Places,
) -> None:
    """Write patches onto larger pieces of the same map, as far as they overlap."""
    for patch, start, piece, piece_start in zip(
        patches, places.starts, onto, onto_places.starts, strict=True
    ):
        _copy(patch, start, piece, piece_start)


def layout(maps: Float[Tensor, "..."]) -> torch.memory_format:
    """How the maps lie in memory."""
    for form, axes in ((torch.channels_last, 4), (torch.channels_last_3d, 5)):
        if maps.ndim == axes and maps.is_contiguous(memory_format=form):
            return form
    return torch.contiguous_format


def _copy(
    source: Tensor,
    source_start: Int[np.ndarray, " axis"],
    target: Tensor,
    target_start: Int[np.ndarray, " axis"],
) -> None:
    """Copy where two pieces of one map overlap."""
    low = np.maximum(source_start, target_start)
    high = np.minimum(source_start + source.shape[1:], target_start + target.shape[1:])
    if (low < high).all():
        target[_window(low - target_start, high - target_start)] = source[
            _window(low - source_start, high - source_start)
        ]


def _window(first: Int[np.ndarray, " axis"], end: Int[np.ndarray, " axis"]) -> tuple[slice, ...]:
    return (slice(None), *(slice(int(a), int(b)) for a, b in zip(first, end, strict=True)))
