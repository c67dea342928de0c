"""The command that hands explanations to an archive."""

from pathlib import Path

import click

from foveal.app.running import SOME_FAILED


@click.command()
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option(
    "--dicom-source",
    "sources",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A DICOM file that was explained, or a folder of them; as often as needed.",
)
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Gets a folder for each image.")
@click.option("--model", "models", multiple=True, help="Only maps of this model.")
@click.option("--method", "-m", "methods", multiple=True, help="Only maps of this name in the run.")
@click.option("--target", "-t", "targets", multiple=True, help="Only maps of this target.")
@click.option(
    "--identity",
    type=click.Choice(["source", "pseudonym"]),
    default="source",
    show_default=True,
    help="Patient and study as in the source, or the run's names for them.",
)
@click.option("--overwrite", is_flag=True, help="Replace what an earlier export wrote.")
@click.option(
    "--examples",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Write a synthetic photograph and volume with their objects, to try viewers with.",
)
def export(
    run: Path | None,
    sources: tuple[Path, ...],
    out: Path | None,
    models: tuple[str, ...],
    methods: tuple[str, ...],
    targets: tuple[str, ...],
    identity: str,
    overwrite: bool,
    examples: Path | None,
) -> int:
    """Write the maps and numbers of RUN as DICOM objects that refer to the originals.

    For every map: a picture (secondary capture), two segmentations, a parametric map and a
    structured report, each in a series of its own in the study of its source.
    """
    if examples is not None:
        return _write_examples(examples, overwrite=overwrite)
    if run is None or out is None or not sources:
        raise click.UsageError(
            "name a RUN, its originals with --dicom-source and a folder with --out; or --examples"
        )
    from foveal.report.dicom import Choice, Exported, export
    from foveal.store import Run

    done: Exported = export(
        Run.open(run),
        sources,
        out,
        choice=Choice(models=models, methods=methods, targets=targets),
        identity=identity,  # type: ignore[arg-type]
        overwrite=overwrite,
    )
    for name, why in done.left.items():
        click.echo(f"left out: {name}: {why}", err=True)
    click.echo(f"DICOM objects of {len(done.folders)} image(s): {out}")
    return SOME_FAILED if done.left else 0


def _write_examples(folder: Path, *, overwrite: bool) -> int:
    from foveal.app.dicom_examples import write_examples

    for written in write_examples(folder, overwrite=overwrite):
        click.echo(f"example: {written}")
    return 0
