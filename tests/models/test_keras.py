"""Keras 3 models on torch: what Keras itself says, its layers by name, and what is refused."""

import json
import os
import sys
import warnings
import zipfile
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

import foveal
from foveal.core import Image, ModelError
from foveal.models import describe, load

os.environ["KERAS_BACKEND"] = "torch"
keras = pytest.importorskip("keras")
layers = keras.layers

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")

CARD = {
    "name": "tiny",
    "loader": "keras",
    "weights": "tiny.keras",
    "task": "multiclass",
    "classes": ["CNV", "DME", "NORMAL"],
    "input": {"size": [16, 24], "prepare": [{"step": "resize", "aspect": "stretch"}]},
}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)


def saved(model, name="tiny.keras"):
    with warnings.catch_warnings():
        # Keras 3.15 hands its variables to NumPy without the argument that NumPy 2 asks for.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        model.save(name)
    return model


def trained(model):
    """Batch norm with other statistics than those it starts with."""
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights(
                [np.random.default_rng(0).uniform(0.5, 2, w.shape) for w in layer.weights]
            )
    return model


def tiny(head="softmax", outputs=3):
    """A convolutional network with a nested block, dropout and its last activation inside."""
    image = keras.Input((16, 24, 3), name="eye")
    features = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(image)
    features = layers.BatchNormalization(name="norm")(features)
    features = layers.MaxPooling2D(2, name="pool")(features)
    block = [keras.Input((8, 12, 4)), layers.Conv2D(6, 3, padding="same", name="inner")]
    features = keras.Sequential([*block, layers.ReLU(name="relu")], name="block")(features)
    features = layers.AveragePooling2D(2, name="last.pool")(features)
    features = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(features))
    return trained(
        keras.Model(image, layers.Dense(outputs, activation=head, name="grade")(features))
    )


def images(count=2):
    return torch.rand(count, 3, 16, 24, generator=torch.Generator().manual_seed(1))


def keras_says(model, batch):
    """What Keras gives for images with channels first, as it takes them: channels last."""
    with torch.no_grad():
        return model(batch.movedim(1, -1), training=False)


def test_softmax_of_the_scores_is_what_keras_says():
    model, ours = saved(tiny()), load(CARD)
    batch = images()
    torch.testing.assert_close(ours.output(batch).softmax(dim=1), keras_says(model, batch))
    assert ours.notes == (
        "the softmax of the last layer 'grade' was taken off: its input is explained, the logit",
    )
    assert ours.gives == {"scores", "input gradient", "layer gradients"}


ENDS = [
    pytest.param(lambda x: layers.Dense(3, activation="softmax")(x), id="dense"),
    pytest.param(lambda x: layers.Activation("softmax")(layers.Dense(3)(x)), id="activation layer"),
    pytest.param(lambda x: layers.Softmax()(layers.Dense(3)(x)), id="softmax layer"),
    pytest.param(lambda x: keras.ops.softmax(layers.Dense(3)(x)), id="operation"),
    pytest.param(
        lambda x: keras.Sequential([layers.Dense(3, activation="softmax")])(x), id="nested"
    ),
]  # fmt: skip


@pytest.mark.parametrize("end", ENDS)
def test_a_last_softmax_is_taken_off_wherever_it_is(end):
    image = keras.Input((16, 24, 3))
    model = saved(keras.Model(image, end(layers.GlobalAveragePooling2D()(image))))
    scores = load(CARD).output(images())
    assert not torch.allclose(scores.sum(dim=1), torch.ones(2))
    torch.testing.assert_close(scores.softmax(dim=1), keras_says(model, images()))


def test_a_sigmoid_comes_off_a_classifier_and_stays_on_a_regression():
    model = saved(tiny("sigmoid", 1))
    expected = keras_says(model, images())
    binary = load({**CARD, "task": "binary", "classes": ["healthy", "ill"]})
    torch.testing.assert_close(binary.output(images()).sigmoid(), expected)
    regression = load({**CARD, "task": "regression", "classes": []})
    torch.testing.assert_close(regression.output(images()), expected)
    assert regression.notes == ()


def test_a_head_that_contradicts_the_network_is_refused():
    saved(tiny("sigmoid"))
    with pytest.raises(ModelError, match=r"ends in sigmoid, but .* 'softmax'; write head = \"sig"):
        load(CARD)


def test_layers_have_keras_names_and_give_channels_before_rows_and_columns():
    saved(tiny())
    model = load(CARD)
    found = describe(model)
    rows = {row.name: row for row in found.layers}
    assert rows["first"].kind == "Conv2D"
    assert rows["first"].shape == (4, 16, 24)
    assert rows["first"].parameters == 4 * 3 * 9 + 4
    assert rows["block.inner"].shape == (6, 8, 12)
    assert rows["grade"].shape == (3,)
    assert found.choice is not None
    assert found.choice.name == "block"  # pooling adds no features
    assert found.choice.grid == (8, 12)
    assert found.parameters == 112 + 16 + 222 + 21


