"""The audit file tells machines what the page tells people, and keeps to its schema."""

import json
import weakref

import numpy as np
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator

from foveal.core import Region, StoreError
from foveal.report import schema, write_audit
from foveal.store import Case, Measured, Run


def audit_of(run: Run) -> dict:
    content = json.loads(write_audit(run).read_text(encoding="utf-8"))
    Draft202012Validator(schema()).validate(content)
    return content


@pytest.fixture(scope="module")
def run(make_run, make_case):
    return make_run([make_case("I-1")], [make_case("I-0"), Case(id="I-9", failure="too dark")])


@pytest.fixture(scope="module")
def audit(run):
    return audit_of(run)


def test_the_schema_is_a_schema_and_the_file_names_it(audit):
    Draft202012Validator.check_schema(schema())
    assert (audit["schema"], audit["version"]) == ("foveal-report", 1)
    properties = schema()["properties"]
    assert properties["schema"]["const"] == audit["schema"]
    assert properties["version"]["const"] == audit["version"]


DAMAGE = [
    pytest.param(lambda a: a["cases"][0].update(secret=1), id="an unknown key"),
    pytest.param(lambda a: a["cases"][0].pop("laterality"), id="a missing key"),
    pytest.param(lambda a: _score(a).update(value=None), id="neither value nor reason"),
    pytest.param(lambda a: _score(a).update(reason="empty_mask"), id="value and reason"),
    pytest.param(lambda a: a.update(version=2), id="another version"),
]


def _score(audit: dict) -> dict:
    return audit["cases"][0]["views"][0]["maps"][0]["scores"][0]


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_schema_refuses_a_file_that_is_wrong(audit, damage):
    wrong = json.loads(json.dumps(audit))
    damage(wrong)
    assert not Draft202012Validator(schema()).is_valid(wrong)


def test_scores_stand_with_chance_ceiling_direction_or_reason(audit):
    found, missing, anatomy, curve, _ = audit["cases"][0]["views"][0]["maps"][0]["scores"]
    assert (found["value"], found["chance"], found["ceiling"]) == (0.421875, 0.03125, 1)
    assert (found["direction"], found["better_than_chance"]) == ("higher", True)
    assert anatomy["better_than_chance"] is False
    assert missing["value"] is None
    assert missing["reason_text"] == "the mask has no pixel inside the field"
    assert curve["better_than_chance"] is None, "no chance level is known"
    assert curve["parts"]["scores"] == [0.9, 0.5, 0.1]


def test_each_map_is_found_in_the_shard_it_names(run, audit):
    for case in audit["cases"][:2]:
        (one,) = case["views"][0]["maps"]
        table = pq.read_table(run.shard(one["values"]["shard"]) / one["values"]["table"])
        rows = [
            row
            for row in table.to_pylist()
            if (row["image"], row["key"], row["target"])
            == (case["image"], one["key"], one["target"])
        ]
        assert [row["shape"] for row in rows] == [one["values"]["shape"]] == [[4, 4]]


def test_failures_the_cohort_the_log_and_the_limits_are_told(audit):
    assert audit["cases"][2]["failure"] == "too dark"
    assert audit["cohort"]["failures"] == {"I-9": "too dark"}
    assert (audit["cohort"]["images"], audit["cohort"]["explained"]) == (3, 2)
    first = audit["cohort"]["scores"][0]
    assert (first["measure"], first["region"], first["mean"], first["better_than_chance"]) == (
        "relevance_mass", "hard exudates", 0.421875, 2,
    )  # fmt: skip
    assert audit["log"]["stage_seconds"] == {"read": 1.0, "explain": 3.0}
    assert audit["log"]["warnings"] == {"the layer was chosen by rule": 1}
    assert audit["limits"][0]["title"] == "Not a medical device"
    assert audit["run"]["fingerprint"] == "f" * 64


def test_what_is_no_number_is_null(make_run, make_case, make_view, make_map, make_score):
    parts = {"fractions": np.array([0.0, np.nan]), "n": np.float32(2), "inf": float("inf")}
    unbounded = make_score(value=0.5, range=(-np.inf, np.inf), parts=parts)
    one = make_map(scores=[Measured(score=unbounded)])
    run = make_run([make_case(views=(make_view(explained=(one,)),))])
    score = audit_of(run)["cases"][0]["views"][0]["maps"][0]["scores"][0]
    assert score["range"] == [None, None]
    assert score["parts"] == {"fractions": [0, None], "n": 2, "inf": None}
    assert "NaN" not in (run.folder / "report.json").read_text()


def test_the_same_run_gives_the_same_bytes(run):
    assert write_audit(run).read_bytes() == write_audit(run).read_bytes()


def test_one_case_is_in_memory_at_a_time(make_run, make_case, monkeypatch):
    known: list[weakref.ref[Case]] = []
    alive = []

    def cases(self, shard):
        for number in range(3):
            alive.append(sum(case() is not None for case in known))
            case = make_case(f"I-{shard}{number}")
            known.append(weakref.ref(case))
            yield case
            del case

    run = make_run([make_case("I-0")], [make_case("I-1")])
    monkeypatch.setattr(Run, "cases_of", cases)
    assert len(audit_of(run)["cases"]) == 6
    assert alive == [0] * 6


def test_neither_files_nor_places_are_named(make_run, make_case):
    mask = np.eye(40, 60, dtype=bool)
    planted = "/data/Mueller_Hans/OD.png"
    run = make_run([make_case(regions=(Region(name="drusen", mask=mask, source=planted),))])
    text = write_audit(run).read_text()
    assert "Mueller" not in text
    assert str(run.folder) not in text


def test_a_folder_that_cannot_be_written_is_said(make_run):
    run = make_run()
    (run.folder / "report.json").mkdir()
    with pytest.raises(StoreError, match="cannot write the report"):
        write_audit(run)
    assert not list(run.folder.glob(".report*"))
