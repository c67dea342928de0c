"""Every recipe of the documentation runs on small random models, and prints what it says."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision_operators  # noqa: F401 (zennit and onnx2torch import torchvision)
from nets import Convolutional, Segmenting, Volumetric, images
from small_models import Coral, Small, save_keras, save_onnx
from torch import Tensor, nn

PAGE = Path(__file__).parents[1] / "docs" / "recipes.md"
SIDE = 64


class WithAge(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.table = Convolutional(), nn.Linear(1, 4)

    def forward(self, image: Tensor, age: Tensor) -> Tensor:
        return self.trunk(image) + self.table(age)


class TwoEyes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fundus, self.scan = Convolutional(), Convolutional(channels=1)

    def forward(self, fundus: Tensor, scan: Tensor) -> Tensor:
        return self.fundus(fundus) + self.scan(scan)


class Progression(nn.Module):
    """A softmax over the visits weighs what a trunk makes of each."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.energy, self.head = Convolutional(), nn.Linear(4, 1), nn.Linear(4, 2)

    def forward(self, series: Tensor) -> Tensor:
        states = self.trunk(series.flatten(0, 1)).unflatten(0, series.shape[:2])
        return self.head((self.energy(states).softmax(dim=1) * states).sum(dim=1))


def grader() -> dict[str, object]:
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return {
        "model": Convolutional(),
        "batch": images(2, SIDE),
        "quadrants": 2 * (rows >= 32) + (columns >= 32),
        "disc": (rows < 20) & (columns < 20),
        "macula": (rows > 30) & (columns > 30),
    }


def with_age() -> dict[str, object]:
    return {"model": WithAge(), "image": images(2, SIDE), "age": torch.tensor([[0.5], [-1.0]])}


def several() -> dict[str, object]:
    scan = images(2, SIDE, channels=1)
    return with_age() | {"two_eyes": TwoEyes(), "fundus": images(2, SIDE), "scan": scan}


def lesions() -> dict[str, object]:
    """Photographs with one bright square each, too far from each other to share a patch."""
    photographs = images(12, 96) / 2
    masks = np.zeros((12, 96, 96), bool)
    masks[:, 20:26, 40:46] = True
    photographs[:, :, 20:26, 40:46] += 0.5
    return {
        "model": Convolutional(),
        "photographs": photographs,
        "masks": list(masks),
        "severe": images(3, SIDE),
    }


def visits() -> dict[str, object]:
    return {"progression": Progression(), "series": images(8, SIDE).unflatten(0, (2, 4))}


def volumes() -> dict[str, object]:
    return visits() | {"volumetric": Volumetric(), "volumes": torch.rand(2, 1, 8, SIDE, SIDE)}


def large() -> dict[str, object]:
    """A network of local operations, and one that first looks at the whole image."""
    levelled = nn.Sequential(nn.InstanceNorm2d(3), Convolutional())
    return {"model": Convolutional(), "levelled": levelled, "photograph": images(1, 128)}


def files() -> dict[str, object]:
    """Cards in the current folder, with the files that they name."""
    os.environ["KERAS_BACKEND"] = "torch"
    pytest.importorskip("keras", reason="needs the extra keras")
    pytest.importorskip("onnx", reason="needs the extra onnx")
    save_keras(Path("tiny.keras"))
    save_onnx(Path("tiny.onnx"), opset=17)
    for loader, file in (("keras", "tiny.keras"), ("onnx", "tiny.onnx")):
        Path(f"{loader}.toml").write_text(
            f'name = "tiny"\nloader = "{loader}"\nweights = "{file}"\ntask = "multiclass"\n'
            'classes = ["CNV", "DME", "NORMAL"]\n[input]\nsize = [32, 32]\n'
            'prepare = [{ step = "resize", aspect = "stretch" }]\n'
        )
    return {"batch": images(2, 32)}


RECIPES: dict[str, Callable[[], dict[str, object]]] = {
    "Several inputs": several,
    "A table and superpixels together": with_age,
    "Quadrants, ETDRS sectors, anatomy": grader,
    "Concepts from lesions": lesions,
    "A series of scans": visits,
    "Five axes are a volume": volumes,
    "Layer-wise relevance propagation": grader,
    "Methods of Captum": grader,
    "Progress, precision and memory": grader,
    "A regressor": lambda: {"acuity": Small(outputs=1), "batch": images(2, SIDE)},
    "An ordinal head": lambda: {"grader": Coral(), "batch": images(2, SIDE)},
    "A segmentation network": lambda: {"unet": Segmenting(), "batch": images(2, SIDE)},
    "What occlusion saved": large,
    "Keras and ONNX": files,
    "A plain callable": lambda: {"service": Convolutional().eval(), "batch": images(2, SIDE)},
    "A method that refuses": grader,
}
EXTRAS = {"Layer-wise relevance propagation": "zennit", "Methods of Captum": "captum"}


def written() -> dict[str, str]:
    """The snippets of each recipe, one after the other; what is before the first is in all."""
    start, *parts = re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    code = {part.split("\n", 1)[0]: _code(part) for part in parts}
    return {title: _code(start) + own for title, own in code.items()}


def _code(text: str) -> str:
    return "".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))


def test_every_recipe_has_what_it_needs():
    assert list(written()) == list(RECIPES)


@pytest.mark.filterwarnings(
    "ignore::foveal.FovealWarning", "ignore:__array__ implementation:DeprecationWarning"
)
@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_prints_what_it_says(title, tmp_path, monkeypatch, capsys):
    if title in EXTRAS:
        pytest.importorskip(EXTRAS[title])
    monkeypatch.chdir(tmp_path)
    code = written()[title]
    names = RECIPES[title]()
    capsys.readouterr()
    exec(compile(code, title, "exec"), names)
    said = re.findall(r"^print\([^#]*\)\n# (.*)$", code, re.MULTILINE)
    assert said
    assert capsys.readouterr().out.splitlines() == said
