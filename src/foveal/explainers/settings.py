"""What a setting may be, said when it is given and not when it is used."""

from math import isfinite
from numbers import Real


def check_number(what: str, value: object) -> None:
    """Refuse a setting that is no finite number.

    Raises:
        TypeError: No number; truth values and tensors are none.
        ValueError: NaN or infinity.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{what} must be a number, but is {_shown(value)}")
    if not isfinite(value):
        raise ValueError(f"{what} must be finite, but is {value}")


def check_flag(what: str, value: object) -> None:
    """Refuse a setting that is neither true nor false.

    Raises:
        TypeError: Anything else, such as a text that says "no".
    """
    if not isinstance(value, bool):
        raise TypeError(f"{what} must be True or False, but is {_shown(value)}")


def _shown(value: object) -> str:
    """Numbers and names as they are, everything that may be long by its type."""
    short = value is None or isinstance(value, Real | str)
    return repr(value) if short else f"of type {type(value).__name__}"
