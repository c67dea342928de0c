"""The model card: what a model is, how its images are prepared, and how to tell it is right."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from foveal.models.heads import Head

Task = Literal["multiclass", "binary", "multilabel", "ordinal", "regression", "segmentation"]
Loader = Literal["torch", "timm", "torchvision", "monai", "keras", "onnx", "python", "memory"]

_HEADS: dict[str, Head] = {
    "multiclass": "softmax",
    "binary": "sigmoid",
    "multilabel": "sigmoid",
    "ordinal": "softmax",
    "regression": "identity",
    "segmentation": "softmax",
}
_NEEDS_WEIGHTS = ("timm", "torchvision", "monai", "torch", "keras", "onnx")
_NEEDS_ARCHITECTURE = ("timm", "torchvision", "monai")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class InputTable(_Table):
    """How an image in display units becomes what the model takes."""

    size: tuple[Annotated[int, Field(ge=1, le=32768)], Annotated[int, Field(ge=1, le=32768)]]
    """Rows and columns."""
    color: Literal["rgb", "gray"] = "rgb"
    sections: Annotated[int, Field(ge=1, le=4096)] | None = None
    """The model takes volumes of so many sections; without it, single images."""
    axes: Literal["channel slice row column", "slice channel row column"] = (
        "channel slice row column"
    )
    """How it takes a volume: convolved over the sections, or section by section."""
    scale: Literal["card", "image"] = "card"
    """Standardised by `mean` and `std`, or each image by its own."""
    mean: tuple[float, ...] = (0.0,)
    std: tuple[Annotated[float, Field(gt=0)], ...] = (1.0,)
    prepare: tuple[dict[str, object], ...] = (
        {"step": "field-of-view"},
        {"step": "resize", "aspect": "pad"},
    )

    @property
    def channels(self) -> int:
        """Three for colour, one for grey."""
        return 3 if self.color == "rgb" else 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input, without the batch."""
        if self.sections is None:
            return (self.channels, *self.size)
        pair = (self.channels, self.sections)
        return (*(pair if self.axes.startswith("channel") else pair[::-1]), *self.size)

    @model_validator(mode="after")
    def _fits(self) -> "InputTable":
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.channels):
                raise ValueError(
                    f"{name} has {len(values)} numbers, but a {self.color} image has "
                    f"{self.channels} channels"
                )
        if self.scale == "image" and self.model_fields_set & {"mean", "std"}:
            raise ValueError(
                'scale = "image" takes mean and std from each image; leave mean and std out'
            )
        return self


class OutputTable(_Table):
    """Which part of the output is meant, and in which unit."""

    key: str | int | None = None
    unit: str | None = None
    train_sd: Annotated[float, Field(gt=0)] | None = None
    """Standard deviation of the value over the training set, in its unit."""


class ExplainTable(_Table):
    """The layers to explain where none are asked for."""

    layers: tuple[str, ...] = ()


class CheckTable(_Table):
    """What the model says about one image when everything is loaded right."""

    image: str
    expected: tuple[float, ...]
    tolerance: Annotated[float, Field(gt=0)] = 1e-3


class Card(_Table):
    """A model card, as in `model.toml`.

    Raises:
        ValidationError: Keys that are unknown, missing or do not fit each other.
    """

    name: Annotated[str, Field(min_length=1)]
    loader: Loader
    architecture: str | None = None
    factory: str | None = None
    """For the loader `python`: `module:function`, called with `arguments`."""
    arguments: dict[str, object] = {}
    """Keyword arguments of the architecture or the factory."""
    weights: str | None = None
    task: Task
    head: Head | None = None
    classes: tuple[str, ...] = ()
    input: InputTable
    output: OutputTable = OutputTable()
    explain: ExplainTable = ExplainTable()
    check: CheckTable | None = None
    calibrator: str | None = None
    """A file with a fitted calibrator, for the probabilities that are shown."""

    @property
    def activation(self) -> Head:
        """The head that is meant: as given, else as the task suggests."""
        if self.head is not None:
            return self.head
        return "softmax" if self.task == "binary" and self._two_outputs else _HEADS[self.task]

    @property
    def outputs(self) -> int:
        """How many numbers (per pixel) the model gives, as far as the card says."""
        if self.task == "regression":
            return max(1, len(self.classes))
        if self.activation in ("cumulative", "coral"):
            return len(self.classes) - 1
        single = self.task in ("binary", "segmentation") and self.activation == "sigmoid"
        return 1 if single and len(self.classes) == 2 else len(self.classes)

    @property
    def _two_outputs(self) -> bool:
        return self.arguments.get("num_classes") == 2

    @model_validator(mode="after")
    def _is_complete(self) -> "Card":
        if self.loader == "python" and not self.factory:
            raise ValueError("loader 'python' needs factory = \"module:function\"")
        if self.loader in _NEEDS_ARCHITECTURE and not self.architecture:
            raise ValueError(f"loader {self.loader!r} needs an architecture")
        if self.loader in _NEEDS_WEIGHTS and not self.weights:
            raise ValueError(f"loader {self.loader!r} needs weights")
        if self.task != "regression" and not self.classes:
            raise ValueError(f"task {self.task!r} needs classes, in the order of the outputs")
        if self.task == "binary" and len(self.classes) != 2:
            raise ValueError(f"task 'binary' needs two classes, not {len(self.classes)}")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("two classes have the same name")
        return self


def beside(card: Path, name: str) -> Path:
    """A file that a card names, relative to the card's own folder."""
    return card.parent / name
