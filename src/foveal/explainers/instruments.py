"""What is attached to a borrowed model for one pass, beyond looking at named layers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager

from torch import Tensor, nn

from foveal.core import ModelError


class Reading:
    """What an instrument saw in one pass; passes without an instrument of that kind give none."""

    def asked(self) -> Sequence[Tensor]:
        """Tensors of the graph whose gradients of the score are wanted, after the forward pass."""
        return ()

    def answered(self, gradients: Sequence[Tensor | None]) -> None:
        """Take those gradients; `None` for a tensor that the score does not depend on."""

    def rows(self, where: slice) -> object:
        """What belongs to some of the images of the pass."""
        return None


class AbstractInstrument(ABC):
    """Something attached to the model for one pass, and taken off again whatever happens.

    It may look (attention weights, the gradients of all biases), and then methods share a pass;
    or change the rules of the pass (another derivative of an activation function), and then it
    belongs to a set of probes of its own. Subclasses are frozen dataclasses, compared by value:
    methods that ask for equal instruments look through the same one.
    """

    @abstractmethod
    def attached(self, module: nn.Module) -> AbstractContextManager[Reading]:
        """The model with the instrument on it.

        A pass that takes gradients starts its graph where something first needs one, so inside a
        pass without input gradients an instrument that wants gradients makes its first tensor a
        leaf: `tensor.detach().requires_grad_()`, where gradients are enabled and it has none.

        Raises:
            ModelError: The model has nothing to attach to; says what is missing.
        """


def attached(
    instrument: AbstractInstrument, module: nn.Module | None, name: str
) -> AbstractContextManager[Reading]:
    """An instrument on a model, refused where there is only a callable.

    Raises:
        ModelError: The model cannot be looked into.
    """
    if module is None:
        raise ModelError(
            f"{name} gives scores only, so nothing can be attached to it; use a method that needs "
            "scores only, such as occlusion"
        )
    return instrument.attached(module)
