"""The tensor door: what it takes, what it returns and what it refuses."""

import pytest
import torch
from nets import Convolutional, Segmenting, Transformer, images
from torch import Tensor, nn

from foveal.core import FovealWarning, ModelError, Target
from foveal.doors import attribute
from foveal.explainers import GradCAM, IntegratedGradients, LayerCAM, Occlusion, methods


def test_maps_come_by_name_detached_on_the_native_grid_with_their_information():
    model, batch = Convolutional(), images(2)
    maps = attribute(model, batch, ["gradcam", "saliency"], target=3, layers="top")
    assert list(maps) == ["gradcam", "saliency"]
    assert maps["gradcam"].shape == (2, 5, 5)
    assert maps["gradcam"].dtype == torch.float32
    assert not maps["gradcam"].requires_grad
    info = maps.info["gradcam"]
    assert info.layer == "top"
    assert info["layer"] == "top"
    assert info.targets == (3, 3)
    torch.testing.assert_close(info.scores, model.eval()(batch)[:, 3].detach())
    assert maps.info["saliency"].layer is None
    assert set(info) >= {"layer", "targets", "scores", "settings", "cost", "reasons"}
    with pytest.raises(KeyError, match="there is method, layer"):
        info["layers"]


def test_size_input_is_bilinear_without_aligned_corners():
    model, batch = Convolutional(), images(1)
    native = attribute(model, batch, "gradcam", target=0, layers="top")["gradcam"]
    sized = attribute(model, batch, "gradcam", target=0, layers="top", size="input")["gradcam"]
    twin = nn.functional.interpolate(native[None], (24, 24), mode="bilinear", align_corners=False)
    torch.testing.assert_close(sized, twin[0])


def test_no_target_means_each_images_own_argmax():
    model, batch = Convolutional(), images(4)
    own = model.eval()(batch).argmax(dim=1)
    by_default = attribute(model, batch, "gradcam", layers="top")
    assert by_default.info["gradcam"].targets == tuple(own.tolist())
    named = attribute(model, batch, "gradcam", target=own, layers="top")
    torch.testing.assert_close(by_default["gradcam"], named["gradcam"])


def test_several_layers_name_their_maps_and_a_list_of_one_does_not():
    model, batch = Convolutional(), images(1)
    two = attribute(model, batch, ["gradcam", "saliency"], layers=["body.1", model.top])
    assert list(two) == ["gradcam@body.1", "gradcam@top", "saliency"]
    assert list(attribute(model, batch, "gradcam", layers=["top"])) == ["gradcam"]


def test_two_settings_of_one_method_take_names_of_their_own():
    model, batch = Convolutional(), images(1)
    maps = attribute(
        model,
        batch,
        {"ig-4": IntegratedGradients(steps=4), "ig-8": IntegratedGradients(steps=8)},
        target=0,
    )
    assert [maps.info[key].settings["steps"] for key in maps] == [4, 8]
    with pytest.raises(ValueError, match="asked for twice"):
        attribute(model, batch, [IntegratedGradients(), "integratedgradients"])


def test_the_layer_is_chosen_and_reported_and_remembered():
    model, batch = Convolutional(), images(2)
    maps = attribute(model, batch, GradCAM(), target=0)
    assert maps.info["gradcam"].layer == "top"
    assert "chosen" in maps.info["gradcam"].notes[0]
    model.count.forwards.clear()
    attribute(model, batch, GradCAM(), target=0)
    assert model.count.forwards == [2]


def test_a_segmentation_needs_a_class_and_announces_its_layer():
    model, batch = Segmenting(), images(2)
    with pytest.raises(ValueError, match="one score a pixel: say which class"):
        attribute(model, batch, "saliency")
    with pytest.warns(FovealWarning, match=r"'decoder'.*'bottom'.*another question"):
        maps = attribute(model, batch, "gradcam", target=1)
    assert maps.info["gradcam"].layer == "decoder"


