"""What the log of a run tells: where the time went, and what was warned of."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from foveal.store import Run


@dataclass(frozen=True, kw_only=True)
class History:
    """Times and warnings of a run, all its sittings together."""

    stages: Mapping[str, float]
    """Seconds of each stage, over the images that the log knows."""
    images: int
    """Images whose times are in the log."""
    seconds: Mapping[str, float]
    """Mean seconds of one map beyond the pass that all methods share, by the maps' name."""
    warnings: Mapping[str, Sequence[str]]
    """The images in which each warning came."""
    machines: Sequence[Mapping[str, object]]
    """What the run was made on."""


def history(run: Run) -> History:
    """The log in short; empty for a run without one."""
    stages: Counter[str] = Counter()
    seconds: dict[str, list[float]] = {}
    warnings: dict[str, dict[str, None]] = {}
    machines: list[Mapping[str, object]] = []
    images = 0
    for event in _events(run):
        if event.get("machine") not in (None, *machines):
            machines.append(event["machine"])
        match event.get("event"):
            case "shard":
                stages.update(event["seconds"])
                images += event["images"]
            case "cost":
                seconds.setdefault(event["key"], []).append(event["seconds"])
            case "warning":
                warnings.setdefault(event["text"], {})[event["image"]] = None
    return History(
        stages=dict(stages),
        images=images,
        seconds={key: sum(own) / len(own) for key, own in seconds.items()},
        warnings={text: tuple(images) for text, images in warnings.items()},
        machines=machines,
    )


def _events(run: Run) -> Sequence[Mapping[str, Any]]:
    """What a run writes into its log is plain, and other events pass unread."""
    return run.events()
