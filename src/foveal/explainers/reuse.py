"""Occlusion below the price of its passes: only what a window can reach is computed again.

The network is traced into its elementary operations. A clean pass keeps the feature maps; for each
window the operations then run on the rectangle that the window reaches, with its surroundings cut
from the clean maps. Where the rectangle covers most of a map, or an operation looks at the whole
map, everything is pasted together and the network goes on as usual.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, fx
from torch.fx.node import map_arg
from torch.utils._pytree import tree_leaves, tree_map

from foveal.explainers.base import Window
from foveal.explainers.reach import Places, apply, cut, paste
from foveal.explainers.splitting import CannotSplitError, Split, is_map, split, traced

_WORTH = 0.8
"""With more than this share of the work left, plain passes are as fast."""
_TOLERANCE = 1e-4
"""Largest difference from the plain output in the proof, as a share of the largest output."""


@dataclass(frozen=True)
class Refused:
    """Why a network's passes cannot be shortened."""

    reason: str


class Windowed:
    """A network that answers for one covered window after the other by partial passes."""

    def __init__(self, graph: fx.GraphModule, plan: Split) -> None:
        self._nodes = list(graph.graph.nodes)
        self._plan = plan
        self._last = _last_uses(self._nodes)
        self._constants: dict[fx.Node, object] = {}
        for node in plan.constant:
            self._constants[node] = (
                _attribute(graph, str(node.target))
                if node.op == "get_attr"
                else apply(node, self._constants.__getitem__, {})
            )

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        forward: Callable[[Tensor], object],
        image: Float[Tensor, "1 channel ..."],
        windows: Sequence[Window],
        *,
        max_batch: int,
        plain_batch: int | None = None,
    ) -> "Windowed | Refused":
        """Trace a network, and try on two windows that the parts give what the whole gives.

        The network must be borrowed (eval mode, no parameter gradients) and stay as it is while
        the result is used: its parameters are part of it, folded ones too.

        Args:
            forward: From images to the raw output.
            image: One image, laid out in memory as it would be sent.
            windows: Rectangles of pixels, all of one size.
            max_batch: Most windows in one pass.
            plain_batch: Images in one plain pass, `max_batch` by default. A partial pass takes as
                many windows as keep its largest feature map below that of such a plain pass.

        Returns:
            The network in parts, or the reason why it cannot be split or would save little.

        Raises:
            ValueError: Windows of several sizes, or none.
        """
        places = _places(windows, image.shape[2:])
        try:
            whole = cls(*_fitting(forward, image, places, max_batch, plain_batch or max_batch))
            if not whole._plan.work:
                return Refused("no multiplication of it was seen")
            if whole.share > _WORTH:
                left = f"{whole.share:.0%} of the work would be left"
                return Refused(f"{left}, as {whole._plan.obstacle}")
            whole._prove(forward, image)
        except CannotSplitError as problem:
            return Refused(str(problem))
        except RuntimeError as problem:
            return Refused(f"its parts do not run ({str(problem).splitlines()[0]})")
        return whole

    @property
    def share(self) -> float:
        """How much of the multiplications of the plain passes is left."""
        return self._plan.share

    @property
    def together(self) -> int:
        """Windows in one pass."""
        return self._plan.count

    @torch.no_grad()
    def outputs(
        self, image: Float[Tensor, "1 channel ..."], cover: Float[Tensor, "1 channel ..."]
    ) -> Iterator[object]:
        """What the network returns for the image with one window after the other covered.

        Yields:
            The raw output for the next windows in order, at most `together` of them.
        """
        clean = self._clean(image)
        numbers = np.arange(len(self._plan.windows.starts))
        for first in range(0, len(numbers), self.together):
            yield self._group(clean, cover, numbers[first : first + self.together])

    def _clean(self, image: Tensor) -> dict[fx.Node, Tensor]:
        """The maps of the image itself from which surroundings are cut."""
        kept: dict[fx.Node, Tensor] = {}
        values = dict(self._constants)
        for node in self._nodes:
            if node.op == "placeholder":
                values[node] = image
            elif node in self._plan.reaches:
                values[node] = apply(node, values.__getitem__, {})
            if node in self._plan.cut_from:
                kept[node] = values[node]  # type: ignore[assignment]
            for used in self._last[node]:
                values.pop(used, None)
        return kept

    def _group(
        self, clean: Mapping[fx.Node, Tensor], cover: Tensor, numbers: Int[np.ndarray, " window"]
    ) -> object:
        """The raw output for some windows; the last one fills up the batch."""
        filled = np.resize(np.append(numbers, np.full(self.together, numbers[-1])), self.together)
        run = _Run(self._plan, clean, self._constants, filled)
        for node in self._nodes:
            if node.op == "placeholder":
                run.values[node] = cut(cover, run.places(node))
            elif node.op == "output":
                whole = map_arg(node.args[0], run.whole)
                return tree_map(lambda t: t[: len(numbers)] if isinstance(t, Tensor) else t, whole)
            elif node in self._plan.reaches:
                run.values[node] = run.in_parts(node)
            elif node not in self._constants:
                run.values[node] = apply(node, run.whole, {})
            run.forget(self._last[node])
        return None

    def _prove(self, forward: Callable[[Tensor], object], image: Tensor) -> None:
        """Compare with the plain output, for the first and the middle window and an unlike cover.

        Raises:
            CannotSplitError: They differ by more than rounding.
        """
        cover, clean = 1 - image.flip(-1), self._clean(image)
        for number in (0, len(self._plan.windows.starts) // 2):
            where = self._plan.windows.of(np.array([number]))
            covered = image.clone()
            paste(cut(cover, where), where, covered, _everywhere(where))
            plain = tree_leaves(forward(covered))
            parts = tree_leaves(self._group(clean, cover, np.array([number])))
            for one, other in zip(plain, parts, strict=True):
                if not isinstance(one, Tensor) or not one.numel():
                    continue
                difference = float((one - other).abs().max() / (one.abs().max() + 1e-30))
                if not difference <= _TOLERANCE:  # NaN too
                    raise CannotSplitError(f"its parts differ by {difference:.1e} from the whole")


class _Run:
    """Some windows on their way through the network."""

    def __init__(
        self,
        plan: Split,
        clean: Mapping[fx.Node, Tensor],
        constants: Mapping[fx.Node, object],
        numbers: Int[np.ndarray, " window"],
    ) -> None:
        self.plan = plan
        self.clean = clean
        self.numbers = numbers
        self.values: dict[fx.Node, object] = dict(constants)
        """By operation: rectangles, whole maps, or constants."""
        self._wholes: dict[fx.Node, object] = {}
        """Rectangles pasted into whole maps."""

    def places(self, node: fx.Node) -> Places:
        return self.plan.places[node].of(self.numbers)

    def in_parts(self, node: fx.Node) -> object:
        """The rectangles that an operation gives."""
        reach = self.plan.reaches[node]
        given = self.places(node)

        def piece(taken: fx.Node) -> object:
            if taken in self.plan.places:
                needed = reach.inputs(given, self.plan.places[taken].grid)
                return self._piece(taken, needed, reach.fill)
            value = self.values[taken]
            if not reach.alone and isinstance(value, Tensor) and is_map(taken, given.grid):
                return cut(value, given)
            return value

        return apply(node, piece, reach.changes)

    def whole(self, node: fx.Node) -> Any:
        """What an operation gives, as whole maps."""
        if node not in self.plan.places:
            return self.values[node]
        if node not in self._wholes:
            self._wholes[node] = self._piece(node, _everywhere(self.places(node)), 0.0)
        return self._wholes[node]

    def forget(self, nodes: Sequence[fx.Node]) -> None:
        for node in nodes:
            self.values.pop(node, None)
            self._wholes.pop(node, None)

    def _piece(self, node: fx.Node, needed: Places, fill: float) -> object:
        places = self.places(node)
        if needed.equals(places):
            return self.values[node]
        pieces = cut(self.clean[node], needed, fill)
        paste(self.values[node], places, pieces, needed)  # type: ignore[arg-type]
        return pieces


def _places(windows: Sequence[Window], grid: Sequence[int]) -> Places:
    starts = np.array([[side.start for side in window] for window in windows])
    sizes = {tuple(side.stop - side.start for side in window) for window in windows}
    if len(sizes) != 1:
        raise ValueError(f"windows must be of one size, but there are {len(sizes)} sizes")
    return Places(starts=starts, size=sizes.pop(), grid=tuple(grid))


def _fitting(
    forward: Callable[[Tensor], object],
    image: Tensor,
    windows: Places,
    max_batch: int,
    plain_batch: int,
) -> tuple[fx.GraphModule, Split]:
    """The network traced for as many windows as a pass should take: groups of about one size."""
    total = len(windows.starts)
    plan = split(traced(forward, image, 2), windows, 2)
    count = min(max_batch, total)
    room = int(plain_batch * plan.largest / max(plan.largest_part, 1.0))
    count = ceil(total / ceil(total / min(max(room, 1), count)))
    graph = traced(forward, image, count)
    return graph, split(graph, windows, count)


def _everywhere(places: Places) -> Places:
    starts = np.zeros_like(places.starts)
    return Places(starts=starts, size=places.grid, grid=places.grid)


def _last_uses(nodes: Sequence[fx.Node]) -> dict[fx.Node, list[fx.Node]]:
    """By operation, whose results nobody needs after it."""
    last: dict[fx.Node, fx.Node] = {}
    for node in nodes:
        last[node] = node
        for used in node.all_input_nodes:
            last[used] = node
    found: dict[fx.Node, list[fx.Node]] = {node: [] for node in nodes}
    for used, node in last.items():
        found[node].append(used)
    return found


def _attribute(graph: fx.GraphModule, name: str) -> object:
    value: object = graph
    for part in name.split("."):
        value = getattr(value, part)
    return value
