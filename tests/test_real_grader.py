"""The documented training on real photographs: what must not be learned from is left out."""

import csv
import json
from math import factorial, log

import numpy as np
import pytest
import real_grader
import torch
from PIL import Image as PillowImage

import foveal
from foveal.core import FovealWarning
from foveal.synthetic import fundus

SIZE = 128


@pytest.fixture(scope="module")
def eyes():
    """Five eyes, in 8 bit."""
    pixels = [fundus(seed, grade=seed, size=SIZE).image.pixels for seed in range(5)]
    return [np.round(255 * eye).astype(np.uint8).transpose(1, 2, 0) for eye in pixels]


@pytest.fixture
def folders(eyes, tmp_path):
    """Eyes 0 and 1 to train on, 2 and 3 to test on; 1 and 4 are outlined.

    Eye 1 is outlined in a smaller, darker and compressed photograph. Eye 2, there for testing, is
    shifted and under another name among those for training.
    """
    graded, lesions = tmp_path / "graded", tmp_path / "lesions"
    graded.mkdir()
    lesions.mkdir()
    for number in range(4):
        PillowImage.fromarray(eyes[number]).save(graded / f"{number}.png")
    PillowImage.fromarray(np.roll(eyes[2], 3, axis=0)).save(graded / "again.png")
    smaller = PillowImage.fromarray((0.8 * eyes[1]).astype(np.uint8)).resize((110, 110))
    smaller.save(lesions / "outlined.jpg", quality=80)
    PillowImage.fromarray(eyes[4]).save(lesions / "other.png")
    rows = ["0.png,0,train", "1.png,1,train", "2.png,2,test", "3.png,3,test", "again.png,2,train"]
    (tmp_path / "labels.csv").write_text("\n".join(["file,retinopathy_grade,split", *rows]))
    return graded, tmp_path / "labels.csv", lesions, tmp_path


def test_no_eye_is_on_two_sides(folders):
    graded, labels, lesions, out = folders
    with labels.open(newline="") as file:
        table = list(csv.DictReader(file))
    seen = real_grader.photographs(graded, [r["file"] for r in table], SIZE, out / "graded.npz")
    outlined = ["other.png", "outlined.jpg"]
    judged = real_grader.photographs(lesions, outlined, SIZE, out / "lesions.npz")
    is_test = np.array([row["split"] == "test" for row in table])
    training, test, left_out = real_grader.split(seen, is_test, judged)
    assert seen.files[training].tolist() == ["0.png"]
    assert seen.files[test].tolist() == ["2.png", "3.png"]
    assert [(one.file, one.repeats) for one in left_out] == [
        ("1.png", "outlined.jpg"),
        ("again.png", "2.png"),
    ]


def test_the_same_bytes_are_the_same_picture_whatever_they_show():
    blank = np.zeros((1, 3, SIZE, SIZE), np.uint8)
    one = real_grader.Photographs(np.array(["a"]), np.array(["same"]), blank)
    other = real_grader.Photographs(np.array(["b"]), np.array(["same"]), blank)
    (found,) = real_grader.repeated(one, other, "why")
    assert (found.file, found.repeats, found.likeness) == ("a", "b", 1.0)


def test_missing_by_two_grades_costs_more_than_by_one():
    sure = 20 * torch.eye(5)
    costs = [real_grader.ordinal_loss(sure[k : k + 1], torch.tensor([0])).item() for k in range(5)]
    # Answered wrongly, "grade k or more" costs 20 - ln k: k grades share the wrong answer's odds.
    expected = [(20 * wrong - log(factorial(wrong))) / 4 for wrong in range(5)]
    assert costs == pytest.approx(expected, abs=1e-4)


def test_the_card_says_what_the_training_measured(folders, monkeypatch):
    graded, labels, lesions, out = folders
    monkeypatch.setattr(real_grader, "BATCH", 1)
    settings = ["--size", str(SIZE), "--epochs", "2", "--threads", "1"]
    real_grader.main([*map(str, (graded, labels, lesions, out)), *settings])
    report = json.loads((out / "grader.json").read_text())
    with pytest.warns(FovealWarning, match="no \\[check\\]"):
        model = foveal.load_model(out / "grader.toml", trust=True)
    said = np.zeros((5, 5), int)
    for file, grade in {"2.png": 2, "3.png": 3}.items():
        prepared, _ = model.prepare(foveal.read(graded / file, modality="fundus"))
        said[grade, model.predict(model.tensor(prepared)).index] += 1
    assert report["confusion_rows_are_true_grades"] == said.tolist()
    assert [one["file"] for one in report["left_out"]] == ["1.png", "again.png"]
