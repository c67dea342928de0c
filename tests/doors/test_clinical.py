"""The clinical door: files in, maps and scores out, kept in a Result."""

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.text import Text
from PIL import Image as PillowImage

import foveal
from foveal.core import FovealWarning, ImageError, Region
from foveal.explainers import LIME, ExpectedGradients, IntegratedGradients, KernelSHAP
from foveal.run import LEVELS
from foveal.store import Run

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
    made = Counter(score.name for score in scores)
    assert set(made) == set(LEVELS["quick"]) - {"negative_image_profile"}
    assert (made["relevance_mass"], made["out_of_fov_mass"]) == (2 * 3, 2)
    foveal.measure(result, measures=["deletion_auc"], random_orders=1)
    names = [score.name for score in result.scores]
    assert names.count("deletion_auc") == 2
    assert names.count("iou") == 6
    again = foveal.measure(result, measures=["iou"])
    assert len(again) == 6
    assert [s.name for s in result.scores].count("iou") == 6


def test_the_rows_say_what_each_score_belongs_to(model, eye):
    result = foveal.explain(model, eye, "gradcam")
    foveal.measure(result, measures=["out_of_fov_mass"])
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


def test_full_gradients_count_the_cards_normalisation_and_keep_no_picture(model, eye):
    (made,) = foveal.explain(model, eye, "fullgrad", target="Mild").attributions
    assert set(made.parts) == {"head_biases", "remainder"}
    assert made.map.shape == (32, 32)
    assert made.map.sum() + made.parts["head_biases"] == pytest.approx(made.score, abs=1e-4)


def test_references_of_expected_gradients_are_in_display_units(model, eye):
    prepared, _ = model.prepare(eye)
    reference = torch.from_numpy(prepared.pixels)[None] / 2
    method = ExpectedGradients(reference=reference, samples=4)
    (made,) = foveal.explain(model, eye, method, target="Mild").attributions
    assert made.settings["reference"] == "tensor (1, 3, 32, 32)"
    with pytest.raises(ValueError, match="display units"):
        foveal.explain(model, eye, ExpectedGradients(reference=reference * 4 - 2), target="Mild")


def test_several_images_go_through_together(model, cohort_folder):
    paths = sorted((cohort_folder / "eyes").glob("*.png"))
    result = foveal.explain(model, paths, "gradcam")
    assert len(result.attributions) == 3
    assert repr(result) == "Result(3 images, tiny, gradcam, 0 scores)"
    with pytest.raises(ValueError, match=r"regions for 1 image\(s\), but the result holds 3"):
        foveal.measure(result, regions=[], level="quick")
    foveal.measure(result, regions=[[], [], []], measures=["ebc", "iou"])
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
    pytest.param({"measures": ["sensitivity-n"]}, ValueError, "three meanings", id="ambiguous"),
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


def test_regions_that_do_not_fit_one_image_leave_the_others_as_they_were(model, cohort_folder):
    result = foveal.explain(model, sorted((cohort_folder / "eyes").glob("*.png"))[:2], "gradcam")
    lesion, small = (foveal.Region(name="lesion", mask=np.ones((n, n), bool)) for n in (64, 10))
    with pytest.raises(ImageError, match=r"\(10, 10\)"):
        foveal.measure(result, regions=[[lesion], [small]], level="quick")
    assert [reading.regions for reading in result.readings] == [[], []]
    assert result.scores == []


@pytest.fixture
def planted(eye):
    """An eye whose every name would be recognised."""
    return replace(eye, patient="MRN777", eye="MRN777/right", visit="1.2.3.777", laterality="right")


PLANTED = ("MRN777", "1.2.3.777", "Anna")


def test_a_notebook_and_a_figure_name_nobody(model, planted):
    result = foveal.explain(model, [planted, planted], "gradcam")
    html = result._repr_html_()
    assert not [word for word in PLANTED if word in html]
    assert "image 1" in html
    assert "image 2" in html
    drawn = " ".join(text.get_text() for text in result.show(-1).findobj(Text))
    assert not [word for word in PLANTED if word in drawn]
    assert "image 2" in drawn


def test_a_figure_names_the_eye_where_asked(model, planted):
    result = foveal.explain(model, planted, "gradcam")
    drawn = " ".join(text.get_text() for text in result.show(identity="keep").findobj(Text))
    assert "Anna-Muster_R.png" in drawn
    assert "MRN777/right" in drawn
    with pytest.raises(ValueError, match="none or keep, but is 'yes'"):
        result.show(identity="yes")


def test_results_of_one_notebook_do_not_share_ids(model, eye, cohort_folder):
    """An id twice on a page shows the picture that came first in both places."""
    other = foveal.read(cohort_folder / "eyes" / "Bert-Beispiel_L.png")
    pages = [foveal.explain(model, one, "gradcam")._repr_html_() for one in (eye, other)]
    first, second = ({*re.findall(r'id="(case-[^"]*)"', page)} for page in pages)
    assert first
    assert second
    assert not first & second
    for page, own in zip(pages, (first, second), strict=True):
        assert {*re.findall(r'href="#(case-[^"]*)"', page)} <= own


def test_a_result_that_kept_its_names_keeps_them_when_it_is_measured(model, planted, tmp_path):
    result = foveal.explain(model, planted, "gradcam")
    result.save(tmp_path / "kept", identity="keep")
    foveal.measure(result, measures=["ebc"])
    run = Run.open(tmp_path / "kept")
    (case,) = run.cases()
    assert run.header["identity"] == "keep"
    assert case.patient == "MRN777"
    assert len(case.views[0].explained[0].scores) == 1
    assert not (tmp_path / "kept.key.json").exists()


def test_a_black_picture_has_no_field_of_view(model, tmp_path):
    PillowImage.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "black.png")
    with pytest.raises(ImageError, match="field of view"):
        foveal.explain(model, tmp_path / "black.png", "gradcam")


@pytest.mark.parametrize("method", [LIME, KernelSHAP])
def test_regions_of_the_picture_are_carried_to_where_the_model_sees_them(model, eye, method):
    rows = np.indices(eye.grid)[0]
    halves = [
        Region(name="upper", mask=rows < eye.grid[0] // 2, kind="anatomy"),
        Region(name="lower", mask=rows >= eye.grid[0] // 2, kind="anatomy"),
    ]
    result = foveal.explain(model, eye, method(segments=halves, samples=8), target="Severe")
    (made,) = result.attributions
    upper, lower, *_ = made.parts["coefficients"]
    seen = np.unique(made.map)
    assert set(np.float32([upper, lower])) <= set(seen)
    assert len(seen) <= 3  # with zero outside of the field
    middle = made.map[:, made.map.shape[1] // 2]
    inside = np.flatnonzero(middle)
    changes = inside[1:][np.diff(middle[inside]) != 0]
    assert abs(changes - len(middle) / 2) <= 1


def test_a_region_too_small_for_the_model_is_refused(model, eye):
    dot = np.zeros(eye.grid, bool)
    dot[eye.grid[0] // 2, eye.grid[1] // 2] = True
    segments = [Region(name="dot", mask=dot, kind="lesion")]
    with pytest.raises(ValueError, match=r"parts \[0\] have no pixel left on the grid"):
        foveal.explain(model, eye, LIME(segments=segments, samples=8))
