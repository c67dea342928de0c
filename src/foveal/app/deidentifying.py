"""The command that takes patients out of images: deidentify."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from foveal.images import Deidentified

NEEDS_EYES = 3
"""As for images that failed: a person must look, and the report says where."""


@click.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    help="The key file, made if it is not there; keep it apart. Without it all is random for good.",
)
@click.option(
    "--dates",
    type=click.Choice(["shift", "remove"]),
    default="shift",
    show_default=True,
    help="Move all dates of a patient by the same days, or take them out.",
)
@click.option(
    "--keep",
    type=click.Choice(["age", "sex", "device"]),
    multiple=True,
    default=("age",),
    show_default=True,
    help="What stays of patient and device; ages over 89 become 090Y.",
)
@click.option("--blank-outside", is_flag=True, help="Make all outside the field of view black.")
@click.option("--manifest", type=click.Path(path_type=Path), help="A CSV table to rename alike.")
@click.option("--keep-column", "columns", multiple=True, help="A column of it that stays as it is.")
@click.option(
    "--links",
    type=click.Path(path_type=Path),
    help="Write which pseudonym is which file: it undoes all this, keep it apart.",
)
def deidentify(
    source: Path,
    out: Path,
    key: Path | None,
    dates: str,
    keep: tuple[str, ...],
    blank_outside: bool,
    manifest: Path | None,
    columns: tuple[str, ...],
    links: Path | None,
) -> int:
    """Write the images of IN (a file or folder) again in OUT, without the identity of patients.

    DICOM goes through the basic profile of PS3.15, photographs become PNG with nothing but pixels,
    files and folders get pseudonyms. Ends with 3 when a person must look at some of them.
    """
    from foveal.images import deidentify as write

    done = write(
        source,
        out,
        key=key,
        dates=dates,  # pyright: ignore[reportArgumentType]
        keep=keep,  # pyright: ignore[reportArgumentType]
        blank_outside=blank_outside,
        manifest=manifest,
        keep_columns=columns,
        links=links,
        progress=_show,
    )
    return _tell(done)


def _tell(done: "Deidentified") -> int:
    for outcome, count in sorted(done.counts.items()):
        click.echo(f"{outcome}: {count}")
    click.echo(f"report: {done.out / 'deidentification.md'}")
    if done.need_eyes:
        click.echo(f"{len(done.need_eyes)} files need a human eye; the report says why", err=True)
        return NEEDS_EYES
    return 0


def _show(done: int, total: int) -> None:
    if sys.stderr.isatty() or done == total:
        click.echo(f"\r{done} of {total} files", err=True, nl=done == total)
