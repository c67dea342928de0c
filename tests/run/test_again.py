"""What a run asks a method again: shared passes, fixed classes, and models without gradients."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import foveal
from foveal.core import Attribution, PlanError
from foveal.measures import gss, map_spearman, max_sensitivity
from foveal.run import LEVELS
from foveal.run.again import GRADIENTS, STABILITY, explainer_again
from foveal.run.perturbing import PERTURBING

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")


@pytest.fixture
def model(cohort_folder):
    return foveal.load_model(cohort_folder / "model.toml", trust=True)


@pytest.fixture
def eye(cohort_folder):
    return foveal.read(cohort_folder / "eyes" / "Anna-Muster_R.png")


@pytest.fixture
def sent(model, monkeypatch):
    """Images that go through the model."""
    sizes: list[int] = []
    before = type(model).forward

    def counting(self, images):
        sizes.append(len(images))
        return before(self, images)

    monkeypatch.setattr(type(model), "forward", counting)
    return sizes


def by_name(result):
    return {score.name: score for score in result.scores}


def test_two_methods_share_predictions_and_gradients_and_send_their_own_explanations(
    model, eye, sent
):
    result = foveal.explain(model, eye, methods=["gradcam", "layercam"])
    sent.clear()
    foveal.measure(result, measures=[*STABILITY, *GRADIENTS])
    predictions, gradients, explanations = 51, 1, 51
    assert sum(sent) == predictions + gradients + 2 * explanations


def test_the_changes_of_a_clinic_are_predicted_once_and_explained_by_each_method(model, eye, sent):
    result = foveal.explain(model, eye, methods=["gradcam", "layercam"])
    sent.clear()
    foveal.measure(result, measures=["nuisance_stability"])
    assert sum(sent) == 14 + 2 * 14
    rows = by_name(result)["nuisance_stability"].parts["nuisances"]
    assert len(rows) == 13
    assert {type(row["prediction_changed"]) for row in rows.values()} == {bool}


def test_a_section_meets_speckle_and_a_shift_along_the_light(model, cohort_folder):
    section = foveal.read(cohort_folder / "eyes" / "Anna-Muster_R.png", modality="oct")
    result = foveal.explain(model, section, methods="gradcam")
    foveal.measure(result, measures=["nuisance_stability"])
    score = by_name(result)["nuisance_stability"]
    assert score.params["modality"] == "oct"
    assert "speckle" in score.parts["nuisances"]
    assert not any(name.startswith("hue") for name in score.parts["nuisances"])


def test_the_numbers_are_those_of_the_functions(model, eye):
    result = foveal.explain(model, eye, methods="gradcam")
    foveal.measure(result, measures=["max_sensitivity", "map_spearman"], seed=3)
    (reading,) = result.readings
    seen, index = reading.seen, reading.answers[0].attribution.target_index

    def explain(batch):
        shown = model.forward
        return foveal.attribute(
            _Shown(shown, model.module), batch, "gradcam", target=index, size="input",
            layers=_layer(model, reading),
        )["gradcam"]  # fmt: skip

    settings = {"field": seen.field.mask, "seed": 3}
    found = by_name(result)
    for measure in (max_sensitivity, map_spearman):
        expected = measure(explain, seen.pixels[0], **settings)
        assert found[expected.name].value == pytest.approx(expected.value, rel=1e-4)


class _Shown(torch.nn.Module):
    """A loaded model as a module that takes display units."""

    def __init__(self, forward, module):
        super().__init__()
        self.module, self._forward = module, forward

    def forward(self, images):
        return self._forward(images)


def _layer(model, reading):
    return model.module.get_submodule(reading.answers[0].attribution.layer)


def test_gradients_are_those_of_the_explained_number(model, eye):
    result = foveal.explain(model, eye, methods="gradcam", target="Severe")
    foveal.measure(result, measures=["gss", "gsi"])
    (reading,) = result.readings
    layer = _layer(model, reading)
    kept: list[torch.Tensor] = []
    handle = layer.register_forward_hook(lambda *seen: kept.append(seen[-1]))
    output = model.forward(reading.seen.pixels)
    handle.remove()
    index = reading.answers[0].attribution.target_index
    (gradient,) = torch.autograd.grad(output[0, index], kept[0])
    expected = gss(kept[0][0].detach().relu(), gradient[0])
    found = by_name(result)
    assert found["gss"].value == pytest.approx(expected.value, rel=1e-4)
    assert found["gsi"].parts["spatially_constant"] == found["gsi"].parts["gap_linear_head"]


def test_methods_with_probes_of_their_own_are_asked_again_only_where_that_is_wanted(model, eye):
    result = foveal.explain(model, eye, methods={"few": foveal.explainers.Occlusion(window=8)})
    foveal.measure(result, level="standard", random_orders=0)
    assert by_name(result).keys().isdisjoint(STABILITY)
    foveal.measure(result, measures=["avg_sensitivity"])
    assert by_name(result)["avg_sensitivity"].value is not None


def test_a_ruined_model_is_given_back(model, eye):
    before = {name: one.clone() for name, one in model.module.state_dict().items()}
    result = foveal.explain(model, eye, methods="gradcam")
    map = result.attributions[0].map.copy()
    foveal.measure(result, measures=["mprt"])
    score = by_name(result)["mprt"]
    assert len(score.parts["stages"]) == 2
    assert score.parts["passed"] is None
    after = model.module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    again = foveal.explain(model, eye, methods="gradcam")
    np.testing.assert_array_equal(again.attributions[0].map, map)


def test_an_empty_map_keeps_the_numbers_of_its_gradients(model, eye, monkeypatch):
    result = foveal.explain(model, eye, methods="gradcam")
    (reading,) = result.readings
    made = reading.answers[0].attribution
    empty = replace(made, map=np.zeros_like(made.map), reason="nan_map")
    reading.answers[0] = replace(reading.answers[0], attribution=empty)
    foveal.measure(result, measures=["gss", "intensity_cv", "relevance_mass", "ebc"])
    found = by_name(result)
    assert found["gss"].value is not None
    assert found["intensity_cv"].value is not None
    assert found["ebc"].reason == "nan_map"


def test_every_level_holds_the_one_below_it():
    assert set(LEVELS["quick"]) < set(LEVELS["standard"]) < set(LEVELS["full"])
    added = set(LEVELS["full"]) - set(LEVELS["standard"])
    assert added - set(PERTURBING) == {"mprt", "random_logit", "nuisance_stability"}
    assert {"sensitivity_n", "infidelity", "road_combined"} < added


def test_a_method_is_built_again_from_what_was_kept_of_it():
    kept = {"steps": 7, "baseline": "blur"}
    made = Attribution(map=np.zeros((2, 2)), method="integratedgradients", settings=kept)
    assert explainer_again(made).settings["steps"] == 7
    lost = Attribution(
        map=np.zeros((2, 2)), method="expectedgradients", settings={"references": "tensor (3,)"}
    )
    with pytest.raises(PlanError, match="cannot be asked again"):
        explainer_again(lost)


def rewritten(folder, **changes):
    """The tiny model with other code or another card."""
    for name, (before, after) in changes.items():
        path = folder / {"card": "model.toml", "code": "tiny_network.py"}[name]
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after))
    return foveal.load_model(folder / "model.toml", trust=True)


def test_the_other_class_is_the_likeliest_of_the_others(cohort_folder, eye, monkeypatch):
    model = rewritten(cohort_folder, card=('"ordinal"', '"multiclass"'))
    result = foveal.explain(model, eye, methods=["gradcam", "saliency"], target="Severe")
    foveal.measure(result, measures=["random_logit"])
    (reading,) = result.readings
    other = int(reading.seen.output[0, :2].argmax())
    beside = foveal.explain(model, eye, methods="gradcam", target=["No DR", "Mild"][other])
    own, another = (r.readings[0].answers[0].attribution.map for r in (result, beside))
    large = [
        torch.nn.functional.interpolate(
            torch.from_numpy(m)[None, None], size=reading.seen.field.mask.shape
        )[0, 0]
        for m in (own, another)
    ]
    expected = map_spearman(*large, field=reading.seen.field.mask)
    scores = [score for score in result.scores if score.name == "random_logit"]
    assert len(scores) == 2
    assert scores[0].value == pytest.approx(expected.value, abs=1e-5)


def test_grades_have_no_other_class(model, eye):
    result = foveal.explain(model, eye, methods="gradcam", target="Severe")
    assert foveal.measure(result, measures=["random_logit"]) == []


UNUSED = (
    "    return nn.Sequential(\n",
    "    class Unused(nn.Sequential):\n"
    "        def forward(self, images):\n"
    "            for part in list(self)[1:]:\n"
    "                images = part(images)\n"
    "            return images\n"
    "    return Unused(nn.Linear(2, 2),\n",
)


def test_a_first_layer_that_does_not_run_leaves_the_other_gradients(cohort_folder, eye):
    card = ('weights = "tiny.safetensors"\n', "")
    model = rewritten(cohort_folder, code=UNUSED, card=card)
    result = foveal.explain(model, eye, methods="gradcam")
    foveal.measure(result, measures=list(GRADIENTS))
    assert set(by_name(result)) == set(GRADIENTS) - {"first_layer_grad_rms"}


BLACK_BOX = ("return nn.Sequential(\n        nn.Conv2d", "return Blind(\n        nn.Conv2d")


def test_a_model_without_gradients_has_no_gradient_health(cohort_folder, eye):
    code = (
        "def build(",
        "class Blind(nn.Sequential):\n"
        "    def forward(self, images):\n"
        "        with torch.no_grad():\n"
        "            return super().forward(images)\n\n"
        "def build(",
    )
    rewritten(cohort_folder, code=code)
    model = rewritten(cohort_folder, code=BLACK_BOX)
    result = foveal.explain(model, eye, methods={"few": foveal.explainers.Occlusion(window=8)})
    foveal.measure(result, measures=[*GRADIENTS, "hfpr"])
    assert set(by_name(result)) <= {"hfpr"}
    assert "hfpr" in by_name(result)
