"""Maps made elsewhere in a run: measured as our own, never asked again, noticed when changed."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from foveal.core import ImageError, PlanError, StoreError
from foveal.explainers.grid import at_input_size
from foveal.models import load
from foveal.report import schema, write_audit, write_page
from foveal.run import open_job, plan_from, read_plan, remeasure, run
from foveal.run.elsewhere import ELSEWHERE, OF_THE_METHOD
from foveal.run.measuring import MEASURED
from foveal.run.remeasure import yardstick_of
from foveal.store import Case, Run

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")

STEMS = ("Anna-Muster_R", "Bert-Beispiel_L", "Carla-Exempel_R")


def plan_with(base: Path, *maps: dict[str, object], **changed: object):
    """The cohort's plan with maps made elsewhere, its broken image left out."""
    (base / "eyes" / "Dora-Muster_L.jpg").unlink(missing_ok=True)
    table = read_plan(base / "plan.toml").model_dump(by_alias=True, exclude_none=True)
    table["models"] = [{"card": "model.toml", "targets": ["Severe"]}]
    table["methods"] = [{"name": "gradcam"}]
    return plan_from({**table, "level": "quick", "maps": maps, **changed})


def worked(base: Path, *maps: dict[str, object], **changed: object) -> Run:
    return run(open_job(plan_with(base, *maps, **changed), base, trust=True)).run


def scores(case: Case, key: str) -> dict[tuple[str, str | None], object]:
    (explained,) = (e for e in case.views[0].explained if e.key == key)
    return {
        (m.score.name, m.region): m.score.reason if m.score.value is None else m.score.value
        for m in explained.scores
    }


def keep_one_eye(base: Path) -> None:
    for stem in STEMS[1:]:
        (base / "eyes" / f"{stem}.png").unlink()


def write_maps(base: Path, name: str, values: np.ndarray) -> None:
    (base / "maps").mkdir(exist_ok=True)
    for stem in STEMS:
        np.save(base / "maps" / f"{stem}_{name}.npy", values)


MEASURES = {
    "names": [
        "relevance_mass", "pointing_game", "gini", "srg", "deletion_auc", "excess_drop",
        "average_drop", "faithfulness_correlation", "hoyer", *sorted(OF_THE_METHOD & set(MEASURED)),
    ],
    "random_orders": 1, "random_regions": 2, "perturbations": 2,
}  # fmt: skip
SHAP = {"name": "shap", "files": "maps/{stem}_shap.npy", "source": "shap 0.46, GradientExplainer"}
PREPARED = {**SHAP, "grid": "prepared"}


def test_the_same_map_has_the_same_numbers_wherever_it_was_made(cohort_folder):
    keep_one_eye(cohort_folder)
    (case,) = worked(cohort_folder).cases()
    made = torch.from_numpy(case.views[0].explained[0].attribution.map)[None]
    write_maps(cohort_folder, "shap", at_input_size(made, torch.empty(1, 1, 32, 32))[0].numpy())

    kept = worked(cohort_folder, PREPARED, measures=MEASURES, output={"folder": "again"})

    (case,) = kept.cases()
    own, other = scores(case, "gradcam"), scores(case, "shap")
    assert {name for name, _ in other} == set(MEASURES["names"])
    for (name, region), value in other.items():
        if name in OF_THE_METHOD:
            assert value == "made_elsewhere"
        else:
            assert value == pytest.approx(own[name, region], rel=1e-4, abs=1e-5), name
    assert isinstance(other["srg", None], float)


def test_a_drawing_on_the_photograph_is_carried_to_where_the_model_looks(cohort_folder):
    (cohort_folder / "drawn").mkdir()
    for stem in STEMS:
        drawing = np.zeros((64, 64), np.uint8)
        drawing[20:28, 20:28] = 255  # the microaneurysms of every eye
        drawing[:2, :2] = 255  # where no eye is
        PillowImage.fromarray(drawing).save(cohort_folder / "drawn" / f"{stem}.png")
    table = {"name": "drawing", "files": "drawn/{stem}.png", "source": "Dr A, 2025"}
    kept = worked(cohort_folder, table, methods=[])
    for case in kept.cases():
        (explained,) = case.views[0].explained
        made, found = explained.attribution, scores(case, "drawing")
        assert (made.method, made.target) == (ELSEWHERE, "Severe")
        assert made.map.shape == (32, 32)
        assert made.parts["mass_kept"] == pytest.approx(64 / 68)
        (note,) = made.notes
        assert note.startswith("5.9 % of the map lies outside")
        assert found["relevance_mass", "microaneurysms"] > 0.7
        assert found["relevance_mass", "hard exudates"] == 0


