"""Explanations leave a run as DICOM objects that refer to the hospital's own."""

import os
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from types import MappingProxyType

from foveal.core import FovealError, ImageError, StoreError
from foveal.report.dicom.carrying import Choice, explanations_of, frames_of
from foveal.report.dicom.matching import by_hash, header_of
from foveal.report.dicom.shown import Explanation
from foveal.report.dicom.source import IdentityOption, Source, check_identity, source_of
from foveal.report.figures import file_stem
from foveal.store import Case, Run

_NO_DICOM = (
    "its original is a {} file and no DICOM object, so there is no study to put anything into; "
    "make it one (DCMTK's img2dcm does), explain that, and export that run"
)
_NOT_GIVEN = (
    "none of the DICOM files given is its original, byte for byte; name the folder that holds it"
)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an export wrote, and what it could not."""

    folders: tuple[Path, ...]
    """One for each source, with its objects."""
    left: Mapping[str, str]
    """Images without objects, by their names in the run, and why."""


def export(
    run: Run,
    sources: Iterable[str | Path],
    out: str | Path,
    *,
    choice: Choice | None = None,
    identity: IdentityOption = "source",
    overwrite: bool = False,
) -> Exported:
    """Write the maps and scores of a run as DICOM objects, a folder for each source.

    For every map, in this order: a secondary capture for people, a binary and a fractional
    segmentation on the source's pixels, a parametric map with the raw values, and a structured
    report with the numbers. docs/dicom.md says what each holds.

    Args:
        run: Finished or not; what is done of it is exported.
        sources: DICOM files and folders of them. Each case finds its original by the SHA-256 of
            the file, so pseudonyms do not matter.
        out: Gets a folder for each source, which is there whole or not at all.
        choice: Which maps; all by default.
        identity: `source` takes patient and study over from the source, as an object of the same
            study must; `pseudonym` writes the run's names instead.
        overwrite: Whether folders of an earlier export are replaced.

    Raises:
        StoreError: A damaged run, or objects that cannot be written, or are there already.
        ImageError: A source that cannot be opened.
        FovealError: highdicom is not installed.
        ValueError: Another identity.
    """
    versions = run.header.get("versions")
    version = versions.get("foveal") if isinstance(versions, Mapping) else None
    maker = str(version or "unknown"), str(run.header.get("fingerprint") or run.header.get("name"))
    return export_cases(
        run.cases(), sources, out,
        made_by=maker, choice=choice, identity=identity, overwrite=overwrite,
    )  # fmt: skip


def export_cases(
    cases: Iterable[Case],
    sources: Iterable[str | Path],
    out: str | Path,
    *,
    made_by: tuple[str, str],
    choice: Choice | None = None,
    identity: IdentityOption = "source",
    overwrite: bool = False,
) -> Exported:
    """The same for cases that are in no run yet.

    `made_by` is the version of foveal and what stands for the run in the objects.

    Raises:
        StoreError: As for `export`.
        ImageError: As for `export`.
        FovealError: As for `export`.
        ValueError: Another identity.
    """
    _need_highdicom()
    check_identity(identity)
    files = by_hash(sources)
    folders, left = [], {}
    for group in _by_file(cases):
        name = group[0].id
        try:
            path = _original(group, files)
            pseudonym = group[0].patient or name
            source = source_of(header_of(path), identity=identity, pseudonym=pseudonym)
            frames = frames_of(group, source, path)
            explanations = explanations_of(group, frames, path, choice or Choice())
            if not explanations:
                raise ImageError("none of its maps was chosen")
            folder = Path(out) / _stem(group[0])
            write_objects(folder, source, explanations, made_by, overwrite=overwrite)
            folders.append(folder)
        except ImageError as problem:
            left[name] = str(problem)
        except ValueError as problem:  # highdicom checks what it copies
            left[name] = f"the header cannot be taken over: {problem}"
    return Exported(folders=tuple(folders), left=MappingProxyType(left))


def write_objects(
    folder: Path,
    source: Source,
    explanations: Sequence[Explanation],
    made_by: tuple[str, str],
    *,
    overwrite: bool,
) -> None:
    """The objects of one source in a folder, which is filled in hiding and then gets its name.

    Raises:
        StoreError: It cannot be written, or is there already.
        FovealError: highdicom is not installed.
    """
    _need_highdicom()
    from foveal.report.dicom.building import objects_of
    from foveal.report.dicom.making import Maker

    if folder.exists() and not overwrite:
        raise StoreError(
            f"{folder} is there already; choose another folder, or replace it with --overwrite"
        )
    hidden = folder.with_name(f".{folder.name}.{os.getpid()}")
    aside = folder.with_name(f"{hidden.name}.old")
    version, run = made_by
    try:
        hidden.mkdir(parents=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # those of highdicom quote the patient
            for made in objects_of(source, explanations, Maker(version=version, run=run)):
                made.dataset.save_as(hidden / made.name, enforce_file_format=True)
        if folder.exists():
            folder.replace(aside)
        hidden.replace(folder)
    except OSError as problem:
        raise StoreError(
            f"cannot write DICOM objects into {folder}: {problem.strerror or problem}"
        ) from problem
    finally:
        for left in (hidden, aside):
            shutil.rmtree(left, ignore_errors=True)


def _need_highdicom() -> None:
    if find_spec("highdicom") is None:
        raise FovealError("writing DICOM needs highdicom: pip install 'foveal[dicom]'")


def _by_file(cases: Iterable[Case]) -> Iterator[Sequence[Case]]:
    """Each picture by itself, and neighbouring frames of one file together."""

    def file(case: Case) -> object:
        whole = not {"frame", "section"} & set(case.facts)
        return (case.id,) if whole or case.sha256 is None else case.sha256

    for _, group in groupby(cases, file):
        yield list(group)


def _original(group: Sequence[Case], files: Mapping[str, Path]) -> Path:
    case = group[0]
    if case.failure is not None:
        raise ImageError(f"it was not explained: {case.failure}")
    if case.sha256 is not None and case.sha256 in files:
        return files[case.sha256]
    kind = str(case.facts.get("format", "DICOM"))
    raise ImageError(_NOT_GIVEN if kind == "DICOM" else _NO_DICOM.format(kind))


def _stem(case: Case) -> str:
    """The name of a folder inside the one for all: never hidden, never above it."""
    return file_stem(str(case.facts.get("volume") or case.id)).lstrip(".") or "image"
