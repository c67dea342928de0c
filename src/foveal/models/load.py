"""From a model card to a model that was tried out and checked."""

import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from foveal.core import FovealWarning, Image, ImageError, ModelError
from foveal.images import read, read_volume
from foveal.models.borrow import borrowed
from foveal.models.card import Card, beside
from foveal.models.keras import build_keras, copied, is_keras, network_of
from foveal.models.layers import recorded
from foveal.models.model import Model
from foveal.models.onnx import BlackBox, build_onnx
from foveal.models.toml import checked, read_toml
from foveal.models.torch import build
from foveal.models.weights import fingerprint


@torch.inference_mode(False)
def load(
    card: str | Path | Mapping[str, object],
    *,
    module: nn.Module | None = None,
    trust: bool = False,
    device: str | torch.device | None = None,
    run_check: bool = True,
) -> Model:
    """A model from its card, tried out and checked.

    Args:
        card: The card's file, or its contents as a mapping (then paths are relative to the
            working folder).
        module: A network in memory that the card describes; its loader and weights are not used.
            A Keras model is copied.
        trust: Allow loaders that run code which comes with the model (`python`, `torch`, `keras`
            for Lambda layers).
        device: Where a loaded model is put; a network in memory stays where it is.
        run_check: Run the card's check; without it nothing shows that the model is fed right.

    Warns:
        FovealWarning: The card has no `[check]`, so nothing shows that the model is fed right; an
            ONNX file that is run as a black box.

    Raises:
        ModelError: A card, a loader, weights or a check that is not right.
    """
    table, path = read_card(card, in_memory=module is not None)
    notes: tuple[str, ...] = ()
    if module is None:
        module, notes = _built(table, path, trust=trust)
        module = _placed(module, device)
    elif is_keras(module):
        module, notes = network_of(copied(module), table)
    mark = fingerprint(module, table.model_dump_json(exclude={"check", "weights", "calibrator"}))
    calibrator = None if table.calibrator is None else beside(path, table.calibrator)
    model = Model(card=table, module=module, fingerprint=mark, notes=notes, calibrator=calibrator)
    with borrowed(module):
        model = tried(model)
        _try_preparation(model)
        return checked_model(model, path) if run_check else model


def read_card(card: str | Path | Mapping[str, object], *, in_memory: bool) -> tuple[Card, Path]:
    """The card and the file that its paths are relative to.

    Raises:
        ModelError: No such file, or keys that are wrong, each with its line.
    """
    if isinstance(card, Mapping):
        table = {"loader": "memory", **card} if in_memory else card
        return checked(table, Card, ModelError, where="the model card"), Path("card")
    path = Path(card)
    return read_toml(path, Card, ModelError), path


def tried(model: Model) -> Model:
    """The model with what it was seen to give, by one forward and one backward pass.

    Raises:
        ModelError: The model does not run on an image of its card's size.
    """
    card = model.card
    images = torch.full((1, *card.input.shape), 0.5, device=model.device)
    batch = _only_batch(model, images)
    if isinstance(model.module, BlackBox):
        return replace(model, batch=batch)
    images = images.expand(batch or 1, *[-1] * (images.ndim - 1)).clone().requires_grad_()
    gives = {"scores"}
    with torch.enable_grad(), recorded(model.module) as runs:
        output = _attempt(model, images)
    if isinstance(output, Tensor) and output.requires_grad:
        (gradient,) = torch.autograd.grad(output.sum(), images, allow_unused=True)
        if gradient is not None:
            gives.add("input gradient")
    if any(run.output.ndim == images.ndim and run.differentiable for run in runs):
        gives.add("layer gradients")
    return replace(model, gives=frozenset(gives), batch=batch)


def checked_model(model: Model, path: Path) -> Model:
    """The model after its card's check; a warning where the card has none.

    Raises:
        ModelError: The model says something else than its card expects.
    """
    check = model.card.check
    if check is None:
        warnings.warn(
            f"the card of {model.card.name} has no [check]: nothing shows that its images are "
            "normalised as in training. When you know that the model is right, write one with "
            "`foveal inspect CARD --image IMAGE --write-check`",
            FovealWarning,
            stacklevel=3,
        )
        return model
    got = said_about(model, beside(path, check.image))
    differs = [abs(a - b) for a, b in zip(got, check.expected, strict=False)]
    if len(got) != len(check.expected) or max(differs) > check.tolerance:
        raise ModelError(
            f"{model.card.name} fails its check on {check.image}: expected "
            f"{_numbers(check.expected)}, got {_numbers(got)} (tolerance {check.tolerance:g}). "
            "The commonest cause is normalisation: look at mean, std, color, size and prepare "
            "under [input], then at weights"
        )
    return replace(model, check=f"passed, largest difference {max(differs):.2g}")


def said_about(model: Model, image: Path) -> list[float]:
    """The probabilities (their mean over the pixels of a segmentation) or values for a file.

    Raises:
        ModelError: The image cannot be read or prepared.
    """
    try:
        if model.card.input.sections is not None:
            return model.summary(model.output(model.look_at(read_volume(image)).tensor))
        prepared, _ = model.prepare(read(image))
    except ImageError as problem:
        raise ModelError(f"the check of {model.card.name} cannot be run: {problem}") from problem
    return model.summary(model.output(model.tensor(prepared)))


def _try_preparation(model: Model) -> None:
    """Find out at loading, not at the first image, that a step is misspelt."""
    rows, columns = np.mgrid[:64, :64]
    disc = (rows - 32) ** 2 + (columns - 32) ** 2 < 28**2
    pixels = np.where(disc, 0.4 + 0.005 * rows, 0.0).astype(np.float32)
    image = Image(pixels=np.stack([pixels] * 3), spacing_mm=(0.01, 0.01), laterality="right")
    try:
        # A step may need what only a real image has, such as the lines of a section.
        with suppress(ImageError):
            model.prepare(image)
    except (ValueError, TypeError) as problem:
        raise ModelError(f"prepare under [input] of {model.card.name}: {problem}") from problem


def _built(card: Card, path: Path, *, trust: bool) -> tuple[nn.Module, tuple[str, ...]]:
    if card.loader == "keras":
        return build_keras(card, path, trust=trust)
    if card.loader == "onnx":
        return build_onnx(card, path)
    module, notes = build(card, path, trust=trust)
    return network_of(module, card) if is_keras(module) else (module, notes)


def _placed(module: nn.Module, device: str | torch.device | None) -> nn.Module:
    try:
        return module if device is None else module.to(device)
    except (RuntimeError, AssertionError) as problem:
        raise ModelError(f"there is no device {str(device)!r} here: {problem}") from problem


def _attempt(model: Model, images: Tensor) -> object:
    try:
        return model.forward(images)
    except (RuntimeError, ValueError, IndexError, TypeError) as problem:
        size = " x ".join(map(str, images.shape[1:]))
        raise ModelError(
            f"{model.card.name} does not run on {size} input: {str(problem).splitlines()[0]}; "
            "look at size and color under [input]"
        ) from problem


def _only_batch(model: Model, image: Tensor) -> int | None:
    """One for a model that takes single images only, as exported without a free batch size."""
    with torch.no_grad():
        _attempt(model, image)
        try:
            model.forward(image.expand(2, *[-1] * (image.ndim - 1)).contiguous())
        except RuntimeError:
            return 1
    return None


def _numbers(values: object) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in values) + "]"  # type: ignore[attr-defined]
