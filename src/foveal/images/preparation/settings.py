"""What a card gives is checked here, before it becomes a step."""

import math
from typing import Any


def number_in(name: str, value: Any, low: float, high: float) -> float:
    """The setting as a number.

    Raises:
        ValueError: No number, or one out of range.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")
    return float(value)


def one_of(name: str, value: Any, known: tuple[str, ...]) -> str:
    """The setting as one of the known words.

    Raises:
        ValueError: Another word, or none.
    """
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, but is {value!r}")
    return str(value)
