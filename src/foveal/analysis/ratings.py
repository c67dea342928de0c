"""What readers said, as tables of numbers: a row one case, a column one reader, NaN missing."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Num

Ratings = Num[np.ndarray, "row reader"]


def counted(
    ratings: Ratings, labels: Sequence[float] | None = None
) -> tuple[Float[np.ndarray, " label"], Float[np.ndarray, "row label"]]:
    """The labels in order, and how many readers gave each to a case."""
    check_shape(ratings)
    found = np.unique(ratings[np.isfinite(ratings)]).astype(np.float64)
    known = found if labels is None else np.array(labels, dtype=np.float64)
    if len(np.unique(known)) < len(known):
        raise ValueError(f"labels must be different ones, but are {known.tolist()}")
    if not np.isin(found, known).all():
        raise ValueError(f"ratings {found.tolist()} are not all among the labels {known.tolist()}")
    return known, (ratings[:, :, None] == known).sum(axis=1).astype(np.float64)


def check_shape(ratings: Ratings) -> None:
    if ratings.ndim != 2 or ratings.shape[1] < 2:
        raise ValueError(
            "agreement needs a row for each case and two readers or more, a column each, but got "
            f"ratings of shape {ratings.shape}"
        )


def check_word(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, but is {value!r}")
