"""The command that tries preparation steps on a model."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foveal.app.running import SOME_FAILED, modality, regions, seed, trust

if TYPE_CHECKING:
    from foveal.core import Image, ImageError, Region
    from foveal.run.cohort import Entry


@click.command("prepare-study")
@click.argument("card", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, required=True)
@click.option(
    "--step",
    "steps",
    multiple=True,
    metavar="STEP",
    help='A step to be tried, such as "illumination method=clahe"; "normalisation" compares the '
    "card's mean and std with [0, 1]. The card's own steps are left out one by one in any case.",
)
@click.option("--method", "-m", default="gradcam", show_default=True)
@click.option("--target", "-t", help='Such as "Severe"; by default the class predicted before.')
@regions
@click.option(
    "--out", "-o", default="prepare-study", show_default=True, type=click.Path(path_type=Path)
)
@modality
@seed
@click.option("--keep-identity", is_flag=True, help="Leave names of files and patients in it.")
@trust
def prepare_study(
    card: Path,
    images: tuple[str, ...],
    steps: tuple[str, ...],
    method: str,
    target: str | None,
    regions: str | None,
    out: Path,
    modality: str | None,
    seed: int,
    keep_identity: bool,
    trust: bool,
) -> int:
    """What each preparation step does to the gradients and maps of the model of CARD on IMAGES.

    Every image goes through the card's preparation with and without one step. The table is
    printed; study.csv (a row for each image, step and measure), study.json and study.html are
    written into --out.
    """
    from foveal.models import load
    from foveal.protocols import prepare_study as study
    from foveal.protocols import variants_of
    from foveal.protocols.study_files import check_empty, study_table, write_study
    from foveal.run.cohort import images_of
    from foveal.run.plan import ImagesTable

    check_empty(out)
    tables = [ImagesTable(files=name, regions=regions, modality=modality) for name in images]  # type: ignore[arg-type]
    entries = images_of(tables, Path())
    model = load(card, trust=trust)
    variants = variants_of(model, [_step(text) for text in steps])
    click.echo(f"{len(entries)} images, {len(variants)} comparisons")
    made = study(
        variants,
        _read(entries, keep_identity),
        method=method,
        target=None if target is None else model.target(target),
        seed=seed,
        progress=lambda done, _: click.echo(f"done {done} of {len(entries)}", err=True),
    )
    click.echo(study_table(made))
    click.echo(f"page: {write_study(made, out)}")
    return SOME_FAILED if made.failures else 0


def _step(text: str) -> dict[str, object]:
    """A step as a card has it, from its name and settings such as `method=clahe`."""
    import tomllib

    name, *settings = shlex.split(text)
    found: dict[str, object] = {"step": name}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not (key and equals and value):
            raise click.UsageError(f"a setting of --step needs name=value, but is {setting!r}")
        try:
            found[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[key] = value  # text needs no quotes
    return found


def _read(
    entries: Sequence["Entry"], keep: bool
) -> Iterator[tuple[str, "Image | ImageError", Sequence["Region"]]]:
    """Each image with a name that may be shown; what cannot be read is told as its error."""
    import secrets

    from foveal.core import ImageError
    from foveal.run.identity import Identity
    from foveal.run.marked import regions_of
    from foveal.run.reading import Reader

    identity = Identity(keep=keep, secret=b"" if keep else secrets.token_bytes(32))
    reader = Reader()
    for number, entry in enumerate(entries, start=1):
        name = entry.name if keep else f"image {number}"
        try:
            image = reader.image(entry, identity)
            yield name, image, regions_of(entry, image)[0]
        except ImageError as problem:
            told = ImageError(identity.told(problem, entry.path, entry.name))
            yield name, told, ()
