"""What does an explanation cost?"""

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module

from foveal.core import Score
from foveal.measures.base import MeasureCard

COST = MeasureCard(
    name="cost",
    question="How long does one explanation take?",
    direction="context",
    range=(0, np.inf),
    needs=("explainer",),
    chance="none",
    missing="never",
    cost="warm-up and repeats of the explanation itself",
    reference="median and quartiles of repeated calls after a warm-up, reading excluded",
)


def cost(
    explain: Callable[..., object],
    image: object,
    *,
    model: Module | None = None,
    batch_sizes: Sequence[int] | None = None,
    repeats: int = 50,
    warmup: int = 10,
) -> Score:
    """Median seconds of one explanation, after a warm-up, the device waited for.

    Args:
        explain: From whatever `image` is to an explanation; nothing else is timed.
        image: What to explain, already read and prepared. With `batch_sizes` a batch of one, array
            or tensor, which is repeated.
        model: The network behind `explain`. Its passes are counted in one more call, which is not
            timed, and its parameters.
        batch_sizes: Images in one call, such as (1, 16), where `explain` takes batches.
        repeats: Timed calls of each batch size.
        warmup: Calls before them that are not timed.

    Returns:
        Seconds an image, of the first batch size; how much is too much depends on the use. Never
        missing. `parts` holds the quartiles and, in bytes, the most memory that the process has
        held (`None` on Windows, which does not say) and the most on a CUDA device. With
        `batch_sizes` it holds these seconds of each size under `batches`; with `model` the images
        of one explanation sent `forward` and `backward`, and `parameters`.

    Raises:
        ValueError: No repeats, or a batch size below 1.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, but is {repeats}")
    if batch_sizes is not None and (not batch_sizes or min(batch_sizes) < 1):
        raise ValueError(f"batch_sizes must be 1 or more each, but are {tuple(batch_sizes)}")
    passes = {} if model is None else _passes(explain, image, model)
    batches = [
        {"images": size, **_seconds(explain, batch, size, repeats, warmup)}
        for size, batch in _batches(image, batch_sizes)
    ]
    return COST.score(
        batches[0]["seconds"],
        params={"repeats": repeats, "warmup": warmup},
        parts={
            "quartiles": batches[0]["quartiles"],
            "peak_memory_bytes": peak_memory(),
            "peak_device_bytes": torch.cuda.max_memory_allocated() if _on_cuda() else None,
            **passes,
            **({} if batch_sizes is None else {"batches": batches}),
        },
    )


def peak_memory() -> int | None:
    """The most memory that this process has held so far, in bytes; `None` on Windows."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _batches(image: Any, sizes: Sequence[int] | None) -> list[tuple[int, object]]:
    if sizes is None:
        return [(1, image)]
    whole = torch.cat if isinstance(image, Tensor) else np.concatenate
    return [(size, whole([image] * size)) for size in sizes]


def _seconds(
    explain: Callable[..., object], batch: object, size: int, repeats: int, warmup: int
) -> dict[str, object]:
    for _ in range(warmup):
        explain(batch)
    seconds = [_timed(explain, batch) / size for _ in range(repeats)]
    low, middle, high = np.percentile(seconds, [25, 50, 75]).tolist()
    return {"seconds": middle, "quartiles": (low, high)}


def _passes(explain: Callable[..., object], image: object, model: Module) -> dict[str, int]:
    with _counting(model) as counts:
        explain(image)
    return {**counts, "parameters": sum(p.numel() for p in model.parameters())}


@contextmanager
def _counting(model: Module) -> Generator[dict[str, int]]:
    """Count the images that go through a network, and the gradients that come back."""
    counts = {"forward": 0, "backward": 0}

    def came_back(gradient: Tensor) -> None:
        counts["backward"] += len(gradient)

    def went_through(_: Module, inputs: tuple[Tensor, ...], output: object) -> None:
        counts["forward"] += len(inputs[0])
        if isinstance(output, Tensor) and output.requires_grad:
            output.register_hook(came_back)

    handle = model.register_forward_hook(went_through)
    try:
        yield counts
    finally:
        handle.remove()


def _timed(explain: Callable[..., object], image: object) -> float:
    _wait()
    started = perf_counter()
    explain(image)
    _wait()
    return perf_counter() - started


def _wait() -> None:
    if _on_cuda():
        torch.cuda.synchronize()


def _on_cuda() -> bool:
    return torch.cuda.is_available()
