"""ONNX files: converted where that is right, else a black box that says what it cannot give."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision_operators  # noqa: F401 (onnx2torch imports torchvision)
from torch import Tensor, nn

import foveal
from foveal.core import FovealWarning, Image, ModelError
from foveal.models import describe, load
from foveal.models.onnx import REEXPORT, BlackBox

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx2torch")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper  # noqa: E402 (after it is known to be there)

pytestmark = [
    pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning"),
    # torch's exporter up to opset 17 announces that it will go.
    pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The feature will be removed:DeprecationWarning"),
]

CARD = {
    "name": "tiny",
    "loader": "onnx",
    "weights": "model.onnx",
    "task": "multiclass",
    "classes": ["a", "b", "c", "d"],
    "input": {"size": [24, 24], "prepare": [{"step": "resize", "aspect": "stretch"}]},
}
BLACK_BOX = "runs as a black box, which gives scores only"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


class Plain(nn.Module):
    """Convolutions, a mean and a linear layer; hooks in a model's own code cannot be exported."""

    def __init__(self, last: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 5, 3, stride=2), nn.ReLU(), nn.Conv2d(5, 6, 3))
        self.head = nn.Linear(6, 4)
        self.last = last or nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.head(self.body(images).relu().mean(dim=(2, 3))))


def exported(network=None, *, opset=17, batch="batch", count=1, names=("scores",)):
    """Write a network as ONNX; the mean over rows and columns is new in opset 18."""
    network = (network or Plain()).eval()
    example = torch.rand(count, 3, 24, 24)
    torch.onnx.export(
        network,
        (example,),
        "model.onnx",
        opset_version=opset,
        dynamo=False,
        input_names=["image"],
        output_names=list(names),
        dynamic_axes={"image": {0: batch}} if batch else None,
    )
    return network


def black_box(**changes):
    with pytest.warns(FovealWarning, match=BLACK_BOX):
        return load({**CARD, **changes})


def images(count=3):
    return torch.rand(count, 3, 24, 24, generator=torch.Generator().manual_seed(1))


def says(network, batch):
    with torch.no_grad():
        return network(batch)


def test_a_file_of_opset_17_becomes_a_torch_network_with_its_layers():
    network = exported()
    model = load(CARD)
    torch.testing.assert_close(model.output(images()), says(network, images()))
    assert model.gives == {"scores", "input gradient", "layer gradients"}
    assert model.notes[0] == "converted by onnx2torch"
    assert model.notes[1].startswith("compared with onnxruntime on one random image")
    assert [row.kind for row in describe(model).layers if row.parameters] == [
        "Conv2d", "Conv2d", "Linear",
    ]  # fmt: skip


def test_maps_of_a_converted_network_are_those_of_the_network():
    network, model = exported(), load(CARD)
    methods = ["gradcam", "saliency", "occlusion"]
    asked = {"methods": methods, "target": 2}
    ours = foveal.attribute(model.module, images(), **asked, layers="body/body/2/Conv")
    theirs = foveal.attribute(network, images(), **asked, layers="body.2")
    for method in methods:
        torch.testing.assert_close(ours[method], theirs[method], atol=1e-5, rtol=1e-4)


def test_the_command_that_errors_show_writes_a_file_that_converts():
    network, example = Plain().eval(), images(1)
    exec(REEXPORT, {"torch": torch, "network": network, "example": example})
    model = load(CARD)
    assert "layer gradients" in model.gives
    assert model.batch is None
    torch.testing.assert_close(model.output(images()), says(network, images()))


def test_a_file_of_opset_18_is_a_black_box_with_the_same_scores():
    network = exported(opset=18)
    model = black_box()
    assert isinstance(model.module, BlackBox)
    assert model.gives == {"scores"}
    assert "ReduceMean" in model.notes[-1]
    torch.testing.assert_close(model.output(images()), says(network, images()))


