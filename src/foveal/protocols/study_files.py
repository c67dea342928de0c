"""A study of preparation as a table in the terminal, as files, and as a page."""

import csv
import json
from dataclasses import asdict, fields
from io import StringIO
from pathlib import Path

from foveal import __version__
from foveal.core import StoreError
from foveal.protocols.preparation import Change, PreparationStudy, StudyRow
from foveal.report.templating import environment, inline
from foveal.report.words import number

_COLUMNS = [field.name for field in fields(StudyRow)]
FILES = ("study.csv", "study.json", "study.html")


def check_empty(folder: Path) -> None:
    """Refuse a folder that holds something, before any work is done.

    Raises:
        StoreError: It is not empty, or is no folder.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreError(f"{folder} is there and not empty; choose another folder with --out")


def write_study(study: PreparationStudy, folder: Path) -> Path:
    """Write the rows as CSV, everything as JSON, and a page; gives the page's path.

    Raises:
        StoreError: The folder cannot be written.
    """
    template = environment().get_template("study.html")
    page = template.render(study=study, version=__version__, in_words=_in_words, **inline())
    texts = dict(zip(FILES, (_csv(study), _json(study), page), strict=True))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
    except OSError as problem:
        raise StoreError(
            f"cannot write the study into {folder}: {problem.strerror or problem}"
        ) from problem
    return folder / FILES[-1]


def study_table(study: PreparationStudy) -> str:
    """Median before and after of each step and measure, for the terminal."""
    lines = []
    for variant in dict.fromkeys(change.variant for change in study.changes):
        changed = study.changed_answers[variant]
        lines.append(f"{variant}: the answer changes on {changed} image{'s' * (changed != 1)}")
        lines += [
            f"  {change.measure:24} {_in_words(change)}"
            for change in study.changes
            if change.variant == variant
        ]
    return "\n".join(lines)


def _in_words(change: Change) -> str:
    if change.before is None or change.after is None:
        return "no number on any image"
    p = change.compared.p_adjusted
    tested = "not tested" if p is None else f"p {number(p)} after Holm"
    return f"{number(change.before[1])} -> {number(change.after[1])} ({tested}, {change.images})"


def _csv(study: PreparationStudy) -> str:
    text = StringIO()
    writer = csv.DictWriter(text, fieldnames=_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in study.rows)
    return text.getvalue()


def _json(study: PreparationStudy) -> str:
    told = {"foveal": __version__, **asdict(study)}
    return json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False)
