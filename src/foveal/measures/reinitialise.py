"""Gives layers fresh weights for a while: which layers, in what order, and back again."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Tensor, nn

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)

Stage = tuple[str, ...]
"""Layers, by their dotted names, that are given fresh weights together."""


@contextmanager
def running_order(model: nn.Module) -> Generator[list[str]]:
    """The layers with weights of their own, in the order in which they first run inside."""
    seen: list[str] = []
    handles = []
    for name, part in model.named_modules():
        if _own_weights(part):

            def ran(module: nn.Module, inputs: object, name: str = name) -> None:
                if name not in seen:
                    seen.append(name)

            handles.append(part.register_forward_pre_hook(ran))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def stages_of(model: nn.Module, order: Sequence[str], most: int) -> list[Stage]:
    """The layers from the top down, in at most `most` groups of neighbours.

    A norm, whose weights are vectors, goes with the layer before it. A layer whose weights are
    used by the module around it (the last projection of attention) goes with that.
    """
    parts = dict(model.named_modules())
    layers: list[list[str]] = []
    for name in order:
        vectors = all(p.ndim < 2 for p in parts[name].parameters(recurse=False))
        if vectors and layers:
            layers[-1].append(name)
        else:
            layers.append([name])
    for name in left_out(model, order):
        around = [layer for layer in layers if any(name.startswith(f"{own}.") for own in layer)]
        if around:
            around[-1].append(name)
    count = min(most, len(layers))
    edges = [round(k * len(layers) / count) for k in range(count + 1)] if count else [0]
    groups = [layers[a:b] for a, b in pairwise(edges)]
    return [tuple(name for layer in group for name in layer) for group in reversed(groups)]


def left_out(model: nn.Module, order: Sequence[str]) -> list[str]:
    """Layers with weights that did not run."""
    return [n for n, part in model.named_modules() if _own_weights(part) and n not in order]


@contextmanager
def kept(model: nn.Module) -> Generator[None]:
    """Whatever happens inside, the model's weights, buffers and the random state come back."""
    tensors = {id(t): t for t in (*model.parameters(), *model.buffers())}
    before = {key: tensor.detach().clone() for key, tensor in tensors.items()}
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        try:
            yield
        finally:
            with torch.no_grad():
                for key, tensor in tensors.items():
                    tensor.copy_(before[key])


def reinitialise(model: nn.Module, stage: Stage) -> list[str]:
    """Give layers fresh weights by their own initialiser, running statistics excepted.

    Gives those layers that have none; theirs are drawn from a normal distribution with the mean and
    the standard deviation that each weight has.
    """
    parts = dict(model.named_modules())
    return [name for name in stage if not _fresh(parts[name])]


@torch.no_grad()
def reestimate(model: nn.Module, layers: Sequence[str], forward: Callable[[], object]) -> None:
    """Estimate the running statistics of the batch norms among layers on what `forward` sends.

    The statistics of one call replace the old ones.
    """
    parts = dict(model.named_modules())
    norms = [norm for name in layers if isinstance(norm := parts[name], _BATCH_NORMS)]
    before = [(norm, norm.training, norm.momentum) for norm in norms]
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.training, norm.momentum = True, None
        forward()
    finally:
        for norm, training, momentum in before:
            norm.training, norm.momentum = training, momentum


@torch.no_grad()
def _fresh(part: nn.Module) -> bool:
    """Whether the layer had an initialiser of its own."""
    reset = getattr(part, "reset_parameters", None) or getattr(part, "_reset_parameters", None)
    if reset is None:
        for weight in part.parameters(recurse=False):
            spread = float(weight.std()) if weight.numel() > 1 else abs(weight.item())
            weight.normal_(float(weight.mean()), spread)
        return False
    statistics: dict[str, Tensor] = {n: b.clone() for n, b in part.named_buffers(recurse=False)}
    reset()
    for name, buffer in part.named_buffers(recurse=False):
        buffer.copy_(statistics[name])
    return True


def _own_weights(part: nn.Module) -> bool:
    return any(True for _ in part.parameters(recurse=False))
