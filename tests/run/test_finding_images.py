"""Which images a plan names, what they are called, and what a manifest may tell of them."""

from pathlib import Path

import numpy as np
import pytest

from foveal.core import FovealWarning, Image, PlanError
from foveal.run import plan_from
from foveal.run.cohort import Entry, cohort


def entries(folder: Path, *images: dict[str, object]) -> list[Entry]:
    """The cohort of a plan with these tables of images."""
    table = {
        "name": "trial",
        "images": list(images),
        "models": [{"card": "model.toml"}],
        "methods": [{"name": "gradcam"}],
        "output": {"folder": "out"},
    }
    return cohort(plan_from(table), folder)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_images_of_one_file_name_have_names_of_their_own(tmp_path):
    plan = tmp_path / "plan"
    touch(tmp_path, "p1/eye.png", "p2/eye.png", "plan/a/images/1.png", "plan/b/images/1.png")
    outside = [tmp_path / name / "eye.png" for name in ("p1", "p2")]
    for pattern in (str(tmp_path / "p*" / "eye.png"), "../p?/eye.png"):
        found = entries(plan, {"files": pattern})
        assert [entry.name for entry in found] == [path.as_posix() for path in outside]
    for name in "ab":
        (plan / name / "cohort.csv").write_text("image\nimages/1.png\n")
    found = entries(plan, {"manifest": "a/cohort.csv"}, {"manifest": "b/cohort.csv"})
    assert [entry.name for entry in found] == ["a/images/1.png", "b/images/1.png"]


def test_an_image_that_is_named_twice_in_different_ways_is_refused(tmp_path):
    touch(tmp_path, "eyes/1.png")
    with pytest.raises(PlanError, match=r"1\.png is in the plan twice"):
        entries(tmp_path, {"files": "eyes/*"}, {"files": "eyes/../eyes/1.png"})


def test_a_file_is_taken_by_its_very_name(tmp_path):
    touch(tmp_path, "eye[1].png", "eye1.png")
    assert [entry.name for entry in entries(tmp_path, {"files": "eye[1].png"})] == ["eye[1].png"]


def test_of_a_folder_only_files_that_may_be_images_are_taken(tmp_path):
    images = ["1.2.840.77", "a.JPG", "b.tiff", "c.dcm", "noname"]
    touch(tmp_path, *(f"eyes/{name}" for name in images))
    touch(tmp_path, "eyes/.DS_Store", "eyes/Thumbs.db", "eyes/readme.txt", "eyes/._a.jpg")
    found = entries(tmp_path, {"files": "eyes"})
    assert [entry.path.name for entry in found] == images


def test_columns_that_are_not_asked_for_stay_out_of_the_run(tmp_path):
    (tmp_path / "cohort.csv").write_text(
        "Image,PATIENT,patient_name,Birth date,Grade,Camera\n1.png,P1,Anna Muster,1950-01-02,2,C7\n"
    )
    note = r"cohort\.csv stay out of the run: patient_name, Birth date; .*labels"
    with pytest.warns(FovealWarning, match=note):
        (entry,) = entries(tmp_path, {"manifest": "cohort.csv", "labels": ["camera"]})
    assert entry.patient == "P1"
    assert entry.labels == {"grade": "2", "camera": "C7"}
    with pytest.raises(PlanError, match="needs a column 'device'"):
        entries(tmp_path, {"manifest": "cohort.csv", "labels": ["device"]})


NOBODY = ("NaN", "nan", "NA", "n/a", "<NA>", "null", "None", "unknown", " ")


@pytest.mark.parametrize("cell", NOBODY)
def test_cells_that_name_nobody_do_not_make_one_patient_of_all(tmp_path, cell):
    rows = [f"{n}.png,{cell},{cell},{cell},{grade}" for n, grade in ((1, "None"), (2, "NaN"))]
    (tmp_path / "cohort.csv").write_text("\n".join(["image,patient,eye,visit,grade", *rows]))
    found = entries(tmp_path, {"manifest": "cohort.csv"})
    assert [(e.patient, e.eye, e.visit) for e in found] == 2 * [(None, None, None)]
    assert [e.labels for e in found] == [{"grade": "None"}, {}]  # the first may be a class


@pytest.mark.parametrize(
    ("told", "eye"),
    [
        pytest.param({}, "dicom-eye", id="nothing told"),
        pytest.param({"visit": "2"}, "dicom-eye", id="another fact"),
        pytest.param({"laterality": "right"}, "D1/right", id="another side"),
        pytest.param({"patient": "P1"}, "P1/left", id="another patient"),
        pytest.param({"patient": "P1", "laterality": "both"}, None, id="no one side"),
        pytest.param({"patient": "P1", "eye": "E7"}, "E7", id="the eye itself"),
    ],
)
def test_the_eye_follows_the_manifest(told, eye):
    pixels = np.zeros((3, 4, 4), np.float32)
    image = Image(pixels=pixels, patient="D1", laterality="left", eye="dicom-eye")
    assert Entry(path=Path("1.dcm"), name="1.dcm", **told).described(image).eye == eye
