"""The commands that prove a folder's files: manifest, verify."""

from pathlib import Path

import click

CHANGED = 3
"""As for images that failed: something is not as it should be, and it is named."""

signing = click.option(
    "--key",
    type=click.Path(path_type=Path),
    help="A file of at least 32 random bytes, kept apart, that signs the manifest.",
)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@signing
def manifest(folder: Path, key: Path | None) -> None:
    """Write manifest.json into FOLDER: the SHA-256 of every file, signed if there is a key."""
    from foveal.report import write_manifest

    click.echo(f"manifest: {write_manifest(folder, key=key)}")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@signing
def verify(folder: Path, key: Path | None) -> int:
    """Name the files of FOLDER that were changed, taken away or added since its manifest.

    Ends with 3 when there are some, or when the signature is wrong.
    """
    from foveal.report import verify as compare

    found = compare(folder, key=key)
    for what in ("changed", "missing", "added"):
        for name in getattr(found, what):
            click.echo(f"{what}: {name}")
    click.echo(f"signature: {found.signature}")
    if found.intact:
        click.echo(f"{found.files} files are as the manifest says")
        return 0
    click.echo("the folder is not as its manifest says", err=True)
    return CHANGED
