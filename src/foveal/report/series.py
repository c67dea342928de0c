"""The maps of one eye's visits on the first one's pixels, and what changed between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import stats

from foveal.core import Grid, ImageError, Region
from foveal.images import Change, change_map
from foveal.report.carry import Way

BY_CHANCE = 0.05
"""Share of pixels that are called changed where nothing has changed."""

Step = tuple[int, int]
"""From which visit to which, by their numbers."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesMap:
    """One method's maps of the visits of an eye, each on the pixels of the first visit.

    A change of a map is a change of what the model looks at. It is no measurement of disease: it
    also moves with light, focus and camera, and stays still where the model is blind.

    Raises:
        ValueError: Arrays that do not have the grid of the others, or a visit without a map.
    """

    key: str
    name: str
    """The method as people call it."""
    target: str
    numbers: tuple[int, ...]
    """Which visits these are, counted from 1; visits without a map are left out."""
    pictures: UInt8[np.ndarray, "visit row column 3"]
    """The photographs where they lie on the first one."""
    values: Float[np.ndarray, "visit row column"]
    """Raw and signed; NaN where a photograph does not reach or shows no eye."""
    repeats: Float[np.ndarray, "repeat row column"]
    """The maps of photographs repeated at one visit."""
    original: Grid
    """Of the first photograph, of which this grid may be a coarser one."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Which visits and repeats have no map of this method, and why."""

    def __post_init__(self) -> None:
        shape = len(self.numbers), *self.repeats.shape[1:]
        if self.values.shape != shape or self.pictures.shape != (*shape, 3):
            raise ValueError(
                f"a series of {len(self.numbers)} visits needs pictures and maps of one grid, but "
                f"pictures are {self.pictures.shape}, maps {self.values.shape} and repeats "
                f"{self.repeats.shape}"
            )

    @property
    def steps(self) -> tuple[Step, ...]:
        """From each visit to the next, and from the first to the last."""
        found = list(pairwise(self.numbers))
        if len(self.numbers) > 2:
            found.append((self.numbers[0], self.numbers[-1]))
        return tuple(found)

    @cached_property
    def changes(self) -> Mapping[Step, Change]:
        """Later minus earlier for each step, with the noise floor where there are repeats."""
        return {
            (first, second): change_map(
                self._of(first), self._of(second), repeats=list(self.repeats)
            )
            for first, second in self.steps
        }

    @property
    def threshold(self) -> float | None:
        """How many noise floors a pixel has to exceed to be called changed; `None` without a floor.

        Of pixels in which nothing changed 5 % exceed it, if photographs differ by normal noise: the
        0.975 quantile of Student's t with one degree of freedom less than there are repeats. With
        two repeats it is 12.7, with three 4.3, with six 2.6.
        """
        count = len(self.repeats)
        return float(stats.t.ppf(1 - BY_CHANCE / 2, count - 1)) if count > 1 else None

    def changed(self, step: Step) -> Bool[np.ndarray, "row column"] | None:
        """The pixels that changed by more than the threshold; `None` without a floor.

        Where repeats do not differ at all, any difference is a change.
        """
        change, threshold = self.changes[step], self.threshold
        if change.noise_floor is None or threshold is None:
            return None
        return np.abs(change.difference) > threshold * change.noise_floor

    def rows(self, regions: Sequence[Region] = ()) -> list[dict[str, object]]:
        """How much changed, a row for each step and region; the whole field stands first.

        `changed` is the share of pixels beyond the threshold, beside `by_chance`, the share that is
        there without any change. `mean_change` is in the map's own unit; `mean_in_floors` has it
        against what the same mean differs by between repeats, and is beyond noise where it exceeds
        `threshold`. What is missing has its reason.

        Args:
            regions: On the first photograph's pixels, as `foveal.read_regions` gives them.

        Raises:
            ImageError: A region of another size than the first photograph.
        """
        whole = np.ones(self.values.shape[1:], bool)
        masks = [(None, whole), *((region.name, self._carried(region)) for region in regions)]
        return [self._row(step, name, mask) for step in self.steps for name, mask in masks]

    def _row(
        self, step: Step, name: str | None, mask: Bool[np.ndarray, "row column"]
    ) -> dict[str, object]:
        change, changed = self.changes[step], self.changed(step)
        seen = mask & np.isfinite(change.difference)
        if changed is not None:
            seen &= np.isfinite(self.repeats).all(axis=0)
        reason = change.reason if seen.any() else "no pixel of it is seen at both visits"
        told: dict[str, object] = {
            "method": self.key,
            "target": self.target,
            "from": step[0],
            "to": step[1],
            "region": name,
            "mean_change": float(change.difference[seen].mean()) if seen.any() else None,
            "mean_in_floors": None,
            "changed": None,
            "by_chance": BY_CHANCE,
            "threshold": self.threshold,
            "reason": reason,
        }
        if changed is None or not seen.any():
            return told
        floor = np.sqrt(2) * np.std([one[seen].mean() for one in self.repeats], ddof=1)
        if floor > 0:
            told["mean_in_floors"] = float(change.difference[seen].mean() / floor)
        else:
            told["reason"] = "the repeats do not differ"
        return told | {"changed": float(changed[seen].mean())}

    def _of(self, number: int) -> Float[np.ndarray, "row column"]:
        return self.values[self.numbers.index(number)]

    def _carried(self, region: Region) -> Bool[np.ndarray, "row column"]:
        if region.grid != self.original:
            raise ImageError(
                f"the region {region.name!r} is {region.grid} (row, column), but the first "
                f"photograph {self.original}; regions lie on the first photograph"
            )
        grid = self.values.shape[1], self.values.shape[2]
        way = Way(steps=(), original=region.grid, prepared=region.grid, picture=grid)
        return way.carry(region.mask.astype(np.float32)) >= 0.5
