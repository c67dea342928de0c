"""A reader of the numbers is told first when they may not be read."""

from dataclasses import replace

import pytest

from foveal.report import case_html, write_page
from foveal.store import Measured

INCONCLUSIVE, BLIND = "is inconclusive", "uninformative with"


@pytest.fixture
def case_of(make_case, make_view, make_map, make_score):
    """A case whose two methods have these gains, under baselines where this order stands out."""

    def made(name: str, first: list[float], second: list[float], own: list[float]):
        maps = []
        for key, gains in (("gradcam", first), ("saliency", second)):
            parts = {"baselines": ["blur", "linear"], "by_baseline": gains, "own_order_auroc": own}
            score = make_score(name="srg", value=gains[0], range=(-1, 1), parts=parts)
            maps.append(make_map(key=key, scores=[Measured(score=score)]))
        return make_case(name, views=(make_view(explained=tuple(maps)),))

    return made


CASES = [
    pytest.param([0.2, 0.2], [0.1, 0.1], [1.0, 1.0], [], id="all is well"),
    pytest.param([0.2, 0.1], [0.1, 0.2], [1.0, 1.0], [INCONCLUSIVE], id="ranks flip"),
    pytest.param([0.2, 0.2], [0.1, 0.1], [1.0, 0.5], [BLIND], id="blind under one baseline"),
    pytest.param([0.2, 0.1], [0.1, 0.2], [0.5, 0.5], [BLIND, INCONCLUSIVE], id="both"),
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
