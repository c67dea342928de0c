"""A small cohort on disk: three eyes with masks, one file that is no picture, and a plan."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

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
random_regions = 3

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
    return folder
