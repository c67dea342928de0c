"""What maps light up, beside what a class should be recognised by."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, NamedTuple

from foveal.store import Case

BACKGROUND = "background"
"""What a run calls the field outside all regions."""


class Lit(NamedTuple):
    """One structure or lesion under the maps of one method for one class."""

    model: str
    target: str
    key: str
    region: str


@dataclass
class _Shares:
    observed: list[float] = field(default_factory=list)
    chance: list[float] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class FocusRow:
    """One structure or lesion: what is expected and what was seen."""

    region: str
    expected: bool
    images: int
    """With a map that has anything positive, in which the region is outlined; 0 where in none."""
    observed: float | None
    """Mean percentage of the activated pixels."""
    chance: float | None
    """Mean percentage of the field."""

    @property
    def enrichment(self) -> float | None:
        """Observed by chance; 1 is what a map without information has."""
        if self.observed is None or not self.chance:
            return None
        return self.observed / self.chance


@dataclass(frozen=True, kw_only=True)
class FocusPart:
    """The maps of one method for one class."""

    model: str
    target: str
    key: str
    known: bool
    """Whether the scale says what is expected of the class."""
    note: str | None
    rows: tuple[FocusRow, ...]


class FocusShares:
    """Collects which structures the maps of each class light up, case by case."""

    def __init__(self) -> None:
        self._shares: dict[Lit, _Shares] = {}

    def add(self, case: Case) -> None:
        """Take in one case."""
        for view in case.views:
            for explained in view.explained:
                target = explained.attribution.target.removeprefix("predicted: ")
                for measured in explained.scores:
                    score, region = measured.score, measured.region
                    if score.name == "region_shares" and score.value is not None and region:
                        lit = Lit(view.model, target, explained.key, region)
                        held = self._shares.setdefault(lit, _Shares())
                        held.observed.append(score.value)
                        held.chance.append(score.chance or 0.0)

    def parts(self, header: Mapping[str, Any]) -> list[FocusPart]:
        """What was seen of each class of models with an expected focus, beside what is expected."""
        told: Mapping[str, Any] = header.get("expected_focus") or {}
        groups = dict.fromkeys((lit.model, lit.target, lit.key) for lit in self._shares)
        return [
            self._part(*group, told[group[0]]["classes"])
            for group in groups
            if told.get(group[0]) and group[1] in told[group[0]]["classes"]
        ]

    def _part(self, model: str, target: str, key: str, classes: Mapping[str, Any]) -> FocusPart:
        said = classes[target]
        wanted = [*said["lesions"], *said["structures"]] if said else []
        return FocusPart(
            model=model,
            target=target,
            key=key,
            known=said is not None,
            note=said and said["note"],
            rows=tuple(self._rows(model, target, key, wanted)),
        )

    def _rows(self, model: str, target: str, key: str, wanted: list[str]) -> Iterator[FocusRow]:
        """The expected ones first, outlined or not; then what else was outlined."""
        group = (model, target, key)
        seen = [lit.region for lit in self._shares if lit[:3] == group]
        others = sorted((r for r in seen if r not in wanted), key=lambda r: r == BACKGROUND)
        for region in (*wanted, *others):
            held = self._shares.get(Lit(*group, region), _Shares())
            yield FocusRow(
                region=region,
                expected=region in wanted,
                images=len(held.observed),
                observed=fmean(held.observed) if held.observed else None,
                chance=fmean(held.chance) if held.chance else None,
            )
