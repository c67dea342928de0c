"""Exhibits in words: families, costs, grids and what each method returned beside its map."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from foveal.explainers import methods
from foveal.report import Exhibit, Wall
from foveal.report.contact import contact_sheet
from foveal.report.exhibits import (
    FAMILIES,
    by_family,
    cost_in_letters,
    cost_in_words,
    wall_sheet,
)

CARD = {
    "question": "Where?", "sign": "positive: raises the score", "grid": "the layer's",
    "cost": "1 F", "reference": "A paper",
}  # fmt: skip


def exhibit(method: str = "gradcam", **changes: object) -> Exhibit:
    return Exhibit(method=method, **{**CARD, **changes})  # type: ignore[arg-type]


@pytest.fixture
def wall(make_case, make_view, make_map):
    def made(*exhibits: Exhibit) -> Wall:
        case = make_case(views=(make_view(explained=()),))
        return Wall(case=case, target="Severe", exhibits=exhibits)

    return made


def test_every_built_method_belongs_to_exactly_one_family():
    listed = [name for names in FAMILIES.values() for name in names]
    assert len(listed) == len(set(listed))
    assert set(listed) == {method.name for method in methods()}


def test_an_unknown_method_hangs_last_among_the_others():
    ones = [exhibit("mine", refusal="no"), exhibit("rise", refusal="no"),
            exhibit("cam", refusal="no")]  # fmt: skip
    found = [(name, [one.method for one in own]) for name, own in by_family(ones)]
    assert found == [
        ("Class activation maps", ["cam"]),
        ("Perturbation", ["rise"]),
        ("Other methods", ["mine"]),
    ]


@pytest.mark.parametrize("both", [True, False], ids=["both", "neither"])
def test_an_exhibit_is_a_map_or_a_reason(make_map, both):
    given = {"explained": make_map(), "refusal": "no"} if both else {}
    with pytest.raises(ValueError, match="either a map or the reason"):
        exhibit(**given)


def test_the_caption_tells_grid_score_parts_settings_and_cost(wall, make_map):
    explained = make_map(
        score=2.5, score_mode="logit", settings={"steps": 16},
        parts={"completeness_error": -0.125, "coefficients": [1.0, 2.0], "exact": True},
        cost={"forward": 17, "backward": 16, "shared_forward": 1, "shared_backward": 0},
        notes=("the layer has negative activations",),
    )  # fmt: skip
    shown = exhibit(explained=explained, seconds=0.25)
    sheet = wall_sheet(wall(shown))
    (family,) = sheet.families
    (one,) = family.exhibits
    assert dict(one.facts) == {
        "Sign": "positive: raises the score",
        "Grid": "the layer's: 4 × 4, enlarged",
        "Score": "2.5 (logit)",
        "Completeness error": "\u22120.125",
        "Exact": "yes",
        "Settings": "steps 16",
        "Cost": "18 forward passes, 16 backward passes, 0.25 s",
    }
    assert cost_in_letters(shown) == "18 F + 16 B, 0.25 s"
    assert one.notes == ("the layer has negative activations",)
    assert one.map is not None
    assert one.map.uri is not None
    assert sheet.shown == 1


def test_a_refused_method_keeps_its_question_and_says_what_it_would_give(wall):
    refused = exhibit("tcav", grid="no map: one Score a concept", refusal="tcav needs concepts")
    (family,) = wall_sheet(wall(refused)).families
    (one,) = family.exhibits
    assert (one.name, one.map, one.refusal) == ("TCAV", None, "tcav needs concepts")
    assert dict(one.facts)["Gives"] == "no map: one Score a concept"
    assert cost_in_words(refused) == "1 F"


def test_a_map_on_the_models_own_grid_is_not_called_enlarged(wall, make_map):
    explained = make_map(np.eye(20), cost={"forward": 0, "shared_forward": 1})
    (family,) = wall_sheet(wall(exhibit(explained=explained))).families
    facts = dict(family.exhibits[0].facts)
    assert facts["Grid"] == "the layer's: 20 × 20"
    assert facts["Cost"] == "1 forward pass"


def test_the_contact_sheet_names_every_map_and_each_reason_once(wall, make_map):
    signed = make_map(np.stack([np.eye(20), -2 * np.eye(20)]), key="saliency")
    empty = make_map(np.zeros((4, 4)), key="occlusion", reason="zero_map")
    figure = contact_sheet(
        wall(
            exhibit("rollout", refusal="no attention was seen"),
            exhibit("chefer", refusal="no attention was seen"),
            exhibit("gradcam", explained=make_map()),
            exhibit("saliency", explained=signed),
            exhibit("occlusion", explained=empty),
        )
    )
    words = "\n".join(text.get_text() for text in figure.texts)
    for name in ("Original", "Grad-CAM", "Saliency", "Occlusion", "Why Severe?"):
        assert name in words
    assert "No map by Attention rollout and Chefer relevance: no attention was seen" in words
    assert "No map: the map has no positive value" in words
    assert len([axes for axes in figure.axes if axes.images]) == 4


def test_no_panel_or_word_of_a_contact_sheet_leaves_it(wall, make_map):
    many = [exhibit("gradcam", explained=make_map()) for _ in range(9)]
    figure = contact_sheet(wall(*many, exhibit("tcav", refusal="it needs concepts " * 40)))
    renderer = FigureCanvasAgg(figure).get_renderer()
    for part in [*figure.axes, *figure.texts]:
        box = part.get_window_extent(renderer)
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
