"""A network traced into elementary operations, and how far windows of its input reach in it."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx
from torch._ops import OpOverload
from torch.func import functionalize
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.node import map_arg
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from foveal.explainers.reach import Places, Reach, enclosing, layout, reach_of

_MOST = 0.9
"""Above this share of a map the whole map is computed: cutting would cost more than it saves."""
_UNTRACEABLE = (RuntimeError, TypeError, ValueError, AttributeError, AssertionError)
"""What tracing raises for scripted modules, and where the path depends on the pixels."""


class CannotSplitError(Exception):
    """Why a network cannot be run on parts of its input, in words for a note."""


def traced(forward: Callable[[Tensor], object], image: Tensor, count: int) -> fx.GraphModule:
    """The elementary operations on a batch of `count` such images; nothing is computed.

    Raises:
        CannotSplitError: The network cannot be traced.
    """
    shape, form = (count, *image.shape[1:]), layout(image)
    batch = torch.empty(shape, dtype=image.dtype, device=image.device, memory_format=form)
    # A function of one argument: of a bound method, make_fx would count the instance too.
    plain = functionalize(lambda images: forward(images))
    trace = make_fx(plain, tracing_mode="fake", _allow_non_fake_inputs=True)
    try:
        with warnings.catch_warnings():
            # What leaves torch meets memory that holds nothing, and may complain about it.
            warnings.simplefilter("ignore")
            graph = trace(batch)
    except _UNTRACEABLE as problem:
        first, *_ = str(problem).splitlines() or [type(problem).__name__]
        raise CannotSplitError(f"it cannot be traced ({first})") from problem
    graph.graph.eliminate_dead_code()
    return graph


@dataclass(kw_only=True)
class Split:
    """What of a network depends on the windows, and where."""

    windows: Places
    count: int
    """Images in the batch for which it was traced."""
    reaches: dict[fx.Node, Reach] = field(default_factory=dict)
    """Operations that run on rectangles."""
    places: dict[fx.Node, Places] = field(default_factory=dict)
    """The rectangles that they give, and the windows themselves."""
    constant: dict[fx.Node, None] = field(default_factory=dict)
    """Operations that do not depend on the image."""
    cut_from: set[fx.Node] = field(default_factory=set)
    """Maps that are needed around or under the rectangles."""
    work: float = 0.0
    """Multiplications and additions of the plain passes, for each image."""
    left: float = 0.0
    """Those of the partial passes, for each window."""
    largest: float = 0.0
    """Values of the largest map of a plain pass, for each image."""
    largest_part: float = 0.0
    """Values of the largest rectangle or map of a partial pass, for each window."""
    obstacle: str = ""
    """The first operation that does not run on rectangles."""

    @property
    def share(self) -> float:
        """How much of the work is left."""
        return self.left / self.work if self.work else 1.0


def split(graph: fx.GraphModule, windows: Places, count: int) -> Split:
    """Follow the windows through a network that was traced for `count` images.

    Raises:
        CannotSplitError: An operation changes a map in place, or takes further results of one.
    """
    found = Split(windows=windows, count=count)
    for node in graph.graph.nodes:
        inputs = node.all_input_nodes
        if node.op == "placeholder":
            found.places[node] = windows
        elif node.op == "output":
            found.cut_from.update(n for n in inputs if n in found.places)
        elif all(n in found.constant for n in inputs):
            found.constant[node] = None
        else:
            _follow(node, found)
            _weigh(node, found)
    return found


def is_map(node: fx.Node, grid: Sequence[int]) -> bool:
    """Whether a constant has a value for each place of the grid."""
    shape = tuple(_value(node).shape)
    return len(shape) == len(grid) + 2 and shape[0] == 1 and shape[2:] == tuple(grid)


def _follow(node: fx.Node, found: Split) -> None:
    """Give an operation its rectangles, where it does not need whole maps."""
    changed = [n for n in node.all_input_nodes if n in found.places]
    reach = _reach(node, changed, found)
    if reach is not None:
        around = enclosing([found.places[n] for n in changed])
        placed = reach.outputs(around, _value(node).shape[2:])
        if placed.share <= _MOST:
            found.reaches[node], found.places[node] = reach, placed
            needed = reach.inputs(placed, around.grid)
            found.cut_from.update(n for n in changed if not needed.equals(found.places[n]))
            return
    if any(isinstance(n.meta["val"], tuple | list) for n in changed) or (
        changed and _changes_its_input(node)
    ):
        raise CannotSplitError(f"{_name(node)} takes more of a feature map than its values")
    found.obstacle = found.obstacle or (
        f"{_name(node)} looks at the whole map"
        if reach is None
        else "the windows reach most of the map"
    )
    found.cut_from.update(changed)


def _reach(node: fx.Node, changed: Sequence[fx.Node], found: Split) -> Reach | None:
    """The reach of an operation on maps of one grid and constants; `None` for all others."""
    axes = len(found.windows.grid)
    shape, others = _value(node).shape, [n for n in node.all_input_nodes if n not in changed]
    reach = reach_of(node, axes)
    if (
        reach is None
        or len(shape) != axes + 2
        or shape[0] != found.count
        or len({found.places[n].grid for n in changed}) != 1
        or any(n not in found.constant for n in others)
        or _changes_its_input(node)
    ):
        return None
    if reach.alone:
        return reach if list(changed) == [node.args[0]] else None
    grid = found.places[changed[0]].grid
    fit = all(_is_everywhere_the_same(n, axes) or is_map(n, grid) for n in others)
    return reach if fit and tuple(shape[2:]) == grid else None


def _is_everywhere_the_same(node: fx.Node, axes: int) -> bool:
    """Whether a constant has one value, or one for each channel."""
    shape = _value(node).shape
    one_image = len(shape) < axes + 2 or (len(shape) == axes + 2 and shape[0] == 1)
    return one_image and all(side == 1 for side in shape[-axes:])


def _changes_its_input(node: fx.Node) -> bool:
    target = node.target
    return isinstance(target, OpOverload) and target._schema.is_mutable  # pyright: ignore[reportPrivateUsage]


def _name(node: fx.Node) -> str:
    target = node.target
    return target.overloadpacket.__name__ if isinstance(target, OpOverload) else str(target)


def _weigh(node: fx.Node, found: Split) -> None:
    """Count the work of an operation, and what its result takes."""
    work = _work(node) / found.count
    values = sum(v.numel() for v in tree_leaves(node.meta["val"]) if isinstance(v, Tensor))
    share = found.places[node].share if node in found.reaches else 1.0
    found.work += work
    found.left += share * work
    found.largest = max(found.largest, values / found.count)
    found.largest_part = max(found.largest_part, share * values / found.count)


def _work(node: fx.Node) -> float:
    target = node.target
    count = flop_registry.get(target.overloadpacket) if isinstance(target, OpOverload) else None
    if count is None:
        return 0.0
    args, kwargs = map_arg((node.args, node.kwargs), lambda n: n.meta["val"])
    return float(count(*args, **kwargs, out_val=node.meta["val"]))


def _value(node: fx.Node) -> Tensor:
    """The shape of a result; of several results the first."""
    value: Any = node.meta["val"]
    return value[0] if isinstance(value, tuple | list) else value
