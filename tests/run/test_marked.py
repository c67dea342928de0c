"""What experts marked: masks, annotations of a cohort in one file, and several graders."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from foveal.core import FovealWarning, Image, ImageError, PlanError
from foveal.run.cohort import Entry, images_of
from foveal.run.marked import regions_of, told_of_graders
from foveal.run.plan import ImagesTable, plan_from

GRID = (10, 12)


def entry(regions, name="eye_1.jpg", **told):
    return Entry(path=Path("photos") / name, name=name, regions=str(regions), **told)


def photograph(name="eye_1.jpg"):
    return Image(pixels=np.zeros((3, *GRID), np.float32), source=str(Path("photos") / name))


def square(path, side):
    path.parent.mkdir(exist_ok=True)
    mask = np.zeros(GRID, np.uint8)
    mask[:side, :side] = 255
    PillowImage.fromarray(mask).save(path)


def test_one_file_of_annotations_is_for_the_whole_cohort(tmp_path):
    told = {
        "images": [{"id": 1, "file_name": "eye_1.jpg", "height": 10, "width": 12}],
        "annotations": [{"image_id": 1, "category_id": 4, "bbox": [0, 0, 2, 3]}],
        "categories": [{"id": 4, "name": "MA"}],
    }
    (tmp_path / "all.json").write_text(json.dumps(told))

    (region,), agreed = regions_of(entry(tmp_path / "all.json"), photograph())
    nothing, _ = regions_of(entry(tmp_path / "all.json", "eye_2.jpg"), photograph("eye_2.jpg"))

    assert (region.name, region.mask.sum(), region.grader) == ("microaneurysms", 6, None)
    assert nothing == agreed == []
    assert regions_of(entry(tmp_path / "no.json"), photograph()) == ([], [])


def annotated(path, *names):
    told = {
        "images": [{"id": name, "file_name": name, "height": 10, "width": 12} for name in names],
        "annotations": [{"image_id": n, "category_id": 4, "bbox": [0, 0, 2, 3]} for n in names],
        "categories": [{"id": 4, "name": "MA"}],
    }
    path.write_text(json.dumps(told))


@pytest.fixture
def eyes(tmp_path):
    """What a plan makes of one file name of two patients."""
    for patient in "AB":
        (tmp_path / patient).mkdir()
        (tmp_path / patient / "IM000001").touch()
    table = ImagesTable(files="?/IM*", regions="all.json")

    def marked(*names):
        annotated(tmp_path / "all.json", *names)
        return [
            regions_of(one, photograph(str(one.path)))[0] for one in images_of([table], tmp_path)
        ]

    return marked


def test_an_entry_without_a_folder_is_not_taken_for_two_patients(eyes):
    with pytest.raises(ImageError, match="fits several images of this name") as error:
        eyes("IM000001")
    assert "IM0" not in str(error.value.__cause__)
    first, second = eyes("A/IM000001", "B/IM000001")
    assert [len(first), len(second)] == [1, 1]
    with pytest.warns(FovealWarning, match="other folders"):
        first, second = eyes("A/IM000001")
    assert [len(first), len(second)] == [1, 0]
    first, second = eyes("A/IM000001", "IM000001")  # what is left for the other one
    assert [len(first), len(second)] == [1, 1]


def test_a_mask_without_a_folder_is_not_taken_for_two_patients(tmp_path):
    square(tmp_path / "masks" / "eye_1_MA.png", 4)
    namesakes = [Path("photos/eye_1.jpg"), Path("others/eye_1.jpg")]
    pattern = tmp_path / "masks" / "{stem}_{region}.png"
    with pytest.raises(ImageError, match="fits several images of this name"):
        regions_of(entry(pattern, namesakes=namesakes), photograph())
    ((region,), _) = regions_of(entry(pattern, namesakes=namesakes[:1]), photograph())
    assert region.mask.sum() == 16


@pytest.mark.parametrize(("method", "skills"), [("majority", False), ("staple", True)])
def test_of_several_graders_it_is_what_they_have_in_common(tmp_path, method, skills):
    for grader, side in (("Anna Muster", 4), ("ben", 4), ("carla", 6)):
        square(tmp_path / grader / "eye_1_MA.png", side)

    (region,), agreed = regions_of(
        entry(tmp_path / "{grader}" / "{stem}_{region}.png", consensus=method), photograph()
    )
    (told,) = told_of_graders(agreed)

    assert region.mask.sum() == 16
    assert (told["region"], told["method"], told["graders"]) == ("microaneurysms", method, 3)
    # 16 pixels in common of 16 and 36.
    assert told["dice"] == pytest.approx([1.0, 32 / 52, 32 / 52])
    assert (told["sensitivity"] is not None) == skills
    assert "Anna" not in json.dumps(told)


def test_one_grader_alone_is_taken_as_it_is(tmp_path):
    square(tmp_path / "anna" / "eye_1_MA.png", 4)

    (region,), agreed = regions_of(
        entry(tmp_path / "{grader}" / "{stem}_{region}.png"), photograph()
    )

    assert (region.grader, region.mask.sum(), agreed) == ("anna", 16, [])


def plan(regions):
    return plan_from(
        {
            "name": "p",
            "images": [{"files": "x/*.png", "regions": regions}],
            "models": [{"card": "m.toml"}],
            "methods": [{"name": "gradcam"}],
            "output": {"folder": "out"},
        }
    )


@pytest.mark.parametrize(
    "regions", ["all.json", "marks/{stem}.xml", "m/{grader}/{stem}_{region}.png", "seg/*.dcm"]
)
def test_a_plan_may_name_annotations(regions):
    assert plan(regions).images[0].regions == regions


@pytest.mark.parametrize(
    ("regions", "message"),
    [("masks/{stem}.PNG", "needs {region}"), ("{grader}/{grader}.json", "once")],
)
def test_a_picture_in_a_plan_must_say_what_it_is_a_mask_of(regions, message):
    with pytest.raises(PlanError, match=message):
        plan(regions)
