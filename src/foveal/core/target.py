from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool

ScoreMode = Literal["logit", "probability", "log-odds"]
PixelSet = Literal["predicted", "all", "boundary"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """Which number of the output is explained.

    Give `index` for a class (or for one of several regression values), `index` with `against` for
    the contrast of two, `at_least` for "grade k or more", none of them for what the model itself
    predicts: the class with the highest score, the single logit, the regression value, or the
    detector's surest box.

    Raises:
        ValueError: Numbers that are negative or do not go together, a score or a set of pixels
            that does not exist, a box without an extent.
    """

    index: int | None = None
    against: int | None = None
    """The class that `index` is held against. Their contrast is the log-odds of the one where one
    of the two is given, for softmax and sigmoid heads the difference z_index - z_against of their
    logits; its `"probability"` is the sigmoid of that. Of regression values: their difference."""
    at_least: int | None = None
    score: ScoreMode = "logit"
    """The class logit, its probability, or the log-odds ln(p / (1 - p)) taken from the logits.
    Regression values and the scores of boxes are what they are."""
    pixels: PixelSet | tuple[int, ...] | Bool[np.ndarray, "..."] = "predicted"
    """The pixels of a segmentation whose class logits are averaged.

    The ones predicted as the class, of these the ones on its boundary alone (with a neighbour of
    another class above, below, left or right), all, one (row, column), or a mask on the output's
    grid; volumes put the slice first.

    A regression predicts no pixels, so of a dense one `"predicted"` is all. The cells of a vector
    regression, such as the points of a visual field, count as pixels where no `index` is given:
    `pixels="all"` is their mean, a mask over the cells the mean of a sector."""
    box: tuple[float, float, float, float] | None = None
    """The box of a detector that is followed, as (row, column) of its first corner and (row,
    column) of its last, in pixels of the input. `None` is the surest box of the class `index`."""
    output: str | int | None = None
    """The key or position of the output that is meant, where a model returns several."""
    label: str = ""
    """What people call it."""

    def __post_init__(self) -> None:
        if self.index is not None and self.at_least is not None:
            raise ValueError("a target is either a class (index) or a grade or more (at_least)")
        for name in ("index", "against", "at_least"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} must not be negative, but is {value}")
        if self.at_least == 0:
            raise ValueError("at_least must be 1 or more: every grade is at least 0")
        if self.against is not None and self.index in (None, self.against):
            raise ValueError(
                f"against={self.against} needs another class to hold against it, but index is "
                f"{self.index}"
            )
        self._check_choices()

    def _check_choices(self) -> None:
        named = [("score", self.score, ScoreMode)]
        if isinstance(self.pixels, str):
            named.append(("pixels", self.pixels, PixelSet))
        for name, value, choices in named:
            if value not in get_args(choices):
                known = ", ".join(map(repr, get_args(choices)))
                raise ValueError(f"{name} must be one of {known}, but is {value!r}")
        if self.box is not None:
            row, column, last_row, last_column = self.box
            if not (row < last_row and column < last_column):
                raise ValueError(
                    "box must be (row, column, last row, last column) with the last beyond the "
                    f"first, but is {self.box}"
                )
