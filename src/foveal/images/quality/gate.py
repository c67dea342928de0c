"""Whether an image is good enough, by limits that a plan sets."""

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from foveal.images.quality.record import Quality

Verdict = Literal["pass", "review", "refuse"]
Limits = Mapping[str, Mapping[str, str]]
"""Under "review" and "refuse": what a number must be, such as {"focus": ">= 1.2"}."""

_WORDS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
_LIMIT = re.compile(r"\s*(>=|<=|>|<)\s*([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*")


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What the limits say of one image."""

    verdict: Verdict
    reasons: tuple[str, ...]
    """Each limit that is not kept, with the number; those that refuse first."""


def gate(quality: Quality, limits: Limits) -> Gate:
    """Whether an image passes, is to be looked at, or is refused.

    A limit says what must hold: `{"refuse": {"focus": ">= 0.8"}, "review": {"focus": ">= 1.2"}}`.
    A number that is missing in an image breaks no limit.

    Raises:
        ValueError: A limit that cannot be read, or of a number that this kind of image never has.
    """
    check_limits(limits)
    reasons: dict[str, list[str]] = {"refuse": [], "review": []}
    for verdict, wanted in limits.items():
        for name, limit in wanted.items():
            if name not in quality.values:
                raise ValueError(
                    f"there is no number {name!r} of this image's quality; there are "
                    f"{', '.join(quality.values)}"
                )
            value = quality.values[name]
            if value is not None and not _holds(value, limit):
                reasons[verdict].append(f"{name} is {value:.3g}, but must be {limit.strip()}")
    found: Verdict = "refuse" if reasons["refuse"] else "review" if reasons["review"] else "pass"
    return Gate(verdict=found, reasons=(*reasons["refuse"], *reasons["review"]))


def check_limits(limits: Limits) -> None:
    """Refuse limits that cannot be read, before any image is.

    Raises:
        ValueError: Another heading than "review" and "refuse", or a limit that is no comparison.
    """
    for verdict, wanted in limits.items():
        if verdict not in ("review", "refuse"):
            raise ValueError(f"limits are set under 'review' and 'refuse', not under {verdict!r}")
        for name, limit in wanted.items():
            if _LIMIT.fullmatch(limit) is None:
                raise ValueError(
                    f"the limit of {name!r} must be a comparison such as '>= 0.5', not {limit!r}"
                )


def _holds(value: float, limit: str) -> bool:
    match = _LIMIT.fullmatch(limit)
    if match is None:
        raise ValueError(f"{limit!r} is no comparison such as '>= 0.5'")
    return _WORDS[match[1]](value, float(match[2]))