def test_a_segmentation_is_averaged_over_the_pixels_predicted_on_the_clean_image():
    model, batch = Segmenting(), images(2)
    logits = model(batch).detach()
    predicted = logits.argmax(dim=1) == 1
    maps = attribute(model, batch, "occlusion", target=1)
    means = [logits[row, 1][predicted[row]].mean() for row in range(2)]
    torch.testing.assert_close(maps.info["occlusion"].scores, torch.stack(means), equal_nan=True)
    everywhere = attribute(model, batch, "saliency", target=Target(index=1, pixels="all"))
    torch.testing.assert_close(everywhere.info["saliency"].scores, logits[:, 1].mean(dim=(1, 2)))


def test_a_class_that_no_pixel_is_predicted_as_has_no_score_and_says_why():
    class Background(Segmenting):
        def forward(self, batch: Tensor) -> Tensor:
            logits = super().forward(batch)
            return torch.stack([logits[:, 0] + 100, logits[:, 1], logits[:, 2]], dim=1)

    maps = attribute(Background(), images(1), "saliency", target=2)
    assert maps.info["saliency"].reasons == ("empty_mask",)
    assert bool(maps.info["saliency"].scores.isnan())


def test_a_plain_callable_works_for_methods_that_need_scores_only():
    def brightness(batch: Tensor) -> Tensor:
        return batch.mean(dim=(1, 2, 3))[:, None]

    maps = attribute(brightness, images(1), "occlusion")
    assert maps["occlusion"].shape == (1, 24, 24)
    with pytest.raises(ModelError, match="gives scores only"):
        attribute(brightness, images(1), "gradcam")


