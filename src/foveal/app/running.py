"""The commands that make or change a run."""

import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foveal.app.sealing import signing

if TYPE_CHECKING:
    from foveal.core import Modality
    from foveal.run import Job, Plan
    from foveal.run.plan import Level
    from foveal.store import Run

SOME_FAILED = 3

trust = click.option(
    "--trust",
    is_flag=True,
    help="Run code that comes with a model (loaders python and torch; Lambda layers of Keras).",
)
LEVEL = click.Choice(["quick", "standard", "full"])
level = click.option(
    "--level",
    type=LEVEL,
    default="standard",
    show_default=True,
    help="Which measures run: quick sends no passes.",
)
regions = click.option(
    "--regions", metavar="PATTERN", help='Mask files, such as "masks/{stem}_{region}.png".'
)

modality = click.option("--modality", type=click.Choice(["fundus", "oct", "slit-lamp"]))
seed = click.option("--seed", default=0, show_default=True, type=click.IntRange(0))


@click.command()
@click.option("--out", default="demo", show_default=True, type=click.Path(path_type=Path))
@click.option("--eyes", default=12, show_default=True, type=click.IntRange(1))
@seed
@click.option(
    "--modality",
    type=click.Choice(["fundus", "oct", "slit-lamp"]),
    default="fundus",
    show_default=True,
    help="Retinopathy in photographs, fluid and drusen in sections, or keratitis and cataract.",
)
def demo(out: Path, eyes: int, seed: int, modality: "Modality") -> int:
    """Explain a model trained on synthetic eyes on others; needs no data and no network."""
    from foveal.app.demonstration import write_demo

    plan = write_demo(out, eyes=eyes, seed=seed, modality=modality)
    click.echo(f"{eyes} synthetic eyes with their masks, a model card and a plan are in {out}")
    return _run_file(plan, trusted=True)


@click.command()
@click.argument("plan", type=click.Path(path_type=Path))
@trust
def run(plan: Path, trust: bool) -> int:
    """Run a plan: models x images x methods x measures, then write the report.

    A run that was stopped goes on where it was.
    """
    return _run_file(plan, trusted=trust)


@click.command()
@click.argument("card", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, required=True)
@click.option("--method", "-m", "methods", multiple=True, default=("gradcam",), show_default=True)
@click.option("--target", "-t", "targets", multiple=True, help='Such as "Severe" or "grade>=2".')
@click.option("--layer", "layers", multiple=True, help="Layer of the methods that watch one.")
@regions
@click.option(
    "--maps",
    "given",
    multiple=True,
    metavar="NAME=PATTERN",
    help='Maps made elsewhere, such as "shap=maps/{stem}.npy".',
)
@click.option(
    "--maps-grid",
    "grid",
    type=click.Choice(["original", "prepared"]),
    default="original",
    show_default=True,
    help="Of the maps made elsewhere: the photograph, or what the model gets.",
)
@level
@click.option(
    "--out", "-o", default="foveal-run", show_default=True, type=click.Path(path_type=Path)
)
@modality
@click.option(
    "--sections",
    metavar="all|N",
    help="IMAGES are volumes: explain all sections of each, or N, evenly spread.",
)
@seed
@click.option("--keep-identity", is_flag=True, help="Leave names of files and patients in the run.")
@trust
def explain(
    card: Path,
    images: tuple[str, ...],
    methods: tuple[str, ...],
    targets: tuple[str, ...],
    layers: tuple[str, ...],
    regions: str | None,
    given: tuple[str, ...],
    grid: str,
    level: str,
    out: Path,
    modality: str | None,
    sections: str | None,
    seed: int,
    keep_identity: bool,
    trust: bool,
) -> int:
    """Explain IMAGES (files, folders or patterns) by the model of CARD: a plan in one line."""
    from foveal.run import plan_from

    wanted = int(sections) if sections is not None and sections.isdecimal() else sections
    shared = {"regions": regions, "modality": modality, "sections": wanted}
    asked = {"targets": list(targets) or None, "layers": list(layers) or None}
    plan = plan_from(
        {
            "name": card.stem,
            "level": level,
            "seed": seed,
            "images": [{"files": name, **shared} for name in images],
            "models": [{"card": str(card), **asked}],
            "methods": [{"name": name} for name in methods],
            "maps": [_maps_table(text, grid) for text in given],
            "output": {
                "folder": str(out),
                "identity": "keep" if keep_identity else "pseudonym",
            },
        }
    )
    options = "".join(f" --method {name}" for name in methods)
    options += "".join(f' --target "{name}"' for name in targets)
    options += "".join(f' --maps "{text.partition("=")[0]}=<files>"' for text in given)
    options += f" --maps-grid {grid}" * bool(given)
    options += f" --sections {sections}" * (sections is not None)
    command = f"foveal explain CARD IMAGES{options} --level {level} --seed {seed}"
    return _run(plan, Path(), trusted=trust, command=command)


def _maps_table(text: str, grid: str) -> dict[str, str]:
    name, equals, files = text.partition("=")
    if not (name and equals and files):
        raise click.UsageError(f"--maps needs NAME=PATTERN, but is {text!r}")
    return {"name": name, "files": files, "grid": grid}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@regions
