"""One HTML file that needs no other: for reading, printing and filing."""

import os
from bisect import bisect
from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from foveal.analysis.gains import blind_baselines
from foveal.analysis.shuffled import against_shuffled, shuffled_kept
from foveal.core import StoreError
from foveal.report.cohort import Cohort
from foveal.report.concepts import concept_scores, methods_of
from foveal.report.conclusions import conclusions
from foveal.report.diagnosis import Diagnoses
from foveal.report.history import history
from foveal.report.limits import LIMITS
from foveal.report.proof import Proof
from foveal.report.proof.chapter import Chapter
from foveal.report.record import record_of
from foveal.report.regulator import regulator
from foveal.report.sheets import anchor, case_sheet
from foveal.report.summary import Header, map_label, summary
from foveal.report.templating import environment, inline
from foveal.report.traits import Traits
from foveal.report.volumes import Volumes, sections_left_out
from foveal.store import Case, Run

MAX_CASES = 60
"""Images that a page shows one by one."""
_NEEDED = ("name", "fingerprint", "versions", "models", "methods", "measures")
"""What every header holds."""


def write_page(run: Run, *, max_cases: int = MAX_CASES, proof: Proof | None = None) -> Path:
    """Write `report.html` into the run's folder: one file that works offline and prints.

    The first `max_cases` explained images in the order of their names are shown one by one; the
    tables count all. Cases are read one at a time, and the page is there whole or not at all. The
    same run gives the same bytes.

    Args:
        run: Finished, or as far as it is.
        max_cases: Images shown one by one, beside those of the gallery.
        proof: What `proof_of` concluded, where that was done before.

    Raises:
        StoreError: A damaged shard or header, or a folder that cannot be written.
        ValueError: A negative number of cases.
    """
    if max_cases < 0:
        raise ValueError(f"max_cases must be 0 or more, but is {max_cases}")
    path = run.folder / "report.html"
    hidden = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # Beside the run, since the cases hold photographs of patients.
        with TemporaryFile(dir=run.folder) as spool:
            traits = Traits()
            diagnoses = Diagnoses()
            volumes = Volumes()
            chapter = Chapter(run, _header(run), proof)
            sections = _Sections(spool, max_cases, chapter.images, sections_left_out(run))
            cohort = _read(run, sections, diagnoses, traits, chapter, volumes)
            with hidden.open("w", encoding="utf-8", newline="\n") as page:
                page.writelines(_page(run, cohort, diagnoses, traits, sections, chapter, volumes))
        hidden.replace(path)
    except OSError as problem:
        raise StoreError(f"cannot write the report: {problem.strerror or problem}") from problem
    finally:
        hidden.unlink(missing_ok=True)
    return path


def case_html(case: Case) -> str:
    """One case as a piece of HTML with its own style, for notebooks.

    A failed case is its reason.

    Raises:
        ValueError: A case without a picture.
    """
    template = environment().get_template("fragment.html")
    sheet = None if case.failure is not None else case_sheet(case)
    return template.render(case=sheet, failed=case, **inline())


@dataclass(frozen=True, kw_only=True, order=True)
class _Section:
    """Where the section of one case lies in the spool."""

    name: str
    start: int
    length: int

    @property
    def anchor(self) -> str:
        return anchor(self.name)


class _Sections:
    """The sections of the cases whose names come first, on disk until the page is written.

    Some cases are there in any case, and do not count for the limit; some never come first.
    """

    def __init__(
        self,
        spool: IO[bytes],
        limit: int,
        always: Container[str] = (),
        never: Container[str] = (),
    ) -> None:
        self._spool = spool
        self._limit = limit
        self._always = always
        self._never = never
        self._first: list[_Section] = []
        self._others: list[_Section] = []

    @property
    def places(self) -> list[_Section]:
        """All that are there, by name."""
        return sorted([*self._first, *self._others])

    def wants(self, name: str) -> bool:
        if name in self._always:
            return True
        if name in self._never:
            return False
        if len(self._first) < self._limit:
            return True
        return self._limit > 0 and name < self._first[-1].name

    def add(self, name: str, text: str) -> None:
        start = self._spool.seek(0, os.SEEK_END)
        place = _Section(name=name, start=start, length=self._spool.write(text.encode()))
        self._first.insert(bisect(self._first, place), place)
        self._others += [one for one in self._first[self._limit :] if one.name in self._always]
        del self._first[self._limit :]

    def __iter__(self) -> Iterator[str]:
        for place in self.places:
            self._spool.seek(place.start)
            yield self._spool.read(place.length).decode()


def _read(
    run: Run,
    sections: _Sections,
    diagnoses: Diagnoses,
    traits: Traits,
    chapter: Chapter,
    volumes: Volumes,
) -> Cohort:
    """Read every case once: count it, and set its section where the page will show it."""
    cohort, shuffled, blind = Cohort(), shuffled_kept(run.header), blind_baselines(run)
    template = environment().get_template("case.html")
    for case in run.cases():
        case = against_shuffled(case, shuffled)
        cohort.add(case)
        diagnoses.add(case)
        traits.add(case)
        chapter.add(case)
        volumes.add(case)
        if case.failure is None and sections.wants(case.id):
            sections.add(case.id, template.render(case=case_sheet(case, blind)))
        del case  # the next one is read before this name is set again
    return cohort


def _page(
    run: Run,
    cohort: Cohort,
    diagnoses: Diagnoses,
    traits: Traits,
    sections: _Sections,
    chapter: Chapter,
    volumes: Volumes,
) -> Iterator[str]:
    header = _header(run)
    told = history(run)
    asked = regulator(record_of(run, cohort, traits, conclusions(chapter.proof)))
    unfinished = header.get("shards", 0) - len(run.numbers())
    label = partial(map_label, header)
    template = environment().get_template("report.html")
    return template.generate(
        header=header,
        summary=summary(header, cohort, told, max(0, unfinished), chapter.proof),
        cohort=cohort,
        diagnosis=diagnoses.sheet(header),
        concepts=concept_scores(header),
        methods=methods_of(header),
        history=told,
        limits=(*LIMITS, *asked.limits),
        regulator=asked,
        label=label,
        **chapter.parts(label),
        described=[measure["name"] for measure in header["measures"]],
        volumes=list(volumes.sheets()),
        shown=sections.places,
        sections=sections,
        **inline(),
    )


def _header(run: Run) -> Header:
    missing = [name for name in _NEEDED if name not in run.header]
    if missing:
        raise StoreError(
            f"run.json in {run.folder} is damaged: it lacks {', '.join(missing)}; put it back from "
            "a copy, or run the plan again into another folder"
        )
    return run.header
