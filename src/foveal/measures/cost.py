"""What does an explanation cost?"""

import sys
from collections.abc import Callable
from time import perf_counter

import numpy as np
import torch

from foveal.core import Score
from foveal.measures.base import MeasureCard

COST = MeasureCard(
    name="cost",
    question="How long does one explanation take?",
    direction="lower",
    range=(0, np.inf),
    needs=("explainer",),
    chance="none",
    missing="never",
    cost="warm-up and repeats of the explanation itself",
    reference="median and quartiles of repeated calls after a warm-up, reading excluded",
)


def cost(
    explain: Callable[[object], object],
    image: object,
    *,
    repeats: int = 50,
    warmup: int = 10,
) -> Score:
    """Median seconds of one explanation, after a warm-up, the device waited for.

    Args:
        explain: From whatever `image` is to an explanation; nothing else is timed.
        image: What to explain, already read and prepared.
        repeats: Timed calls.
        warmup: Calls before them that are not timed.

    Returns:
        Seconds; lower is better. `parts` holds the quartiles and the process's peak memory in
        bytes, `None` on Windows, which does not say. Never missing.

    Raises:
        ValueError: No repeats.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, but is {repeats}")
    for _ in range(warmup):
        explain(image)
    seconds = [_timed(explain, image) for _ in range(repeats)]
    low, middle, high = np.percentile(seconds, [25, 50, 75])
    return COST.score(
        float(middle),
        params={"repeats": repeats, "warmup": warmup},
        parts={
            "quartiles": (float(low), float(high)),
            "peak_memory_bytes": peak_memory(),
        },
    )


def peak_memory() -> int | None:
    """The most memory that this process has held so far, in bytes; `None` on Windows."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _timed(explain: Callable[[object], object], image: object) -> float:
    _wait()
    started = perf_counter()
    explain(image)
    _wait()
    return perf_counter() - started


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
