"""The flat table holds every number of a run, and the dictionary says what each column is."""

import csv
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from foveal.core import FINDINGS, REASONS, Finding, StoreError
from foveal.report import write_results
from foveal.store import Case, Measured


@pytest.fixture(scope="module")
def run(make_run, make_case, make_view, make_map, make_score):
    unbounded = make_score(name="deletion_auc", value=7.0, range=(0, float("inf")))
    found = replace(
        make_map(key="layercam"),
        finding=Finding(label="DIFFUSE", cause="too deep a layer", next_step="look at others"),
    )
    maps = (make_map(scores=[Measured(score=unbounded)]), found)
    return make_run(
        [make_case("I-1"), make_case("I-0", views=(make_view(explained=maps),))],
        [make_case("I-2", views=(make_view(explained=()),)), Case(id="I-9", failure="too dark")],
    )


@pytest.fixture(scope="module")
def rows(run):
    table, _ = write_results(run)
    return pq.read_table(table).to_pylist()


def test_every_score_of_the_store_is_a_row_with_its_map_view_and_image(run, rows):
    expected = [
        (case.id, view.model, e.key, e.attribution.target, m.score.name, m.region, m.score.value)
        for case in run.cases() for view in case.views for e in view.explained for m in e.scores
    ]  # fmt: skip
    names = ("image", "model", "key", "target", "measure", "region", "value")
    found = [tuple(row[name] for name in names) for row in rows if row["measure"] is not None]
    assert found == expected
    first = rows[0]
    assert (first["patient"], first["prediction"], first["layer"], first["ceiling"]) == (
        "P-1", "Severe", "features.top", 1.0,
    )  # fmt: skip


def test_a_map_without_scores_a_view_without_maps_and_a_failed_image_have_a_row_each(rows):
    alone = [row for row in rows if row["measure"] is None]
    names = ("image", "model", "key", "prediction", "finding", "failure")
    assert [tuple(row[name] for name in names) for row in alone] == [
        ("I-0", "grader", "layercam", "Severe", "DIFFUSE", None),
        ("I-2", "grader", None, "Severe", None, None),
        ("I-9", None, None, None, None, "too dark"),
    ]


def test_a_run_from_before_there_were_findings_is_told_as_well(make_run):
    run = make_run()
    (run.shard(0) / "findings.parquet").unlink(missing_ok=True)
    table, _ = write_results(run)
    assert set(pq.read_table(table)["finding"].to_pylist()) == {None}


def test_a_missing_number_and_an_infinite_bound_are_null(rows):
    missing = [row for row in rows if row["reason"] is not None]
    assert {(row["value"], row["reason"]) for row in missing} == {(None, "empty_mask")}
    (unbounded,) = [row for row in rows if row["value"] == 7.0]
    assert (unbounded["low"], unbounded["high"]) == (0.0, None)


def test_every_number_but_srg_is_judged_as_it_is(rows):
    assert [row["judged_value"] for row in rows] == [row["value"] for row in rows]
    assert [row["judged_chance"] for row in rows] == [row["chance"] for row in rows]


def test_the_dictionary_says_every_column_measure_and_reason(run, rows):
    table, dictionary = write_results(run)
    with dictionary.open(encoding="utf-8", newline="") as file:
        said = {(row["what"], row["name"]): row for row in csv.DictReader(file)}
    assert {name for what, name in said if what == "column"} == set(rows[0])
    assert {name for what, name in said if what == "reason"} == set(REASONS)
    assert {name for what, name in said if what == "finding"} == set(FINDINGS)
    mass = said["measure", "relevance_mass"]
    assert (mass["direction"], mass["missing when"]) == ("higher", "the region is empty")
    assert said["measure", "deletion_auc"]["range"] == "[unbounded, unbounded]"
    assert all(row["meaning"] for row in said.values())
    spacing = pq.read_schema(table).field("row_spacing_mm").metadata
    assert spacing[b"unit"] == b"mm"


def test_the_same_run_gives_the_same_bytes(run):
    first = [path.read_bytes() for path in write_results(run)]
    assert [path.read_bytes() for path in write_results(run)] == first


def test_a_damaged_shard_and_a_folder_that_cannot_be_written_are_said(make_run):
    run = make_run()
    (run.shard(0) / "scores.parquet").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match="shard 00000 of the run is damaged"):
        write_results(run)
    whole = make_run()
    (whole.folder / "results.parquet").mkdir()
    with pytest.raises(StoreError, match="cannot write the results"):
        write_results(whole)
    assert not list(whole.folder.glob(".results*"))
