"""Scores over all images at once stand in the page and in the audit file, or their reason does."""

import json
import re
from dataclasses import fields
from html import unescape

import pytest
from jsonschema import Draft202012Validator

from foveal.core import Score
from foveal.report import schema, write_audit, write_page
from foveal.report.concepts import concept_scores, methods_of

CARD = {
    "key": "tcav",
    "name": "tcav",
    "settings": {"concepts": {"haemorrhage": 40, "drusen": 5}, "pool": "none"},
    "question": "Does a concept raise the score?",
    "sign": "above 0.5: raises it",
    "grid": "no map",
    "cost": "1 F + 1 B",
    "reference": "Kim et al. 2018",
}
COUNTS = {"images": 6, "images_without_gradient": 1}
TESTED = {**COUNTS, "accuracy": 0.9375, "p": 0.05, "p_holm": 0.1, "runs": [0.75, 1.0]}


def stored(concept: str, examples: int, **changes: object) -> dict[str, object]:
    """A score as a run's header holds it."""
    params = {"concept": concept, "layer": "features.top", "concept_examples": examples}
    settings = {"name": "tcav", "direction": "context", "range": (0, 1), "chance": 0.5}
    score = Score(**{**settings, "params": params, **changes})  # type: ignore[arg-type]
    plain = {field.name: getattr(score, field.name) for field in fields(Score)}
    told = {**plain, "params": dict(score.params), "parts": dict(score.parts)}
    return {"method": CARD, "target": "predicted: Severe", "score": told}


TOGETHER = [
    stored("haemorrhage", 40, value=0.875, null=(0.25, 0.5, 0.625), parts=TESTED),
    stored(
        "camera", 20, reason="no_concept", null=(0.5,), parts={**TESTED, "accuracy": 0.5, "p": 1.0}
    ),
    stored("drusen", 5, reason="too_few", parts=COUNTS),
]


@pytest.fixture(scope="module")
def run(make_run):
    return make_run(together=json.loads(json.dumps(TOGETHER)))


@pytest.fixture(scope="module")
def rows(run) -> list[list[str]]:
    """The cells of the table of concepts, as text."""
    page = write_page(run).read_text(encoding="utf-8")
    (section,) = re.findall(r'<section id="concepts".*?</section>', page, re.DOTALL)
    found = re.findall(r"<tr>(.*?)</tr>", section, re.DOTALL)
    cells = [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.DOTALL) for row in found]
    return [[unescape(re.sub(r"<.*?>", "", cell)).strip() for cell in row] for row in cells]


def test_the_page_shows_each_concept_with_what_is_needed_to_judge_it(rows):
    assert rows[0][4:] == [
        "Score", "p", "p adjusted", "Accuracy", "Random sets", "Examples", "Images",
    ]  # fmt: skip
    assert rows[1] == [
        "haemorrhage", "TCAV", "Severe (predicted)", "features.top",
        "0.875", "0.05", "0.1", "0.938", "3: 0.25 to 0.625", "40", "6",
    ]  # fmt: skip


def test_the_page_says_why_a_concept_has_no_score(rows):
    assert rows[2][4:8] == [
        "none: the concept cannot be told from random examples", "1", "0.1", "0.5",
    ]  # fmt: skip
    assert rows[3][4:] == [
        "none: too few samples for this number", "none", "none", "none", "none", "5", "6",
    ]  # fmt: skip


def test_the_method_stands_among_the_methods_and_in_the_lead(run):
    page = write_page(run).read_text(encoding="utf-8")
    cards = page[page.index('<section id="methods"') :]
    assert "concepts haemorrhage 40, drusen 5, pool none" in cards
    assert "1 map of what the answers rest on; 3 concepts were tested over all of them." in page
    assert '<a href="#concepts">' in page
    assert [method["name"] for method in methods_of(run.header)] == ["gradcam", "tcav"]


def test_a_run_of_concepts_alone_drew_no_maps(make_run):
    page = write_page(make_run(methods=[], together=TOGETHER[:1])).read_text(encoding="utf-8")
    assert "read 1 image; 1 concept was tested over all of them." in page


def test_a_run_without_concepts_has_no_such_section(make_run):
    run = make_run()
    assert 'id="concepts"' not in write_page(run).read_text(encoding="utf-8")
    assert json.loads(write_audit(run).read_text(encoding="utf-8"))["concepts"] == []
    assert concept_scores(run.header) == []


def test_the_audit_file_tells_the_same_and_keeps_to_its_schema(run):
    audit = json.loads(write_audit(run).read_text(encoding="utf-8"))
    checker = Draft202012Validator(schema())
    checker.validate(audit)
    found, untold, few = audit["concepts"]
    assert (found["concept"], found["layer"], found["target"]) == (
        "haemorrhage", "features.top", "predicted: Severe",
    )  # fmt: skip
    assert (found["p"], found["p_holm"], found["accuracy"]) == (0.05, 0.1, 0.9375)
    assert (found["random_sets"], found["examples"], found["images"]) == (3, 40, 6)
    assert (found["score"]["value"], found["score"]["null"]) == (0.875, [0.25, 0.5, 0.625])
    assert (untold["score"]["value"], untold["score"]["reason"]) == (None, "no_concept")
    assert (few["p"], few["accuracy"], few["random_sets"]) == (None, None, 0)
    assert few["score"]["reason_text"] == "too few samples for this number"
    found["p"] = 2
    assert not checker.is_valid(audit)