def test_gradients_are_those_of_keras():
    model, ours = saved(tiny(head=None)), load(CARD)
    batch = images()
    maps = foveal.attribute(ours.module, batch, "saliency", target=2)
    wanted = batch.movedim(1, -1).clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(wanted, training=False)[:, 2].sum(), wanted)
    torch.testing.assert_close(maps["saliency"], gradient.movedim(-1, 1))


def test_gradcam_is_the_closed_form_of_a_global_mean_and_a_linear_layer():
    image = keras.Input((16, 24, 3))
    features = layers.Conv2D(5, 3, strides=2, name="features")(image)
    scores = layers.Dense(3, name="grade")(layers.GlobalAveragePooling2D()(features))
    model = saved(keras.Model(image, scores))
    maps = foveal.attribute(load(CARD).module, images(), ["gradcam", "occlusion"], target=1)
    weight = model.get_layer("grade").kernel.value[:, 1]
    seen = keras_says(keras.Model(image, features), images())
    expected = (seen * weight).sum(dim=-1) / seen[0, :, :, 0].numel()
    torch.testing.assert_close(maps["gradcam"], expected.detach())
    assert maps.info["gradcam"].layer == "features"
    assert maps["occlusion"].shape == (2, 16, 24)


def test_a_keras_model_goes_through_the_clinical_door():
    saved(tiny())
    pixels = np.random.default_rng(0).random((3, 16, 24), dtype=np.float32)
    result = foveal.explain(
        load(CARD), Image(pixels=pixels), ["gradcam", "saliency", "occlusion"], target="DME"
    )
    grids = {one.method: one.map.shape[-2:] for one in result.attributions}
    assert grids == {"gradcam": (8, 12), "saliency": (16, 24), "occlusion": (16, 24)}


def test_inference_does_not_depend_on_the_mode_and_changes_nothing():
    model = saved(tiny())
    ours = load(CARD)
    before = {key: value.clone() for key, value in ours.module.state_dict().items()}
    wanted = {key: p.requires_grad for key, p in ours.module.named_parameters()}
    ours.module.train()
    with torch.no_grad():
        scores = ours.module(images())
    torch.testing.assert_close(scores.softmax(dim=1), keras_says(model, images()))
    foveal.attribute(ours.module, images(), ["gradcam", "saliency"])
    assert {key: p.requires_grad for key, p in ours.module.named_parameters()} == wanted
    assert wanted["first.kernel"]
    assert not wanted["norm.moving_mean"]
    torch.testing.assert_close(ours.module.state_dict(), before, rtol=0, atol=0)


def test_weights_are_shared_with_keras_and_make_the_fingerprint():
    saved(tiny())
    one, same = load(CARD), load(CARD)
    assert one.fingerprint == same.fingerprint
    before = one.output(images())
    weights = {key: value * 2 for key, value in one.module.state_dict().items()}
    one.module.load_state_dict(weights)
    assert not torch.allclose(one.output(images()), before)
    keras.utils.set_random_seed(1)
    saved(tiny())
    assert load(CARD).fingerprint != same.fingerprint


def test_a_segmentation_gives_classes_before_rows_and_columns():
    image = keras.Input((None, None, 3))
    features = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    model = saved(keras.Model(image, layers.Conv2D(2, 1, activation="softmax")(features)))
    card = {**CARD, "task": "segmentation", "classes": ["back", "disc"]}
    scores = load(card).output(images())
    assert scores.shape == (2, 2, 16, 24)
    expected = keras_says(model, images()).movedim(-1, 1)
    torch.testing.assert_close(scores.softmax(dim=1), expected)


def test_a_model_with_channels_first_is_taken_as_it_is():
    image = keras.Input((3, 16, 24))
    features = layers.Conv2D(4, 3, data_format="channels_first", name="features")(image)
    scores = layers.Dense(3)(layers.GlobalAveragePooling2D(data_format="channels_first")(features))
    model = saved(keras.Model(image, scores))
    ours = load(CARD)
    with torch.no_grad():
        torch.testing.assert_close(ours.output(images()), model(images()))
    (row,) = [row for row in describe(ours).layers if row.name == "features"]
    assert row.shape == (4, 14, 22)


def test_an_output_of_several_is_named_by_the_card():
    image = keras.Input((16, 24, 3))
    mean = layers.GlobalAveragePooling2D()(image)
    outputs = {"grade": layers.Dense(3, activation="softmax", name="grade")(mean), "mean": mean}
    model = saved(keras.Model(image, outputs))
    scores = load({**CARD, "output": {"key": "grade"}}).output(images())
    torch.testing.assert_close(scores.softmax(dim=1), keras_says(model, images())["grade"])


def test_a_network_in_memory_is_copied_and_stays_as_it_is():
    model = tiny()
    before = keras_says(model, images())
    card = {key: value for key, value in CARD.items() if key not in ("loader", "weights")}
    ours = load(card, module=model)
    torch.testing.assert_close(ours.output(images()).softmax(dim=1), before)
    torch.testing.assert_close(keras_says(model, images()), before, rtol=0, atol=0)


