import os
import shutil
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from safetensors.torch import save_file

if TYPE_CHECKING:
    from foveal.run import Summary

ROOT = Path(__file__).parents[1]

# Networks in tests are tiny: a second thread costs more than it gives.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real images, masks and models: the folder in FOVEAL_REAL_DATA, else ../shared/data."""
    folder = Path(os.environ.get("FOVEAL_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no real images and models here; name their folder in FOVEAL_REAL_DATA")
    return folder


NETWORK = """
import torch
from torch import nn

def build(classes=3, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, classes),
    )
"""

CARD = """
name = "tiny"
loader = "python"
factory = "tiny_network:build"
weights = "tiny.safetensors"
task = "ordinal"
classes = ["No DR", "Mild", "Severe"]

[input]
size = [16, 16]
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]
prepare = [{ step = "resize", aspect = "stretch" }]
"""


@pytest.fixture(autouse=True)
def _forget_networks():
    """Every test brings its own module of the same name."""
    yield
    forget_networks()


def forget_networks() -> None:
    for name in [name for name in sys.modules if name.startswith("tiny_network")]:
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A card, its network's code, its weights and an image."""
    write_model(tmp_path)
    return tmp_path


def write_model(folder: Path) -> None:
    (folder / "tiny_network.py").write_text(NETWORK)
    (folder / "model.toml").write_text(CARD)
    namespace: dict[str, object] = {}
    exec(NETWORK, namespace)
    network = namespace["build"](seed=1)  # type: ignore[operator]
    save_file(network.state_dict(), folder / "tiny.safetensors")
    torch.save({"model": network.state_dict()}, folder / "tiny.pth")
    rows, columns = np.mgrid[:24, :24]
    eye = np.stack([rows * 10, columns * 10, rows + columns], axis=-1).astype(np.uint8)
    PillowImage.fromarray(eye).save(folder / "eye.png")


PLAN = """
name = "trial"
level = "standard"
seed = 3
threads = 1

[[images]]
files = "eyes/*"
regions = "masks/{stem}_{region}.png"
modality = "fundus"

[[models]]
card = "model.toml"
targets = ["predicted", "grade>=2"]

[[methods]]
name = "gradcam"

[[methods]]
name = "occlusion"
as = "occlusion-8"
window = 8

[measures]
random_orders = 2
perturbations = 4
random_regions = 3
baselines = ["blur"]

[output]
folder = "out"
images_per_shard = 2
"""


def eye(seed: int, side: int = 64) -> np.ndarray:
    """A bright disc with texture on black."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    inside = (rows - side / 2) ** 2 + (columns - side / 2) ** 2 < (0.45 * side) ** 2
    texture = random.integers(90, 200, (side, side, 3))
    return (texture * inside[:, :, None]).astype(np.uint8)


@pytest.fixture
def cohort_folder(folder: Path) -> Path:
    """The folder of the tiny model, with eyes, masks and a plan beside it."""
    write_cohort(folder)
    return folder


@pytest.fixture(scope="session")
def cohort_run(tmp_path_factory) -> "tuple[Path, Summary]":
    """A folder like `cohort_folder` whose plan was run, and what came of it: only to be read."""
    # Imported before types are checked at run time, they would never be.
    from foveal.core import FovealWarning
    from foveal.run import open_job, read_plan, run

    folder = tmp_path_factory.mktemp("cohort")
    write_model(folder)
    write_cohort(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FovealWarning)
        summary = run(open_job(read_plan(folder / "plan.toml"), folder, trust=True))
    forget_networks()
    return folder, summary


@pytest.fixture
def finished_folder(tmp_path: Path, cohort_run: "tuple[Path, Summary]") -> Path:
    """A copy of the folder whose plan was run, to be changed."""
    return Path(shutil.copytree(cohort_run[0], tmp_path, dirs_exist_ok=True))


def write_cohort(folder: Path) -> None:
    (folder / "eyes").mkdir()
    (folder / "masks").mkdir()
    for number, name in enumerate(["Anna-Muster_R", "Bert-Beispiel_L", "Carla-Exempel_R"]):
        PillowImage.fromarray(eye(number)).save(folder / "eyes" / f"{name}.png")
        for code, at in (("MA", 20), ("EX", 36)):
            mask = np.zeros((64, 64), np.uint8)
            mask[at : at + 8, at : at + 8] = 255
            PillowImage.fromarray(mask).save(folder / "masks" / f"{name}_{code}.png")
    (folder / "eyes" / "Dora-Muster_L.jpg").write_text("this is no picture of Dora-Muster_L")
    card = folder / "model.toml"
    card.write_text(
        card.read_text()
        .replace(
            'prepare = [{ step = "resize", aspect = "stretch" }]',
            'prepare = [{ step = "field-of-view" }, { step = "resize", aspect = "pad" }]',
        )
        .replace("size = [16, 16]", "size = [32, 32]")
    )
    (folder / "plan.toml").write_text(PLAN)
