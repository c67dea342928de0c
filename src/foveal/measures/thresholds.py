"""Which pixels of a map count as highlighted: five rules, each with its weakness."""

from dataclasses import dataclass, replace
from typing import Literal, TypedDict, get_args

import numpy as np
from jaxtyping import Bool, Float, Shaped
from skimage.filters import threshold_otsu

from foveal.measures.base import Array, Ground, ground, top

Rule = Literal["topk_area", "quantile", "fixed", "otsu", "mode_kstd"]
Mode = Literal["histogram", "half-sample"]
GUARD = (0.001, 0.5)
"""Shares of the field between which an adaptive threshold is believed."""
_BINS = 256
_RANKED = ("topk_area", "quantile")


class ThresholdKeywords(TypedDict, total=False):
    """The settings of the rules, by keyword."""

    quantile: float
    fraction: float
    k: float
    mode: Mode
    seed: int


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """How the strongest pixels A of a map are chosen; part of every number's name.

    Raises:
        ValueError: An unknown rule or mode, a share that is not in (0, 1], or a `k` that is not
            positive.
    """

    rule: Rule = "topk_area"
    """`topk_area`: as many as the region has, which leaves no threshold to choose; `quantile`:
    exactly the top `quantile` of the field; `fixed`: at least `fraction` times the largest value;
    `otsu`: the brighter of two classes; `mode_kstd`: mode plus `k` standard deviations."""
    quantile: float = 0.1
    fraction: float = 0.5
    k: float = 2.0
    mode: Mode = "histogram"
    """How `mode_kstd` finds the mode: the fullest of 256 bins, or half samples."""
    seed: int = 0
    """For the ties that values do not break."""

    def __post_init__(self) -> None:
        for name, value, known in (("rule", self.rule, Rule), ("mode", self.mode, Mode)):
            if value not in get_args(known):
                raise ValueError(f"{name} must be {_listed(get_args(known))}, but is {value!r}")
        for name, value in (("quantile", self.quantile), ("fraction", self.fraction)):
            if not 0 < value <= 1:
                raise ValueError(f"{name} must be in (0, 1], but is {value}")
        if not self.k > 0:
            raise ValueError(f"k must be positive, but is {self.k}")

    @property
    def ranked(self) -> bool:
        """Whether a number of pixels is taken, rather than all from a value on."""
        return self.rule in _RANKED

    def params(self) -> dict[str, object]:
        """The rule and the settings that it uses."""
        own = {
            "topk_area": {"seed": self.seed},
            "quantile": {"quantile": self.quantile, "seed": self.seed},
            "fixed": {"fraction": self.fraction},
            "otsu": {},
            "mode_kstd": {"k": self.k, "mode": self.mode},
        }[self.rule]
        return {"rule": self.rule, **own}


@dataclass(frozen=True, kw_only=True)
class Hot:
    """The strongest pixels of a map, and how they came about."""

    mask: Bool[np.ndarray, "row column"]
    value: float | None = None
    """The threshold, where the rule has one."""
    fell_back: bool = False
    """Whether Otsu's threshold stands in for an adaptive one that cannot be believed."""

    @property
    def area(self) -> int:
        """Pixels chosen."""
        return int(self.mask.sum())

    def parts(self) -> dict[str, object]:
        """What a score says of it."""
        return {} if self.value is None else {"threshold": self.value, "fell_back": self.fell_back}


def hot_pixels(on: Ground, threshold: Threshold) -> Hot:
    """The strongest pixels of the field; none where nothing is positive.

    A number of pixels is met exactly, in the order of `ranked`: a percentile of a map that is
    mostly zero would take all of it.
    """
    if on.problem == "zero_map":
        return Hot(mask=np.zeros_like(on.field))
    if threshold.ranked:
        share = max(1, round(threshold.quantile * on.area))
        count = on.mask_area if threshold.rule == "topk_area" else share
        return Hot(mask=top(on, count, threshold.seed))
    if threshold.rule == "mode_kstd":
        return _guarded(on, _mode_kstd(on, threshold.k, threshold.mode))
    if threshold.rule == "otsu":
        return _above(on, _otsu(on))
    return _above(on, threshold.fraction * float(on.positive.max()))


def activated(on: Ground, threshold: Threshold) -> Hot:
    """The strongest pixels, of them the positive ones.

    A rectified map may hold fewer positive pixels than a rule takes; the rest are not activated.
    """
    found = hot_pixels(on, threshold)
    return replace(found, mask=found.mask & (on.positive > 0))


def adaptive_threshold(
    map: Shaped[Array, "row column"],
    *,
    field: Shaped[Array, "row column"] | None = None,
    k: float = 2.0,
    mode: Mode = "histogram",
) -> Hot | str:
    """The pixels from mode + k standard deviations of the positive values on, guarded.

    Rectified maps have their mode at 0, so this is k standard deviations. On large hot areas the
    rule fails: of a map that is 1 on 30 % of the field and 0 elsewhere, k = 2.5 asks for 1.15.
    Where the threshold exceeds the maximum, or takes less than 0.1 % or more than 50 % of the
    field, Otsu's stands in and `fell_back` says so.

    Returns:
        The pixels and their threshold; the reason code of a map that holds none.

    Raises:
        ValueError: Shapes that differ, a field without a pixel, or a setting out of range.
    """
    on = ground(map, None, field, needs_mask=False)
    chosen = Threshold(rule="mode_kstd", k=k, mode=mode)
    return on.problem if on.problem is not None else hot_pixels(on, chosen)


def _guarded(on: Ground, value: float) -> Hot:
    found = _above(on, value)
    low, high = GUARD
    if value < on.positive.max() and low <= found.area / on.area <= high:
        return found
    other = _above(on, _otsu(on))
    return Hot(mask=other.mask, value=other.value, fell_back=True)


def _above(on: Ground, value: float) -> Hot:
    return Hot(mask=on.field & (on.positive >= value) & (on.positive > 0), value=value)


def _otsu(on: Ground) -> float:
    return float(threshold_otsu(on.positive[on.field], nbins=_BINS))


def _mode_kstd(on: Ground, k: float, mode: Mode) -> float:
    values = on.positive[on.field]
    found = _fullest_bin(values) if mode == "histogram" else _half_sample_mode(values)
    return found + k * float(values.std())


def _fullest_bin(values: Float[np.ndarray, " pixel"]) -> float:
    """The median of the values in the fullest bin: exactly 0 where zeros are the most."""
    counts, edges = np.histogram(values, bins=_BINS)
    fullest = int(counts.argmax())
    last = fullest == _BINS - 1
    below = values <= edges[fullest + 1] if last else values < edges[fullest + 1]
    return float(np.median(values[below & (values >= edges[fullest])]))


def _half_sample_mode(values: Float[np.ndarray, " pixel"]) -> float:
    """Of the sorted values the densest half, again and again (Bickel and Fruehwirth 2006)."""
    left = np.sort(values)
    while len(left) > 2:
        half = (len(left) + 1) // 2
        widths = left[half - 1 :] - left[: len(left) - half + 1]
        first = int(widths.argmin())
        left = left[first : first + half]
    return float(left.mean())


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
