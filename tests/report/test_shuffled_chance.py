"""The stability of maps is held against that of maps of different patients, everywhere alike."""

import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest

from foveal.analysis.records import read_records
from foveal.analysis.shuffled import shuffled_kept, with_shuffled_chance
from foveal.report import write_audit, write_page
from foveal.report.proof import proof_of
from foveal.report.results import write_results
from foveal.store import Measured

SSIM = {"name": "map_ssim", "range": (-1, 1), "ceiling": 1}
PAIRS = {"model": "grader", "target": "predicted", "key": "gradcam", "measure": "map_ssim"}


@pytest.fixture(scope="module")
def run(make_run, make_case, make_view, make_map, make_score):
    """SSIMs of 0.5, 0.75 and none under two methods; one of them has pairs, of mean 0.625."""

    def case(number, value):
        told = {"value": value, "chance": 0.25} if value else {"value": None, "reason": "zero_map"}
        scores = (
            Measured(score=make_score(**SSIM, **told)),
            Measured(score=make_score(name="ebc", value=0.5, chance=0.375)),
        )
        maps = tuple(make_map(key=key, scores=scores) for key in ("gradcam", "saliency"))
        return make_case(
            f"I-{number}", patient=f"P-{number}", views=(make_view(explained=maps, losses=()),)
        )

    cases = [case(number, value) for number, value in enumerate((0.5, 0.75, None))]
    return make_run(cases, shuffled=[{**PAIRS, "mean": 0.625, "values": [0.5, 0.75]}])


@pytest.fixture(scope="module")
def audit(run):
    return json.loads(write_audit(run).read_text(encoding="utf-8"))


def test_the_cohorts_numbers_are_judged_against_the_mean_of_the_pairs(audit):
    found = {
        (one["key"], one["measure"]): (
            one["mean_chance"], one["better_than_chance"], one["compared_with_chance"],
        )
        for one in audit["cohort"]["scores"]
    }  # fmt: skip
    assert found == {
        ("gradcam", "map_ssim"): (0.625, 1, 2),
        ("saliency", "map_ssim"): (0.25, 2, 2),
        ("gradcam", "ebc"): (0.375, 3, 3),
        ("saliency", "ebc"): (0.375, 3, 3),
    }


def test_in_the_records_too_a_missing_number_has_no_chance_of_its_pairs(run):
    records = with_shuffled_chance(read_records(run), shuffled_kept(run.header))
    (place,) = [p for p in records.scores.places if p[2:4] == ("gradcam", "map_ssim")]
    np.testing.assert_equal(records.scores.column(place).chance, [0.625, 0.625, np.nan])


def test_so_is_each_image_and_a_missing_number_stays_missing(audit):
    scores = [case["views"][0]["maps"][0]["scores"][0] for case in audit["cases"]]
    assert [(one["chance"], one["better_than_chance"]) for one in scores] == [
        (0.625, False), (0.625, True), (None, None),
    ]  # fmt: skip


def test_the_flat_table_says_the_same(run):
    rows = pq.read_table(write_results(run)[0]).to_pylist()
    ssim = [(r["key"], r["chance"]) for r in rows if r["measure"] == "map_ssim"]
    assert ssim == [("gradcam", 0.625), ("saliency", 0.25)] * 2 + [
        ("gradcam", None), ("saliency", None),
    ]  # fmt: skip
    assert {row["chance"] for row in rows if row["measure"] == "ebc"} == {0.375}


def test_methods_side_by_side_have_it_as_their_chance(run):
    (match,) = proof_of(run).matches
    chances = {row.measure: row.chance for row in match.rows}
    assert chances == {"map_ssim": (0.625, 0.25), "ebc": (0.375, 0.375)}


def test_the_page_counts_what_is_better_than_it(run):
    page = write_page(run).read_text(encoding="utf-8")
    start = page.index('<table class="fv-standing">')
    table = page[start : page.index("</table>", start)]
    rows = dict(re.findall(r'<th scope="row">([^<]+)</th>(.*?)</tr>', table, re.DOTALL))
    first = [re.search(r"\d of \d", row) for row in rows.values()]
    assert [one.group() for one in first if one] == ["1 of 2", "2 of 2"]


def test_the_same_run_without_pairs_keeps_the_chance_of_its_maps(run, make_run):
    without = make_run(list(run.cases()))
    (match,) = proof_of(without).matches
    assert {row.measure: row.chance for row in match.rows}["map_ssim"] == (0.25, 0.25)
