"""Which images a plan names, what they are called, and what a manifest may tell of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from foveal.core import FovealWarning, Image, ImageError, PlanError
from foveal.models import load
from foveal.run import plan_from
from foveal.run.cohort import Entry, cohort
from foveal.run.header import plan_in_public
from foveal.run.identity import Identity
from foveal.run.marked import regions_of
from foveal.run.reading import Reader
from foveal.synthetic.dicom import ophthalmic_tomography


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


def volume(folder: Path, *, sections: int = 7) -> None:
    """A folder of sections in which the number of each stands as its brightness."""
    folder.mkdir(parents=True)
    for number in range(1, sections + 1):
        ramp = np.linspace(0, 60, 24)[:, np.newaxis] + 10 * number
        picture = np.tile(ramp, (1, 32)).astype(np.uint8)
        PillowImage.fromarray(picture).save(folder / f"{number:03d}.png")


def test_the_sections_of_a_volume_are_images_with_names_of_their_own(tmp_path):
    volume(tmp_path / "scans" / "a")
    volume(tmp_path / "scans" / "b", sections=3)
    found = entries(tmp_path, {"files": "scans/*", "sections": "all"})
    assert [entry.section for entry in found] == [1, 2, 3, 4, 5, 6, 7, 1, 2, 3]
    assert (found[1].name, found[1].stem, found[1].volume) == (
        "scans/a/a_002", "a_002", "scans/a",
    )  # fmt: skip
    assert {entry.modality for entry in found} == {"oct"}
    few = entries(tmp_path, {"files": "scans/*", "sections": 3})
    assert [entry.section for entry in few] == [1, 4, 7, 1, 2, 3]


def test_a_section_is_read_with_its_volume_and_the_layers_that_experts_drew(tmp_path):
    volume(tmp_path / "scan", sections=3)
    (tmp_path / "layers").mkdir()
    for number in range(1, 4):
        drawn = np.zeros((24, 32), np.uint8)
        drawn[8 + number], drawn[16] = 255, 127
        PillowImage.fromarray(drawn).save(tmp_path / "layers" / f"{number:03d}.png")
    table = {
        "files": "scan",
        "sections": "all",
        "lines": "layers/*.png",
        "layers": {"epithelium": ["RPE", "BM"]},
    }
    identity, reader = Identity(keep=False, secret=b"key"), Reader()
    found = entries(tmp_path, table)
    images = [reader.image(entry, identity) for entry in found]
    assert [image.facts["section"] for image in images] == [1, 2, 3]
    assert {image.facts["volume"] for image in images} == {identity.image("scan")}
    assert [image.lines["RPE"][0] for image in images] == [9.5, 10.5, 11.5]
    regions, _ = regions_of(found[1], images[1])
    (region,) = regions
    rows = np.flatnonzero(region.mask.any(axis=1))
    assert (region.name, region.kind, rows[0], rows[-1]) == ("epithelium", "anatomy", 10, 15)


def test_layers_that_do_not_fit_their_volume_are_refused(tmp_path):
    volume(tmp_path / "scan", sections=3)
    volume(tmp_path / "layers", sections=2)
    table = {"files": "scan", "sections": "all", "lines": "layers/*.png"}
    (first, *_) = entries(tmp_path, table)
    with pytest.raises(ImageError, match="has 3 sections, but 2 pictures of their layers"):
        Reader().image(first, Identity(keep=True, secret=b""))
    with pytest.raises(PlanError, match="lines and layers are of volumes"):
        entries(tmp_path, {"files": "scan", "lines": "layers/*.png"})


def test_several_volumes_do_not_share_the_layers_of_one(tmp_path):
    for name in ("a", "b"):
        volume(tmp_path / "scans" / name, sections=2)
        (tmp_path / "layers" / name).mkdir(parents=True)
        for number in (1, 2):
            drawn = np.zeros((24, 32), np.uint8)
            drawn[number if name == "a" else 10 + number], drawn[20] = 255, 127
            PillowImage.fromarray(drawn).save(tmp_path / "layers" / name / f"{number}.png")
    table = {"files": "scans/*", "sections": "all", "lines": "layers/a/*.png"}
    with pytest.raises(PlanError, match="would give 2 volumes the same layers"):
        entries(tmp_path, table)
    found = entries(tmp_path, {**table, "lines": "layers/{stem}/*.png"})
    reader = Reader()
    images = [reader.image(entry, Identity(keep=True, secret=b"")) for entry in found]
    assert [image.lines["RPE"][0] for image in images] == [1.5, 2.5, 11.5, 12.5]


def test_a_volume_that_cannot_be_read_is_one_entry_that_fails_with_the_reason(tmp_path):
    volume(tmp_path / "scans" / "a", sections=2)
    (tmp_path / "scans" / "b.vol").write_bytes(b"HSF-OCT-103 and nothing else")
    found = entries(tmp_path, {"files": "scans/*", "sections": "all"})
    assert [entry.name for entry in found] == [
        "scans/a/a_001",
        "scans/a/a_002",
        "scans/b.vol/b_001",
    ]
    with pytest.raises(ImageError, match="vol"):
        Reader().image(found[-1], Identity(keep=True, secret=b""))


def test_masks_of_a_section_are_found_where_its_volume_has_dots_in_its_name(tmp_path):
    volume(tmp_path / "scans" / "2024.03.01.left", sections=2)
    mask = np.zeros((24, 32), np.uint8)
    mask[:4, :4] = 255
    (tmp_path / "masks").mkdir()
    PillowImage.fromarray(mask).save(tmp_path / "masks" / "2024.03.01_002_drusen.png")
    table = {"files": "scans/*", "sections": "all", "regions": "masks/{stem}_{region}.png"}
    reader = Reader()
    marked = [
        regions_of(entry, reader.image(entry, Identity(keep=True, secret=b"")))[0]
        for entry in entries(tmp_path, table)
    ]
    assert [[region.name for region in regions] for regions in marked] == [[], ["drusen"]]


@pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")
def test_where_expert_layers_lie_is_not_told_in_public(folder):
    plan = plan_from(
        {
            "name": "trial",
            "images": [{"files": "a.vol", "sections": "all", "lines": "Anna-Muster/*.png"}],
            "models": [{"card": "model.toml"}],
            "methods": [{"name": "gradcam"}],
            "output": {"folder": "out"},
        }
    )
    told = plan_in_public(plan, [load(folder / "model.toml", trust=True)])
    assert "Anna-Muster" not in json.dumps(told)


def test_a_folder_is_walked_whole_and_its_masks_are_no_images(tmp_path):
    touch(
        tmp_path, "export/a.png", "export/p1/b.jpg", "export/p1/deep/c.tif", "export/.hidden/d.png",
        "export/masks/a_MA.png", "export/AUTORUN.INF", "export/p1/report.pdf",
    )  # fmt: skip
    (tmp_path / "export" / "p1" / "scan.vol").write_bytes(b"HSF-OCT-103\0" + bytes(100))
    table = {"files": "export", "regions": "export/masks/{stem}_{region}.png"}
    with pytest.warns(FovealWarning, match="1 a vendor's volume"):
        found = entries(tmp_path, table)
    names = [entry.name.removeprefix("export/") for entry in found]
    assert names == ["a.png", "p1/b.jpg", "p1/deep/c.tif"]


def test_the_volumes_of_an_export_are_found_wherever_they_lie(tmp_path):
    sections = np.random.default_rng(0).integers(0, 255, (3, 24, 32), dtype=np.uint8)
    for name in ("p1/IM1", "p2/study/IM1"):
        path = tmp_path / "export" / name
        path.parent.mkdir(parents=True)
        ophthalmic_tomography(sections, patient=name).save_as(path)
    PillowImage.fromarray(sections[0]).save(tmp_path / "export" / "p1" / "photo.png")
    found = entries(tmp_path, {"files": "export", "sections": "all"})
    assert [(entry.volume, entry.section) for entry in found] == [
        (name, number) for name in ("export/p1/IM1", "export/p2/study/IM1") for number in (1, 2, 3)
    ]
