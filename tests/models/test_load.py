"""From a card to a model: loaders, weights, the check, and errors that say what to do."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from nets import Convolutional
from PIL import Image as PillowImage
from safetensors.torch import load_file, save_file

from foveal.core import FovealWarning, ModelError
from foveal.images import read
from foveal.models import describe, load

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")


def change(folder: Path, old: str, new: str) -> Path:
    """The folder's card with something replaced."""
    card = folder / "model.toml"
    text = card.read_text()
    assert old in text
    card.write_text(text.replace(old, new))
    return card


def test_a_card_gives_a_model_that_predicts_like_its_network(folder):
    model = load(folder / "model.toml", trust=True)
    image, field = model.prepare(read(folder / "eye.png"))
    assert image.grid == (16, 16)
    assert field.kind == "field"
    pixels = model.tensor(image)
    prediction = model.predict(pixels)
    with torch.no_grad():
        logits = model.module((pixels - 0.5) / 0.25)
    expected = logits.softmax(dim=1)[0].tolist()
    assert list(prediction.values.values()) == pytest.approx(expected)
    assert prediction.label == ["No DR", "Mild", "Severe"][int(logits.argmax())]
    assert model.gives == {"scores", "input gradient", "layer gradients"}


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda s: s, id="bare"),
        pytest.param(lambda s: {"state_dict": s}, id="state_dict"),
        pytest.param(lambda s: {"model": {"module." + k: v for k, v in s.items()}}, id="parallel"),
        pytest.param(
            lambda s: {"state_dict": {"model." + k: v for k, v in s.items()}, "epoch": 3},
            id="Lightning",
        ),
        pytest.param(lambda s: {"ema": {"state_dict": s}}, id="twice"),
    ],
)
def test_wrapped_weights_are_unwrapped_and_it_is_said(folder, wrap):
    state = load_file(folder / "tiny.safetensors")
    torch.save(wrap(state), folder / "tiny.pth")
    plain = load(folder / "model.toml", trust=True)
    model = load(change(folder, "tiny.safetensors", "tiny.pth"), trust=True)
    for key, value in plain.module.state_dict().items():
        assert torch.equal(value, model.module.state_dict()[key])
    changed = wrap(state) is not state
    assert bool(model.notes) == changed


def test_weights_that_do_not_fit_name_keys_and_shapes(folder):
    state = load_file(folder / "tiny.safetensors")
    state["4.weight"] = torch.zeros(5, 4)
    state["extra"] = state.pop("0.bias")
    save_file(state, folder / "tiny.safetensors")
    with pytest.raises(ModelError) as caught:
        load(folder / "model.toml", trust=True)
    message = str(caught.value)
    assert "missing in the file: 0.bias" in message
    assert "unknown to the model: extra" in message
    assert "4.weight (model (3, 4), file (5, 4))" in message


def test_weights_with_nan_are_refused(folder):
    state = load_file(folder / "tiny.safetensors")
    state["4.bias"][1] = torch.nan
    save_file(state, folder / "tiny.safetensors")
    with pytest.raises(ModelError, match=r"not finite in 4\.bias"):
        load(folder / "model.toml", trust=True)


class Unsafe:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path("evidence").touch, ())


def _pickled(folder: Path) -> None:
    torch.save({"model": Unsafe()}, folder / "tiny.pth")


def _text(folder: Path) -> None:
    (folder / "tiny.pth").write_text("these are no weights")


def _numbers(folder: Path) -> None:
    torch.save({"epoch": 3}, folder / "tiny.pth")


def _gone(folder: Path) -> None:
    (folder / "tiny.pth").unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(_pickled, "Pickled objects are never loaded", id="pickle"),
        pytest.param(_text, "cannot read the weights", id="text"),
        pytest.param(_numbers, "no state dict of tensors but keys epoch", id="no tensors"),
        pytest.param(_gone, "there are no weights", id="missing"),
    ],
)
def test_weights_that_cannot_be_read_say_why(folder, spoil, message, monkeypatch):
    monkeypatch.chdir(folder)
    spoil(folder)
    with pytest.raises(ModelError, match=message):
        load(change(folder, "tiny.safetensors", "tiny.pth"), trust=True)
    assert not (folder / "evidence").exists()


def with_check(folder: Path, expected: str) -> Path:
    card = folder / "model.toml"
    card.write_text(card.read_text() + f'\n[check]\nimage = "eye.png"\nexpected = {expected}\n')
    return card