def test_forward_only_methods_explain_a_black_box_at_both_doors():
    network = exported(opset=18)
    model = black_box()
    methods = ["occlusion", foveal.explainers.RISE(masks=8)]
    expected = foveal.attribute(network, images(), methods, target=2)
    for asked in (model.forward, model.module):
        maps = foveal.attribute(asked, images(), methods, target=2)
        for method in maps:
            torch.testing.assert_close(maps[method], expected[method], atol=1e-5, rtol=1e-4)
    pixels = images(1)[0].numpy()
    (map_,) = foveal.explain(model, Image(pixels=pixels), "occlusion", target="c").attributions
    assert map_.map.shape == (24, 24)
    assert map_.score == pytest.approx(float(says(network, images(1))[0, 2]), abs=1e-5)


def test_a_layer_of_a_black_box_is_refused_with_what_to_do_instead():
    exported(opset=18)
    model = black_box()
    refusal = r"black box: it has no layers inside.*at 'body'.*occlusion.*opset_version=17"
    for methods in ("gradcam", ["occlusion", "gradcam"]):
        with pytest.raises(ModelError, match=refusal):
            foveal.attribute(model.module, images(1), methods, target=2, layers="body")


def test_methods_without_layers_explain_a_black_box_whose_card_names_some():
    exported(opset=18)
    model = black_box(explain={"layers": ["body"]})
    image = Image(pixels=images(1)[0].numpy())
    (map_,) = foveal.explain(model, image, "occlusion", target="c").attributions
    assert map_.layer is None


@pytest.mark.parametrize("method", ["saliency", "gradcam", "integratedgradients", "scorecam"])
def test_other_methods_say_that_a_black_box_cannot_and_how_it_could(method):
    exported(opset=18)
    model = black_box()
    refusal = r"scores only.*occlusion.*opset_version=17, dynamo=False"
    with pytest.raises(ModelError, match=refusal):
        foveal.explain(model, Image(pixels=images(1)[0].numpy()), method)
    with pytest.raises(ModelError, match=refusal):
        foveal.attribute(model.module, images(), method)
    with pytest.raises(ModelError, match=r"scores only.*occlusion"):
        foveal.attribute(model.forward, images(), method)
    assert "opset_version=17" in (describe(model).why_none or "")


ENDS = [pytest.param(17, load, id="converted"), pytest.param(18, None, id="black box")]


@pytest.mark.parametrize(("opset", "loader"), ENDS)
def test_a_last_softmax_is_taken_off(opset, loader):
    network = exported(Plain(nn.Softmax(dim=1)), opset=opset)
    model = loader(CARD) if loader else black_box()
    scores = model.output(images())
    assert not torch.allclose(scores.sum(dim=1), torch.ones(3))
    torch.testing.assert_close(scores.softmax(dim=1), says(network, images()))
    assert "the softmax at the end was taken off" in model.notes[0]


def test_a_sigmoid_comes_off_labels_and_stays_on_a_regression():
    network = exported(Plain(nn.Sigmoid()))
    labels = load({**CARD, "task": "multilabel"})
    torch.testing.assert_close(labels.output(images()).sigmoid(), says(network, images()))
    values = load({**CARD, "task": "regression"})
    torch.testing.assert_close(values.output(images()), says(network, images()))
    with pytest.raises(ModelError, match=r"ends in sigmoid, but .* write head = \"sigmoid\""):
        load(CARD)


BATCHES = [
    pytest.param(1, 17, id="one, converted"),
    pytest.param(1, 18, id="one, black box"),
    pytest.param(2, 18, id="two, black box"),
]


@pytest.mark.parametrize(("size", "opset"), BATCHES)
@pytest.mark.filterwarnings(f"ignore:tiny {BLACK_BOX}:foveal.core.FovealWarning")
def test_a_file_for_one_batch_size_takes_any_number_of_images(size, opset):
    network = exported(opset=opset, batch=None, count=size)
    model = load(CARD)
    torch.testing.assert_close(model.output(images(3)), says(network, images(3)))
    assert model.batch is None


