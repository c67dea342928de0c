"""The page of all methods, as a user makes it with one command."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from PIL import Image as PillowImage

import foveal.doors.gallery
from foveal.app.cli import main
from foveal.core import ModelError
from foveal.explainers import GradCAM, methods

MASKS = "masks/{stem}_{region}.png"
ANNA, BERT = "eyes/Anna-Muster_R.png", "eyes/Bert-Beispiel_L.png"


def gallery(*arguments: object) -> int:
    """Run the command in this process; gives its exit code."""
    with pytest.raises(SystemExit) as left:
        main(["gallery", *(str(argument) for argument in arguments)])
    return int(left.value.code or 0)  # type: ignore[arg-type]


@pytest.fixture
def beside_the_card(cohort_folder, monkeypatch, capsys) -> Path:
    monkeypatch.chdir(cohort_folder)
    with pytest.raises(SystemExit):
        main(["inspect", "model.toml", "--trust", "--image", ANNA, "--write-check"])
    capsys.readouterr()
    return cohort_folder


def figures(page: Path) -> list[str]:
    """The pieces of the page that hold one exhibit each."""
    return re.findall(
        r'<figure class="fv-figure fv-map fv-exhibit">.*?</figure>', page.read_text(), re.DOTALL
    )


FEW = {
    "rise": {"masks": 4}, "lime": {"samples": 80}, "kernelshap": {"samples": 80},
    "xrai": {"steps": 2}, "expectedgradients": {"samples": 3},
}  # fmt: skip


def test_every_method_hangs_once_an_image_with_a_map_or_its_refusal(beside_the_card, monkeypatch):
    monkeypatch.setattr(foveal.doors.gallery, "QUICK", FEW)
    assert gallery("model.toml", ANNA, BERT, "--trust", "--quick", "--regions", MASKS) == 0
    page = beside_the_card / "gallery" / "gallery.html"
    found = figures(page)
    assert len(found) == 2 * len(methods())
    for method in methods():
        own = [text for text in found if method.question.replace("'", "&#39;") in text]
        assert len(own) == 2, method.name
        for text in own:
            assert ("Raw values up to" in text) != ("No map:" in text), method.name
            assert method.reference.split(",")[0].replace("'", "&#39;") in text
    assert "tcav needs concepts" in page.read_text()
    assert "reference tensor (1, 3, 32, 32), samples 3</dd>" in next(
        text for text in found if "Expected gradients" in text
    )


def test_the_page_asks_for_nothing_outside_itself(beside_the_card):
    gallery("model.toml", ANNA, "--trust", "-m", "gradcam", "-m", "saliency")
    text = (beside_the_card / "gallery" / "gallery.html").read_text()
    assert "default-src 'none'" in text
    links = re.findall(r'(?:href|src)="([^"]*)"', text)
    assert links
    assert all(link.startswith(("#", "data:image/")) for link in links)
    assert "url(" not in text


def test_images_have_no_names_unless_these_are_asked_for(beside_the_card):
    gallery("model.toml", ANNA, "--trust", "-m", "gradcam")
    text = (beside_the_card / "gallery" / "gallery.html").read_text()
    assert "Muster" not in text
    assert "image 1: why" in text
    gallery("model.toml", ANNA, "--trust", "-m", "gradcam", "--keep-identity", "--out", "named")
    assert "Anna-Muster_R.png: why" in (beside_the_card / "named" / "gallery.html").read_text()


def test_each_target_has_a_wall_and_a_contact_sheet(beside_the_card):
    asked = ("-t", "Severe", "-t", "grade>=1", "-m", "gradcam", "-m", "occlusion", "-m", "chefer")
    assert gallery("model.toml", ANNA, "--trust", *asked) == 0
    assert len(figures(beside_the_card / "gallery" / "gallery.html")) == 6
    sheets = sorted((beside_the_card / "gallery").glob("contact-*.jpg"))
    assert len(sheets) == 2
    with PillowImage.open(sheets[0]) as sheet:
        assert sheet.width >= 900  # room for four panels, though there are three


def test_a_method_that_fails_leaves_the_others(beside_the_card, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("mat1 and mat2 cannot be multiplied")

    monkeypatch.setattr(GradCAM, "fold", broken)
    assert gallery("model.toml", ANNA, "--trust", "-m", "gradcam", "-m", "saliency") == 0
    first, second = figures(beside_the_card / "gallery" / "gallery.html")
    assert "No map: RuntimeError: mat1 and mat2 cannot be multiplied" in first
    assert "Raw values up to" in second


def test_an_image_that_cannot_be_read_leaves_the_others(beside_the_card, capsys):
    code = gallery("model.toml", "eyes", "--trust", "-m", "expectedgradients", "--quick")
    assert code == 3
    text = (beside_the_card / "gallery" / "gallery.html").read_text()
    assert "What failed" in text
    assert len(figures(beside_the_card / "gallery" / "gallery.html")) == 3
    assert "failed: image 4: " in capsys.readouterr().err
    assert "Dora" not in text


def test_passes_are_planned_before_and_counted_after(beside_the_card, capsys):
    gallery("model.toml", ANNA, "--trust", "-m", "saliency", "-m", "rise", "--quick")
    out, err = capsys.readouterr()
    # One to ask what the model says, one for each method, 500 masks; one backward of saliency.
    assert "2 methods on 1 images: 503 forward and 1 backward passes" in out
    assert "2 of 2: image 1: rise" in err
    saliency, rise = figures(beside_the_card / "gallery" / "gallery.html")
    assert "1 forward pass, 1 backward pass, " in saliency
    assert "501 forward passes, " in rise


def test_one_image_has_no_references_for_expected_gradients(beside_the_card):
    gallery("model.toml", ANNA, "--trust", "-m", "expectedgradients")
    (only,) = figures(beside_the_card / "gallery" / "gallery.html")
    assert "give two images or more" in only


def test_all_other_images_are_the_references_of_one(beside_the_card, monkeypatch):
    taken: list[torch.Tensor] = []

    class Spy(foveal.doors.gallery.ExpectedGradients):
        def __post_init__(self) -> None:
            taken.append(self.reference)
            raise ModelError("seen enough")

    monkeypatch.setattr(
        "foveal.doors.gallery.explainer_named", lambda name, **settings: Spy(**settings)
    )
    (beside_the_card / "eyes" / "Dora-Muster_L.jpg").unlink()
    shown = foveal.doors.gallery.Gallery(
        model=foveal.load_model("model.toml", trust=True),
        entries=entries("eyes"),
        names=("expectedgradients",),
    )
    assert [len(wall.exhibits) for wall in shown.walls()] == [1, 1, 1]
    first, second, third = taken
    assert torch.equal(first[1], second[1])
    assert torch.equal(second[0], third[0])
    assert torch.equal(first[0], third[1])


def entries(folder: str):
    from foveal.run.cohort import images_of
    from foveal.run.plan import ImagesTable

    return images_of([ImagesTable(files=folder)], Path())


WRONG = [
    pytest.param(["model.toml", "--trust"], "name images after the card", id="no image"),
    pytest.param(["model.toml", ANNA], "runs code", id="no trust"),
    pytest.param(["model.toml", ANNA, "--trust", "-m", "gradcat"],
                 "no method 'gradcat'", id="method"),
    pytest.param(["model.toml", ANNA, "--trust", "-t", "Sever"],
                 "did you mean 'Severe'", id="target"),
    pytest.param(["model.toml", ANNA, "--trust", "--layer", "7"], "no layer '7'", id="layer"),
    pytest.param(["model.toml", "nowhere", "--trust"], "no file matches", id="files"),
    pytest.param(["model.toml", ANNA, "--trust", "-m", "gradcam", "--out", "model.toml"],
                 "cannot write the gallery", id="folder"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_use_ends_with_2_and_says_what_to_do(beside_the_card, capsys, arguments, message):
    assert gallery(*arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", foveal.doors.gallery.QUICK)
def test_quick_settings_are_settings_of_their_method_and_below_its_defaults(name):
    settings = dict(foveal.doors.gallery.QUICK[name])
    (method,) = (one for one in methods() if one.name == name)
    usual = {f.name: f.default for f in fields(method.cls)}  # type: ignore[arg-type]
    for setting, value in settings.items():
        assert usual[setting] is None or value < usual[setting]


def test_without_a_card_synthetic_eyes_are_shown_and_called_so(tmp_path, monkeypatch):
    monkeypatch.setattr("foveal.app.gallery._EYES", 1)
    assert gallery("--out", tmp_path / "shown", "-m", "gradcam") == 0
    text = (tmp_path / "shown" / "gallery.html").read_text()
    assert "These eyes are synthetic" in text
    assert len(figures(tmp_path / "shown" / "gallery.html")) == 1
    assert "<code>foveal gallery --method gradcam</code>" in text
