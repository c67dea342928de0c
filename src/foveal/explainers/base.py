"""What an explainer is: a plan (which probes to send) and a fold (what to make of the answers)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from foveal.core import ScoreMode
from foveal.explainers.instruments import AbstractInstrument

Need = Literal[
    "scores", "activations", "layer gradients", "input gradient", "attention", "modified backward"
]


@dataclass(frozen=True, kw_only=True)
class MethodCard:
    """What a method is, in words: for tables, the report and the store."""

    question: str
    """The question that the map answers."""
    sign: str
    """What positive and negative values mean."""
    grid: str
    """The grid of the raw map."""
    cost: str
    """Forward (F) and backward (B) passes for one image."""
    reference: str
    """The paper, with the equation."""


@dataclass(frozen=True, kw_only=True)
class Wants:
    """What is to be seen of a pass. The engine sends one pass for the union of all wants."""

    activation: bool = False
    gradient: bool = False
    """The gradient of the score at the watched layer."""
    input_gradient: bool = False
    after_activation: bool = False
    """Watch the tensor that an activation function right after the layer gives, where there is
    one: the formula assumes activations that are not negative."""
    instrument: AbstractInstrument | None = None
    """What else is attached to the model. One that changes the rules of a pass goes into probes,
    since the pass over the images themselves is shared by all methods."""
    instrument_gradient: bool = False
    """Whether the instrument needs the backward pass."""

    @property
    def layer(self) -> bool:
        """Whether the watched layer is looked at."""
        return self.activation or self.gradient

    @property
    def backward(self) -> bool:
        """Whether the pass goes backward."""
        return self.gradient or self.input_gradient or self.instrument_gradient


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What was seen at one layer."""

    activation: Float[Tensor, "probe channel ..."]
    gradient: Float[Tensor, "probe channel ..."] | None = None

    @property
    def pair(self) -> tuple[Tensor, Tensor]:
        """Activation and gradient in float32, for methods that asked for both."""
        if self.gradient is None:
            raise TypeError("this method folds layer gradients, but its pass took none")
        return self.activation.float(), self.gradient.float()


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one explainer sees of one pass."""

    images: Float[Tensor, "probe channel ..."]
    scores: Float[Tensor, " probe"]
    input_gradient: Float[Tensor, "probe channel ..."] | None = None
    layers: Mapping[str, Watched] = field(default_factory=dict)
    reading: object = None
    """What the method's instrument saw, for these images."""

    @property
    def layer(self) -> Watched:
        """The one watched layer."""
        (watched,) = self.layers.values()
        return watched


@dataclass(frozen=True)
class Draw:
    """Chance, replayable: the numbers depend on the seed and the probe, not on the batch."""

    seed: int

    def uniform(self, probe: int, shape: Sequence[int]) -> Float[Tensor, "..."]:
        """Numbers in [0, 1) for one probe, on the CPU."""
        return torch.rand(tuple(shape), generator=self._generator(probe))

    def normal(self, probe: int, like: Float[Tensor, "sample ..."]) -> Float[Tensor, "1 ..."]:
        """Standard normal noise of one sample's shape, to be shared by the batch."""
        noise = torch.randn((1, *like.shape[1:]), generator=self._generator(probe))
        return noise.to(like.device, like.dtype)

    def _generator(self, probe: int) -> torch.Generator:
        """One stream per seed and probe; the multiplier keeps streams of close seeds apart."""
        return torch.Generator().manual_seed((self.seed * 1_000_003 + probe) % 2**63)


@dataclass(frozen=True, kw_only=True)
class Original:
    """The grid of the picture as it was read, for what a user marked on it."""

    grid: tuple[int, ...]
    carried: Callable[[Int[Tensor, "row column"]], Int[Tensor, "row_out column_out"]]
    """From a label image there to one on the grid of the images; -1 where nothing was seen."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What is known of the images beside their numbers, and where chance comes from."""

    examples: Mapping[str, Tensor] = field(default_factory=dict)
    """The activations of the method's own examples at each watched layer."""
    display: bool = False
    """Whether they are in display units, 0 black and 1 white. False at the tensor door."""
    field: Bool[Tensor, "sample row column"] | None = None
    """The field of view, where it is known."""
    first: int = 0
    """The place of the first of these images in the whole batch."""
    total: int | None = None
    """How many images the whole batch holds, where these are only some of it."""
    original: Original | None = None
    """The picture that they were prepared from, where there is one for all of them."""
    draw: Draw = Draw(0)
    """The only source of chance."""
    beside: tuple[Float[Tensor, "sample ..."], ...] = ()
    """The model's other inputs, such as the age, where it takes several."""
    scorer: Callable[[int], nn.Module] | None = None
    """From the number of an image here to a module that gives its score for any images; for methods
    that bring passes of their own."""


