"""The command `foveal`. Torch and NumPy are imported by the commands that need them."""

import sys
import traceback
import warnings
from collections.abc import Sequence

import click

from foveal import __version__
from foveal.app.calibrating import calibrate
from foveal.app.deidentifying import deidentify
from foveal.app.exporting import export
from foveal.app.gallery import gallery
from foveal.app.looking import check, inspect, measures, methods
from foveal.app.running import demo, explain, measure, report, run
from foveal.app.sealing import manifest, verify
from foveal.app.studying import prepare_study

_WRONG_USE, _INTERNAL, _INTERRUPTED = 2, 1, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="foveal")
def foveal() -> None:
    """See what an ocular AI model sees, and prove it.

    Exit codes: 0 all done, 3 some images failed (the report names them) or a folder is not as its
    manifest says, 2 wrong use, 1 internal error, 130 interrupted.
    """


for _command in (
    demo, gallery, run, explain, measure, report, calibrate, manifest, verify, methods, measures,
    inspect, check, prepare_study, deidentify, export,
):  # fmt: skip
    foveal.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit code."""
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = foveal.main(arguments, prog_name="foveal", standalone_mode=False)
    except click.ClickException as problem:
        problem.show()
        return _WRONG_USE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; what is done stays done, run the same again to go on", err=True)
        return _INTERRUPTED
    except Exception as problem:  # noqa: BLE001 (the last place that can still say something)
        return _explained(problem)
    return code if isinstance(code, int) else 0


def _explained(problem: Exception) -> int:
    from foveal.core import FovealError

    if isinstance(problem, FovealError | ValueError | TypeError):
        click.echo(f"foveal: {problem}", err=True)
        return _WRONG_USE
    click.echo("".join(traceback.format_exception(problem)), err=True)
    click.echo(
        f"foveal: internal error: {problem!r}; please report it with the lines above", err=True
    )
    return _INTERNAL


def _show_warning(message: Warning | str, *_: object) -> None:
    click.echo(f"note: {message}", err=True)
