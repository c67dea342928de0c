"""What a run's cases are like: what a reviewer asks of data, maps and their resolution."""

from collections import Counter
from collections.abc import Mapping
from statistics import median

import numpy as np

from foveal.report.carry import way_of
from foveal.report.cohort import pooled_target
from foveal.report.colour import scale_of
from foveal.report.words import ELSEWHERE
from foveal.store import Case, Explained, View

_VALUES = 20
"""Different values of a label that are counted one by one; a label with more is no group."""
_TOLD = ("format", "color")
"""What files say of how they were made."""


class Traits:
    """Counts what cases are like, one case at a time; keeps numbers, never pixels."""

    def __init__(self) -> None:
        self.modalities: Counter[str] = Counter()
        self.sides: Counter[str] = Counter()
        self.made: Counter[str] = Counter()
        """What the files say of their making: format and colour."""
        self.spaced = 0
        """Explained images whose pixel spacing is known."""
        self.regions: Counter[str] = Counter()
        """Images on which each lesion or structure was outlined."""
        self.lesions = self.lost = 0
        """Outlined areas, and those not on the model's grid; each model counts."""
        self.outside = 0
        """Lost areas of masks that lie wholly outside what the model sees of the eye."""
        self.targets: Counter[str] = Counter()
        self.named_targets: set[str] = set()
        """Targets as each map has them, the predicted class among them."""
        self.modes: Counter[str] = Counter()
        self.layers: dict[str, Counter[str]] = {}
        self.notes: Counter[str] = Counter()
        """In how many maps each note stands: what a method did otherwise than its paper."""
        self.blank_elsewhere: Counter[str] = Counter()
        """Maps made elsewhere that mark nothing, such as a drawing of a healthy eye, by reason."""
        self.findings: Counter[str] = Counter()
        """How often the diagnosis said what, by label."""
        self._labels: dict[str, Counter[str]] = {}
        self._cells: dict[str, list[tuple[float, float]]] = {}
        self._cells_mm: dict[str, list[tuple[float, float]]] = {}

    def add(self, case: Case) -> None:
        """Count one case; of a failed one, its labels only."""
        for name, value in case.labels.items():
            self._labels.setdefault(name, Counter())[value] += 1
        if case.failure is not None:
            return
        self.modalities[case.modality] += 1
        self.sides[case.laterality] += 1
        self.spaced += case.spacing_mm is not None
        self.made.update(str(case.facts[name]) for name in _TOLD if case.facts.get(name))
        self.regions.update({r.name for r in case.regions if r.kind != "field"})
        for view in case.views:
            self.lesions += sum(loss.lesions for loss in view.losses)
            self.lost += sum(loss.lesions_lost for loss in view.losses)
            self.outside += _outside(case, view)
            for explained in view.explained:
                self._add_map(case, view, explained)

    @property
    def labels(self) -> Mapping[str, Mapping[str, int]]:
        """How often each value of a label occurs, where the values make groups."""
        return {n: dict(sorted(c.items())) for n, c in self._labels.items() if len(c) <= _VALUES}

    def cell(self, key: str) -> tuple[float, float] | None:
        """Rows and columns of the original under one cell of a method's maps, the median."""
        return _middle(self._cells.get(key))

    def cell_mm(self, key: str) -> tuple[float, float] | None:
        """The same in millimetres, over the images whose spacing is known."""
        return _middle(self._cells_mm.get(key))

    @property
    def keys(self) -> tuple[str, ...]:
        """The maps by their names in the run, in the order in which they were met."""
        return tuple(self._cells)

    def _add_map(self, case: Case, view: View, explained: Explained) -> None:
        made = explained.attribution
        self.targets[pooled_target(made.target)] += 1
        self.named_targets.add(made.target.removeprefix("predicted: "))
        self.modes.update(mode for mode in (made.score_mode,) if mode is not None)
        if made.layer is not None:
            self.layers.setdefault(explained.key, Counter())[made.layer] += 1
        if made.method != ELSEWHERE:
            self.notes.update(made.notes)
        elif scale_of(made) is None and made.reason != "nan_map":
            self.blank_elsewhere[made.reason or "zero_map"] += 1
        self.findings.update(f.label for f in (explained.finding,) if f is not None)
        field = view.field.shape[0], view.field.shape[1]
        rows, columns = way_of(case, view, field).cell(made.map.shape[-2:])
        self._cells.setdefault(explained.key, []).append((rows, columns))
        if case.spacing_mm is not None:
            sides = rows * case.spacing_mm[0], columns * case.spacing_mm[1]
            self._cells_mm.setdefault(explained.key, []).append(sides)


def _outside(case: Case, view: View) -> int:
    """Areas of masks of which no pixel is left, since the whole mask is beyond what was seen."""
    lost = {loss.region: loss.lesions_lost for loss in view.losses if loss.area_kept == 0}
    own = [r for r in case.regions if lost.get(r.name) and r.mask.any()]
    if not own:
        return 0
    way = way_of(case, view, (own[0].mask.shape[0], own[0].mask.shape[1]))
    field = way.carry(view.field.astype(np.float32)) > 0
    return sum(lost[region.name] for region in own if not (region.mask & field).any())


def _middle(sides: list[tuple[float, float]] | None) -> tuple[float, float] | None:
    if not sides:
        return None
    return median(rows for rows, _ in sides), median(columns for _, columns in sides)
