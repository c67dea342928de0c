"""Methods with maps of different images: means say over how many, and are compared on the same."""

import re

import pytest

from foveal.report import write_page
from foveal.report.proof import proof_of
from foveal.report.proof.plots_of_maps import map_plots
from foveal.store import Measured

MASSES = {"gradcam": (0.1, 0.2, 0.6), "lrp": (0.5, 0.7)}
GATE = {
    "value": 0.1, "reason": None, "reason_text": None,
    "parts": {"auroc": 0.52, "auroc_interval": [0.45, 0.58], "passed": True},
}  # fmt: skip


@pytest.fixture(scope="module")
def uneven(make_case, make_view, make_map, make_score, make_run):
    """Three eyes, of which LRP has maps of two; curves fall twice as deep under LRP."""

    def scores(mass, depth):
        curve = {"fractions": [0.0, 1.0], "scores": [1.0, depth]}
        return (
            Measured(score=make_score(value=mass, chance=0.3), region="all lesions"),
            Measured(
                score=make_score(name="deletion_auc", value=0.5, direction="lower", parts=curve)
            ),
            Measured(score=make_score(name="mprt", value=0.4, direction="lower")),
        )

    cases = []
    for number in range(3):
        made = [
            make_map(key=key, scores=scores(values[number], 0.5))
            for key, values in MASSES.items()
            if number < len(values)
        ]
        cases.append(
            make_case(
                f"I-{number}",
                patient=f"P-{number}",
                views=(make_view(explained=tuple(made), regions=(), losses=()),),
            )
        )
    return make_run(cases, gates=[{"model": "grader", "key": "gradcam", "score": GATE}])


@pytest.fixture(scope="module")
def elsewhere(make_case, make_view, make_map, make_score, make_run):
    """Three methods on two eyes; the second is of maps made elsewhere, without any stability."""

    def scores(mass, moved):
        found = {"value": None, "reason": "made_elsewhere"} if moved is None else {"value": moved}
        settings = {"name": "max_sensitivity", "direction": "lower", "range": (0, 2), **found}
        return (
            Measured(score=make_score(value=mass, chance=0.3), region="all lesions"),
            Measured(score=make_score(**settings)),
        )

    values = {"gradcam": (0.3, 0.5), "drawn": (0.9, None), "lrp": (0.6, 0.2)}
    cases = []
    for number in range(2):
        made = tuple(
            make_map(key=key, scores=scores(mass + number / 10, moved))
            for key, (mass, moved) in values.items()
        )
        view = make_view(explained=made, regions=(), losses=())
        cases.append(make_case(f"I-{number}", patient=f"P-{number}", views=(view,)))
    return proof_of(make_run(cases))


@pytest.fixture(scope="module")
def told(uneven):
    page = write_page(uneven, max_cases=0).read_text(encoding="utf-8")
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", page))


def test_methods_are_set_side_by_side_on_the_images_that_all_have(uneven):
    row = next(row for row in proof_of(uneven).matches[0].rows if row.measure == "relevance_mass")
    assert [one.mean.estimate for one in row.contest.standings] == pytest.approx([0.3, 0.6])
    assert row.shared == pytest.approx((0.15, 0.6))
    assert row.missing_by_method(("gradcam", "lrp")) == [("lrp", {}, 1)]


def test_means_over_different_images_say_over_how_many(told):
    assert "n = 3" in told
    assert "n = 2" in told
    assert "lrp: 1: not measured" in told


def test_a_curve_says_over_how_many_images_it_is(uneven):
    proof = proof_of(uneven)
    (plot,) = [p for p in map_plots(proof.matches, proof.removals, str) if "curves" in p.name]
    (legend,) = plot.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["gradcam (n = 3)", "lrp (n = 2)"]


def test_each_box_has_a_chance_of_its_own(uneven):
    proof = proof_of(uneven)
    plot = next(p for p in map_plots(proof.matches, (), str) if "boxes" in p.name)
    drawn = [
        line.tolist() for part in plot.figure.axes[0].collections for line in part.get_segments()
    ]
    assert drawn == [[[-0.4, 0.3], [0.4, 0.3]], [[0.6, 0.3], [1.4, 0.3]]]


def test_a_method_without_any_number_leaves_the_others_their_ranks_and_boxes(elsewhere):
    rows = {row.measure: row for row in elsewhere.matches[0].rows}
    stable = rows["max_sensitivity"]
    assert (stable.shared, stable.shared_images) == ((0.5, None, 0.2), 2)
    assert [one.rank for one in stable.contest.standings] == [2, None, 1]
    assert rows["relevance_mass"].shared == pytest.approx((0.35, 0.95, 0.65))
    heat, boxes = list(map_plots(elsewhere.matches, (), str))
    drawn = [[text.get_text(), text.get_color()] for text in heat.figure.axes[0].texts]
    assert ["none", "black"] in drawn
    assert len(drawn) == 6
    assert heat.words.endswith(": lrp.")
    panel = next(a for a in boxes.figure.axes if len(a.get_xticks()) == 2)
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["gradcam", "lrp"]
    assert boxes.words.endswith(": gradcam median 0.5, lrp median 0.2.")


def test_the_sanity_gate_holds_the_verdict_over_patients(told):

    assert told.partition(" The verdict ")[2].startswith("Grad-CAM on grader: notices")
