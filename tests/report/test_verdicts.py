"""A reader of the numbers is told first when they may not be read."""

import json
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from foveal.report import case_html, write_audit, write_page, write_results
from foveal.report.cohort import Cohort
from foveal.report.proof import proof_of
from foveal.store import Measured

NAMES = ["blur", "linear", "annulus"]
INCONCLUSIVE, BLIND = "is inconclusive", "uninformative with"


@pytest.fixture
def case_of(make_case, make_view, make_map, make_score):
    """A case whose two methods have these gains, under baselines where this order stands out."""

    def made(name: str, first: list[float], second: list[float], own: list[float], random=()):
        maps = []
        for key, gains in (("gradcam", first), ("saliency", second)):
            parts = {"baselines": NAMES[: len(own)], "by_baseline": gains, "own_order_auroc": own}
            parts |= {"random": random} if random else {}
            null = (0.0, 0.0) if random else None
            score = make_score(name="srg", value=gains[0], range=(-1, 1), null=null, parts=parts)
            maps.append(make_map(key=key, scores=[Measured(score=score)]))
        return make_case(name, views=(make_view(explained=tuple(maps)),))

    return made


CASES = [
    pytest.param([0.2, 0.2], [0.1, 0.1], [1.0, 1.0], [], id="all is well"),
    pytest.param([0.2, 0.1], [0.1, 0.2], [1.0, 1.0], [INCONCLUSIVE], id="ranks flip"),
    pytest.param([0.2, 0.2], [0.1, 0.1], [1.0, 0.5], [BLIND], id="blind under one baseline"),
    pytest.param([0.2, 0.1], [0.1, 0.2], [0.5, 0.5], [BLIND], id="blind under all"),
    pytest.param(
        [0.2, 0.1, 0.3], [0.1, 0.2, 0.1], [1.0, 1.0, 0.5], [BLIND, INCONCLUSIVE], id="both"
    ),
]


@pytest.mark.parametrize(("first", "second", "own", "said"), CASES)
def test_the_summary_and_the_image_say_when_curves_judge_nothing(
    make_run, case_of, first, second, own, said
):
    cases = [case_of(name, first, second, own) for name in ("I-0", "I-1")]
    page = write_page(make_run(cases)).read_text()
    summary, images = page.split('id="limits"')[0], page.split('<section id="cases"')[1]
    compared = page.split('<section id="compared"')[1].split('<section id="sanity"')[0]
    for words in (INCONCLUSIVE, BLIND):
        assert summary.count(words) == compared.count(words) == (words in said)
        assert images.count(words) == 2 * (words in said)
        assert case_html(cases[0]).count(words) == (words in said)


def test_methods_are_ranked_on_the_images_that_have_a_map_of_each(make_run, case_of):
    flips = [case_of(f"I-{n}", [0.2, 0.1], [0.1, 0.2], [1.0, 1.0]) for n in range(3)]
    (view,) = flips[2].views
    flips[2] = replace(flips[2], views=(replace(view, explained=view.explained[:1]),))
    summary = write_page(make_run(flips)).read_text().split('id="limits"')[0]
    assert INCONCLUSIVE in summary


def test_the_summary_takes_all_images_together(make_run, case_of):
    cases = [
        case_of("I-0", [0.2, 0.1], [0.1, 0.2], [1.0, 0.0]),
        case_of("I-1", [0.9, 0.9], [0.0, 0.0], [1.0, 1.0]),
    ]
    summary = write_page(make_run(cases)).read_text().split('id="limits"')[0]
    assert INCONCLUSIVE not in summary
    assert "linear (AUROC 0.5)" in summary
    assert "over 2 images" in summary


def test_the_tables_take_srg_over_the_informative_baselines(make_run, case_of):
    random = [[0.5, 0.5], [0.0, 0.25]]
    cases = [case_of(f"I-{n}", [0.75, 0.125], [0.5, 0.25], [0.5, 1.0], random) for n in range(2)]
    run = make_run(cases)
    cohort = Cohort()
    for case in cases:
        cohort.add(case)
    assert [pool.mean for pool in cohort.headline()] == [0.125, 0.25]
    (match,) = proof_of(run).matches
    (row,) = match.rows
    assert [standing.mean.estimate for standing in row.contest.standings] == [0.125, 0.25]
    assert row.chance == (0.125, 0.125)
    assert [pool.chance for pool in cohort.headline()] == [0.125, 0.125]
    rows = pq.read_table(write_results(run)[0]).to_pylist()
    assert [(row["value"], row["judged_value"], row["judged_chance"]) for row in rows] == [
        (0.75, 0.125, 0.125), (0.5, 0.25, 0.125),
    ] * 2  # fmt: skip
    audit = json.loads(write_audit(run).read_text(encoding="utf-8"))
    (told,) = audit["cases"][0]["views"][0]["maps"][0]["scores"]
    assert (told["value"], told["judged_value"], told["judged_chance"]) == (0.75, 0.125, 0.125)
    images = write_page(run).read_text(encoding="utf-8").split('<section id="cases"')[1]
    assert images.count("the tables of all images leave out blur, with which") == 2


def test_a_normalised_srg_stays_normalised_in_the_tables(make_run, case_of):
    def normalised(case):
        (view,) = case.views
        parts = {"normalised": 0.75, "normalised_by_baseline": [1.0, 0.5]}
        maps = [
            replace(
                e,
                scores=tuple(
                    replace(
                        m,
                        score=replace(
                            m.score, params={"normalised": True}, parts={**m.score.parts, **parts}
                        ),
                    )
                    for m in e.scores
                ),
            )
            for e in view.explained
        ]
        return replace(case, views=(replace(view, explained=tuple(maps)),))

    cases = [case_of(f"I-{n}", [0.75, 0.125], [0.5, 0.25], [0.5, 1.0]) for n in range(2)]
    run = make_run([normalised(case) for case in cases])
    (match,) = proof_of(run).matches
    (row,) = match.rows
    assert [standing.mean.estimate for standing in row.contest.standings] == [0.5, 0.5]
    rows = pq.read_table(write_results(run)[0]).to_pylist()
    assert {row["judged_value"] for row in rows} == {0.5}


def test_without_an_informative_baseline_the_tables_have_no_srg(make_run, case_of):
    cases = [case_of(f"I-{n}", [0.75, 0.125], [0.5, 0.25], [0.5, 0.5]) for n in range(2)]
    run = make_run(cases)
    (match,) = proof_of(run).matches
    (row,) = match.rows
    assert pq.read_table(write_results(run)[0])["judged_value"].null_count == 4
    assert [dict(missing) for missing in row.missing] == [{"uninformative": 2}] * 2
