"""Sphinx: Markdown pages, and the reference from the docstrings."""

import tomllib
from pathlib import Path

from foveal import __version__, methods
from foveal.measures import MEASURES

project = "foveal"
author = "The foveal developers"
copyright = "The foveal developers"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
html_theme = "pydata_sphinx_theme"
html_title = "foveal"
exclude_patterns = ["_build", "_generated"]
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False


def setup(app: object) -> None:
    """Print the tables of methods, measures and models from the data of the command and tests."""
    folder = Path(__file__).with_name("_generated")
    folder.mkdir(exist_ok=True)
    rows = [(m.name, m.question, ", ".join(m.needs), m.cost, m.reference) for m in methods()]
    _table(folder / "methods.md", ("method", "question", "needs", "cost", "reference"), rows)
    rows = [(c.name, c.question, c.direction, c.chance, c.missing, c.reference) for c in MEASURES]
    titles = ("measure", "question", "better", "chance", "missing when", "reference")
    _table(folder / "measures.md", titles, rows)
    _tables_of_models(folder)


def _tables_of_models(folder: Path) -> None:
    source = Path(__file__).with_name("methods-by-models.toml")
    tried = tomllib.loads(source.read_text(encoding="utf-8"))
    rows = []
    for row in tried["row"]:
        reasons = [f"**{why}**: {', '.join(row[why])}" for why in tried["refusals"] if why in row]
        rows.append((", ".join(row["models"]), "<br>".join(reasons)))
    _table(folder / "models.md", ("models", "every method but"), rows)
    rows = [(why, f"... {says} ...") for why, says in tried["refusals"].items()]
    _table(folder / "refusals.md", ("reason", "the message says"), rows)


def _table(path: Path, titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    lines = [titles, ("---",) * len(titles), *rows]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
