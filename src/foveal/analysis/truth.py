"""Which class a label of the manifest means."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

COLUMNS = ("grade", "label", "diagnosis", "truth")
"""Columns that hold the true class; the first that a run has is taken."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """The true class of each image."""

    column: str
    """Of the manifest."""
    index: Int[np.ndarray, " image"]
    """The number of the class; -1 where it is not known."""
    notes: tuple[str, ...] = ()

    @property
    def known(self) -> int:
        """Images with a true class."""
        return int((self.index >= 0).sum())


def truth_of(facts: Mapping[str, Sequence[str | None]], classes: Sequence[str]) -> Truth | None:
    """The true classes, from the first of `COLUMNS` that is there; `None` where none is.

    A label is the name of a class in capitals or small letters, or its number from 0. Anything
    else, such as `ungradable`, is no truth, and a note says how often it came.
    """
    column = next((name for name in COLUMNS if name in facts), None)
    if column is None:
        return None
    named = {name.lower(): number for number, name in enumerate(classes)}
    found, strange = [], Counter[str]()
    for text in facts[column]:
        number = -1 if text is None else _number(text, named, len(classes))
        if text is not None and number < 0:
            strange[text] += 1
        found.append(number)
    said = ", ".join(f"{text!r} ({count})" for text, count in strange.most_common(5))
    many = "image has" if strange.total() == 1 else "images have"
    note = f"{strange.total()} {many} a {column} that is no class of the model: {said}"
    return Truth(column=column, index=np.array(found, np.int64), notes=(note,) * bool(strange))


def _number(text: str, named: Mapping[str, int], classes: int) -> int:
    if text.lower() in named:
        return named[text.lower()]
    whole = text.removesuffix(".0")
    return int(whole) if whole.isdecimal() and int(whole) < classes else -1
