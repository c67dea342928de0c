"""Any attribution method of Captum as an explainer."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from types import MappingProxyType
from typing import ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from foveal.core import ModelError
from foveal.explainers.base import AbstractExplainer, Fold, Frame, MethodCard, Need, Seen
from foveal.explainers.request import MAX_BATCH

_OURS = ("inputs", "target", "additional_forward_args")
"""Arguments of Captum that the doors have their own for."""


@dataclass(frozen=True, init=False)
class Captum(AbstractExplainer):
    """What does a method of Captum say? For those that are not among the methods here.

    The method gets the score that is explained as its forward function, one image at a time, and
    its map is kept as it comes. Sign, range and meaning are those of the method. Chance is drawn
    from the seed, the same for every image. Captum decides how many copies of an image go into one
    pass; where a method has `internal_batch_size`, it is 16 unless given.

    Args:
        attribution: A class of `captum.attr`, or a function that makes one of its objects, such as
            `lambda forward: NoiseTunnel(Saliency(forward))`.
        name: What its map is called; by default `captum-` and the class.
        arguments: What the class takes beside the forward function, such as `layer=`, and what
            its `attribute` takes, such as `n_steps=`; each as it is meant for a single image.

    Raises:
        TypeError: Something that makes no object with `attribute`.
        ValueError: An argument that `foveal.attribute` has itself, such as `target`.
        ModelError: A result that is no map of the image.

    Reference:
        Kokhlikyan et al. 2020, Captum: A unified and generic model interpretability library for
        PyTorch.
    """

    attribution: Callable[..., object]
    arguments: Mapping[str, object]

    name: ClassVar[str] = "captum"
    needs: ClassVar[tuple[Need, ...]] = ("scores",)
    card: ClassVar[MethodCard] = MethodCard(
        question="What does a method of Captum say?",
        sign="as the method defines it",
        grid="the input's, with channels, or the layer's",
        cost="as the method and its settings need",
        reference="Kokhlikyan et al. 2020, Captum",
    )

    def __init__(
        self, attribution: Callable[..., object], *, name: str | None = None, **arguments: object
    ) -> None:
        if not callable(attribution):
            raise TypeError(
                "attribution must be a class of captum.attr or a function that makes one of its "
                f"objects from the forward function, but is {attribution!r}"
            )
        taken = [argument for argument in arguments if argument in _OURS]
        if taken:
            raise ValueError(
                f"{taken[0]!r} is not for Captum here: give images and target to foveal.attribute"
            )
        object.__setattr__(self, "attribution", attribution)
        object.__setattr__(self, "arguments", MappingProxyType(arguments))
        object.__setattr__(self, "name", name or _name(attribution))

    @property
    def settings(self) -> dict[str, object]:
        made = getattr(self.attribution, "__qualname__", type(self.attribution).__name__)
        return {"attribution": made, **{k: _plain(v) for k, v in self.arguments.items()}}

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        if frame.scorer is None:
            raise TypeError("this method brings passes of its own, but was given no scorer")
        found = [
            self._attributed(frame.scorer(number), image, frame.draw.seed)
            for number, image in enumerate(clean.images.split(1))
        ]
        deltas = [delta for _, delta in found if delta is not None]
        parts = {"convergence_delta": torch.cat(deltas)} if deltas else {}
        return Fold(map=torch.cat([values for values, _ in found]), parts=parts)

    def _attributed(
        self, scorer: nn.Module, image: Tensor, seed: int
    ) -> tuple[Tensor, Tensor | None]:
        """The map of one image, and how far it is from complete where that is asked for."""
        known = _parameters(self.attribution)
        making = {k: v for k, v in self.arguments.items() if k in known}
        asking = {k: v for k, v in self.arguments.items() if k not in known}
        with torch.inference_mode(False), torch.enable_grad(), _seeded(seed):
            made = self.attribution(scorer, **making)
            attribute = getattr(made, "attribute", None)
            if not callable(attribute):
                raise TypeError(
                    f"{_name(self.attribution)} makes a {type(made).__name__}, which has no "
                    "attribute(); give a class of captum.attr or a function that makes its object"
                )
            if "internal_batch_size" in _parameters(attribute):
                asking.setdefault("internal_batch_size", MAX_BATCH)
            result = attribute(image.detach().clone().requires_grad_(), **asking)
        if not self.arguments.get("return_convergence_delta"):
            return self._map(result, image), None
        values, delta = cast(tuple[object, Tensor], result)
        return self._map(values, image), delta.detach().float()

    def _map(self, result: object, image: Tensor) -> Tensor:
        values = result[0] if isinstance(result, tuple) and len(result) == 1 else result
        if not isinstance(values, Tensor) or len(values) != 1 or values.ndim != image.ndim:
            got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise ModelError(
                f"{self.name} gives {got} for an image of {tuple(image.shape)}, which is no map of "
                "it; choose a layer with rows and columns, or another method"
            )
        return values.detach()


def _parameters(function: Callable[..., object]) -> tuple[str, ...]:
    return tuple(signature(function).parameters)


def _name(attribution: Callable[..., object]) -> str:
    if isinstance(attribution, type):
        return f"captum-{attribution.__name__.lower()}"
    return "captum"


def _plain(value: object) -> object:
    """A setting as it can be written down: numbers and tensors, and of anything else its type."""
    simple = value is None or isinstance(value, bool | int | float | str | Tensor)
    return value if simple else str(value) if isinstance(value, tuple) else type(value).__name__


@contextmanager
def _seeded(seed: int) -> Generator[None]:
    """Captum draws from the global states of torch and NumPy; they are given back."""
    state = np.random.get_state()  # noqa: NPY002 (this is the state that Captum uses)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002
