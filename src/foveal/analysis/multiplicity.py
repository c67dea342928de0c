from collections.abc import Sequence

import numpy as np


def holm(p: Sequence[float | None]) -> list[float | None]:
    """P-values of one declared family, adjusted so that any false finding has at most level alpha.

    `None` stays `None` and does not count: no test was made.

    Reference:
        Holm 1979.
    """
    return _adjusted(p, descending=False)


def benjamini_hochberg(p: Sequence[float | None]) -> list[float | None]:
    """P-values adjusted for the share of false findings among all findings; for exploring.

    `None` stays `None` and does not count.

    Reference:
        Benjamini & Hochberg 1995.
    """
    return _adjusted(p, descending=True)


def _adjusted(p: Sequence[float | None], *, descending: bool) -> list[float | None]:
    tested = np.array([one for one in p if one is not None], dtype=np.float64)
    if tested.size and not ((tested >= 0) & (tested <= 1)).all():
        raise ValueError(f"p-values lie in [0, 1], but are {list(p)}")
    order = np.argsort(tested, kind="stable")
    ranks = np.arange(1, tested.size + 1)
    if descending:
        steps = np.minimum.accumulate((tested[order] * tested.size / ranks)[::-1])[::-1]
    else:
        steps = np.maximum.accumulate(tested[order] * (tested.size + 1 - ranks))
    adjusted = np.empty_like(tested)
    adjusted[order] = np.minimum(steps, 1)
    remaining = iter(adjusted.tolist())
    return [None if one is None else next(remaining) for one in p]
