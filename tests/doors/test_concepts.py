"""TCAV at the clinical door: scores over all images of a result, and no map."""

import json

import pytest
import torch

import foveal
from foveal.core import FovealWarning, PlanError
from foveal.explainers import TCAV, ConceptSet, lesion_patches
from foveal.run.plan import plan_from

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")


@pytest.fixture
def model(cohort_folder):
    return foveal.load_model(cohort_folder / "model.toml", trust=True)


@pytest.fixture
def eyes(cohort_folder):
    return [foveal.read(path) for path in sorted((cohort_folder / "eyes").glob("*.png"))]


def brighter(count: int = 12) -> TCAV:
    """Whether brightness counts; in display units, as the model takes them at this door."""
    random = torch.rand(4 * count, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    examples = ConceptSet(0.5 + random[:count] / 2, random[count:])
    return TCAV(concepts={"bright": examples}, runs=4, random_sets=39)


def test_scores_over_all_images_stand_beside_the_maps(model, eyes):
    result = foveal.explain(model, eyes, ["gradcam", brighter()], target="Severe")
    assert [a.method for a in result.attributions] == ["gradcam"] * 3
    (score,) = result.scores
    assert (score.params["concept"], score.parts["images"]) == ("bright", 3)
    (row,) = result.rows()
    assert (row["image"], row["method"], row["target"]) == ("all images", "tcav", "Severe")
    assert (row["region"], row["value"]) == ("bright", score.value)
    assert repr(result) == "Result(3 images, tiny, gradcam, tcav, 1 scores)"


def test_both_doors_give_the_same_scores(model, eyes):
    (score,) = foveal.explain(model, eyes, brighter(), target="Severe").scores
    prepared = torch.cat([model.tensor(model.prepare(eye)[0]) for eye in eyes])

    class Normalised(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model.module

        def forward(self, images):
            return self.inner((images - 0.5) / 0.25)

    layer = f"inner.{score.params['layer']}"
    maps = foveal.attribute(Normalised(), prepared, brighter(), target=2, layers=layer)
    other = maps.info["tcav"].parts["concepts"]["bright"]
    assert (score.value, score.reason) == (other.value, other.reason)
    assert score.null == pytest.approx(other.null)


def test_a_run_keeps_them_with_their_method(model, eyes, tmp_path):
    result = foveal.explain(model, eyes, brighter(), target="Severe", out=tmp_path / "run")
    kept = json.loads((tmp_path / "run" / "run.json").read_text())["together"]
    (score,) = result.scores
    (told,) = json.loads((tmp_path / "run" / "report.json").read_text())["concepts"]
    assert (told["concept"], told["score"]["value"]) == ("bright", score.value)
    assert (told["p"], told["accuracy"]) == (score.parts["p"], score.parts["accuracy"])
    assert told["random_sets"] == 39
    assert 'id="concepts"' in (tmp_path / "run" / "report.html").read_text()
    assert [one["score"]["value"] for one in kept] == [score.value]
    assert kept[0]["score"]["parts"]["p"] == score.parts["p"]
    assert kept[0]["method"]["settings"]["concepts"] == {"bright": 12}
    assert kept[0]["target"] == "Severe"
    foveal.measure(result, level="quick")
    assert result.scores == [score]


def test_images_of_several_predictions_are_told_by_name(model, eyes):
    batch = torch.cat([model.tensor(model.prepare(eye)[0]) for eye in eyes])
    with torch.no_grad():
        low, *_, high = sorted((model.output(batch)[:, 1] - model.output(batch)[:, 0]).tolist())
        last = [part for part in model.module.modules() if isinstance(part, torch.nn.Linear)][-1]
        last.bias[0] += (low + high) / 2
        last.bias[2:] -= 99
    with pytest.warns(FovealWarning, match="several targets"):
        result = foveal.explain(model, eyes, brighter())
    said = dict.fromkeys(reading.seen.prediction.label for reading in result.readings)
    assert set(said) == set(model.card.classes[:2])
    assert result.rows()[0]["target"] == f"predicted: {', '.join(said)}"


def test_images_of_several_classes_are_told(model, eyes):
    batch = torch.cat([model.tensor(model.prepare(eye)[0]) for eye in eyes])
    with pytest.warns(FovealWarning, match="several targets"):
        foveal.attribute(model.module, batch, brighter(), target=[0, 0, 1], layers="1")


def test_patches_of_lesions_become_a_concept(model, eyes, cohort_folder):
    pattern = cohort_folder / "masks" / "{stem}_{region}.png"
    regions = [foveal.read_regions(pattern, image=eye) for eye in eyes]
    found = lesion_patches(model, eyes, regions, "microaneurysms", side=4, matches=1)
    assert len(found.concept) == len(found.random) == 3
    few = TCAV(concepts={"microaneurysms": found}, random_sets=30)
    (score,) = foveal.explain(model, eyes, few, target="Severe").scores
    assert score.reason == "too_few"


def test_a_plan_file_cannot_hold_concepts():
    table = {
        "name": "concepts",
        "images": [{"files": "eyes/*.png"}],
        "models": [{"card": "model.toml"}],
        "methods": [{"name": "tcav"}],
        "output": {"folder": "out"},
    }
    with pytest.raises(PlanError, match=r"foveal\.explainers\.TCAV"):
        plan_from(table)
