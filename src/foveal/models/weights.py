"""Weights from files that cannot run code, and whether they fit."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from struct import error as StructError  # noqa: N812 (a class by any name)

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from foveal.core import ModelError

_WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net", "teacher", "ema")
_PREFIXES = ("module.", "model.", "net.", "_orig_mod.")
_SHOWN = 5
_UNREADABLE = (
    SafetensorError, UnpicklingError, EOFError, RuntimeError, ValueError, LookupError, TypeError,
    AttributeError, AssertionError, StructError,
)  # fmt: skip
"""What the readers raise on files that are damaged or something else altogether."""


def read_weights(path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """A state dict and what was unwrapped to get at it.

    safetensors, or a torch file read with `weights_only=True`: pickled code never runs. State
    dicts wrapped as {"model": ...} or {"state_dict": ...} (Lightning's too) are unwrapped.

    Raises:
        ModelError: A file that is missing, damaged, needs pickled code, or holds no weights.
    """
    if not path.is_file():
        raise ModelError(f"there are no weights at {path}; check `weights` in the model card")
    try:
        if path.suffix == ".safetensors":
            return load_file(path), ()
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as problem:
        why = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise ModelError(
            f"cannot read the weights {path}: {why}\n"
            "Pickled objects are never loaded, as they can run code: save the state dict alone, "
            "best with safetensors.torch.save_file(model.state_dict(), ...)"
        ) from problem
    return _unwrapped(stored, path)


def fit_weights(module: nn.Module, state: Mapping[str, Tensor], name: str) -> tuple[str, ...]:
    """Load a state dict into a module, and say which prefix was taken off to make it fit.

    Raises:
        ModelError: Keys or shapes that differ, or values that are not finite.
    """
    broken = [k for k, v in state.items() if v.is_floating_point() and not bool(v.isfinite().all())]
    if broken:
        raise ModelError(
            f"the weights of {name} hold values that are not finite in {_listed(broken)}; "
            "the file is damaged or the training diverged"
        )
    own = module.state_dict()
    prefix = _common_prefix(state, own)
    state = {key.removeprefix(prefix): value for key, value in state.items()}
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    unknown = [key for key in state if key not in own]
    shapes = [
        f"{key} (model {tuple(own[key].shape)}, file {tuple(state[key].shape)})"
        for key in own
        if key in state and own[key].shape != state[key].shape
    ]
    problems = [
        f"{what}: {_listed(keys)}"
        for what, keys in (
            ("missing in the file", missing),
            ("unknown to the model", unknown),
            ("of another shape", shapes),
        )
        if keys
    ]
    if problems:
        raise ModelError(
            f"the weights do not fit {name}:\n  " + "\n  ".join(problems) + "\nCheck "
            "architecture, arguments and classes in the model card"
        )
    module.load_state_dict(dict(state), strict=False)
    return (f"took the prefix {prefix!r} off the weights' names",) if prefix else ()


def fingerprint(module: nn.Module, card: str) -> str:
    """SHA-256 over the card and every weight and buffer of the model."""
    digest = hashlib.sha256(card.encode())
    for key, value in sorted(module.state_dict().items()):
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(
            value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        )
    return digest.hexdigest()


def _unwrapped(stored: object, path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    notes: list[str] = []
    while isinstance(stored, Mapping):
        state = {key: value for key, value in stored.items() if isinstance(value, Tensor)}
        inner = next((w for w in _WRAPPERS if isinstance(stored.get(w), Mapping)), None)
        if inner is None and state:
            return state, tuple(notes)
        if inner is None:
            break
        notes.append(f"unwrapped the weights from {inner!r}")
        stored = stored[inner]
    what = f"keys {_listed(map(str, stored))}" if isinstance(stored, Mapping) else type(stored)
    raise ModelError(f"{path} holds no state dict of tensors but {what}")


def _common_prefix(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    """The prefix that every name in the file has and the model's names have not."""
    taken = ""
    keys = list(state)
    while keys and not set(keys) & set(own):
        prefix = next((p for p in _PREFIXES if all(key.startswith(p) for key in keys)), None)
        if prefix is None:
            return taken
        taken += prefix
        keys = [key.removeprefix(prefix) for key in keys]
    return taken


def _listed(names: object) -> str:
    listed = list(names)  # type: ignore[call-overload]
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more