def test_the_audit_names_the_file_by_its_hash_and_nobody(cohort_folder):
    write_maps(cohort_folder, "shap", np.eye(64))
    kept = worked(cohort_folder, SHAP)
    audit = json.loads(write_audit(kept).read_text())
    jsonschema.validate(audit, schema())
    for case in audit["cases"]:
        told = case["views"][0]["maps"][-1]
        assert told["settings"]["source"] == "shap 0.46, GradientExplainer"
        assert len(told["settings"]["sha256"]) == 64
    page = write_page(kept).read_text()
    assert "shap (made elsewhere)" in page
    everything = page + json.dumps(audit) + (kept.folder / "log.jsonl").read_text()
    for name in ("Muster", "Beispiel", "Exempel", "maps/", str(cohort_folder)):
        assert name not in everything


def test_what_is_measured_again_is_the_same(cohort_folder):
    keep_one_eye(cohort_folder)
    write_maps(cohort_folder, "shap", np.random.default_rng(0).normal(size=(64, 64)))
    kept = worked(cohort_folder, SHAP, methods=[], measures=MEASURES)
    before = [scores(case, "shap") for case in kept.cases()]
    model = load(cohort_folder / "model.toml", trust=True)
    remeasure(kept, yardstick_of(kept, MEASURES["names"], "standard"), models=[model])
    for old, new in zip(before, (scores(case, "shap") for case in kept.cases()), strict=True):
        assert list(new) == list(old)
        for place, value in old.items():
            same = value if isinstance(value, str) else pytest.approx(value, rel=1e-5, abs=1e-6)
            assert new[place] == same, place


def test_a_map_with_nan_has_the_reason_and_no_number(cohort_folder):
    values = np.ones((64, 64))
    values[30, 30] = np.nan
    keep_one_eye(cohort_folder)
    write_maps(cohort_folder, "shap", values)
    kept = worked(cohort_folder, SHAP, methods=[], measures=MEASURES)
    for (name, _), value in scores(next(kept.cases()), "shap").items():
        if name not in OF_THE_METHOD | {"hoyer"}:  # of the model, whatever the map
            assert value == "nan_map", name


def test_a_map_of_the_other_grid_is_told_how_to_be_read(cohort_folder):
    write_maps(cohort_folder, "shap", np.eye(64))
    kept = worked(cohort_folder, PREPARED)
    told = [event["text"] for event in kept.events() if event["event"] == "warning"]
    assert len(told) == 3
    for text in told:
        assert (
            'say so with grid = "original", on the command line with --maps-grid original' in text
        )


BAD_FILES = [
    pytest.param(
        lambda path: np.save(path, np.eye(7)),
        "the map 'shap' is 7 x 7 (row x column), but the photograph is 64 x 64",
        id="another grid",
    ),
    pytest.param(
        lambda path: path.write_bytes(b"\x93NUMPY damaged"),
        "the map 'shap' is an npy file that cannot be read",
        id="damaged",
    ),
    pytest.param(
        lambda path: path.write_text("Muster, Anna"),
        "the map 'shap' is a text file",
        id="no map",
    ),
    pytest.param(
        lambda path: np.save(path, np.ones((4, 64, 64))),
        "the map 'shap' has the shape (4, 64, 64)",
        id="several maps",
    ),
]


@pytest.mark.parametrize(("spoil", "why"), BAD_FILES)
def test_a_map_that_cannot_be_used_takes_nothing_else_with_it(cohort_folder, spoil, why):
    write_maps(cohort_folder, "shap", np.eye(64))
    write_maps(cohort_folder, "gaze", np.eye(64))
    spoil(cohort_folder / "maps" / f"{STEMS[0]}_shap.npy")
    gaze = {"name": "gaze", "files": "maps/{stem}_gaze.npy"}

    kept = worked(cohort_folder, SHAP, gaze)

    assert kept.failures() == {}
    keys = sorted([e.key for e in case.views[0].explained] for case in kept.cases())
    assert keys == [["gradcam", "gaze"], *2 * [["gradcam", "shap", "gaze"]]]
    assert all(scores(case, "gradcam") for case in kept.cases())
    (event,) = (event for event in kept.events() if event["event"] == "warning")
    assert event["text"].startswith(why)
    assert event["text"].endswith("; the image goes on without it")
    assert not any(name in event["text"] for name in ("Muster", "maps/", str(cohort_folder)))


