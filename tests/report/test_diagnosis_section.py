"""The page and the audit file say what is wrong, where maps should lie, and what is missing."""

import json
import re

import pytest
from jsonschema import Draft202012Validator

from foveal.core import Evidence, Finding
from foveal.report import case_html, schema, write_audit, write_page
from foveal.report.diagnosis.findings import evidence_in_words, label_in_words
from foveal.store import Explained, Measured

FINDING = Finding(
    label="SHORTCUT_SUSPECTED",
    cause="the cause",
    evidence=(
        Evidence(measure="dice", region="all lesions", value=0.0625, chance=0.03125),
        Evidence(measure="excess_drop", value=0.25, chance=0, percentile=0.96),
        Evidence(measure="lesion_drop", region="all lesions", reason="not measured"),
    ),
    unchecked=("NOISY not ruled out: hfpr was not measured",),
    warnings=("1.0 % outside",),
    next_step="take it away",
)
FOCUS = {
    "grader": {
        "scale": "icdr",
        "title": "Retinopathy",
        "reference": "Wilkinson et al. 2003",
        "classes": {
            "No DR": {"lesions": [], "structures": [], "note": None},
            "Severe": {
                "lesions": ["hard exudates", "venous beading"],
                "structures": [],
                "note": "the rule",
            },
        },
    }
}
NEED = {
    "modality": "fundus",
    "tasks": ["ordinal"],
    "title": "Grading",
    "demand": "high",
    "why": "it decides",
    "proofs": [
        {"asks": "On lesions?", "measures": ["relevance_mass"], "on": "lesions", "fact": None,
         "get": "give outlines"},
        {"asks": "On structures?", "measures": ["region_shares"], "on": "structures", "fact": None,
         "get": "give structures"},
        {"asks": "Sane?", "measures": [], "on": None, "fact": "gate", "get": "ask for mprt"},
        {"asks": "Stable?", "measures": ["avg_sensitivity"], "on": None, "fact": None,
         "get": "ask again"},
    ],
}  # fmt: skip
GATE = {
    "model": "grader",
    "key": "gradcam",
    "score": {
        "value": 0.1,
        "reason_text": None,
        "parts": {"passed": True, "auroc": 0.5, "auroc_interval": [0.4, 0.59]},
    },
}


def text_of(html: str) -> str:
    plain = re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", html, flags=re.S)
    return re.sub(r"\s+", " ", plain)


@pytest.fixture(scope="module")
def cases(make_case, make_view, make_map, make_score):
    def shares(region: str, value: float, chance: float) -> Measured:
        score = make_score(
            name="region_shares", value=value, chance=chance, direction="context", range=(0, 100)
        )
        return Measured(score=score, region=region)

    def case(name: str, value: float):
        one = make_map(
            scores=[
                shares("hard exudates", value, 5.0),
                shares("optic disc", 50.0, 10.0),
                Measured(score=make_score(value=0.25), region="hard exudates"),
            ]
        )
        made = Explained(
            key=one.key, attribution=one.attribution, scores=one.scores, finding=FINDING
        )
        return make_case(name, views=(make_view(explained=(made,)),))

    return [case("I-0", 10.0), case("I-1", 30.0)]


@pytest.fixture(scope="module")
def run(make_run, cases):
    return make_run(cases, expected_focus=FOCUS, proof=[NEED], gates=[GATE])


@pytest.fixture(scope="module")
def page(run):
    return text_of(write_page(run).read_text(encoding="utf-8"))


def test_the_page_counts_the_findings_and_explains_all_of_them(page):
    assert "Question Method Shortcut suspected grader, the predicted class Grad-CAM 2" in page
    assert "Unverified focus" in page
    assert "NOISY not ruled out: hfpr was not measured (2 maps)" in page


def test_the_page_says_which_method_notices_a_ruined_model(page):
    assert "Grad-CAM on grader: notices: a map is told from other patients' by" in page.replace(
        "&#39;", "'"
    )
    assert "AUROC 0.5 (95 % interval 0.4 to 0.59" in page


def test_expected_and_observed_focus_stand_side_by_side(page):
    assert "Retinopathy (Wilkinson et al. 2003)" in page
    assert "hard exudates yes 20 5 4 × 2" in page, "mean of 10 and 30 against 5"
    assert "venous beading yes outlined in no image" in page
    assert "optic disc no 50 10 5 × 2" in page


def test_the_proof_that_is_there_and_the_proof_that_is_missing_are_told(page):
    assert "the demand is high, since it decides. 3 of 4 questions have a number" in page
    assert "On lesions? Relevance mass (2)" in page
    assert "On structures? Region shares (2)" in page
    assert "Sane? Gate (1)" in page
    assert "Stable? missing ask again" in page


def test_a_case_says_what_is_wrong_with_each_map(cases):
    told = text_of(case_html(cases[0]))
    for words in (
        "Grad-CAM Shortcut suspected : the model depends on where the map points",
        "(the cause)",
        "1.0 % outside",
        "Not ruled out (1)",
        "Dice on all lesions: 0.0625, chance 0.0312",
        "Excess drop: 0.25, chance 0, above 96 % of random ones",
        "Lesion drop on all lesions: not measured",
        "take it away",
    ):
        assert words in told.replace("\u202f", " ")


def test_a_number_at_the_low_end_of_random_ones_is_below_them():
    low = Evidence(measure="deletion_auc", value=0.1, percentile=0.0)
    assert evidence_in_words(low) == ("Deletion AUC", "0.1, below 100\u202f% of random ones")


def test_a_run_without_findings_says_so(make_run):
    told = text_of(write_page(make_run()).read_text(encoding="utf-8"))
    assert "No map was diagnosed." in told
    assert "This run names no expected focus." in told
    assert "no table says which proof it needs" in told


def test_a_model_whose_classes_fit_no_table_is_told(make_run):
    told = text_of(write_page(make_run(expected_focus={"grader": None})).read_text("utf-8"))
    assert "grader: no table of expected focus fits its classes" in told


def test_the_audit_file_holds_the_same_and_keeps_to_its_schema(run):
    content = json.loads(write_audit(run).read_text(encoding="utf-8"))
    Draft202012Validator(schema()).validate(content)
    (made,) = content["cases"][0]["views"][0]["maps"]
    assert made["finding"]["label"] == "SHORTCUT_SUSPECTED"
    assert made["finding"]["evidence"][2]["reason"] == "not measured"
    told = content["diagnosis"]
    assert told["findings"] == [
        {"model": "grader", "target": "predicted", "key": "gradcam",
         "counts": {"SHORTCUT_SUSPECTED": 2}}
    ]  # fmt: skip
    (part,) = told["expected_focus"]
    assert [row["enrichment"] for row in part["regions"]] == [4.0, None, 5.0]
    assert told["proof"][0]["questions"][3] == {"asks": "Stable?", "there": {}}


@pytest.mark.parametrize(
    ("label", "words"),
    [("SHORTCUT_SUSPECTED", "Shortcut suspected"), ("REDUNDANT_OR_OOD", "Redundant or OOD")],
)
def test_findings_are_named_in_words(label, words):
    assert label_in_words(label) == words
