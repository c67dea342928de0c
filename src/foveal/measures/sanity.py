"""Do maps of a ruined model still look like those of the trained one, image by image?"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Shaped

from foveal.measures.similarity import STATISTICS, compared, prepared, varies

PASS_AUROC = 0.6
"""The largest upper bound at which a method is said to notice."""
FEWEST_PATIENTS = 5
"""Fewer give no interval."""
_RESAMPLES = 1000
_SAME = 1 - 1e-6
"""A rank correlation from which two maps have the same order of pixels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """The maps of the trained model, which those of ruined ones are held against."""

    maps: Float[np.ndarray, "image row column"]
    field: Bool[np.ndarray, "row column"]
    patients: Shaped[np.ndarray, " image"]
    leading: str
    """The statistic whose cross-image null is drawn; a name of `STATISTICS`."""

    def against(self, ruined: Float[np.ndarray, "image row column"]) -> "Against":
        """How the ruined model's maps of the same images compare."""
        finite = np.where(np.isfinite(ruined), ruined, 0)
        same: dict[str, Float[np.ndarray, " image"]] = {}
        cross = np.empty((0, 0))
        for name, statistic in STATISTICS.items():
            own, other = self._prepared[name], prepared(finite, self.field, statistic)
            pairs = zip(own, other, strict=True)
            same[name] = np.array([compared(a, b, self.field, statistic) for a, b in pairs])
            if name == self.leading:
                cross = np.array(
                    [[compared(a, b, self.field, statistic) for b in other] for a in own]
                )
        flat = sum(not varies(one, self.field) for one in finite)
        return Against(same=same, cross=cross, flat_maps=flat)

    @cached_property
    def _prepared(self) -> dict[str, list[Shaped[np.ndarray, "..."] | None]]:
        return {n: prepared(self.maps, self.field, one) for n, one in STATISTICS.items()}


@dataclass(frozen=True, kw_only=True, eq=False)
class Against:
    """Similarities of trained and ruined maps; NaN where one of the two is constant."""

    same: dict[str, Float[np.ndarray, " image"]]
    """Of one image, by the names of `STATISTICS`."""
    cross: Float[np.ndarray, "trained ruined"]
    """Of the leading statistic, for every pair of images."""
    flat_maps: int
    """Ruined maps that are constant: counted, never scored as alike."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a map can be told from others' by its likeness to the ruined one."""

    auroc: float | None
    """Chance that a same-image pair is more alike than one of two patients; 0.5 is none."""
    interval: tuple[float, float] | None
    """95 %, patients drawn with replacement."""
    mean_difference: float | None
    """Same-image less cross-image similarity."""
    passed: bool | None
    """The upper end is at most 0.60 and some map changes; `None` where there is no interval."""
    unchanged: bool = False
    """Not one map changes: the method never asks the weights, though its maps, where they are the
    same for every image, tell no image from another."""

    def parts(self) -> dict[str, object]:
        """As a score holds it."""
        return {
            "auroc": self.auroc,
            "auroc_interval": self.interval,
            "mean_difference": self.mean_difference,
            "passed": self.passed,
            "passed_reason": "too_few" if self.passed is None else None,
            "unchanged": self.unchanged,
        }


def verdict(
    crossed: Sequence[Float[np.ndarray, "trained ruined"]],
    patients: Shaped[np.ndarray, " image"],
    seed: int,
) -> Verdict:
    """Same-image against cross-image similarity over repeats, with patients as the unit.

    A trained map may be like any map of the ruined model, since all eyes are round: only what it
    keeps of its own image counts. Pairs of two images of one patient are left out.
    """
    of, numbers = _codes(patients)
    pairs = _Pairs(np.stack(crossed), of)
    if not (len(pairs.same) and len(pairs.cross)):
        return Verdict(auroc=None, interval=None, mean_difference=None, passed=None)
    every = np.ones(numbers)
    difference = float(pairs.same.mean() - pairs.cross.mean())
    interval = _interval(pairs, numbers, seed) if numbers >= FEWEST_PATIENTS else None
    unchanged = bool((pairs.same >= _SAME).all())
    return Verdict(
        auroc=pairs.auroc(every),
        interval=interval,
        mean_difference=difference,
        passed=None if interval is None else interval[1] <= PASS_AUROC and not unchanged,
        unchanged=unchanged,
    )


class _Pairs:
    """Similarities of same-image and cross-patient pairs, with whose they are."""

    def __init__(self, crossed: Float[np.ndarray, "repeat trained ruined"], of: np.ndarray) -> None:
        one, other = np.broadcast_to(of[:, None], crossed.shape), np.broadcast_to(of, crossed.shape)
        known = ~np.isnan(crossed)
        own = np.broadcast_to(np.eye(len(of), dtype=bool), crossed.shape) & known
        foreign = (one != other) & known
        self.same, self.same_of = crossed[own], one[own]
        order = np.argsort(crossed[foreign], kind="stable")
        self.cross = crossed[foreign][order]
        self.cross_of = one[foreign][order], other[foreign][order]
        self._below = np.searchsorted(self.cross, self.same, "left")
        self._up_to = np.searchsorted(self.cross, self.same, "right")

    def auroc(self, times: Float[np.ndarray, " patient"]) -> float | None:
        """Mann-Whitney, ties counting half, each patient `times` over."""
        first, second = self.cross_of
        weights = times[first] * times[second]
        total = np.append(0, np.cumsum(weights))
        own = times[self.same_of]
        if not (own.any() and total[-1]):
            return None
        wins = 0.5 * (total[self._below] + total[self._up_to])
        return float((own * wins).sum() / (own.sum() * total[-1]))


def _interval(pairs: _Pairs, patients: int, seed: int) -> tuple[float, float] | None:
    random = np.random.default_rng(seed)
    drawn = random.multinomial(patients, np.full(patients, 1 / patients), size=_RESAMPLES)
    found = [a for times in drawn if (a := pairs.auroc(times.astype(float))) is not None]
    low, high = np.percentile(found, [2.5, 97.5]).tolist()
    return low, high


def _codes(patients: Sequence[Hashable] | np.ndarray) -> tuple[np.ndarray, int]:
    known, codes = np.unique(np.asarray(patients), return_inverse=True)
    return codes, len(known)
