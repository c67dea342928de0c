"""`foveal deidentify`, as a user types it."""

import json

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageDraw

from foveal.app.cli import main


def foveal(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0)  # type: ignore[arg-type]


@pytest.fixture
def eyes(tmp_path):
    """Two photographs of two patients."""
    rows, columns = np.mgrid[:256, :256]
    inside = (rows - 128) ** 2 + (columns - 128) ** 2 < 100**2
    texture = np.random.default_rng(0).integers(90, 200, (256, 256, 3))
    for name in ("Anna-Muster", "Bert-Beispiel"):
        (tmp_path / "in" / name).mkdir(parents=True)
        picture = PillowImage.fromarray((texture * inside[:, :, None]).astype(np.uint8))
        picture.save(tmp_path / "in" / name / "OD.png")
    return tmp_path


def test_a_clean_folder_ends_with_0_and_a_report(eyes, capsys):
    assert foveal("deidentify", eyes / "in", eyes / "out", "--key", eyes / "key") == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == "written: 2"
    assert "2 of 2 files" in said.err
    assert not {"Anna", "Muster"} & set(said.out.replace("-", " ").split())
    report = json.loads((eyes / "out" / "deidentification.json").read_text())
    assert report["counts"] == {"written": 2}
    assert len({record["name"].split("/")[0] for record in report["files"]}) == 2


def test_a_picture_with_text_ends_with_3(eyes, capsys):
    path = eyes / "in" / "Anna-Muster" / "OD.png"
    with PillowImage.open(path) as picture:
        ImageDraw.Draw(picture).text((4, 4), "Anna Muster", fill=(255, 255, 255))
        picture.save(path)
    assert foveal("deidentify", eyes / "in", eyes / "out") == 3
    assert "1 files need a human eye" in capsys.readouterr().err
    assert foveal("deidentify", eyes / "in", eyes / "black", "--blank-outside") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["in", "in/out"], "lie inside each other", id="output in input"),
        pytest.param(["nowhere", "out"], "there is no such file", id="no input"),
        pytest.param(["in", "out", "--key", "in/key"], "travel with the data", id="key in input"),
    ],
)
def test_wrong_use_ends_with_2_and_writes_nothing(eyes, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(eyes)
    assert foveal("deidentify", *arguments) == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in eyes.iterdir()) == ["in"]
