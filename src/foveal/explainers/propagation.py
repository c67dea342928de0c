"""The instruments of layer-wise relevance propagation."""

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from foveal.core import ModelError
from foveal.explainers.canonisation import CONVOLUTIONS
from foveal.explainers.composites import Composite, Rulebook
from foveal.explainers.conservation import Propagated
from foveal.explainers.instruments import AbstractInstrument, Reading
from foveal.explainers.operations import AbstractRules, Operation, ruled
from foveal.explainers.relevance_rules import RelevanceRules

Bounds = tuple[Tensor, Tensor]
STARTS = ("logit", "one")
"""What relevance is at the output: its value times the derivative of the score, or that alone."""


@dataclass(frozen=True, eq=False)
class Relevance(AbstractInstrument):
    """Relevance in place of gradients; its reading is `Propagated`.

    It ends at what the model is given, so that a normalisation before it changes nothing of it.
    """

    composite: Composite
    start: str
    """One of `STARTS`."""
    bounds: Callable[[], Bounds] | None = None
    """The lowest and the highest values that the first convolution can see."""

    def attached(self, module: nn.Module) -> AbstractContextManager[Reading]:
        """The model under these rules.

        Raises:
            ModelError: zennit is missing, or the model has an operation without a rule.
        """
        return _attached(self, module)


@dataclass(frozen=True, eq=False)
class FirstConvolution(AbstractInstrument):
    """Keeps what the first convolution of each pass is given."""

    seen: list[Tensor]

    def attached(self, module: nn.Module) -> AbstractContextManager[Reading]:
        """The model, watched."""
        return _watched(self.seen, module)


class _Propagating(Reading):
    def __init__(self, rules: RelevanceRules) -> None:
        self.rules = rules
        self.found: Tensor | None = None

    def asked(self) -> Sequence[Tensor]:
        return () if self.rules.images is None else (self.rules.images,)

    def answered(self, gradients: Sequence[Tensor | None]) -> None:
        (self.found,) = gradients

    def rows(self, where: slice) -> Propagated:
        if self.found is None:
            raise ModelError(
                f"the score of {self.rules.model} does not depend on the images, so there is "
                "nothing to propagate"
            )
        return self.rules.ledger.read(self.found, where)


@contextmanager
def _attached(relevance: Relevance, module: nn.Module) -> Generator[Reading]:
    bounds = None if relevance.bounds is None else relevance.bounds()
    rules = RelevanceRules(module, Rulebook(relevance.composite, bounds), start=relevance.start)
    device = next((p.device.type for p in module.parameters()), "cpu")
    try:
        # In bfloat16 the small denominators of the rules would be noise.
        with torch.autocast(device, enabled=False), ruled(module, rules):
            yield _Propagating(rules)
    finally:
        rules.forget()


class _Watching(AbstractRules):
    def __init__(self, seen: list[Tensor]) -> None:
        super().__init__()
        self.seen = seen
        self.waiting = True

    def apply(self, operation: Operation) -> object:
        if self.waiting and operation.name in CONVOLUTIONS:
            self.waiting = False
            self.seen.append(cast(Tensor, operation.taken).detach())
        return operation.plainly()

    def left(self, output: object) -> object:
        if self.waiting:
            raise ModelError("a box needs a convolution, and this model has none; use another "
                             "composite")  # fmt: skip
        return output


@contextmanager
def _watched(seen: list[Tensor], module: nn.Module) -> Generator[Reading]:
    with ruled(module, _Watching(seen)):
        yield Reading()
