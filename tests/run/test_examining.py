"""Quality and anatomy on the way of an image through a run."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from foveal.core import FovealWarning, Image, ImageError, PlanError
from foveal.run.cohort import Entry, cohort
from foveal.run.examining import judged, with_anatomy
from foveal.run.plan import QualityTable, plan_from
from foveal.synthetic import fundus


@pytest.fixture(scope="module")
def eye():
    return fundus(7, grade=1, laterality="right", device="rose", size=192)


def plan(folder, **more):
    return plan_from(
        {
            "name": "trial",
            "images": [{"files": "*.png", "anatomy": ["disc", "etdrs"]}],
            "models": [{"card": "model.toml"}],
            "methods": [{"name": "gradcam"}],
            "output": {"folder": str(folder / "out")},
            **more,
        }
    )


def test_the_anatomy_of_a_table_is_asked_of_its_images(tmp_path):
    PillowImage.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    (entry,) = cohort(plan(tmp_path), tmp_path)
    assert entry.anatomy == ("disc", "etdrs")


def test_asked_anatomy_joins_the_regions_and_its_confidence_the_facts(eye):
    entry = Entry(path=Path("a.png"), name="a", anatomy=("disc", "quadrants"))
    image, regions = with_anatomy(eye.image, [], entry)
    assert len(regions) == 5
    assert {region.kind for region in regions} == {"anatomy"}
    assert image.facts["anatomy.disc.confidence"] > 0.5
    assert image.facts["device"] == "rose"


def test_anatomy_that_is_not_sure_is_told():
    noise = np.random.default_rng(0).uniform(0.3, 0.5, (3, 96, 96)).astype(np.float32)
    noise[:, :20] = 0
    entry = Entry(path=Path("a.png"), name="a", anatomy=("disc",))
    with pytest.warns(FovealWarning, match="no disc: no place looks enough like an optic disc"):
        _, regions = with_anatomy(Image(pixels=noise, modality="fundus"), [], entry)
    assert regions == []


@pytest.mark.parametrize(
    ("table", "strange"),
    [
        pytest.param({"modality": "slit-lamp"}, "disc, etdrs", id="slit lamp"),
        pytest.param({"modality": "fundus", "anatomy": ["disc", "pupil"]}, "pupil", id="fundus"),
        pytest.param({"sections": "all"}, "disc, etdrs", id="sections"),
    ],
)
def test_anatomy_that_such_images_do_not_show_is_refused_with_the_plan(tmp_path, table, strange):
    asked = {"files": "*.png", "anatomy": ["disc", "etdrs"], **table}
    with pytest.raises(PlanError, match=f"anatomy asks for {strange}, which is not looked for"):
        plan(tmp_path, images=[asked])
    plan(tmp_path, images=[{**asked, "regions": "masks/{stem}_{region}.png"}])


def test_without_a_table_nothing_is_measured(eye):
    assert judged(eye.image, None) is eye.image


def test_numbers_of_quality_are_facts(eye):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = judged(eye.image, QualityTable(refuse={"focus": ">= 0.01"}))
    assert image.facts["quality"] == "pass"
    assert 0 < image.facts["quality.focus"] < 20


def test_a_poor_image_is_told_of_or_refused(eye):
    with pytest.warns(FovealWarning, match=r"look at the quality.*brightness is .* must be > 2"):
        image = judged(eye.image, QualityTable(review={"brightness": "> 2"}))
    assert image.facts["quality"] == "review"
    with pytest.raises(ImageError, match=r"refused for its quality: focus is .* must be >= 99"):
        judged(eye.image, QualityTable(refuse={"focus": ">= 99"}))


def test_a_limit_of_sections_says_nothing_of_photographs(eye):
    assert judged(eye.image, QualityTable(refuse={"snr_db": "> 90"})).facts["quality"] == "pass"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        pytest.param({"refuse": {"sharpness": "> 1"}}, "'sharpness'", id="name"),
        pytest.param({"review": {"focus": "good"}}, "comparison", id="limit"),
    ],
)
def test_limits_that_mean_nothing_are_refused_with_the_plan(tmp_path, table, message):
    with pytest.raises(PlanError, match=message):
        plan(tmp_path, quality=table)
