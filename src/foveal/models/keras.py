"""Keras 3 models on torch: channels first, in inference, their layers watched by Keras's names."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from torch import Tensor, nn

from foveal.core import ModelError
from foveal.models.card import Card, beside
from foveal.models.foreign import check_fits_head, squashing_of, takes_channels_last
from foveal.models.torch import package

_PASSING = ("Pooling2D", "Dropout", "SpatialDropout2D", "Identity")
"""Ends of the names of layers that add no features."""
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, OSError, ImportError, BadZipFile)
"""What Keras raises on files that are damaged, foreign or refused."""


def build_keras(card: Card, path: Path, *, trust: bool) -> tuple[nn.Module, tuple[str, ...]]:
    """The network of a `.keras` file, and what was done to it.

    Raises:
        ModelError: A file of another format, damaged or with code in it that is not trusted; Keras
            on another backend than torch; an input or a last activation that the card contradicts.
    """
    file = beside(path, card.weights or "")
    _check_format(file)
    keras = _keras_on_torch()
    with keras.device("cpu"):
        model = _loaded(keras, file, card, trust=trust)
    return network_of(model, card)


def is_keras(module: nn.Module) -> bool:
    """Whether a module is a Keras model; never imports Keras."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(module, keras.Model)


def copied(model: Any) -> Any:
    """A copy of a Keras model in memory, which stays as it is.

    Raises:
        ModelError: A model that Keras cannot copy.
    """
    try:
        copy = sys.modules["keras"].models.clone_model(model)
        for ours, theirs in zip(copy.weights, model.weights, strict=True):
            ours.assign(theirs.value)
    except (ValueError, TypeError, NotImplementedError) as problem:
        raise ModelError(
            f"Keras cannot copy {model.name!r} ({str(problem).splitlines()[0]}); load it with "
            "loader 'python', by a factory that makes it"
        ) from problem
    return copy


def network_of(model: Any, card: Card) -> tuple[nn.Module, tuple[str, ...]]:
    """A Keras model that is ours as a network like others, without its last softmax or sigmoid.

    Raises:
        ModelError: An input or a last activation that the card contradicts.
    """
    keras = _keras_on_torch()
    shape = getattr(model, "input_shape", None) or (None,) * 4
    default = keras.config.image_data_format() == "channels_last"
    channels_last = takes_channels_last(shape, card, unsure=default)
    notes = _take_off_activation(model, card)
    return KerasNetwork(model, channels_last=channels_last), notes


class KerasNetwork(nn.Module):
    """A Keras model that takes and gives (batch, channel, row, column), always in inference.

    Keras decides between training and inference by an argument, not by the module's mode, and
    keeps its layers where torch does not look. So each layer has a module of its own here, under
    its Keras name, through which its output passes.
    """

    def __init__(self, model: Any, *, channels_last: bool) -> None:
        super().__init__()
        self._ask = partial(model, training=False)
        self._channels_last = channels_last
        self._keep(self, model, {})

    def forward(self, images: Tensor) -> object:
        keras = sys.modules["keras"]
        with keras.device(str(images.device)):  # else Keras moves its input to the first GPU
            output = self._ask(images.movedim(1, -1) if self._channels_last else images)
        return keras.tree.map_structure(self._outward, output)

    def _outward(self, output: object) -> object:
        if isinstance(output, Tensor) and output.ndim > 3 and self._channels_last:
            return output.movedim(-1, 1)
        return output

    def _keep(self, parent: nn.Module, model: Any, known: dict[int, nn.Module]) -> None:
        """A module with its weights for every layer of a model, below the model's own."""
        keras = sys.modules["keras"]
        inner: set[int] = set()
        for layer in model.layers:
            inner |= {id(variable) for variable in layer.weights}
            if isinstance(layer, keras.layers.InputLayer):
                continue
            if id(layer) not in known:
                passing = type(layer).__name__.endswith(_PASSING)
                known[id(layer)] = place = nn.Identity() if passing else KerasLayer(layer)
                layer.register_forward_hook(self._through(place))
                if isinstance(layer, keras.Model):
                    self._keep(place, layer, known)
                elif not passing:
                    _keep_weights(place, layer.weights)
            parent.add_module(_free_name(parent, layer.name), known[id(layer)])
        _keep_weights(parent, [v for v in model.weights if id(v) not in inner])

    def _through(self, place: nn.Module) -> Callable[[nn.Module, object, object], object]:
        """A hook by which a layer's output passes through its module here, channels first."""

        def hook(layer: nn.Module, given: object, output: object) -> object:
            if not isinstance(output, Tensor):
                return None
            if self._channels_last and output.ndim > 3:
                return place(output.movedim(-1, 1)).movedim(1, -1)
            return place(output)

        return hook