def test_a_model_class_of_ones_own_in_memory_is_refused_where_keras_cannot_copy_it():
    class Own(keras.Model):
        def __init__(self, units):
            super().__init__()
            self.dense = layers.Dense(units)

        def call(self, images):
            return self.dense(keras.ops.mean(images, axis=(1, 2)))

    model = Own(3)
    model(images().movedim(1, -1))
    card = {key: value for key, value in CARD.items() if key not in ("loader", "weights")}
    with pytest.raises(ModelError, match=r"Keras cannot copy 'own'.*loader 'python'"):
        load(card, module=model)


FACTORY = """
import keras

class Doubling(keras.layers.Layer):
    def call(self, images):
        return 2 * images

def build():
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 24, 3))
    mean = keras.layers.GlobalAveragePooling2D()(Doubling(name="doubling")(image))
    return keras.Model(image, keras.layers.Dense(3, activation="softmax")(mean))
"""


def test_layers_of_ones_own_come_from_a_factory(tmp_path):
    (tmp_path / "tiny_network.py").write_text(FACTORY)
    card = {**CARD, "loader": "python", "factory": "tiny_network:build"}
    model = load({key: value for key, value in card.items() if key != "weights"}, trust=True)
    assert describe(model).layers[0].name == "doubling"
    namespace: dict[str, object] = {}
    exec(FACTORY, namespace)
    expected = keras_says(namespace["build"](), images())  # type: ignore[operator]
    torch.testing.assert_close(model.output(images()).softmax(dim=1), expected)
    saved(namespace["build"]())  # type: ignore[operator]
    with pytest.raises(ModelError, match=r"Could not locate class 'Doubling'.*\n.*loader 'python'"):
        load(CARD)


def test_a_lambda_layer_needs_trust():
    image = keras.Input((16, 24, 3))
    doubled = layers.Lambda(lambda images: 2 * images, output_shape=(16, 24, 3))(image)
    model = saved(keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(doubled))))
    with pytest.raises(ModelError, match=r"runs code.*trust=True"):
        load(CARD)
    torch.testing.assert_close(load(CARD, trust=True).output(images()), keras_says(model, images()))


def test_older_formats_are_shown_the_way(tmp_path):
    (tmp_path / "old.h5").write_bytes(b"\x89HDF")
    with pytest.raises(ModelError, match=r"older format.*save\('model.keras'\).*tf2onnx"):
        load({**CARD, "weights": "old.h5"})
    (tmp_path / "saved").mkdir()
    with pytest.raises(ModelError, match=r"a folder, as a TensorFlow SavedModel is.*tf2onnx"):
        load({**CARD, "weights": "saved"})


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"there is no Keras model at none\.keras"):
        load({**CARD, "weights": "none.keras"})
    (tmp_path / "tiny.txt").write_text("no model")
    with pytest.raises(ModelError, match=r"tiny.txt is no .keras file"):
        load({**CARD, "weights": "tiny.txt"})
    (tmp_path / "bad.keras").write_text("no archive")
    with pytest.raises(ModelError, match=r"Keras cannot read bad\.keras"):
        load({**CARD, "weights": "bad.keras"})
    with zipfile.ZipFile("empty.keras", "w") as archive:
        archive.writestr("metadata.json", json.dumps({}))
    with pytest.raises(ModelError, match=r"Keras cannot read empty.keras.*config.json"):
        load({**CARD, "weights": "empty.keras"})


def test_input_of_another_size_than_the_card_says_is_refused():
    saved(tiny())
    with pytest.raises(ModelError, match=r"shape \(None, 16, 24, 3\), but .* 3 channels on 24 row"):
        load({**CARD, "input": {"size": [24, 24]}})


def test_torch_is_chosen_before_keras_is_first_imported(monkeypatch):
    saved(tiny())
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    chosen = []

    def imported(name):
        chosen.append(os.environ["KERAS_BACKEND"])
        monkeypatch.setitem(sys.modules, name, keras)
        return keras

    monkeypatch.setattr("foveal.models.torch.import_module", imported)
    load(CARD)
    assert chosen[0] == "torch"


OTHERS = [
    pytest.param({"config": SimpleNamespace(backend=lambda: "jax")}, "jax", id="another backend"),
    pytest.param({"__version__": "2.15.0"}, r"Keras 2\.15\.0", id="Keras 2"),
]


@pytest.mark.parametrize(("contents", "found"), OTHERS)
def test_keras_on_another_backend_says_what_to_do(monkeypatch, contents, found):
    saved(tiny())
    other = ModuleType("keras")
    vars(other).update(contents)
    monkeypatch.setitem(sys.modules, "keras", other)
    with pytest.raises(ModelError, match=f"runs on {found}.*KERAS_BACKEND=torch before"):
        load(CARD)


def test_without_keras_it_is_said_what_to_install(monkeypatch):
    saved(tiny())
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ModelError, match=r"pip install 'foveal\[keras\]'"):
        load(CARD)
