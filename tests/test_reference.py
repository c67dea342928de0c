"""The page of reference has every public name of the explainers."""

import re
from pathlib import Path

from foveal import explainers

PAGE = (Path(__file__).parents[1] / "docs" / "api.md").read_text("utf-8")


def test_every_explainer_has_its_place():
    listed = re.search(r"automodule:: foveal\.explainers\n   :members:(.*)$", PAGE, re.MULTILINE)
    assert listed is not None
    printed = re.findall(r"\w+", listed[1]) or explainers.__all__  # all where none is listed
    assert set(explainers.__all__) - set(printed) == set()
