"""Measures of a finished run made again, without the originals."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as PillowImage

from foveal.core import FovealWarning, ImageError, ModelError, PlanError, StoreError
from foveal.models import load
from foveal.run import LEVELS, remeasure
from foveal.run.measuring import Yardstick
from foveal.run.plan import RANDOM
from foveal.run.remeasure import yardstick_of
from foveal.store import Run

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")

QUICK = Yardstick(names=LEVELS["quick"])


@pytest.fixture
def finished(finished_folder) -> Run:
    return Run.open(finished_folder / "out")


def values(run: Run) -> dict[tuple[object, ...], object]:
    return {
        (c.id, e.key, e.attribution.target, m.score.name, m.region): (m.score.value, m.score.reason)
        for c in run.cases() for v in c.views for e in v.explained for m in e.scores
    }  # fmt: skip


def test_measuring_again_gives_the_same_numbers(finished, finished_folder):
    before = values(finished)
    remeasure(finished, QUICK)
    assert values(finished) == before
    model = load(finished_folder / "model.toml", trust=True)
    same = Yardstick(
        names=LEVELS["standard"], random_orders=2, random_regions=3, baselines=("blur",), seed=3,
        perturbations=4,
    )  # fmt: skip
    remeasure(finished, same, models=[model])
    again = values(finished)
    assert set(again) == set(before)
    for key, (value, reason) in before.items():
        assert again[key][1] == reason
        assert again[key][0] == pytest.approx(value, abs=1e-5)


def test_masks_that_came_later_replace_the_regions(finished, finished_folder):
    (finished_folder / "later").mkdir()
    mask = np.zeros((64, 64), np.uint8)
    mask[28:36, 28:36] = 255
    PillowImage.fromarray(mask).save(finished_folder / "later" / "Anna-Muster_R_OD.png")
    remeasure(finished, QUICK, regions=str(finished_folder / "later" / "{stem}_{region}.png"))
    cases = [case for case in finished.cases() if case.failure is None]
    assert sorted(len(case.regions) for case in cases) == [1, 2, 2], "others keep what they had"
    (with_disc,) = [case for case in cases if len(case.regions) == 1]
    (view,) = with_disc.views
    assert view.regions[0].name == "optic disc"
    regions = {m.region for m in view.explained[0].scores if m.score.name == "iou"}
    assert regions == {"optic disc"}
    of_lesions = {"lesion_hit_rate", "false_highlight_rate"}
    assert {m.score.name for m in view.explained[0].scores} == set(LEVELS["standard"]) - of_lesions


def test_masks_of_unknown_names_are_told_once(finished, finished_folder):
    (finished_folder / "later").mkdir()
    for eye in ("Anna-Muster_R", "Carla-Exempel_R"):
        PillowImage.fromarray(np.full((64, 64), 255, np.uint8)).save(
            finished_folder / "later" / f"{eye}_scar.png"
        )
    with pytest.warns(FovealWarning, match=r"lesions or structures: scar; they are measured"):
        remeasure(finished, QUICK, regions=str(finished_folder / "later" / "{stem}_{region}.png"))


def shards(run: Run) -> dict[str, bytes]:
    files = [p for p in (run.folder / "shards").rglob("*") if p.is_file()]
    return {str(p.relative_to(run.folder)): p.read_bytes() for p in files}


def test_a_pattern_that_matches_no_image_changes_nothing(finished, finished_folder):
    before = shards(finished)
    with pytest.raises(PlanError, match="no mask of any image matches"):
        remeasure(finished, QUICK, regions=str(finished_folder / "mask" / "{stem}_{region}.png"))
    assert shards(finished) == before


def test_a_mask_of_another_size_changes_nothing_and_is_told_without_its_name(
    finished, finished_folder
):
    before = shards(finished)
    PillowImage.fromarray(np.full((9, 9), 255, np.uint8)).save(
        finished_folder / "masks" / "Carla-Exempel_R_MA.png"
    )
    with pytest.raises(ImageError, match=r"^I-\w+: the mask 'MA' is 9 x 9") as told:
        remeasure(finished, QUICK, regions=str(finished_folder / "masks" / "{stem}_{region}.png"))
    assert "Carla" not in str(told.value)
    assert str(finished_folder) not in str(told.value)
    assert shards(finished) == before


def test_masks_cannot_be_found_without_the_key_file(finished, finished_folder):
    key = finished_folder / "out.key.json"
    masks = str(finished_folder / "masks" / "{stem}_{region}.png")
    content = json.loads(key.read_text())
    key.write_text(json.dumps({**content, "names": {}}))
    with pytest.raises(StoreError, match=r"does not know I-\w+, whose masks"):
        remeasure(finished, QUICK, regions=masks)
    key.unlink()
    with pytest.raises(StoreError, match="only the key file knows"):
        remeasure(finished, QUICK, regions=masks)


def test_measures_are_made_again_as_the_plan_has_them(finished):
    again = yardstick_of(finished, ("iou",), "full")
    assert (again.random_orders, again.random_regions) == (2, 3)
    assert (again.baseline, again.seed, again.max_batch) == ("blur", 3, 16)
    told = {"measures": {"baseline": "black"}, "max_batch": 2}
    finished.header = {**finished.header, "plan": told}
    other = yardstick_of(finished, ("iou",), "standard")
    assert (other.baseline, other.max_batch) == ("black", 2)
    assert (other.random_orders, other.random_regions) == RANDOM["standard"]


def test_measures_that_ask_the_model_need_it(finished, finished_folder):
    perturbing = Yardstick(names=("deletion_auc",))
    with pytest.raises(PlanError, match="give its card"):
        remeasure(finished, perturbing)
    other = replace(load(finished_folder / "model.toml", trust=True), fingerprint="another")
    with pytest.raises(ModelError, match="not the model of this run"):
        remeasure(finished, perturbing, models=[other])
    assert len(list(finished.cases())) == 4
