"""The clinical door: files in, maps and scores out, kept in a Result."""

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

import foveal
from foveal.core import FovealWarning, ImageError
from foveal.explainers import IntegratedGradients

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")


@pytest.fixture
def model(cohort_folder):
    return foveal.load_model(cohort_folder / "model.toml", trust=True)


@pytest.fixture
def eye(cohort_folder):
    return foveal.read(cohort_folder / "eyes" / "Anna-Muster_R.png")


def test_the_walk_of_the_clinical_door(model, eye, cohort_folder):
    result = foveal.explain(model, eye, methods=["gradcam++", "occlusion"], target="Severe")
    assert [a.method for a in result.attributions] == ["gradcam++", "occlusion"]
    assert {a.target for a in result.attributions} == {"Severe"}
    assert result.images == [eye]
    assert result.scores == []
    regions = foveal.read_regions(cohort_folder / "masks" / "{stem}_{region}.png", image=eye)
    scores = foveal.measure(result, regions=regions, level="quick")
    assert result.scores == scores
    assert len(scores) == 2 * (3 * 3 + 1)
    foveal.measure(result, measures=["deletion_auc"], random_orders=1)
    names = [score.name for score in result.scores]
    assert names.count("deletion_auc") == 2
    assert names.count("iou") == 6
    again = foveal.measure(result, measures=["iou"])
    assert len(again) == 6
    assert [s.name for s in result.scores].count("iou") == 6


def test_the_rows_say_what_each_score_belongs_to(model, eye):
    result = foveal.explain(model, eye, "gradcam")
    foveal.measure(result, level="quick")
    (row,) = result.rows()
    assert row["measure"] == "out_of_fov_mass"
    assert row["image"] == "Anna-Muster_R.png"
    assert row["method"] == "gradcam"
    assert str(row["target"]).startswith("predicted: ")


def test_both_doors_give_the_same_map(model, eye):
    (through_files,) = foveal.explain(model, eye, "gradcam", target="Mild").attributions
    prepared, _ = model.prepare(eye)

    class Normalised(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model.module

        def forward(self, images):
            return self.inner((images - 0.5) / 0.25)

    batch = torch.from_numpy(prepared.pixels)[None]
    maps = foveal.attribute(Normalised(), batch, "gradcam", target=1, layers="inner.1")
    np.testing.assert_allclose(maps["gradcam"][0].numpy(), through_files.map, rtol=1e-5, atol=1e-8)


def test_display_units_and_the_field_are_known_at_this_door(model, eye):
    black = IntegratedGradients(steps=4, baseline="black")
    mean = IntegratedGradients(steps=4, baseline="field-mean")
    result = foveal.explain(model, eye, {"black": black, "mean": mean}, target="Mild")
    prepared, field = model.prepare(eye)
    for attribution in result.attributions:
        assert not attribution.map[:, ~field.mask].any()
        assert attribution.map[:, field.mask].any()
        error = attribution.parts["completeness_error"]
        assert attribution.map.sum() - attribution.parts["score_change"] == pytest.approx(
            error, abs=1e-5
        )
    assert prepared.grid == (32, 32)


def test_several_images_go_through_together(model, cohort_folder):
    paths = sorted((cohort_folder / "eyes").glob("*.png"))
    result = foveal.explain(model, paths, "gradcam")
    assert len(result.attributions) == 3
    assert repr(result) == "Result(3 images, tiny, gradcam, 0 scores)"
    with pytest.raises(ValueError, match=r"regions for 1 image\(s\), but the result holds 3"):
        foveal.measure(result, regions=[], level="quick")
    foveal.measure(result, regions=[[], [], []], level="quick")
    assert len(result.scores) == 3


def test_a_segmentation_announces_its_layer():
    from nets import Segmenting

    card = {
        "name": "parts",
        "task": "segmentation",
        "classes": ["background", "disc", "cup"],
        "input": {"size": [24, 24], "prepare": [{"step": "resize", "aspect": "stretch"}]},
    }
    model = foveal.load_model(card, module=Segmenting())
    pixels = np.random.default_rng(0).random((3, 30, 40)).astype(np.float32)
    image = foveal.Image(pixels=pixels)
    with pytest.warns(FovealWarning, match="scores every pixel"):
        result = foveal.explain(model, image, "gradcam", target="background")
    assert result.attributions[0].layer == "decoder"
    with pytest.raises(ValueError, match="name one of background, disc, cup"):
        foveal.explain(model, image, "gradcam")


WRONG = [
    pytest.param({"target": "Sever"}, ValueError, "did you mean 'Severe'", id="target"),
    pytest.param({"methods": "gradcat"}, ValueError, "no method 'gradcat'", id="method"),
    pytest.param({"layers": "9"}, ValueError, "no layer '9'", id="layer"),
    pytest.param({"image": 3}, TypeError, "must come from foveal.read", id="image"),
    pytest.param({"image": []}, ValueError, "no image to explain", id="no image"),
    pytest.param({"model": torch.nn.ReLU()}, TypeError, "use foveal.attribute", id="model"),
]


@pytest.mark.parametrize(("change", "error", "message"), WRONG)
def test_a_wrong_call_says_what_was_wrong(model, eye, change, error, message):
    call = {"model": model, "image": eye, "methods": "gradcam", **change}
    with pytest.raises(error, match=message):
        foveal.explain(call.pop("model"), call.pop("image"), call.pop("methods"), **call)


MEASURES = [
    pytest.param({"level": "fast"}, ValueError, "level must be one of", id="level"),
    pytest.param({"measures": ["iuo"]}, ValueError, "no measure 'iuo'.*iou", id="measure"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), MEASURES)
def test_a_wrong_measurement_says_what_was_wrong(model, eye, arguments, error, message):
    result = foveal.explain(model, eye, "gradcam")
    with pytest.raises(error, match=message):
        foveal.measure(result, **arguments)


def test_regions_of_another_size_are_refused(model, eye):
    result = foveal.explain(model, eye, "gradcam")
    region = foveal.Region(name="lesion", mask=np.ones((10, 10), bool))
    with pytest.raises(ImageError, match=r"\(10, 10\)"):
        foveal.measure(result, regions=[region], level="quick")


def test_a_black_picture_has_no_field_of_view(model, tmp_path):
    PillowImage.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "black.png")
    with pytest.raises(ImageError, match="field of view"):
        foveal.explain(model, tmp_path / "black.png", "gradcam")
