"""The numbers of a run in Markdown: the mean over its images with its interval, beside its chance.

    python docs_src/proof_table.py RUN MEASURE...

A table for each measure, a row for each method and a column for each region. The 95 % intervals
draw patients anew, or images where the run does not know the patients.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import numpy as np

from foveal.analysis import Estimate, mean_intervals, units_of
from foveal.core import Score
from foveal.store import Run


@dataclass
class Numbers:
    """One measure of one method on one region, over the images."""

    values: list[float] = field(default_factory=list)
    chances: list[float] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    patients: list[str | None] = field(default_factory=list)

    def add(self, score: Score, image: str, patient: str | None) -> None:
        """Count a score, unless it is missing."""
        if score.value is not None:
            self.values.append(score.value)
            self.images.append(image)
            self.patients.append(patient)
            self.chances += [] if score.chance is None else [score.chance]

    @property
    def estimate(self) -> Estimate:
        units = units_of(self.patients, images=self.images)
        return mean_intervals(np.array(self.values)[:, None], units)[0]

    def __str__(self) -> str:
        if not self.values:
            return "missing"
        found = self.estimate
        limits = "" if found.low is None else f" [{_short(found.low)}, {_short(found.high)}]"
        chance = f"; {_short(fmean(self.chances))}" if self.chances else ""
        return f"{_short(found.estimate)}{limits}{chance}"


Table = dict[str, dict[str, Numbers]]
"""By method, and by region within it."""


def tables(run: Path, measures: list[str]) -> Iterator[tuple[str, Table]]:
    """Each model, target and measure in words, with its numbers."""
    found: dict[tuple[str, str, str], Table] = {}
    for case in Run.open(run).cases():
        for view in case.views:
            for explained in view.explained:
                for measured in explained.scores:
                    name = measured.score.name
                    if name in measures:
                        asked = view.model, explained.attribution.target, name
                        by_region = found.setdefault(asked, {}).setdefault(explained.key, {})
                        numbers = by_region.setdefault(measured.region or "the image", Numbers())
                        numbers.add(measured.score, case.id, case.patient)
    for (model, target, name), table in found.items():
        yield f"{model}, {target}: {name}", table


def markdown(table: Table) -> Iterator[str]:
    """Lines: mean, interval, after the semicolon chance; n in a cell where the column has more."""
    regions = list(dict.fromkeys(region for row in table.values() for region in row))
    most = {r: max(len(row[r].values) for row in table.values() if r in row) for r in regions}
    yield f"| method | {' | '.join(f'{region}, n = {most[region]}' for region in regions)} |"
    yield "|---" * (1 + len(regions)) + "|"
    for method, row in table.items():
        cells = [_cell(row.get(region, Numbers()), most[region]) for region in regions]
        yield f"| `{method}` | {' | '.join(cells)} |"


def _cell(numbers: Numbers, most: int) -> str:
    count = len(numbers.values)
    return str(numbers) if count in (0, most) else f"{numbers} (n = {count})"


def _short(number: float | None) -> str:
    return "missing" if number is None else f"{number:.2g}" if abs(number) < 1 else f"{number:.2f}"


def main() -> None:
    run, *measures = sys.argv[1:]
    for title, table in tables(Path(run), measures):
        print(f"\n{title}\n", *markdown(table), sep="\n")


if __name__ == "__main__":
    main()
