"""A map made elsewhere at the clinical door: measured, saved and shown like the others."""

import json

import numpy as np
import pytest
import torch

import foveal
from foveal.core import ImageError

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")


@pytest.fixture
def result(cohort_folder):
    model = foveal.load_model(cohort_folder / "model.toml", trust=True)
    eye = foveal.read(cohort_folder / "eyes" / "Anna-Muster_R.png")
    return foveal.explain(model, eye, "gradcam", target="Severe")


def test_an_array_or_a_file_is_measured_beside_the_methods(result, cohort_folder):
    drawn = np.zeros((64, 64))
    drawn[20:28, 20:28] = 1
    np.save(cohort_folder / "drawn.npy", drawn)
    from_array = result.add_map("array", torch.from_numpy(drawn), source="Dr A")
    from_file = result.add_map("file", cohort_folder / "drawn.npy")
    np.testing.assert_array_equal(from_array.map, from_file.map)
    assert from_array.target == "Severe"

    masks = cohort_folder / "masks" / "{stem}_{region}.png"
    regions = foveal.read_regions(masks, image=result.images[0])
    foveal.measure(result, regions=regions, measures=["relevance_mass", "mprt"])

    rows = {(r["method"], r["measure"], r["region"]): r for r in result.rows()}
    assert rows["array", "relevance_mass", "microaneurysms"]["value"] > 0.7
    assert rows["file", "mprt", None]["reason"] == "made_elsewhere"
    assert rows["gradcam", "mprt", None]["value"] is not None
    assert "gradcam, array, file" in repr(result)


def test_it_is_saved_also_after_the_run_was(result, tmp_path):
    result.save(tmp_path / "run")
    result.add_map("shap", np.ones((32, 32)), grid="prepared", source="shap 0.46")
    told = json.loads((tmp_path / "run" / "report.json").read_text())
    maps = [one["key"] for case in told["cases"] for one in case["views"][0]["maps"]]
    assert maps == ["gradcam", "shap"]
    assert [method["key"] for method in told["run"]["methods"]] == ["gradcam", "shap"]
    assert told["run"]["methods"][1]["reference"] == "shap 0.46"


def test_what_does_not_fit_is_refused_and_nothing_is_kept(result):
    with pytest.raises(ImageError, match=r"the map 'x' is 5 x 5 .* but the photograph is 64 x 64"):
        result.add_map("x", np.ones((5, 5)))
    with pytest.raises(ValueError, match="a map 'gradcam' of this image already"):
        result.add_map("gradcam", np.ones((64, 64)))
    with pytest.raises(ValueError, match="grid must be one of"):
        result.add_map("x", np.ones((64, 64)), grid="native")
    with pytest.raises(ImageError, match="no sign"):
        result.add_map("x", -np.ones((64, 64)), signed=False)
    assert [one.method for one in result.attributions] == ["gradcam"]
