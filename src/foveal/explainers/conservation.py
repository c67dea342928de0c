"""Where relevance stays on its way from the output to the input of a model."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Propagated:
    """Relevance at the input, and the sums of it on the way, one row an image."""

    at_input: Tensor
    at_output: Tensor
    """The sum over the output."""
    layers: tuple[str, ...]
    """The operations that share relevance out, in the order in which they ran."""
    arrived: Tensor
    """(sample, layer): the sum that arrives at each from above."""
    passed: Tensor
    """(sample, layer): the sum that each passes down."""


@dataclass(kw_only=True, eq=False)
class Stop:
    """An operation on the way, and the sums that were seen at it."""

    name: str
    arrived: Tensor | None = None
    passed: Tensor | None = None


@dataclass(kw_only=True, eq=False)
class Ledger:
    """Sums of relevance, written down while it is propagated."""

    images: int = 0
    at_output: Tensor | None = None
    stops: list[Stop] = field(default_factory=list)

    def stop(self, name: str, taken: Sequence[Tensor], result: Tensor) -> None:
        """Watch an operation, from what it takes to its result."""
        stop = Stop(name=name)
        self.stops.append(stop)

        def passed(relevance: Tensor) -> None:
            stop.passed = self._added(stop.passed, relevance)

        def arrived(relevance: Tensor) -> None:
            stop.arrived = self._added(stop.arrived, relevance)

        for tensor in taken:
            if tensor.requires_grad:
                tensor.register_hook(passed)
        result.register_hook(arrived)

    def output(self, relevance: Tensor) -> None:
        """What relevance is at (a part of) the output."""
        self.at_output = self._added(self.at_output, relevance)

    def read(self, at_input: Tensor, where: slice) -> Propagated:
        """What was written down for some of the images."""
        arrived, passed = [], []
        reached = [stop for stop in self.stops if stop.arrived is not None]
        nothing = at_input.new_zeros(self.images)
        for stop in reached:
            arrived.append(nothing if stop.arrived is None else stop.arrived)
            passed.append(nothing if stop.passed is None else stop.passed)
        total = nothing if self.at_output is None else self.at_output
        none = at_input.new_zeros(self.images, 0)
        return Propagated(
            at_input=at_input[where],
            at_output=total[where],
            layers=tuple(stop.name for stop in reached),
            arrived=(torch.stack(arrived, dim=1) if arrived else none)[where],
            passed=(torch.stack(passed, dim=1) if passed else none)[where],
        )

    def _added(self, known: Tensor | None, relevance: Tensor) -> Tensor:
        sums = relevance.detach().reshape(self.images, -1).sum(dim=1)
        return sums if known is None else known + sums