def test_a_target_may_take_what_it_needs_from_any_output():
    class Dictionary(Convolutional):
        def forward(self, batch: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
            return {"logits": super().forward(batch)}

    batch = images(2)
    with pytest.raises(ValueError, match=r"no tensor but \['logits'\]"):
        attribute(Dictionary(), batch, "saliency")
    maps = attribute(Dictionary(), batch, "saliency", target=lambda out: out["logits"][:, 2])
    expected = attribute(Convolutional(), batch, "saliency", target=2)
    torch.testing.assert_close(maps["saliency"], expected["saliency"])


def test_a_class_of_one_output_among_several_is_named_with_its_output():
    class Twofold(Convolutional):
        def forward(self, batch: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
            logits = super().forward(batch)
            return {"grade": logits, "quality": logits[:, :2]}

    target = [Target(output="grade", index=2), Target(output="quality", index=0)]
    info = attribute(Twofold(), images(2), "saliency", target=target).info["saliency"]
    assert info.targets == ("grade: class 2", "quality: class 0")
    predicted = attribute(Twofold(), images(2), "saliency", target=Target(output="quality"))
    assert all(str(t).startswith("quality: class ") for t in predicted.info["saliency"].targets)


GRADES = [
    pytest.param("cumulative", lambda z: z[:, 1], id="cumulative"),
    pytest.param("coral", lambda z: z[:, 1], id="CORAL"),
    pytest.param(
        "softmax", lambda z: z[:, 2:].logsumexp(dim=1) - z[:, :2].logsumexp(dim=1), id="softmax"
    ),
]


@pytest.mark.parametrize(("head", "twin"), GRADES)
def test_a_grade_of_two_or_more_is_read_by_the_head(head, twin):
    model, batch = Convolutional(), images(2)
    asked = {"methods": ["saliency", "gradcam"], "layers": "top"}
    maps = attribute(model, batch, **asked, target=Target(at_least=2), head=head)
    expected = attribute(model, batch, **asked, target=twin)
    for method in maps:
        torch.testing.assert_close(maps[method], expected[method])
    info = maps.info["saliency"]
    assert info.targets == ("grade >= 2", "grade >= 2")
    assert info.score_modes == ("log-odds", "log-odds")
    torch.testing.assert_close(info.scores, twin(model.eval()(batch)).detach())


@pytest.mark.parametrize("head", ["cumulative", "coral"])
def test_an_ordinal_head_of_four_logits_has_five_grades(head):
    class Sure(Convolutional):
        def forward(self, batch: Tensor) -> Tensor:
            return super().forward(batch) * 0 + torch.tensor([9.0, 5.0, -3.0, -9.0])

    info = attribute(Sure(), images(1), "saliency", head=head).info["saliency"]
    assert info.targets == (2,)
    attribute(Sure(), images(1), "saliency", target=4, head=head)
    with pytest.raises(ValueError, match="class 5 does not exist: the model has 5 classes"):
        attribute(Sure(), images(1), "saliency", target=5, head=head)


def test_a_regression_keeps_its_sign_and_its_unit():
    class Acuity(nn.Module):
        def forward(self, batch: Tensor) -> Tensor:
            return (50 - 70 * batch.mean(dim=(1, 2, 3)))[:, None]

    batch = images(2).abs() + 1
    for target in (None, Target(index=0, score="probability"), Target(index=0, score="log-odds")):
        maps = attribute(Acuity(), batch, "inputxgradient", target=target, head="identity")
        info = maps.info["inputxgradient"]
        torch.testing.assert_close(info.scores, 50 - 70 * batch.mean(dim=(1, 2, 3)))
        torch.testing.assert_close(maps["inputxgradient"].sum(dim=(1, 2, 3)), info.scores - 50)
        assert info.score_modes == ("value", "value")


def test_which_of_several_values_is_meant_must_be_said():
    model, batch = Convolutional(), images(1)
    with pytest.raises(ValueError, match="the model gives 4 values: say which is meant"):
        attribute(model, batch, "saliency", head="identity")
    with pytest.raises(ValueError, match=r"at_least=2 needs grades.*gives values"):
        attribute(model, batch, "saliency", target=Target(at_least=2), head="identity")


def test_progress_counts_the_probes():
    calls: list[tuple[int, int]] = []
    attribute(
        Convolutional(), images(1), Occlusion(window=12, stride=12),
        progress=lambda done, planned: calls.append((done, planned)),
    )  # fmt: skip
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_methods_table_knows_every_method():
    table = {method.name: method for method in methods()}
    assert table["gradcam"].cls is GradCAM
    assert table["occlusion"].needs == ("scores",)
    assert all(m.reference and m.cost and m.sign and m.question for m in table.values())


WRONG = [
    pytest.param({"methods": "gradcat"}, ValueError, "no method 'gradcat'.*gradcam", id="method"),
    pytest.param({"methods": []}, ValueError, "at least one method", id="no method"),
    pytest.param({"methods": [3]}, TypeError, "a name or an explainer", id="method type"),
    pytest.param({"layers": "tops"}, ValueError, "no layer 'tops'; near names: top", id="layer"),
    pytest.param({"layers": []}, ValueError, "layers is empty", id="no layers"),
    pytest.param({"layers": nn.ReLU()}, ValueError, "no part of this model", id="foreign layer"),
    pytest.param({"layers": 4}, TypeError, "layers must be a name", id="layer type"),
    pytest.param({"target": 4}, ValueError, "class 4 does not exist.*0 to 3", id="class"),
    pytest.param({"target": -1}, ValueError, "from 0 on", id="negative class"),
    pytest.param({"target": [0, 1, 2]}, ValueError, "got 3 targets for 2 images", id="targets"),
    pytest.param({"target": "Severe"}, TypeError, "target must be None, a class", id="target type"),
    pytest.param({"target": lambda out: out.sum()}, ValueError, "one number per sample",
                 id="callable target"),
    pytest.param({"head": "ordinal"}, ValueError, "head must be one of softmax, sigmoid, .*"
                 "but is 'ordinal'", id="head"),
    pytest.param({"head": None}, ValueError, "head must be one of", id="no head"),
    pytest.param({"size": "big"}, ValueError, "size must be None", id="size"),
    pytest.param({"precision": "fp8"}, ValueError, "precision must be", id="precision"),
    pytest.param({"max_batch": 0}, ValueError, "max_batch must be", id="max_batch"),
    pytest.param({"methods": IntegratedGradients(baseline="black")}, ValueError,
                 "needs display units", id="display units"),
    pytest.param({"methods": IntegratedGradients(baseline=torch.ones(5))}, ValueError,
                 "does not fit 2 images", id="baseline shape"),
    pytest.param({"methods": Occlusion(window=25)}, ValueError, "exceeds the image's 24",
                 id="window"),
    pytest.param({"methods": Occlusion(window=4, stride=5)}, ValueError, "leave pixels out",
                 id="stride"),
    pytest.param({"methods": LayerCAM(fuse=True, scale_layers=("stem",))}, ValueError,
                 "are not among layers", id="scale_layers"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "error", "message"), WRONG)
def test_a_wrong_call_says_what_was_wrong(arguments, error, message):
    call = {"methods": "gradcam", "layers": "top", **arguments}
    with pytest.raises(error, match=message):
        attribute(Convolutional(), images(2), **call)


BATCHES = [
    pytest.param(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), TypeError, "floating", id="bytes"),
    pytest.param(torch.zeros(3, 8, 8), ValueError, "at least one image", id="no batch axis"),
    pytest.param(torch.zeros(0, 3, 8, 8), ValueError, "at least one image", id="empty"),
    pytest.param(torch.full((1, 3, 8, 8), torch.nan), ValueError, "not finite", id="NaN"),
]


@pytest.mark.parametrize(("batch", "error", "message"), BATCHES)
def test_a_wrong_batch_says_what_was_wrong(batch, error, message):
    with pytest.raises(error, match=message):
        attribute(Convolutional(), batch, "saliency")


def test_a_layer_that_the_score_does_not_depend_on_is_named():
    class Forked(Convolutional):
        def __init__(self) -> None:
            super().__init__()
            self.side = nn.Conv2d(3, 2, 3)

        def forward(self, batch: Tensor) -> Tensor:
            self.side(batch)
            return super().forward(batch)

    model = Forked()
    with pytest.raises(ModelError, match="does not depend on 'side'"):
        attribute(model, images(1), "gradcam", layers="side")
    with pytest.raises(ModelError, match="does not depend on 'side'"):
        attribute(model, images(1), "gradcam", layers=["top", "side"])


def test_a_layer_that_does_not_run_is_named():
    model = Convolutional()
    model.spare = nn.Conv2d(3, 3, 1)
    with pytest.raises(ModelError, match="'spare' did not run"):
        attribute(model, images(1), "gradcam", layers="spare")


def test_a_layer_without_a_grid_is_named():
    with pytest.raises(ModelError, match=r"'head' gives \(1, 4\), which has no rows and columns"):
        attribute(Convolutional(), images(1), "gradcam", layers="head")


def test_a_model_without_gradients_is_refused_with_a_way_out():
    class Detached(Convolutional):
        def forward(self, batch: Tensor) -> Tensor:
            return super().forward(batch).detach()

    with pytest.raises(ModelError, match=r"does not depend on the input.*occlusion"):
        attribute(Detached(), images(1), "saliency")


def test_a_layer_that_runs_several_times_warns():
    class Reusing(Convolutional):
        def forward(self, batch: Tensor) -> Tensor:
            return self.head(self.top(self.body(self.top(self.stem(batch)))).mean(dim=(2, 3)))

    with pytest.warns(FovealWarning, match="'top' ran 2 times"):
        attribute(Reusing(), images(1), "gradcam", layers="top")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("how", ["script", "trace"])
def test_scripted_and_traced_layers_refuse_cam_methods_and_allow_the_others(how):
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 4, 3)

        def forward(self, batch: Tensor) -> Tensor:
            return self.layer(batch).relu().mean(dim=(2, 3))

    model = Plain().eval()
    frozen = torch.jit.script(model) if how == "script" else torch.jit.trace(model, images(1))
    with pytest.raises(ModelError, match=r"takes no hooks|did not run"):
        attribute(frozen, images(1), "gradcam", layers="layer", target=0)
    maps = attribute(frozen, images(1), ["saliency", "occlusion"], target=0)
    expected = attribute(model, images(1), ["saliency", "occlusion"], target=0)
    for key in maps:
        torch.testing.assert_close(maps[key], expected[key])


def test_a_refusal_says_whose_it_is_and_comes_before_the_methods_that_send_many_probes():
    alone, beside = Transformer(), Transformer()
    with pytest.raises(ModelError) as why:
        attribute(alone, images(1), "cam")
    with pytest.raises(ModelError) as told:
        attribute(beside, images(1), ["rise", "cam", "integratedgradients"])
    assert str(told.value) == f"cam: {why.value}; without it the others can be had"
    assert beside.count.forwards == alone.count.forwards