def test_the_check_is_run_at_every_load(folder):
    model = load(folder / "model.toml", trust=True)
    image, _ = model.prepare(read(folder / "eye.png"))
    expected = list(model.predict(model.tensor(image)).values.values())
    card = with_check(folder, str(expected))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(card, trust=True).check.startswith("passed")
    change(folder, "mean = [0.5, 0.5, 0.5]", "mean = [0.0, 0.0, 0.0]")
    with pytest.raises(ModelError, match=r"fails its check on eye\.png.*normalisation"):
        load(card, trust=True)


def test_a_check_that_cannot_be_run_says_why(folder):
    card = with_check(folder, "[0.1, 0.2, 0.7]")
    (folder / "eye.png").unlink()
    with pytest.raises(ModelError, match=r"check of tiny cannot be run.*eye\.png"):
        load(card, trust=True)


@pytest.mark.filterwarnings("default")
def test_a_card_without_a_check_warns(folder):
    with pytest.warns(FovealWarning, match=r"no \[check\].*inspect"):
        load(folder / "model.toml", trust=True)


def test_code_that_comes_with_a_model_needs_trust(folder):
    with pytest.raises(ModelError, match=r"runs code.*trust=True"):
        load(folder / "model.toml")


FACTORIES = [
    pytest.param("tiny_network", "module:function", id="no function"),
    pytest.param("tiny_network:missing", "cannot be found", id="unknown function"),
    pytest.param("nowhere:build", "cannot be found", id="unknown module"),
    pytest.param("pathlib:Path", "gave PosixPath, not a torch", id="no module made"),
]


@pytest.mark.parametrize(("factory", "message"), FACTORIES)
def test_a_wrong_factory_says_what_was_wrong(folder, factory, message):
    card = change(folder, "tiny_network:build", factory)
    with pytest.raises(ModelError, match=message):
        load(card, trust=True)


def test_a_factory_gets_its_arguments(folder):
    card = change(folder, 'task = "ordinal"', 'arguments = { colour = "red" }\ntask = "ordinal"')
    with pytest.raises(ModelError, match=r"cannot create 'tiny_network:build'.*colour"):
        load(card, trust=True)


CARDS = [
    pytest.param("size = [16, 16]", "sizes = [16, 16]", "line 10: unknown key 'input.sizes'; did",
                 id="misspelt"),
    pytest.param("size = [16, 16]", "", "line 9: missing key 'input.size'", id="missing"),
    pytest.param("size = [16, 16]", "size = [16, 0]", r"line 10: input.size.1 = 0", id="value"),
    pytest.param('task = "ordinal"', 'task = "grading"', "line 6: task = 'grading'", id="choice"),
    pytest.param('name = "tiny"', 'name = "tiny"\nauthor = "me"', "line 3: unknown key 'author'",
                 id="unknown"),
    pytest.param('factory = "tiny_network:build"', "", "needs factory", id="factory"),
    pytest.param('loader = "python"', 'loader = "timm"', "needs an architecture", id="timm"),
    pytest.param("mean = [0.5, 0.5, 0.5]", "mean = [0.5, 0.5]", "mean has 2 numbers", id="mean"),
    pytest.param('"Mild"', '"No DR"', "two classes have the same name", id="classes"),
    pytest.param('classes = ["No DR", "Mild", "Severe"]', "", "needs classes", id="no classes"),
    pytest.param('name = "tiny"', 'name = "tiny', "no valid TOML", id="TOML"),
    pytest.param('step = "resize"', 'step = "resise"', "prepare under .* 'resise'", id="step"),
    pytest.param('aspect = "stretch"', 'aspekt = "pad"', "prepare under .* 'aspekt'", id="setting"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), CARDS)
def test_a_wrong_card_names_line_and_key(folder, old, new, message):
    with pytest.raises(ModelError, match=message):
        load(change(folder, old, new), trust=True)


def test_a_card_that_is_not_there_is_named(folder):
    with pytest.raises(ModelError, match=r"cannot read .*nowhere\.toml: No such file"):
        load(folder / "nowhere.toml")
    (folder / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="no text file"):
        load(folder / "binary.toml")


IN_MEMORY = {
    "name": "in memory",
    "task": "multiclass",
    "classes": ["a", "b", "c", "d"],
    "input": {"size": [24, 24]},
}