class KerasLayer(nn.Module):
    """Where the output of one Keras layer passes by."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.kind = type(layer).__name__
        """Keras's class."""

    def forward(self, output: Tensor) -> Tensor:
        return output


def _keep_weights(place: nn.Module, variables: Any) -> None:
    """Keras's own parameters, shared: what is moved, frozen or loaded here is so there as well."""
    for variable in variables:
        place.register_parameter(_free_name(place, variable.path.split("/")[-1]), variable.value)


def _free_name(place: nn.Module, name: str) -> str:
    """A name that torch takes: without dots, and not yet in use."""
    name = name.replace(".", "_")
    while hasattr(place, name):
        name += "_"
    return name


def _take_off_activation(model: Any, card: Card) -> tuple[str, ...]:
    """Make the model end in logits, where it ends in the activation of the card's head."""
    wanted = squashing_of(card)
    if wanted is None:
        return ()
    notes: list[str] = []
    ends = [_end(output) for output in getattr(model, "outputs", None) or ()]
    for layer in ends:
        found = _activation(layer)
        if len(ends) == 1:
            check_fits_head(found, wanted, card)
        if found != wanted:
            continue
        if hasattr(layer, "activation"):
            layer.activation = sys.modules["keras"].activations.linear
        else:  # a layer or an operation that is nothing but the activation
            layer.call = lambda inputs, *_, **__: inputs
        notes.append(
            f"the {found} of the last layer {layer.name!r} was taken off: its input is explained, "
            "the logit"
        )
    return tuple(notes)


def _end(output: Any) -> Any:
    """The layer or operation that gives an output, looked for in nested models as well."""
    history = output._keras_history
    inner = getattr(history.operation, "outputs", None)
    return _end(inner[history.tensor_index]) if inner else history.operation


def _activation(layer: Any) -> str:
    """The name of a layer's activation, or of the layer that is one."""
    return getattr(getattr(layer, "activation", type(layer)), "__name__", "").lower()


def _keras_on_torch() -> Any:
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "torch"  # read once, at the first import
    keras: Any = package("keras", "keras")
    backend = keras.config.backend() if hasattr(keras, "config") else f"Keras {keras.__version__}"
    if backend != "torch":
        raise ModelError(
            f"Keras runs on {backend} in this process, and models are explained on torch; set "
            "KERAS_BACKEND=torch before Keras 3 is first imported, or load the model in a process "
            "of its own"
        )
    return keras


def _check_format(file: Path) -> None:
    if file.is_dir() or file.suffix in (".h5", ".hdf5", ".pb"):
        what = "a folder, as a TensorFlow SavedModel is," if file.is_dir() else "of an older format"
        raise ModelError(
            f"{file} is {what} and loader 'keras' takes .keras files. Where the model was trained, "
            "either write one with Keras 3, keras.models.load_model(...).save('model.keras'), or "
            "export to ONNX for loader 'onnx': python -m tf2onnx.convert --saved-model FOLDER (or "
            "--keras FILE.h5) --opset 17 --output model.onnx"
        )
    if not file.is_file():
        raise ModelError(f"there is no Keras model at {file}; check `weights` in the model card")
    if file.suffix != ".keras":
        raise ModelError(f"{file} is no .keras file, which loader 'keras' takes")


def _loaded(keras: Any, file: Path, card: Card, *, trust: bool) -> Any:
    try:
        return keras.saving.load_model(file, compile=False, safe_mode=not trust)
    except _UNREADABLE as problem:
        text = str(problem)
        if "safe_mode" in text and not trust:
            raise ModelError(
                f"loading {card.name} runs code that comes with it (a Lambda layer or the like); "
                "if you trust where it is from, say so with trust=True (--trust on the command "
                "line)"
            ) from problem
        _, missing, rest = text.partition("Could not locate")
        why = (missing + rest if missing else text).splitlines()[0]
        raise ModelError(
            f"Keras cannot read {file}: {why}\nA model with layers of your own needs loader "
            "'python': a factory that imports them and returns the Keras model"
        ) from problem
