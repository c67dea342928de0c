"""Dates moved by whole days: intervals and times of day stay, the calendar does not."""

import re
from datetime import date, timedelta

_DATE = re.compile(r"(\d{4})[.]?(\d{2})[.]?(\d{2})")
"""DA of PS3.5 6.2, with the dots of its forerunner ACR-NEMA."""

_DATETIME = re.compile(r"(\d{4})(\d{2})?(\d{2})?((?:\d{2}){0,3}(?:\.\d{1,6})?)([+-]\d{4})?")
"""DT of PS3.5 6.2: year, month, day, time of day, difference from UTC."""

_TIME = re.compile(r"(?:\d{2}:?){1,3}(?:\.\d{1,6})?")

_AGE = re.compile(r"(\d{3})([DWMY])")
_PER_YEAR = {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}
_OLDEST = 89
"""45 CFR 164.514(b)(2)(i)(C): all ages over 89 become one, "90 or older"."""


def shifted_date(text: str, days: int) -> str | None:
    """A DA value so many days earlier; `None` where it is no date or falls before the year 1."""
    parts = _DATE.fullmatch(text.strip())
    if not parts:
        return None
    year, month, day = map(int, parts.groups())
    moved = _earlier(year, month, day, days)
    return moved and f"{moved.year:04}{moved.month:02}{moved.day:02}"


def shifted_datetime(text: str, days: int) -> str | None:
    """A DT value so many days earlier, as exact as it was.

    A year or a month alone moves as its middle does, so intervals between such values may change
    by one.
    """
    parts = _DATETIME.fullmatch(text.strip())
    if not parts:
        return None
    year, month, day, time, zone = parts.groups()
    moved = _earlier(int(year), int(month or 7), int(day or (15 if month else 1)), days)
    if moved is None:
        return None
    known = f"{moved.year:04}{moved.month:02}{moved.day:02}"
    return known[: len(year + (month or "") + (day or ""))] + time + (zone or "")


def is_time(text: str) -> bool:
    """Whether a TM value is a time of day, which moving by whole days leaves as it is."""
    return _TIME.fullmatch(text.strip()) is not None


def capped_age(text: str) -> str | None:
    """An AS value, over 89 years as 090Y; `None` where it is no age."""
    parts = _AGE.fullmatch(text.strip())
    if not parts:
        return None
    number, unit = int(parts[1]), parts[2]
    return "090Y" if number / _PER_YEAR[unit] >= _OLDEST + 1 else parts[0]


def age_at(birth: str, study: str) -> str | None:
    """The age in whole years at a date, capped; `None` where one of the two is no date."""
    dates = [_DATE.fullmatch(text.strip()) for text in (birth, study)]
    if not all(dates):
        return None
    born, seen = (tuple(map(int, found.groups())) for found in dates if found)
    years = seen[0] - born[0] - (seen[1:] < born[1:])
    return capped_age(f"{years:03}Y") if 0 <= years <= 150 else None


def _earlier(year: int, month: int, day: int, days: int) -> date | None:
    try:
        return date(year, month, day) - timedelta(days=days)
    except (ValueError, OverflowError):
        return None
