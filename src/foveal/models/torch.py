"""Modules from torch, timm, torchvision, MONAI and from a factory of your own."""

import sys
import zipfile
from collections.abc import Callable
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from foveal.core import ModelError
from foveal.models.card import Card, beside
from foveal.models.weights import fit_weights, read_weights


def build(card: Card, path: Path, *, trust: bool) -> tuple[nn.Module, tuple[str, ...]]:
    """The module of a card with its weights, and what was done to get them in.

    Raises:
        ModelError: A loader that needs trust or a missing package, an architecture that does not
            exist, weights that do not fit.
    """
    if card.loader == "memory":
        raise ModelError(f"{card.name} describes a network in memory; pass it with module=")
    if card.loader in ("python", "torch") and not trust:
        raise ModelError(
            f"loading {card.name} runs code that comes with it (loader {card.loader!r}); if you "
            "trust where it is from, say so with trust=True (--trust on the command line)"
        )
    if card.loader == "torch":
        return _exported(beside(path, card.weights or "")), ()
    module = _BUILDERS[card.loader](card, path)
    if card.weights is None:
        return module, ()
    state, unwrapped = read_weights(beside(path, card.weights))
    return module, unwrapped + fit_weights(module, state, card.name)


def _timm(card: Card, path: Path) -> nn.Module:
    timm = package("timm", "timm")
    arguments = {"num_classes": card.outputs, "in_chans": card.input.channels, **card.arguments}
    return _created(card, lambda: timm.create_model(card.architecture, **arguments))


def _torchvision(card: Card, path: Path) -> nn.Module:
    torchvision = package("torchvision", "torchvision")
    arguments = {"weights": None, "num_classes": card.outputs, **card.arguments}
    return _created(card, lambda: torchvision.models.get_model(card.architecture, **arguments))


def _monai(card: Card, path: Path) -> nn.Module:
    nets = package("monai.networks.nets", "monai")
    if not hasattr(nets, card.architecture or ""):
        raise ModelError(f"MONAI has no network {card.architecture!r} in monai.networks.nets")
    return _created(card, lambda: getattr(nets, card.architecture or "")(**card.arguments))


def _python(card: Card, path: Path) -> nn.Module:
    """The factory is looked for beside the card first, then among installed packages."""
    name, _, function = (card.factory or "").partition(":")
    try:
        factory = getattr(_module_beside(path, name) or import_module(name), function)
    except (ImportError, AttributeError, ValueError) as problem:
        raise ModelError(
            f'factory = "{card.factory}" of {card.name} cannot be found ({problem}); write '
            '"module:function", with the module beside the card or installed'
        ) from problem
    module = _created(card, lambda: factory(**card.arguments))
    if not isinstance(module, nn.Module):
        raise ModelError(
            f"factory {card.factory} gave {type(module).__name__}, not a torch.nn.Module"
        )
    return module


def _module_beside(card: Path, name: str) -> ModuleType | None:
    """The module in the card's own folder, under a name that no other card's module has."""
    file = card.parent.resolve().joinpath(*name.split(".")).with_suffix(".py")
    if not file.is_file():
        return None
    own_name = f"{name}@{file.parent}"
    spec = spec_from_file_location(own_name, file)
    if spec is None or spec.loader is None:
        return None
    module = module_from_spec(spec)
    sys.modules[own_name] = module
    spec.loader.exec_module(module)
    return module


_BUILDERS: dict[str, Callable[[Card, Path], nn.Module]] = {
    "timm": _timm,
    "torchvision": _torchvision,
    "monai": _monai,
    "python": _python,
}


def _created(card: Card, create: Callable[[], Any]) -> Any:
    try:
        return create()
    except (TypeError, ValueError, KeyError, RuntimeError) as problem:
        what = card.architecture or card.factory
        raise ModelError(
            f"{card.loader} cannot create {what!r} with {dict(card.arguments)}: {problem}"
        ) from problem


def _exported(path: Path) -> nn.Module:
    """An exported program with its layers restored, or a TorchScript module."""
    if not path.is_file():
        raise ModelError(f"there is no exported model at {path}")
    try:
        if _is_program(path):
            return torch.export.unflatten(torch.export.load(path))
        return torch.jit.load(path, map_location="cpu")
    except (RuntimeError, ValueError, zipfile.BadZipFile) as problem:
        raise ModelError(
            f"{path} is neither an exported program nor TorchScript: "
            f"{str(problem).splitlines()[0]}; for a state dict use another loader"
        ) from problem


def _is_program(path: Path) -> bool:
    """Exported programs and TorchScript are both zip archives; only the former have a graph."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return any("serialized_exported_program" in n or n.endswith("models/model.json") for n in names)


def package(name: str, extra: str) -> ModuleType:
    """A package that comes with an extra.

    Raises:
        ModelError: It is not installed, or imports a torchvision that was built for another torch.
    """
    try:
        return import_module(name)
    except ImportError as problem:
        raise ModelError(
            f"this card needs {name.split('.')[0]}: pip install 'foveal[{extra}]'"
        ) from problem
    except RuntimeError as problem:
        if "torchvision::" not in str(problem):
            raise
        raise ModelError(
            f"{name.split('.')[0]} imports torchvision, whose operators do not load beside this "
            f"torch ({torch.__version__}): they are built for another one. Install torch and "
            "torchvision as a pair, both for the CPU or both for CUDA"
        ) from problem
