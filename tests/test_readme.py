"""The README names everything that is there: methods as their papers write them, and extras."""

import re
import tomllib
from pathlib import Path

import pytest

from foveal.explainers import methods
from foveal.report.words import method_name

ROOT = Path(__file__).parents[1]
FOR_DEVELOPERS = {"dev", "docs"}


def readme() -> str:
    return " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())


def listed() -> set[str]:
    """The items of the list of methods."""
    section = re.search(r"\*\*Methods\*\*(.*?)- \*\*Measures\*\*", readme())
    assert section is not None
    plain = re.sub(r"\([^)]*\)| - |\bof [^:;]*:|by [^:;]*:", ",", section[1]).lower()
    return {item.strip(" .") for item in re.split(r"[,;:]", plain)}


@pytest.mark.parametrize("method", [method.name for method in methods()])
def test_the_readme_lists_every_method(method):
    assert method_name(method).lower().replace("×", "x") in listed()


def test_the_readme_names_every_extra_and_the_licence_that_is_not_free_of_conditions():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = set(project["optional-dependencies"]) - FOR_DEVELOPERS
    assert {extra for extra in extras if f"`{extra}`" not in readme()} == set()
    assert re.search(r"zennit is licensed under the LGPL", readme())
