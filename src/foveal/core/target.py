from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool

ScoreMode = Literal["logit", "probability", "log-odds"]
PixelSet = Literal["predicted", "all"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """Which number of the output is explained.

    Give `index` for a class (or for one of several regression values), `at_least` for "grade k or
    more", neither for what the model itself predicts: the class with the highest score, the single
    logit, or the regression value.

    Raises:
        ValueError: Both `index` and `at_least`, or one that is negative.
    """

    index: int | None = None
    at_least: int | None = None
    score: ScoreMode = "logit"
    """The class logit, its probability, or the log-odds ln(p / (1 - p)) taken from the logits."""
    pixels: PixelSet | tuple[int, ...] | Bool[np.ndarray, "..."] = "predicted"
    """For segmentation: the pixels whose class logit is averaged. The ones predicted as the class,
    all, one (row, column), or a mask on the output's grid; volumes put the slice first."""
    label: str = ""
    """What people call it."""

    def __post_init__(self) -> None:
        if self.index is not None and self.at_least is not None:
            raise ValueError("a target is either a class (index) or a grade or more (at_least)")
        for name in ("index", "at_least"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} must not be negative, but is {value}")
        if self.at_least == 0:
            raise ValueError("at_least must be 1 or more: every grade is at least 0")
