"""Takes turns, so that a machine that slows down slows everybody down alike."""

from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter


def ratios(calls: Mapping[str, Callable[[], object]], *, rounds: int = 9) -> dict[str, float]:
    """Median over the rounds of each call's time by the first one's in the same round."""
    for call in calls.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            started = perf_counter()
            call()
            seconds[name].append(perf_counter() - started)
    first = next(iter(calls))
    print(f"  {first}: {1000 * median(seconds[first]):.0f} ms")
    pairs = {name: zip(own, seconds[first], strict=True) for name, own in seconds.items()}
    return {name: median(a / b for a, b in each) for name, each in pairs.items()}


def show(found: Mapping[str, float], bounds: Mapping[str, float]) -> bool:
    """Print each ratio beside what is promised; true when every promise is kept."""
    kept = True
    for name, ratio in found.items():
        bound = bounds.get(name)
        promise = "" if bound is None else f"  promised: at most {bound:.2f}"
        broken = bound is not None and ratio > bound
        print(f"  {name:34} {ratio:5.2f}{promise}{'  BROKEN' if broken else ''}")
        kept = kept and not broken
    return kept