def test_a_network_in_memory_is_borrowed_and_given_back():
    module = Convolutional().train()
    model = load(IN_MEMORY, module=module)
    assert module.training
    assert model.card.loader == "memory"
    assert all(p.requires_grad for p in module.parameters())
    with pytest.raises(ModelError, match="pass it with module="):
        load({**IN_MEMORY, "loader": "memory"})


def test_a_network_that_does_not_run_on_its_size_says_so():
    with pytest.raises(ModelError, match=r"does not run on 1 x 24 x 24 input.*size and color"):
        load({**IN_MEMORY, "input": {"size": [24, 24], "color": "gray"}}, module=Convolutional())


def test_a_named_part_of_the_output_is_taken():
    class Dictionary(Convolutional):
        def forward(self, images):
            return {"features": images, "logits": super().forward(images)}

    model = load({**IN_MEMORY, "output": {"key": "logits"}}, module=Dictionary())
    assert model.output(torch.rand(1, 3, 24, 24)).shape == (1, 4)
    wrong = load({**IN_MEMORY, "output": {"key": "features"}}, module=Dictionary())
    assert wrong.output(torch.rand(1, 3, 24, 24)).shape == (1, 3, 24, 24)
    with pytest.raises(ModelError, match=r"has no 'scores', but \['features', 'logits'\]"):
        load({**IN_MEMORY, "output": {"key": "scores"}}, module=Dictionary())


def test_grey_and_colour_images_become_what_the_card_says(tmp_path):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    PillowImage.fromarray(grey).save(tmp_path / "grey.png")
    model = load(IN_MEMORY, module=Convolutional())
    image, _ = model.prepare(read(tmp_path / "grey.png"))
    assert image.pixels.shape == (3, 24, 24)
    np.testing.assert_array_equal(image.pixels[0], image.pixels[2])
    single = load(
        {**IN_MEMORY, "input": {"size": [24, 24], "color": "gray"}},
        module=Convolutional(channels=1),
    )
    PillowImage.fromarray(np.stack([grey, grey * 0, grey * 0], axis=-1)).save(tmp_path / "red.png")
    image, _ = single.prepare(read(tmp_path / "red.png"))
    assert image.pixels.shape == (1, 24, 24)
    assert image.pixels.max() == pytest.approx(0.299, abs=0.01)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["program", "single", "script"])
def test_exported_models_load_and_say_what_they_give(tmp_path, kind):
    module = Convolutional().eval()
    module.count = torch.nn.Identity()  # hooks in the model's own code cannot be exported
    path = tmp_path / "model.pt2"
    example = (torch.rand(2 if kind == "program" else 1, 3, 24, 24),)
    if kind == "script":
        torch.jit.trace(module, example).save(path)
    else:
        free = ({0: torch.export.Dim("batch")},) if kind == "program" else None
        torch.export.save(torch.export.export(module, example, dynamic_shapes=free), path)
    card = {**IN_MEMORY, "loader": "torch", "weights": str(path)}
    with pytest.raises(ModelError, match="trust"):
        load(card)
    model = load(card, trust=True)
    batch = torch.rand(1, 3, 24, 24)
    torch.testing.assert_close(model.output(batch), module(batch).detach())
    assert model.batch == (1 if kind == "single" else None)
    hooked = {"layer gradients"} if kind != "script" else set()
    assert model.gives == {"scores", "input gradient"} | hooked


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_file_that_is_no_exported_model_says_so(tmp_path):
    (tmp_path / "model.pt2").write_text("no zip")
    card = {**IN_MEMORY, "loader": "torch", "weights": str(tmp_path / "model.pt2")}
    with pytest.raises(ModelError, match="neither an exported program nor TorchScript"):
        load(card, trust=True)
    with pytest.raises(ModelError, match="there is no exported model"):
        load({**card, "weights": str(tmp_path / "none.pt2")}, trust=True)


def test_inspecting_shows_layers_and_the_choice(folder):
    model = load(folder / "model.toml", trust=True)
    found = describe(model)
    assert [row.name for row in found.layers] == ["0", "1", "3", "4"]
    assert found.layers[0].shape == (4, 16, 16)
    assert found.layers[0].parameters == 3 * 4 * 9 + 4
    assert found.parameters == 112 + 15
    assert found.parameter_bytes == 4 * 127
    assert found.choice is not None
    assert found.choice.name == "1"
    assert found.why_none is None


def test_inspecting_a_model_without_a_layer_to_explain_says_why():
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 24 * 24, 4))
    found = describe(load(IN_MEMORY, module=flat))
    assert found.choice is None
    assert re.search("no layer of this model has a grid", found.why_none or "")
