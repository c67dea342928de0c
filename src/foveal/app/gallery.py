"""The command that hangs all methods side by side."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foveal import __version__
from foveal.app.running import SOME_FAILED, modality, regions, seed, trust

if TYPE_CHECKING:
    from foveal.doors.gallery import Gallery
    from foveal.run.plan import ImagesTable

_EYES = 3
_SYNTHETIC = (
    "These eyes are synthetic: rendered pictures with lesions drawn in, read by a grader that was "
    "trained on such pictures only. They show what the methods look like. They say nothing about "
    "patients."
)


@click.command()
@click.argument("card", required=False, type=click.Path(path_type=Path))
@click.argument("images", nargs=-1)
@click.option("--method", "-m", "methods", multiple=True, help="Only these; all by default.")
@click.option("--target", "-t", "targets", multiple=True, help='Such as "Severe" or "grade>=2".')
@click.option("--layer", "layers", multiple=True, help="Layer of the methods that watch one.")
@regions
@click.option(
    "--quick", is_flag=True, help="Fewer samples, steps and masks; a tenth of the passes."
)
@click.option("--out", "-o", default="gallery", show_default=True, type=click.Path(path_type=Path))
@modality
@seed
@click.option("--keep-identity", is_flag=True, help="Call images by the names of their files.")
@trust
def gallery(
    card: Path | None,
    images: tuple[str, ...],
    methods: tuple[str, ...],
    targets: tuple[str, ...],
    layers: tuple[str, ...],
    regions: str | None,
    quick: bool,
    out: Path,
    modality: str | None,
    seed: int,
    keep_identity: bool,
    trust: bool,
) -> int:
    """Show all methods side by side on IMAGES (files, folders or patterns), by the model of CARD.

    Writes one page and a contact sheet for each image. Without CARD: synthetic eyes and their
    grader. A method that the model cannot serve is shown with its reason.
    """
    from foveal.doors.gallery import Gallery
    from foveal.models import load
    from foveal.report import GalleryFacts, write_gallery
    from foveal.run.cohort import images_of
    from foveal.run.plan import ImagesTable

    notes: tuple[str, ...] = ()
    if card is None:
        card, tables = _synthetic(out / "eyes", seed)
        notes, trust = (_SYNTHETIC,), True
    elif not images:
        raise click.UsageError(
            "name images after the card; without a card synthetic eyes are taken"
        )
    else:
        tables = [
            ImagesTable(files=name, regions=regions, modality=modality)  # type: ignore[arg-type]
            for name in images
        ]
    shown = Gallery(
        model=load(card, trust=trust),
        entries=images_of(tables, Path()),
        names=methods,
        targets=targets or None,
        layers=layers or None,
        seed=seed,
        quick=quick,
        keep_identity=keep_identity,
    )
    count = len(shown.methods)
    click.echo(f"{count} method{'s' if count > 1 else ''} on {shown.estimate()}")
    facts = GalleryFacts(
        model=shown.model.card.name,
        methods=count,
        images=shown.images,
        seed=seed,
        command=_command(card if not notes else None, methods, targets, layers, quick),
        version=__version__,
        notes=notes,
    )
    with _progress(shown) as (on_method, progress):
        walls = shown.walls(on_method=on_method, progress=progress)
        page = write_gallery(out, walls, facts, shown.failures)
    for name, why in shown.failures.items():
        click.echo(f"failed: {name}: {why}", err=True)
    click.echo(f"gallery: {page}")
    return SOME_FAILED if shown.failures else 0


def _synthetic(folder: Path, seed: int) -> "tuple[Path, list[ImagesTable]]":
    """Card and images of the demo's own eyes, written beside the page."""
    from foveal.app.demonstration import write_demo
    from foveal.run.plan import ImagesTable

    write_demo(folder, eyes=_EYES, seed=seed)
    eyes = ImagesTable(
        manifest=str(folder / "cohort.csv"),
        regions=str(folder / "masks" / "{stem}_{region}.png"),
        modality="fundus",
    )
    return folder / "model" / "grader.toml", [eyes]


def _command(
    card: Path | None,
    methods: tuple[str, ...],
    targets: tuple[str, ...],
    layers: tuple[str, ...],
    quick: bool,
) -> str:
    """The command without names of files."""
    options = "".join(f" --method {name}" for name in methods)
    options += "".join(f' --target "{name}"' for name in targets)
    options += "".join(f" --layer {name}" for name in layers)
    named = "" if card is None else " CARD IMAGES"
    return f"foveal gallery{named}{options}{' --quick' if quick else ''}"


@contextmanager
def _progress(
    shown: "Gallery",
) -> Generator[tuple[Callable[[int, int, str], None], Callable[[int, int], None] | None]]:
    """A bar on a terminal, with the passes of the method at work; a line a method elsewhere."""
    if not sys.stderr.isatty():
        yield lambda asked, of, name: click.echo(f"{asked + 1} of {of}: {name}", err=True), None
        return
    at_work = ""
    with click.progressbar(
        length=1, label="methods", show_pos=True, file=sys.stderr,
        item_show_func=str,
    ) as bar:  # fmt: skip

        def on_method(asked: int, of: int, name: str) -> None:
            nonlocal at_work
            at_work, bar.length = name, of
            bar.update(asked - bar.pos, name)

        def on_pass(done: int, planned: int) -> None:
            bar.update(0, f"{at_work}, {done} of {planned} passes")

        yield on_method, on_pass
        bar.update((bar.length or 0) - bar.pos)