def test_an_image_of_which_no_map_is_left_is_not_explained(cohort_folder):
    write_maps(cohort_folder, "shap", np.eye(64))
    np.save(cohort_folder / "maps" / f"{STEMS[0]}_shap.npy", np.eye(7))
    (cohort_folder / "maps" / f"{STEMS[1]}_shap.npy").unlink()
    kept = worked(cohort_folder, SHAP, methods=[])
    (why,) = kept.failures().values()
    assert why.startswith("none of its maps can be used")
    told = {event["text"][:21] for event in kept.events() if event["event"] == "warning"}
    assert told == {"the map 'shap' is 7 x", "there is no map 'shap"}


def test_a_map_made_elsewhere_gets_no_advice_on_methods(cohort_folder):
    write_maps(cohort_folder, "shap", np.zeros((64, 64)))
    for case in worked(cohort_folder, SHAP, measures={"names": ["ebc"]}).cases():
        finding = case.views[0].explained[-1].finding
        assert finding is not None
        assert (finding.label, finding.cause) == ("EMPTY", "the map marks nothing in the eye")
        assert "the map's file, its grid and its scale" in finding.next_step


def test_an_image_without_its_map_goes_on_without_it(cohort_folder):
    write_maps(cohort_folder, "shap", np.eye(64))
    (cohort_folder / "maps" / f"{STEMS[0]}_shap.npy").unlink()
    kept = worked(cohort_folder, SHAP)
    keys = [[e.key for e in case.views[0].explained] for case in kept.cases()]
    assert sorted(map(len, keys)) == [1, 2, 2]
    told = [event["text"] for event in kept.events() if event["event"] == "warning"]
    assert told == ["there is no map 'shap' of this image"]


def test_a_map_of_one_target_is_measured_for_no_other(cohort_folder):
    write_maps(cohort_folder, "shap", np.eye(64))
    models = [{"card": "model.toml", "targets": ["Severe", "grade>=2"]}]
    table = {**SHAP, "target": "grade>=2", "model": "tiny"}
    for case in worked(cohort_folder, table, models=models).cases():
        of = [e.attribution.target for e in case.views[0].explained if e.key == "shap"]
        assert of == ["grade >= 2"]


def test_a_changed_map_is_another_run(cohort_folder):
    write_maps(cohort_folder, "shap", np.eye(64))
    worked(cohort_folder, SHAP)
    job = open_job(plan_with(cohort_folder, SHAP), cohort_folder, trust=True)
    assert run(job).before == 3
    write_maps(cohort_folder, "shap", np.eye(64)[::-1])
    with pytest.raises(StoreError, match="holds another run"):
        worked(cohort_folder, SHAP)


WRONG = [
    pytest.param([{**SHAP, "files": "maps/*.npy"}], "needs {stem}", id="no stem"),
    pytest.param([{**SHAP, "name": "gradcam"}], "two methods are called 'gradcam'", id="name"),
    pytest.param([{**SHAP, "files": "m/{stem}.npy"}], "no map of any image matches", id="none"),
    pytest.param([{**SHAP, "model": "other"}], "of the model 'other'", id="model"),
    pytest.param([{**SHAP, "target": "Mild"}], "of the target 'Mild'", id="target"),
    pytest.param([{**SHAP, "grid": "native"}], "grid", id="grid"),
]


@pytest.mark.parametrize(("maps", "why"), WRONG)
def test_a_wrong_plan_is_refused_before_anything_is_written(cohort_folder, maps, why):
    write_maps(cohort_folder, "shap", np.eye(64))
    with pytest.raises(PlanError, match=why):
        worked(cohort_folder, *maps)
    assert not (cohort_folder / "out").exists()


def test_a_run_needs_methods_or_maps(cohort_folder):
    with pytest.raises(PlanError, match="name a method, or maps"):
        plan_with(cohort_folder, methods=[])


def test_two_maps_of_one_image_are_said_before_the_run(cohort_folder):
    write_maps(cohort_folder, "shap", np.eye(64))
    np.save(cohort_folder / "maps" / f"{STEMS[0]}_shap.npz.npy", np.eye(64))
    with pytest.raises(ImageError, match="second map"):
        worked(cohort_folder, {**SHAP, "files": "maps/{stem}_shap*.npy"})