@click.option("--measure", "names", multiple=True, help="Measures to make; the level's by default.")
@click.option("--level", type=LEVEL, help="Which measures run; the run's own level by default.")
@click.option("--card", "cards", multiple=True, type=click.Path(path_type=Path),
              help="Model card, for measures that ask the model again.")  # fmt: skip
@click.option("--key", type=click.Path(path_type=Path), help="The run's key file.")
@trust
def measure(
    folder: Path,
    regions: str | None,
    names: tuple[str, ...],
    level: str | None,
    cards: tuple[Path, ...],
    key: Path | None,
    trust: bool,
) -> int:
    """Measure the maps of the run in FOLDER again, with other masks or other measures.

    Without --card only the measures that send no passes are made.
    """
    from foveal.models import load
    from foveal.run import LEVELS, remeasure
    from foveal.run.plan import measures_named
    from foveal.run.remeasure import yardstick_of
    from foveal.store import Run

    kept = Run.open(folder)
    models = [load(card, trust=trust) for card in cards]
    asked: Level = level or kept.header.get("level") or "standard"  # type: ignore[assignment]
    chosen = measures_named(names) if names else LEVELS[asked if cards else "quick"]
    if level in ("standard", "full") and not cards:
        _tell_left(kept, [name for name in LEVELS[asked] if name not in chosen])
    yardstick = yardstick_of(kept, chosen, asked)
    remeasure(kept, yardstick, regions=regions, key=key, models=models)
    return _write_report(kept, ("html", "json"), figures=True)


def _tell_left(run: "Run", names: list[str]) -> None:
    """Which measures need the model: those that the run has stay, the others are not made."""
    measures: list[Mapping[str, object]] = run.header.get("measures") or []  # type: ignore[assignment]
    known = {fact["name"] for fact in measures}
    for done, there in (("stay as they are", True), ("are not made", False)):
        left = ", ".join(name for name in names if (name in known) is there)
        if left:
            click.echo(f"note: {left} ask the model and {done}; give its --card")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--pdf", is_flag=True, help="Print it too, by Chromium, Chrome or Edge.")
@click.option(
    "--statement", type=click.Path(path_type=Path), help="What people say of it, as TOML."
)
@signing
def report(folder: Path, pdf: bool, statement: Path | None, key: Path | None) -> int:
    """Write the report of the run in FOLDER anew; needs neither the model nor torch."""
    from foveal.store import Run
    from foveal.store.statement import keep_statement

    kept = Run.open(folder)
    if statement is not None:
        keep_statement(kept, statement)
    return _write_report(kept, ("html", "json"), figures=True, pdf=pdf, key=key)


def _run_file(path: Path, *, trusted: bool) -> int:
    from foveal.run import read_plan

    command = "foveal run PLAN" + (" --trust" if trusted else "")
    return _run(read_plan(path), path.parent, trusted=trusted, command=command)


def _run(plan: "Plan", base: Path, *, trusted: bool, command: str) -> int:
    from foveal.run import estimate, open_job
    from foveal.run import run as run_job

    job = open_job(plan, base, trust=trusted)
    expected = estimate(job)
    if expected.images:
        click.echo(f"{plan.name}: {expected}")
    with _progress(job) as on_image:
        summary = run_job(job, command=command, on_image=on_image)
    if summary.before:
        click.echo(f"{summary.before} of {summary.images} images were done before")
    _write_report(summary.run, plan.output.report, figures=plan.output.figures)
    _tell_warnings(summary.run)
    for name, why in summary.run.failures().items():
        click.echo(f"failed: {name}: {why}", err=True)
    if summary.failed and plan.output.identity == "pseudonym":
        click.echo(f"the files behind these names are in {job.key}", err=True)
    return SOME_FAILED if summary.failed else 0


def _tell_warnings(run: "Run") -> None:
    """What was warned of while images were worked on, such as a map that is not there."""
    from foveal.report.history import history
    from foveal.report.words import counted

    for text, images in history(run).warnings.items():
        click.echo(f"note: {text} ({counted(len(images), 'image')})", err=True)


@contextmanager
def _progress(job: "Job") -> Generator[Callable[[int, int], None]]:
    """A bar on a terminal; a line for every image elsewhere."""
    if not sys.stderr.isatty():
        yield lambda done, images: click.echo(f"done {done} of {images}", err=True)
        return
    with click.progressbar(
        length=len(job.entries), label="images", show_pos=True, file=sys.stderr
    ) as bar:
        yield lambda done, _: bar.update(done - bar.pos)


def _write_report(
    run: "Run", kinds: tuple[str, ...], *, figures: bool, pdf: bool = False, key: Path | None = None
) -> int:
    """What is asked for, then the table of all numbers and, last, the manifest of all files."""
    from foveal.report import (
        proof_of,
        write_audit,
        write_figures,
        write_manifest,
        write_page,
        write_pdf,
        write_results,
    )

    proof = proof_of(run) if figures or kinds else None
    if figures:
        write_figures(run, proof=proof)
    if "json" in kinds:
        click.echo(f"audit file: {write_audit(run, proof=proof)}")
    if "html" in kinds:
        click.echo(f"report: {write_page(run, proof=proof)}")
    if pdf:
        click.echo(f"PDF: {write_pdf(run)}")
    write_results(run)
    write_manifest(run.folder, key=key)
    return SOME_FAILED if run.failures() else 0