Window = tuple[slice, ...]
"""Rows and columns (slices first for a volume) of pixels."""


@dataclass(frozen=True, kw_only=True)
class Cover:
    """Probes that differ from the images in one window each."""

    windows: Sequence[Window]
    """Of one size; probe number i is covered in window number i."""
    pixels: Float[Tensor, "sample channel ..."]
    """What is seen inside a window."""


@dataclass(frozen=True, kw_only=True)
class Probes:
    """Images to send to the model, built one set at a time.

    `build(i)` gives probe number i of every sample of the batch, so that what is drawn by chance
    is drawn once and shared by the batch.
    """

    count: int
    build: Callable[[int], Float[Tensor, "sample channel ..."]]
    wants: Wants = Wants()
    edit: Callable[[int, Float[Tensor, "sample channel ..."]], Tensor] | None = None
    """What probe number i makes of the activations at the watched layer before they go on."""
    beside: Callable[[int], tuple[Tensor, ...]] | None = None
    """The model's other inputs in probe number i; as they are by default."""
    cover: Cover | None = None
    """What `build` does, where it only covers windows: then not everything need be computed."""


@dataclass(frozen=True, kw_only=True)
class Fold:
    """A raw signed map, and what belongs beside it."""

    map: Float[Tensor, "sample ..."] | None
    """`None` for a method that gives numbers only."""
    parts: Mapping[str, object] = field(default_factory=dict)
    """Numbers the method promises beside its map, such as the completeness error."""
    notes: tuple[str, ...] = ()
    """Deviations from the paper that this model made necessary."""


class AbstractExplainer(ABC):
    """One attribution method with its settings.

    Subclasses are frozen dataclasses whose fields are the settings. They state what they want to
    see of the pass over the images themselves; which further probes to send, if any; and how to
    fold what was seen into a map. Devices, batches, memory, hooks, modes, seeds and progress
    belong to the engine.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[Need, ...]]
    card: ClassVar[MethodCard]
    wants: ClassVar[Wants] = Wants()
    compares: ClassVar[bool] = False
    """Whether the scores of probes are set against the images' own, and so must be rounded alike:
    where the model was made lighter for the probes, the images are scored by it once more."""

    @property
    def settings(self) -> dict[str, object]:
        """The fields of this explainer with their values."""
        return {f.name: getattr(self, f.name) for f in fields(self)}  # pyright: ignore[reportArgumentType]

    @property
    def fuses_layers(self) -> bool:
        """Whether several layers give one map instead of a map each."""
        return False

    @property
    def weighs_by(self) -> ScoreMode:
        """What the scores of its passes are, where the target is a class: its logit by default."""
        return "logit"

    @property
    def watches_layer(self) -> bool:
        """Whether the method looks at a layer inside the model."""
        return self.wants.layer

    @property
    def examples(self) -> Float[Tensor, "example channel ..."] | None:
        """Images of the method's own, whose activations at the watched layer it needs."""
        return None

    def probes(self, clean: Seen, frame: Frame) -> Sequence[Probes]:
        """The probes to send after the pass over the images themselves; none by default.

        Args:
            clean: What was seen of the images themselves.
            frame: Units, field of view, and chance.
        """
        return ()

    @abstractmethod
    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        """The map, from the pass over the images and the answers to each set of probes in turn."""

    def conclude(self, parts: Mapping[str, object]) -> Mapping[str, object]:
        """The parts of the whole batch, where they are more than the parts of its images."""
        return parts


def check_count(what: str, value: object) -> None:
    """Refuse a setting that is no whole number from 1 on.

    Raises:
        TypeError: No whole number.
        ValueError: One below 1.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what} must be a whole number, but is {value!r}")
    if value < 1:
        raise ValueError(f"{what} must be at least 1, but is {value}")