class Flattening(Plain):
    """A reshape to a fixed number of rows, as exporters write it for one image."""

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images).amax(dim=(2, 3)).reshape(1, 6))


@pytest.mark.filterwarnings(f"ignore:tiny {BLACK_BOX}:foveal.core.FovealWarning")
@pytest.mark.parametrize("opset", [17, 18])
def test_a_file_that_takes_single_images_whatever_it_declares_is_noticed(opset):
    network = exported(Flattening(), opset=opset)
    model = load(CARD)
    assert model.batch == 1
    torch.testing.assert_close(model.output(images(1)), says(network, images(1)))


class TwoHeads(Plain):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(images).mean(dim=(2, 3))
        return features, self.head(features).softmax(dim=1)


@pytest.mark.parametrize(("opset", "loader"), ENDS)
def test_an_output_of_several_is_named_by_the_card(opset, loader):
    network = exported(TwoHeads(), opset=opset, names=("features", "grade"))
    card = {**CARD, "output": {"key": "grade"}}
    model = loader(card) if loader else black_box(output={"key": "grade"})
    _, expected = says(network, images())
    torch.testing.assert_close(model.output(images()).softmax(dim=1), expected)


def test_an_output_that_is_not_there_is_refused_with_those_that_are():
    exported(TwoHeads(), names=("features", "grade"))
    with pytest.raises(ModelError, match=r"has no 'scores', but \['features', 'grade'\]"):
        load({**CARD, "output": {"key": "scores"}})


