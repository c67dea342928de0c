"""All images together: how many, what was predicted, and each measure's numbers with its chance."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

from foveal.analysis.gains import GAIN
from foveal.analysis.records import Place, pooled_target
from foveal.core import REASONS, Direction, Score
from foveal.report.colour import scale_of
from foveal.report.verdicts import Verdicts
from foveal.store import ALL_LESIONS, Case, View


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Numbers taken together, counted as cases go by; their intervals are those of `Proof`."""

    place: Place
    direction: Direction
    valid: int
    missing: Mapping[str, int]
    """How many numbers are missing, by reason code."""
    mean: float | None
    median: float | None
    chance: float | None
    """Mean chance level of the numbers that have one."""
    better: int
    """Numbers better than their own chance level."""
    compared: int
    """Numbers that have a chance level and a direction."""


class Cohort:
    """Counts what a run's cases hold, one case at a time; keeps numbers, never pixels."""

    def __init__(self) -> None:
        self.images = 0
        self.maps = 0
        self.without_map: Counter[str] = Counter()
        """Maps with nothing to draw, by reason code."""
        self.failures: dict[str, str] = {}
        """Images that could not be explained, and why."""
        self.patients: set[str] = set()
        self.eyes: set[str] = set()
        self.predictions: dict[str, Counter[str]] = {}
        """How often each model said what."""
        self.passes: dict[str, Counter[str]] = {}
        """Maps, and the forward and backward passes made for them alone, by the maps' name."""
        self.verdicts = Verdicts()
        self._numbers: dict[Place, _Numbers] = {}
        self._headline: dict[Place, _Numbers] = {}

    @property
    def explained(self) -> int:
        """Images that did not fail."""
        return self.images - len(self.failures)

    def add(self, case: Case) -> None:
        """Count one case."""
        self.images += 1
        self.patients.update(name for name in (case.patient,) if name is not None)
        self.eyes.update(name for name in (case.eye,) if name is not None)
        if case.failure is not None:
            self.failures[case.id] = case.failure
        for view in case.views:
            self.predictions.setdefault(view.model, Counter())[view.prediction.label] += 1
            self._add_view(view)

    def pools(self) -> list[Pool]:
        """Every measure on every region, in the order in which they were met."""
        return [self._pool(place, numbers) for place, numbers in self._numbers.items()]

    def headline(self) -> list[Pool]:
        """Every measure once a method: without a region, or on the lesions.

        An image counts with all its lesions together. Without lesions it does not count under
        measures that need a region: on anatomy high is not simply better. The region of a headline
        is therefore `None`.
        """
        return [self._pool(place, numbers) for place, numbers in self._headline.items()]

    def _pool(self, place: Place, numbers: "_Numbers") -> Pool:
        judged = None
        if place.measure == GAIN:
            judged = self.verdicts.judged(place.model, place.target, place.key)
        if judged is not None:
            numbers = _Numbers(numbers.direction)
            for score in judged:
                numbers.add(score)
        return numbers.pool(place)

    def _add_view(self, view: View) -> None:
        chosen = _headline_regions(view)
        for target in dict.fromkeys(e.attribution.target for e in view.explained):
            maps = [e for e in view.explained if e.attribution.target == target]
            self.verdicts.add(view.model, pooled_target(target), maps)
        for explained in view.explained:
            made = explained.attribution
            self.maps += 1
            if scale_of(made) is None:
                self.without_map[made.reason or "zero_map"] += 1
            passes = {name: int(made.cost.get(name, 0)) for name in ("forward", "backward")}
            self.passes.setdefault(explained.key, Counter()).update(maps=1, **passes)
            everywhere = {m.score.name for m in explained.scores if m.region is None}
            for measured in explained.scores:
                place = Place(
                    view.model,
                    pooled_target(made.target),
                    explained.key,
                    measured.score.name,
                    measured.region,
                )
                self._numbers.setdefault(place, _Numbers(measured.score.direction)).add(
                    measured.score
                )
                if measured.region is None or (
                    measured.region in chosen and measured.score.name not in everywhere
                ):
                    whole = place._replace(region=None)
                    self._headline.setdefault(whole, _Numbers(measured.score.direction)).add(
                        measured.score
                    )


@dataclass
class _Numbers:
    direction: Direction
    values: list[float] = field(default_factory=list)
    chances: list[float] = field(default_factory=list)
    missing: Counter[str] = field(default_factory=Counter)
    better: int = 0
    compared: int = 0

    def add(self, score: Score) -> None:
        if score.value is None:
            self.missing[score.reason or ""] += 1
            return
        self.values.append(score.value)
        if score.chance is None:
            return
        self.chances.append(score.chance)
        if self.direction != "context":
            self.compared += 1
            self.better += beats_chance(score)

    def pool(self, place: Place) -> Pool:
        return Pool(
            place=place,
            direction=self.direction,
            valid=len(self.values),
            missing=dict(sorted(self.missing.items())),
            mean=fmean(self.values) if self.values else None,
            median=median(self.values) if self.values else None,
            chance=fmean(self.chances) if self.chances else None,
            better=self.better,
            compared=self.compared,
        )


_UNNOTICED = 1e-3


def beats_chance(score: Score) -> bool:
    """Whether a number lies on the good side of its chance level; equal is not better.

    Where neither way is better, no number is. Where regions or orders were drawn at random it must
    be better than each of them, and by more than a change of probability that nobody would notice.
    """
    if score.value is None or score.chance is None or score.direction == "context":
        return False
    sign = 1 if score.direction == "higher" else -1
    rivals = [score.chance, *(score.null or ())]
    least = _UNNOTICED if score.null else 0.0
    return sign * score.value > max(sign * rival for rival in rivals) + least


def missing_in_words(missing: Mapping[str, int]) -> str:
    """How many numbers are missing, and why."""
    return "; ".join(f"{count}: {REASONS.get(code, code)}" for code, count in missing.items())


def _headline_regions(view: View) -> Sequence[str]:
    measured = {m.region for explained in view.explained for m in explained.scores}
    if ALL_LESIONS in measured:
        return (ALL_LESIONS,)
    return [region.name for region in view.regions if region.kind == "lesion"]
