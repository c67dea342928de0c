"""Every snippet of Python in the README and the documentation runs as it is printed."""

import json
import re
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch
import torchvision_operators  # noqa: F401 (timm imports torchvision)
from PIL import Image as PillowImage
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, OphthalmicPhotography8BitImageStorage, generate_uid
from safetensors.torch import save_file

import foveal

ROOT = Path(__file__).parents[1]
CARD = """
name = "dr"
loader = "timm"
architecture = "test_resnet"
weights = "dr.safetensors"
task = "ordinal"
classes = ["No DR", "Mild", "Moderate", "Severe", "Proliferative"]

[input]
size = [64, 64]
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
prepare = [{ step = "field-of-view" }, { step = "resize" }]
"""


@pytest.fixture(scope="module")
def office(tmp_path_factory) -> Path:
    """What a reader has at hand: a card with weights, a photograph, masks, a run."""
    folder = tmp_path_factory.mktemp("office")
    network = _network()
    save_file(network.state_dict(), folder / "dr.safetensors")
    (folder / "model.toml").write_text(CARD)
    _write_photograph(folder / "fundus.dcm")
    _write_sections(folder / "scan")
    (folder / "masks").mkdir()
    mask = np.zeros((64, 64), np.uint8)
    mask[20:30, 20:30] = 255
    PillowImage.fromarray(mask).save(folder / "masks" / "fundus_MA.png")
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 20, 10, 10]}
    pictures = [{"id": 1, "file_name": "fundus.dcm", "height": 64, "width": 64}]
    marks = {"images": pictures, "annotations": [box], "categories": [{"id": 1, "name": "MA"}]}
    (folder / "marks.json").write_text(json.dumps(marks))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", foveal.FovealWarning)
        model = foveal.load_model(folder / "model.toml")
        result = foveal.explain(model, foveal.read(folder / "fundus.dcm"), methods=["gradcam"])
        result.save(folder / "runs" / "idrid")
    return folder


def _write_sections(folder: Path) -> None:
    folder.mkdir()
    random = np.random.default_rng(0)
    section = np.full((64, 96), 20.0)
    section[18:44] = 120
    section[36:42] = 220
    for number in range(3):
        pixels = section + random.normal(0, 4, section.shape)
        PillowImage.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")


def _network() -> torch.nn.Module:
    import timm

    torch.manual_seed(0)
    return timm.create_model("test_resnet", num_classes=5).eval()


def _write_photograph(file: Path) -> None:
    photograph = Dataset()
    photograph.file_meta = FileMetaDataset()
    photograph.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    photograph.SOPClassUID = OphthalmicPhotography8BitImageStorage
    photograph.SOPInstanceUID = generate_uid(entropy_srcs=["photograph"])
    photograph.PatientID = "17"
    photograph.ImageLaterality = "L"
    rows, columns = np.mgrid[:64, :64]
    inside = (rows - 32) ** 2 + (columns - 32) ** 2 < 29**2
    pixels = np.random.default_rng(0).integers(90, 200, (64, 64, 3)) * inside[:, :, None]
    photograph.set_pixel_data(pixels.astype(np.uint8), "RGB", 8)
    photograph.save_as(file, enforce_file_format=True)


def snippets(name: str) -> str:
    return "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / name).read_text("utf-8"), re.S))


@pytest.mark.filterwarnings("ignore::foveal.FovealWarning")
@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        *(
            f"docs/{page}.md"
            for page in (
                "start",
                "annotations",
                "preparation",
                "anatomy",
                "dicom",
                "targets",
                "store",
                "report",
                "synthetic",
                "statistics",
                "calibration",
                "diagnosis",
                "deidentification",
                "oct",
            )
        ),
    ],
)
def test_snippets_run_as_printed(name, office, monkeypatch):
    monkeypatch.chdir(office)
    mpl.use("Agg")
    code = snippets(name)
    assert code
    batch = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    exec(compile(code, name, "exec"), {"model": _network(), "batch": batch})