def written(nodes, weights, input_shape, kind=TensorProto.FLOAT, outputs=("out",)):
    """A file node by node, as other exporters than torch's write it."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("image", kind, input_shape)],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
        [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    imports = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), "model.onnx")


WEIGHT = np.random.default_rng(0).normal(size=(4, 3, 1, 1)).astype(np.float32)
"""Of a convolution from three channels to four classes a pixel."""


def test_channels_last_and_a_softmax_before_a_transpose_are_understood(monkeypatch):
    written(
        [
            helper.make_node("Transpose", ["image"], ["first"], perm=[0, 3, 1, 2]),
            helper.make_node("Conv", ["first", "weight"], ["features"]),
            helper.make_node("Softmax", ["features"], ["chances"], axis=1),
            helper.make_node("Transpose", ["chances"], ["out"], perm=[0, 2, 3, 1]),
        ],
        {"weight": WEIGHT},
        ["n", 16, 24, 3],
    )
    card = {**CARD, "task": "segmentation", "input": {"size": [16, 24]}}
    batch = images()[:, :, :16]
    expected = torch.einsum("nchw,kc->nkhw", batch, torch.from_numpy(WEIGHT[:, :, 0, 0]))
    torch.testing.assert_close(load(card).output(batch), expected, atol=1e-5, rtol=1e-4)
    without(monkeypatch, "onnx2torch", ImportError("no module"))
    torch.testing.assert_close(black_box(**card).output(batch), expected, atol=1e-5, rtol=1e-4)


KINDS = [
    pytest.param(TensorProto.DOUBLE, np.float64, id="double"),
    pytest.param(TensorProto.FLOAT16, np.float16, id="half"),
]


@pytest.mark.filterwarnings(f"ignore:tiny {BLACK_BOX}:foveal.core.FovealWarning")
@pytest.mark.parametrize(("kind", "dtype"), KINDS)
def test_files_in_other_precisions_get_what_they_take(kind, dtype):
    nodes = [
        helper.make_node("Conv", ["image", "weight"], ["features"]),
        helper.make_node("GlobalAveragePool", ["features"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["out"]),
    ]
    written(nodes, {"weight": WEIGHT.astype(dtype)}, ["n", 3, 24, 24], kind)
    expected = images().mean(dim=(2, 3)) @ torch.from_numpy(WEIGHT[:, :, 0, 0]).T
    torch.testing.assert_close(load(CARD).output(images()), expected, atol=1e-2, rtol=1e-2)


def test_an_input_of_whole_numbers_is_refused():
    written(
        [helper.make_node("Identity", ["image"], ["out"])], {}, ["n", 3, 24, 24], TensorProto.UINT8
    )
    with pytest.raises(ModelError, match="whole numbers or the like, but images are floating-poi"):
        load(CARD)


def test_a_conversion_to_other_scores_is_not_used(monkeypatch):
    network = exported()
    convert = sys.modules["onnx2torch"].convert

    def wrong(proto):
        module = convert(proto)
        for parameter in module.parameters():
            parameter.data *= 1.01
        return module

    monkeypatch.setattr("onnx2torch.convert", wrong)
    with pytest.warns(FovealWarning, match=rf"{BLACK_BOX}: onnx2torch converts it to other scores"):
        model = load(CARD)
    torch.testing.assert_close(model.output(images()), says(network, images()))


FAILURES = [
    pytest.param(ImportError("no module"), r"pip install 'foveal\[onnx\]'", id="not installed"),
    pytest.param(RuntimeError("operator torchvision::nms does not exist"),
                 "Install torch and torchvision as a pair", id="torchvision of another torch"),
]  # fmt: skip


def without(monkeypatch, name, problem):
    """Importing a package goes wrong."""
    from importlib import import_module

    def broken(wanted):
        if wanted == name:
            raise problem
        return import_module(wanted)

    monkeypatch.setattr("foveal.models.torch.import_module", broken)


@pytest.mark.parametrize(("problem", "message"), FAILURES)
def test_without_a_converter_the_file_is_a_black_box(monkeypatch, problem, message):
    network = exported()
    without(monkeypatch, "onnx2torch", problem)
    with pytest.warns(FovealWarning, match=f"{BLACK_BOX}: .*{message}"):
        model = load(CARD)
    torch.testing.assert_close(model.output(images()), says(network, images()))


def test_without_onnxruntime_a_file_is_converted_or_refused(monkeypatch):
    without(monkeypatch, "onnxruntime", ImportError("no module"))
    exported()
    assert "not compared with onnxruntime: this card needs onnxruntime" in load(CARD).notes[-1]
    exported(opset=18)
    with pytest.raises(ModelError, match=r"ReduceMean.*pip install 'foveal\[onnx\]'"):
        load(CARD)


def test_the_fingerprint_is_of_the_file():
    exported(opset=18)
    one, same = black_box(), black_box()
    assert one.fingerprint == same.fingerprint
    network = Plain()
    network.head.bias.data += 1
    exported(network, opset=18)
    assert black_box().fingerprint != one.fingerprint


def test_a_file_that_cannot_be_used_says_why():
    with pytest.raises(ModelError, match=r"there is no ONNX file at none\.onnx"):
        load({**CARD, "weights": "none.onnx"})
    Path("model.onnx").write_text("no model")
    with pytest.raises(ModelError, match=r"model\.onnx is no ONNX file that can be read"):
        load(CARD)
    exported()
    with pytest.raises(ModelError, match=r"shape \(None, 3, 24, 24\), but .* on 32 rows"):
        load({**CARD, "input": {"size": [32, 32]}})
    written([helper.make_node("Strange", ["image"], ["out"])], {}, ["n", 3, 24, 24])
    with pytest.raises(ModelError, match=r"no torch network .* onnxruntime refuses the file"):
        load(CARD)


def test_a_file_of_two_inputs_is_refused():
    proto_inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 24, 24])
        for name in ("left", "right")
    ]
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    node = helper.make_node("Add", ["left", "right"], ["out"])
    onnx.save(
        helper.make_model(helper.make_graph([node], "two", proto_inputs, [output])), "model.onnx"
    )
    with pytest.raises(
        ModelError, match="must take one image, but its ONNX file takes left, right"
    ):
        load(CARD)
