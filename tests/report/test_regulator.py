"""What a reviewer asks has an answer from the run, a statement, or is plainly open."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from foveal.core import FINDINGS, Finding, PlanError, Region, Score, StoreError
from foveal.report import schema, write_audit, write_page, write_results
from foveal.report.checklist import CHECKLISTS, REQUIREMENTS, STATED, Item, checklist, filled
from foveal.report.cohort import Cohort
from foveal.report.facts import FACTS, SECTIONS
from foveal.report.proof.tiles import tile
from foveal.report.record import record_of
from foveal.report.traits import Traits
from foveal.store import Case, Loss, Measured, Run
from foveal.store.statement import TOPICS, keep_statement, read_statement

FORBIDDEN = re.compile(r"(FDA|CE([- ]mark)?)[- ](proposed )?(threshold|cut-?off)", re.IGNORECASE)


def record(run: Run):
    cohort, traits = Cohort(), Traits()
    for case in run.cases():
        cohort.add(case)
        traits.add(case)
    return record_of(run, cohort, traits)


@pytest.fixture(scope="module")
def told(make_run):
    return record(make_run())


@pytest.fixture(scope="module")
def bare(make_run):
    """A run that knows next to nothing of itself."""
    run = make_run([Case(id="I-9", failure="dark")], measures=[], methods=[], models=[])
    for name in ("plan", "command", "level", "seed", "threads"):
        del run.header[name]
    run.header["versions"] = {}
    (run.folder / "log.jsonl").unlink()
    return record(run)


@pytest.mark.parametrize(
    ("key", "items"),
    [("claim-2024", 44), ("tripod-ai", 52), ("stard-ai", 48), ("clix-m", 14), (REQUIREMENTS, 13)],
)
def test_a_list_has_as_many_items_as_its_publication(key, items):
    numbers = [item.number for item in checklist(key).items]
    assert len(numbers) == len(set(numbers)) == items
    assert "doi:" in checklist(key).citation or key == REQUIREMENTS
    assert checklist(key).wording.startswith("Asked in our words")


@pytest.mark.parametrize("key", [*CHECKLISTS, REQUIREMENTS])
def test_every_item_is_answered_or_says_what_to_supply(told, bare, key):
    for one in (filled(key, told), filled(key, bare)):
        for answer in one.answers:
            assert answer.parts
            for part in answer.parts:
                opened = part.text.startswith("Open: ")
                assert part.is_open == opened
                assert not part.text.endswith((": .", ":.", " ."))


def test_every_topic_and_every_fact_is_asked_for_by_some_list():
    items = [item for key in (*CHECKLISTS, REQUIREMENTS) for item in checklist(key).items]
    assert {topic for item in items for topic in item.statement} == set(TOPICS)
    assert {fact for item in items for fact in item.facts} == set(FACTS)
    assert {fact.section for fact in FACTS.values()} | {STATED} == set(SECTIONS)


def test_what_a_run_does_not_know_says_how_it_could(bare):
    unknown = [fact for fact in FACTS.values() if fact.tells(bare) is None]
    assert len(unknown) > len(FACTS) / 2
    assert all(fact.supply for fact in unknown)


def test_an_item_that_nothing_could_answer_is_refused():
    with pytest.raises(ValueError, match="names nothing that could answer it"):
        Item(number="1", part="Data", asks="Where from")
    with pytest.raises(ValueError, match="nothing is called magic, luck"):
        Item(number="1", part="Data", asks="Where from", facts=("magic",), statement=("luck",))


def test_requirements_are_traced_to_sections_and_files_that_are_there(make_run):
    run = make_run()
    write_audit(run)
    write_results(run)
    page = write_page(run).read_text(encoding="utf-8")
    items = json.loads((run.folder / "report.json").read_text())["regulator"]["requirements"]
    parts = [p for item in items["items"] for p in item["answers"] if not p["is_open"]]
    assert {p["section"] for p in parts} <= set(re.findall(r' id="([a-z-]+)"', page))
    titles = dict(re.findall(r'<h2 id="([a-z]+)-title">(.+?)</h2>', page))
    there = SECTIONS.keys() & titles.keys() - {"models"}
    assert {name: titles[name] for name in there} == {name: SECTIONS[name] for name in there}
    for key in CHECKLISTS:
        assert checklist(key).wording.replace("'", "&#39;") in page
    written = {path.name for path in run.folder.iterdir()} | {"manifest.json"}
    assert {file for p in parts for file in p["files"]} <= written


def test_a_statement_answers_what_the_run_cannot_know(make_run, tmp_path):
    run = make_run(plan={"statement": {"funding": "none", "ethics": "committee of the town"}})
    path = tmp_path / "said.toml"
    path.write_text('funding = "the <b>city</b>"\nintended_use = "second look"\n')
    keep_statement(run, path)
    audit = json.loads(write_audit(run).read_text())
    Draft202012Validator(schema()).validate(audit)
    (claim, *_) = audit["regulator"]["checklists"]
    funding = next(item for item in claim["items"] if item["number"] == "44")
    assert (funding["status"], funding["answers"][0]["text"]) == (
        "answered",
        "Funding: the <b>city</b>",
    )
    assert audit["regulator"]["statement"]["ethics"] == "committee of the town"
    page = write_page(run).read_text(encoding="utf-8")
    assert "second look" in page
    assert "<b>city" not in page
    assert 'id="statement"' in page


WRONG = [
    pytest.param('fundings = "x"', "did you mean 'funding'", id="misspelt"),
    pytest.param('zzz = "x"', "there is no topic 'zzz' in a statement; use some of", id="unknown"),
    pytest.param("funding = 3", "funding must be a text, but is 3", id="a number"),
    pytest.param('funding = " "', "funding must be a text", id="empty"),
    pytest.param("funding", "said.toml", id="no TOML"),
]


@pytest.mark.parametrize(("text", "words"), WRONG)
def test_a_statement_that_is_wrong_is_refused(tmp_path, text, words):
    path = tmp_path / "said.toml"
    path.write_text(text)
    with pytest.raises(PlanError, match=words):
        read_statement(path)


def test_a_statement_that_cannot_be_read_or_kept_is_said(make_run, tmp_path):
    with pytest.raises(PlanError, match="cannot be read"):
        read_statement(tmp_path / "gone.toml")
    run = make_run()
    path = tmp_path / "said.toml"
    path.write_text('funding = "none"')
    (run.folder / "statement.toml").mkdir()
    with pytest.raises(StoreError, match="cannot write the statement"):
        keep_statement(run, path)


def test_a_statement_beside_the_run_may_be_given_again(make_run):
    run = make_run()
    path = run.folder / "statement.toml"
    path.write_text('funding = "none"')
    keep_statement(run, path)
    assert read_statement(path) == {"funding": "none"}


def test_what_was_planned_stands_beside_what_was_done(make_run, make_case, make_view, make_map):
    view = make_view(explained=(make_map(scores=(), notes=("stopped at 5 superpixels",)),))
    empty = make_view(explained=(make_map([[0.0]], reason="zero_map", scores=()),))
    cases = [make_case(views=(view,)), make_case("I-1", views=(empty,))]
    run = make_run([*cases, Case(id="I-9", failure="dark")], images=5, shards=2)
    run.log("started", machine={"cores": 2}, versions={"foveal": "0.1.0"}, images=5, done=3)
    run.log("measured", measures=["iou", "gini"])
    run.log("finished", images=5, failed=1)
    found = record(run)
    told = {(one.asked, one.done) for one in found.deviations}
    assert told == {
        ("5 images", "1 part of the run still to be done: 3 images so far"),
        (
            "5 images explained",
            "1 image could not be explained; each is named with its reason under “What failed”",
        ),
        ("grader checked at loading", "not checked: its card holds no check"),
        ("grader loaded as its card says", "2 keys were left out"),
        ("2 maps", "1 with nothing to show: the map has no positive value inside the field"),
        ("each method as its paper says", "stopped at 5 superpixels (1 map)"),
        ("no warning", "the layer was chosen by rule (I-0)"),
        ("Relevance mass", "never made; it needs nothing but the map"),
        ("Deletion AUC", "never made; it needs nothing but the map"),
        ("Excess drop", "never made; it needs nothing but the map"),
    }
    assert [change.what for change in found.changes] == [
        "started",
        "taken up again with 3 images done by foveal 0.1.0",
        "measured again: IoU and Gini",
        "finished with 5 images, 1 of them failed",
    ]
    assert found.sittings == 2


def test_findings_answer_for_failures_and_shortcuts(make_run, make_case, make_view, make_map):
    labels = ("SHORTCUT_SUSPECTED", "PASS", "PASS", "UNVERIFIED_FOCUS")
    maps = [
        replace(make_map(key=f"gradcam@{n}"), finding=Finding(label=label, next_step="look"))
        for n, label in enumerate(labels)
    ]
    found = record(make_run([make_case(views=(make_view(explained=tuple(maps)),))]))
    assert FACTS["shortcuts"].tells(found) == (
        "A shortcut is suspected in 1 of 3 maps that could be checked for it, of 4 diagnosed."
    )
    blind = record(make_run([make_case(views=(make_view(explained=(maps[3],)),))]))
    assert FACTS["shortcuts"].tells(blind) is None, "nothing checked is not nothing found"
    assert (FACTS["findings"].tells(found) or "").startswith(f"{FINDINGS['PASS']} (2); ")


def test_the_gate_is_told_only_where_it_was_decided(make_run):
    verdicts = {
        "gradcam": {"passed": True, "unchanged": False},
        "lrp": {"passed": False, "unchanged": False},
        "guided": {"passed": False, "unchanged": True},
        "rise": {"passed": None},
    }
    gates = [
        {"model": "grader", "key": key, "score": {"value": 0.5, "parts": parts}}
        for key, parts in verdicts.items()
    ]
    assert FACTS["gate"].tells(record(make_run(gates=gates))) == (
        "A ruined model: gradcam on grader notices it; lrp on grader is not shown to notice it; "
        "guided on grader draws the same whatever the weights."
    )
    assert FACTS["gate"].tells(record(make_run(gates=gates[3:]))) is None


def test_statistics_over_all_images_answer_on_page_and_in_audit(make_run, make_case):
    grades = ("No DR", "Severe", "Severe")
    cases = [
        make_case(f"I-{n}", patient=f"P-{n}", labels={"grade": grade, "camera": "AB"[n % 2]})
        for n, grade in enumerate(grades)
    ]
    run = make_run(cases)
    requirements = json.loads(write_audit(run).read_text())["regulator"]["requirements"]["items"]
    told = {item["number"]: [part["text"] for part in item["answers"]] for item in requirements}
    accuracy = told["4"][0]
    assert accuracy.startswith("grader on 3 images: accuracy 0.667 (")
    assert accuracy.endswith("; intervals by patient.")
    (error, rule) = told["4"][1].split("; ")
    # The model is sure with 0.9375 of “Severe” each time, and right twice of three.
    assert error == "grader, the model's own probabilities: expected calibration error 0.271"
    assert rule.startswith("grader: ")
    assert told["4"][2:] == [], "nobody is asked for a calibrator"
    assert told["7"][0] == (
        "Chosen by rule: drawn at random (3), worst tenth (3), wrong and confident (1)."
    )
    assert told["8"][2] == "By camera and grade: no gap could be tested."
    page = write_page(run).read_text(encoding="utf-8")
    assert page.count(accuracy) > 1, "in the requirements, and in checklists"


def missing(make_map, *reasons: str, **changes: object):
    scores = tuple(
        Measured(score=Score(name="gini", reason=reason, direction="higher", range=(0, 1)))
        for reason in reasons
    )
    return make_map(scores=scores, **changes)


def test_only_what_could_have_been_made_is_a_deviation(make_run, make_case, make_view, make_map):
    own = missing(make_map, "too_few", "empty_mask")
    blank = {"key": "drawing", "method": "made elsewhere", "values": np.zeros((4, 4))}
    drawing = missing(make_map, "zero_map", "made_elsewhere", **blank)
    run = make_run([make_case(views=(make_view(explained=(own, drawing)),))])
    drawn = {"key": "drawing", "name": "made elsewhere", "settings": {}, "reference": "Dr A, 2025"}
    run.header["methods"].append({**run.header["methods"][0], **drawn})
    found = record(run)
    told = {one.done for one in found.deviations if "number" in one.asked or "map" in one.asked}
    assert told == {"1 missing: too few samples for this number"}
    assert (FACTS["explainers"].tells(found) or "").endswith("drawing, made elsewhere: Dr A, 2025.")


def test_the_gallery_says_which_map_made_elsewhere_an_image_lacks(make_case, make_view, make_map):
    drawing = make_map(key="drawing", method="made elsewhere")
    case = make_case(views=(make_view(explained=(make_map(), drawing)),))
    assert tile(case, ["drawing", "gaze"]).said.endswith(
        "there is no usable map 'gaze' of this image"
    )
    assert "drawing" not in tile(case, ["drawing"]).said


def test_a_run_says_how_small_a_thing_its_maps_show(told, make_run, make_case):
    limits = {limit.title: limit.text for limit in told.limits}
    assert "Grad-CAM 1\u202f000 × 1\u202f000 µm" in limits["Resolution in micrometres"]
    assert (
        "at most 125 µm wide: Grad-CAM cannot point at a single one"
        in (limits["Resolution in micrometres"])
    )
    assert "1 of 3 outlined areas vanish" in limits["Lesions too small for the model"]
    assert "No DR" in limits["Classes without an example: grader"]
    unknown = record(make_run([make_case(), make_case("I-1", spacing_mm=None)]))
    texts = [limit.text for limit in unknown.limits]
    (unscaled,) = [text for text in texts if text.startswith("The pixel spacing of 1 image of 2 ")]
    assert unscaled.endswith("as the median over the images: Grad-CAM 10 × 10.")


def test_a_mask_outside_the_eye_is_not_told_as_too_small(make_run, make_case, make_view):
    def limits(mask):
        loss = Loss(region="hard exudates", lesions=2, lesions_lost=2, area_kept=0.0)
        region = Region(name="hard exudates", mask=mask, kind="lesion")
        run = make_run([make_case(regions=(region,), views=(make_view(losses=(loss,)),))])
        return {limit.title: limit.text for limit in record(run).limits}

    mask = np.zeros((40, 60), bool)
    mask[2:4, 1:4] = mask[30:32, 1:4] = True  # the model sees the columns from 10
    told = limits(mask)
    assert told["Outlines outside the eye"].startswith("2 of 2 outlined areas lie outside")
    assert "Lesions too small for the model" not in told
    within = mask.copy()
    within[20, 30] = True  # in the middle of the eye, and lost all the same
    told = limits(within)
    assert "Outlines outside the eye" not in told
    assert told["Lesions too small for the model"].startswith("2 of 2 outlined areas vanish")


def test_what_must_never_be_said_is_in_no_report(make_run):
    run = make_run()
    write_audit(run)
    write_page(run)
    write_results(run)
    assert FORBIDDEN.search("the CE threshold and an FDA proposed threshold")
    for path in run.folder.rglob("*"):
        if path.suffix in (".html", ".json", ".csv", ".jsonl"):
            assert not FORBIDDEN.search(path.read_text(encoding="utf-8")), path.name
