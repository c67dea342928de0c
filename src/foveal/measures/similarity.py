"""How alike are two maps? By ranks, by values, by structure, and by their strongest pixels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float, Shaped
from scipy.stats import rankdata
from skimage.metrics import structural_similarity

from foveal.measures.base import ground, top

TOP_SHARE = 0.1
"""The share of the field whose strongest pixels are compared."""
_SSIM_SIDE = 11
"""Side of the window of Wang et al. 2004: a Gaussian of sigma 1.5, cut off at 3.5 sigma."""
_FLAT = 1e-12
"""Below this share of its largest value, a map's spread is rounding."""

MapOf = Shaped[np.ndarray, "row column"]
Field = Bool[np.ndarray, "row column"]


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """One way to compare maps: what is made of each map once, and how two of these compare."""

    prepare: Callable[[MapOf, Field], Shaped[np.ndarray, "..."]]
    compare: Callable[[Shaped[np.ndarray, "..."], Shaped[np.ndarray, "..."], Field], float]
    chance: float | None
    """For two maps that have nothing to do with each other; `None` where it depends on them."""
    smallest_side: int = 1
    """Of a grid on which it is defined."""


def varies(map: MapOf, field: Field) -> bool:
    """Whether a map tells any two pixels of the field apart."""
    values = map[field]
    return bool(np.ptp(values) > _FLAT * np.abs(values).max())


def correlation(first: Float[np.ndarray, " pixel"], second: Float[np.ndarray, " pixel"]) -> float:
    """Of standardised values."""
    return float(np.clip(first @ second / len(first), -1, 1))


def standardised(values: Float[np.ndarray, " pixel"]) -> Float[np.ndarray, " pixel"]:
    """With mean 0 and standard deviation 1."""
    return (values - values.mean()) / values.std()


def ranks(values: Float[np.ndarray, " pixel"]) -> Float[np.ndarray, " pixel"]:
    """Standardised ranks; ties share theirs."""
    return standardised(rankdata(values))


def _correlated(
    first: Float[np.ndarray, " pixel"], second: Float[np.ndarray, " pixel"], field: Field
) -> float:
    return correlation(first, second)


def _at_most_one(map: MapOf, field: Field) -> Float[np.ndarray, "row column"]:
    """Divided by the largest magnitude in the field, and 0 outside."""
    inside = np.where(field, map, 0.0)
    largest = np.abs(inside).max()
    return inside / largest if largest > 0 else inside


def _ssim(
    first: Float[np.ndarray, "row column"], second: Float[np.ndarray, "row column"], field: Field
) -> float:
    """Mean over the field of the index of Wang et al. 2004, with their window and constants."""
    everywhere = structural_similarity(
        first, second, data_range=1.0, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True,
    )[1]  # fmt: skip
    return float(everywhere[field].mean())


def _strongest(share: float, map: MapOf, field: Field) -> Bool[np.ndarray, "row column"]:
    """The strongest share of the field, without the zeros by which a sparse map would fill it up.

    A draw among zeros would agree or disagree by itself.
    """
    on = ground(map, None, field, needs_mask=False)
    return top(on, max(1, round(share * on.area)), seed=0) & (on.positive > 0)


def _overlap(
    first: Bool[np.ndarray, "row column"], second: Bool[np.ndarray, "row column"], field: Field
) -> float:
    either = (first | second).sum()
    return float((first & second).sum() / either) if either else np.nan


STATISTICS: Mapping[str, Statistic] = MappingProxyType(
    {
        "spearman_abs": Statistic(
            prepare=lambda map, field: ranks(np.abs(map[field])), compare=_correlated, chance=0
        ),
        "spearman": Statistic(
            prepare=lambda map, field: ranks(map[field]), compare=_correlated, chance=0
        ),
        "pearson": Statistic(
            prepare=lambda map, field: standardised(map[field]), compare=_correlated, chance=0
        ),
        "ssim": Statistic(
            prepare=_at_most_one, compare=_ssim, chance=None, smallest_side=_SSIM_SIDE
        ),
        "topk_iou": Statistic(
            prepare=partial(_strongest, TOP_SHARE),
            compare=_overlap,
            chance=TOP_SHARE / (2 - TOP_SHARE),
        ),
    }
)
"""The ways to compare two maps, by name. All are blind to the maps' scale."""


def prepared(
    maps: Shaped[np.ndarray, "map row column"], field: Field, statistic: Statistic
) -> list[Shaped[np.ndarray, "..."] | None]:
    """What is made of each map once; `None` of one that is constant or too coarse."""
    large = min(maps.shape[1:]) >= statistic.smallest_side
    return [statistic.prepare(one, field) if large and varies(one, field) else None for one in maps]


def compared(
    first: Shaped[np.ndarray, "..."] | None,
    second: Shaped[np.ndarray, "..."] | None,
    field: Field,
    statistic: Statistic,
) -> float:
    """The similarity of two prepared maps; NaN where one of them is missing."""
    if first is None or second is None:
        return np.nan
    return statistic.compare(first, second, field)


def similarities(
    base: MapOf, others: Shaped[np.ndarray, "map row column"], field: Field, statistic: Statistic
) -> Float[np.ndarray, " map"]:
    """Of each map with the first one; NaN where one of the two is constant in the field."""
    (own,) = prepared(base[None], field, statistic)
    # One by one: many large maps, prepared, would not fit beside each other.
    return np.array(
        [compared(own, prepared(o[None], field, statistic)[0], field, statistic) for o in others]
    )
