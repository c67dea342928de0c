"""The command that makes a model's probabilities honest."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from foveal.analysis.calibrator_file import FittedCalibrator
    from foveal.analysis.recalibrated import Recalibration
    from foveal.store import Run

_METHODS = click.Choice(["temperature", "bayesian", "platt", "isotonic"])


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--card", required=True, type=click.Path(path_type=Path), help="Model card.")
@click.option("--method", type=_METHODS, default="temperature", show_default=True)
@click.option("--share", default=0.5, show_default=True, help="Of the patients, to fit on.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--coverage", type=float, help="Choose a threshold that keeps so many answers.")
@click.option("--risk", type=float, help="Or one that promises at most so many errors.")
def calibrate(
    folder: Path,
    card: Path,
    method: str,
    share: float,
    seed: int,
    coverage: float | None,
    risk: float | None,
) -> None:
    """Fit a calibrator on the labelled images of the run in FOLDER.

    It is written beside the card. Some patients fit it, the others judge it; run it on patients
    that no later test will use. Nothing is written where the log loss of the others rises.
    """
    from foveal.analysis.calibrator_file import write_calibrator
    from foveal.analysis.fitting import Fitting, cautions, fit_calibrator
    from foveal.analysis.records import read_records
    from foveal.core import ModelError
    from foveal.report.proof.say import estimate_in_words, rule_in_words
    from foveal.store import Run

    how = Fitting(method=method, share=share, seed=seed, coverage=coverage, risk=risk)
    run = Run.open(folder)
    fitted, made = fit_calibrator(read_records(run), _facts(run, card), how)
    click.echo(_who(fitted, made))
    for (name, (raw, better)), change in zip(fitted.measured.items(), made.changes, strict=True):
        said = estimate_in_words(change.difference)
        click.echo(f"{name}: {raw:.3f} before, {better:.3f} after on others; change {said}")
    if fitted.deferral is not None:
        threshold = fitted.deferral.threshold
        said = fitted.deferral.reason if threshold is None else f"threshold {threshold:.3f}"
        click.echo(f"{rule_in_words(fitted.deferral)}: {said}")
    for note in cautions(fitted, made):
        click.echo(f"note: {note}")
    if made.worse:
        raise ModelError(
            f"the calibrator raises the log loss of {fitted.model} on patients that it was not "
            "fitted on, so none was written; fit on more, or keep the model's own probabilities"
        )
    path = card.with_name(f"{card.stem}.calibrator.json")
    write_calibrator(fitted, path)
    click.echo(f"calibrator: {path}")
    click.echo(f'to use it, put this line above the tables of {card}: calibrator = "{path.name}"')


def _who(fitted: "FittedCalibrator", made: "Recalibration") -> str:
    from foveal.report.words import counted

    judges = made.changes[0].difference
    return (
        f"fitted on {counted(fitted.rows, 'image')} of {counted(fitted.units, fitted.unit)}, "
        f"judged on {counted(made.rows, 'image')} of {counted(judges.n_units, judges.unit)} others"
    )


def _facts(run: "Run", card: Path) -> Mapping[str, Any]:
    """What the run's header says of the model of a card."""
    import tomllib

    from foveal.core import ModelError

    try:
        name = tomllib.loads(card.read_text(encoding="utf-8")).get("name")
    except (OSError, ValueError) as problem:
        raise ModelError(f"cannot read the model card {card}: {problem}") from problem
    header: Mapping[str, Any] = run.header
    found = next((model for model in header["models"] if model["name"] == name), None)
    if found is None:
        known = ", ".join(model["name"] for model in header["models"])
        raise ModelError(f"the run has no model {name!r}, which {card} describes; it has {known}")
    return found
