"""A folder in, a folder without patients out."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path

from foveal.core import ImageError, StoreError
from foveal.images.deidentification.alone import alone_in
from foveal.images.deidentification.key import SecretKey, open_key, refuse_inside
from foveal.images.deidentification.looking import Ocr
from foveal.images.deidentification.photographs import Cleaned, NoPictureError, clean_photograph
from foveal.images.deidentification.profile import TABLE, Dates, Keep, Profile
from foveal.images.deidentification.readable import readable
from foveal.images.deidentification.record import (
    FILES,
    QUARANTINE,
    READABLE,
    Deidentified,
    FileRecord,
    Journal,
    write_atomically,
)
from foveal.images.deidentification.tables import clean_manifest, write_links
from foveal.images.deidentification.tree import Found, find
from foveal.images.reading import MAX_PIXELS

Progress = Callable[[int, int], None]
"""Called with the number of files done and of all."""


def deidentify(
    source: str | PathLike[str],
    out: str | PathLike[str],
    *,
    key: str | PathLike[str] | None = None,
    dates: Dates = "shift",
    keep: Iterable[Keep] = ("age",),
    blank_outside: bool = False,
    manifest: str | PathLike[str] | None = None,
    keep_columns: Iterable[str] = (),
    links: str | PathLike[str] | None = None,
    ocr: Ocr | None = None,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Deidentified:
    """Write a file or folder of images again without the identity of patients.

    DICOM goes through the basic profile of PS3.15 with the options asked for; photographs are
    written as PNG with nothing but pixels. Files and folders get pseudonyms. What may show text
    goes to `quarantine` beside `files`, for a person to look at; that nothing was found never means
    that there is nothing. The same key gives the same pseudonyms, UIDs and dates in every run.

    Args:
        source: A file or a folder; links in it are not followed.
        out: A new folder, or that of an earlier run with the same key and options, which goes on.
        key: The key file, made if it is not there; keep it apart. Without one everything is random
            and can never be linked again.
        dates: `"shift"` moves all dates of a patient by the same 1 to 364 days to the past;
            `"remove"` takes them out.
        keep: `"age"` (over 89 as 090Y), `"sex"`, `"device"` (serial number, station, device UID).
        blank_outside: Make everything outside the field of view of photographs black.
        manifest: A CSV file with columns image, patient, eye or visit, to be renamed alike.
        keep_columns: Other columns of it to keep as they are; the rest is left out.
        links: Where to write, for its owner only, which pseudonym is which file: it undoes all
            this.
        ocr: A reader of text, from `foveal.Image` to what it found; any finding is quarantined.
        max_pixels: Larger pictures are refused by their header.
        progress: Called after each file.

    Raises:
        StoreError: Output and input inside each other, an output of other work or of a run that is
            still at work, a key or `links` inside one of them or readable by others.
        ImageError: No such source, or a manifest that cannot be read.
        ValueError: An option that does not exist.
    """
    source, out = Path(source), Path(out)
    profile = Profile(dates=dates, keep=tuple(keep))
    _check_places(source, out, [path for path in (key, links) if path is not None])
    if links is not None and Path(links).exists():
        raise StoreError(f"{links} is there already; name a new file for the links")
    secret = open_key(None if key is None else Path(key), apart_from=(source, out))
    settings = {
        "foveal": _version("foveal"),
        "table": f"{TABLE}, as in dicom-anonymizer {_version('dicom-anonymizer')}",
        "dates": dates,
        "keep": sorted(profile.keep),
        "blank outside the field": blank_outside,
        "OCR reader": ocr is not None,
        "key": secret.fingerprint if secret.kept else "random, not kept",
    }
    found = find(source, secret)
    table = (
        None
        if manifest is None
        else clean_manifest(
            Path(manifest),
            secret,
            found,
            root=_folder(source),
            keep_columns=tuple(keep_columns),
        )
    )
    with alone_in(out):
        journal = Journal(out, settings, secret)
        if table is not None:
            _write_table(out / FILES / "manifest.csv", table)
        cleaning = _Cleaning(secret, profile, blank_outside, ocr, max_pixels)
        for number, file in enumerate(found, start=1):
            _one(file, out, cleaning, journal)
            if progress is not None:
                progress(number, len(found))
        done = Deidentified(
            out=out, settings=settings, files=tuple(journal.known[file.name] for file in found)
        )
        if links is not None:
            write_links(Path(links), found, root=_folder(source))
        write_atomically(out / READABLE, readable(done).encode())
        journal.close(done)
    return done


@dataclass(frozen=True)
class _Cleaning:
    """How files are done, the same for all."""

    key: SecretKey
    profile: Profile
    blank_outside: bool
    ocr: Ocr | None
    max_pixels: int

    def file(self, found: Found) -> Cleaned:
        """One file's new content.

        Raises:
            ImageError: It cannot be done; the message names nobody.
        """
        if found.kind == "DICOM":
            from foveal.images.deidentification.dicom_files import clean_dicom  # pydicom is slow

            return clean_dicom(
                found.path,
                key=self.key,
                profile=self.profile,
                blank_outside=self.blank_outside,
                ocr=self.ocr,
                max_pixels=self.max_pixels,
            )
        return clean_photograph(
            found.path,
            found.kind,
            mask=found.mask,
            blank_outside=self.blank_outside,
            ocr=self.ocr,
            max_pixels=self.max_pixels,
        )


def _one(found: Found, out: Path, cleaning: _Cleaning, journal: Journal) -> None:
    """One file, unless an earlier run has done it."""
    record = FileRecord(name=found.name, kind=found.kind, outcome="left out")
    if found.why_not:
        outcome = "refused" if found.kind == "vendor" else "left out"
        journal.add(replace(record, outcome=outcome, reasons=(found.why_not,)))
        return
    try:
        record = replace(record, source=cleaning.key.token(found.path))
        earlier = journal.known.get(found.name)
        if earlier is not None and earlier.outcome in ("written", "quarantined"):
            _check_same(earlier, record, out)
            return
        cleaned = cleaning.file(found)
    except ImageError as problem:
        outcome = "left out" if isinstance(problem, NoPictureError) else "failed"
        journal.add(replace(record, outcome=outcome, reasons=(str(problem),)))
        return
    except OSError:
        journal.add(replace(record, outcome="failed", reasons=("cannot be read",)))
        return
    held = bool(cleaned.reasons)
    there = _written(out, found.name)
    if there is None:
        where = _quarantine(out) if held else out / FILES
        write_atomically(where / found.name, cleaned.data)
    elif there.read_bytes() != cleaned.data:
        journal.add(replace(record, outcome="failed", reasons=(_ANOTHER,)))
        return
    journal.add(
        replace(
            record,
            outcome="quarantined" if held else "written",
            reasons=cleaned.reasons,
            notes=cleaned.notes,
            actions=cleaned.actions,
        )
    )


def _check_same(earlier: FileRecord, record: FileRecord, out: Path) -> None:
    """A file done before is left alone, also one that a person moved out of quarantine."""
    if earlier.source != record.source:
        raise ImageError(_ANOTHER)
    if _written(out, record.name) is None:
        raise ImageError("was done before, but its output is gone; choose a new output folder")


_ANOTHER = (
    "was done before from another content, and what is there is not overwritten; choose a new "
    "output folder"
)


def _written(out: Path, name: str) -> Path | None:
    """Where an earlier run, or a person after it, has put a file."""
    places = (out / where / name for where in (FILES, QUARANTINE))
    return next((path for path in places if path.exists()), None)


def _write_table(path: Path, table: bytes) -> None:
    if path.exists() and path.read_bytes() != table:
        raise StoreError("another manifest is in the output already; choose a new output folder")
    write_atomically(path, table)


def _quarantine(out: Path) -> Path:
    folder = out / QUARANTINE
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _check_places(source: Path, out: Path, private: list[str | PathLike[str]]) -> None:
    if not source.exists():
        raise ImageError(f"{source}: there is no such file or folder; check the name")
    given, made = source.resolve(), out.resolve()
    if made.is_relative_to(given) or given.is_relative_to(made):
        raise StoreError(
            f"the output {out} and the input {source} lie inside each other; choose a folder "
            "beside the input"
        )
    for path in private:
        refuse_inside(Path(path), (given, made), what="a file that leads back to patients,")


def _folder(source: Path) -> Path:
    return source if source.is_dir() else source.parent


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
