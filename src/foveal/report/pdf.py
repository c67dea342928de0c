"""The page as PDF, printed by a browser that is there.

The page is one file for browsers, with grids, pictures in pictures and folded parts that paper
unfolds. A browser prints what the reader sees, tagged for screen readers; nothing is drawn a second
time by other rules.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from foveal.core import StoreError
from foveal.store import Run

BROWSERS = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
    "microsoft-edge", "msedge",
)  # fmt: skip
"""Programs that print without a window, in the order in which they are looked for."""
VARIABLE = "FOVEAL_BROWSER"
"""Names another program of this kind."""
_SECONDS = 300
_SETTINGS = (
    "--headless",
    "--disable-gpu",
    "--disable-extensions",
    "--no-first-run",
    "--no-pdf-header-footer",
    # The page asks for nothing outside itself; the browser shall not either.
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


def browser() -> str | None:
    """The program that would print, or `None` where there is none."""
    named = os.environ.get(VARIABLE)
    found = (shutil.which(name) for name in ((named,) if named else BROWSERS))
    return next((path for path in found if path is not None), None)


def write_pdf(run: Run) -> Path:
    """Print `report.html` of a run's folder as `report.pdf` beside it.

    A PDF holds the time of its making, so that its bytes differ from time to time.

    Raises:
        StoreError: No page, no browser that prints, or one that failed.
    """
    page = run.folder / "report.html"
    if not page.is_file():
        raise StoreError(f"{run.folder} holds no report.html to print; write the report first")
    program = browser()
    if program is None:
        raise StoreError(
            "a PDF is printed by Chromium, Chrome or Edge, but none was found; install one, or "
            f"name it by the environment variable {VARIABLE}"
        )
    with TemporaryDirectory() as scratch:
        made = Path(scratch) / "report.pdf"
        told = _print(program, page, made, Path(scratch) / "profile")
        if not made.is_file():
            raise StoreError(f"{Path(program).name} printed nothing; it said: {told or 'nothing'}")
        path = run.folder / "report.pdf"
        try:
            shutil.copyfile(made, path)
        except OSError as problem:
            raise StoreError(f"cannot write the PDF: {problem.strerror or problem}") from problem
    return path


def _print(program: str, page: Path, made: Path, profile: Path) -> str:
    """What the browser said."""
    asked = [program, *_SETTINGS, *_as_root(), f"--user-data-dir={profile}"]
    try:
        done = subprocess.run(
            [*asked, f"--print-to-pdf={made}", page.resolve().as_uri()],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired as problem:
        raise StoreError(
            f"{Path(program).name} had not printed the page after {_SECONDS} seconds; show fewer "
            "images on it (max_cases)"
        ) from problem
    except OSError as problem:
        raise StoreError(f"{program} cannot be run: {problem.strerror or problem}") from problem
    return done.stderr.strip()[-500:]


def _as_root() -> Sequence[str]:
    """Chromium's sandbox does not work for root, as in containers; the page is our own."""
    return ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()
