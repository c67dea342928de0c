"""A run from a plan to its store: complete, resumable byte for byte, and without identity."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from foveal.core import FovealWarning, ModelError, PlanError, StoreError
from foveal.explainers import RISE, IntegratedGradients, Occlusion, ScoreCAM
from foveal.explainers.passes import Passes
from foveal.run import Job, estimate, open_job, plan_from, read_plan, run
from foveal.run.estimate import planned_passes
from foveal.run.plan import Level
from foveal.store import Case, Run

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")


def job(base: Path, *, level: Level | None = None, **output: object) -> Job:
    """The cohort's job, at another level or with another output where asked."""
    plan = read_plan(base / "plan.toml")
    if level is not None:
        plan = plan.model_copy(update={"level": level})
    if output:
        plan = plan.model_copy(update={"output": plan.output.model_copy(update=output)})
    return open_job(plan, base, trust=True)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a run but its log, which holds times."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "log.jsonl")
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def by_label(cases: list[Case]) -> list[Case]:
    return [case for case in cases if case.failure is None]


def test_a_run_explains_every_image_for_every_target_by_every_method(cohort_run):
    _, summary = cohort_run
    assert (summary.images, summary.failed, summary.before) == (4, 1, 0)
    cases = list(summary.run.cases())
    good = by_label(cases)
    assert len(cases) == 4
    assert len(good) == 3
    for case in good:
        (view,) = case.views
        keys = [(e.key, e.attribution.target) for e in view.explained]
        predicted = f"predicted: {view.prediction.label}"
        assert keys == [
            ("gradcam", predicted), ("occlusion-8", predicted),
            ("gradcam", "grade >= 2"), ("occlusion-8", "grade >= 2"),
        ]  # fmt: skip
        assert {r.name for r in view.regions} == {"microaneurysms", "hard exudates"}
        measured = {(m.score.name, m.region) for m in view.explained[0].scores}
        assert ("relevance_mass", "all lesions") in measured
        assert ("deletion_auc", None) in measured
        regions, lesions, false_spots, shares, field, perturbing = 14 * 3, 3, 1, 3, 5, 16 + 1
        placed = regions + lesions + false_spots + shares + field
        health, stable = 9, 7
        assert len(measured) == placed + perturbing + health + stable
        # Occlusion sends probes of its own, and watches no layer.
        costly = {m.score.name for m in view.explained[1].scores}
        assert {"map_ssim", "repeat_variance", "gss", "fmce"}.isdisjoint(costly)
        assert {"hoyer", "first_layer_grad_rms", "hfpr"} < costly
        scores = [m.score for m in view.explained[0].scores if m.score.direction != "context"]
        without = {s.name for s in scores if s.value is not None and s.chance is None}
        assert without <= {"infidelity_normalized"}, "no map does worse than one of zeros"


def test_a_bad_image_is_named_by_its_pseudonym_and_the_run_goes_on(cohort_run):
    _, summary = cohort_run
    ((name, why),) = summary.run.failures().items()
    assert name.startswith("I-")
    assert "text file" in why
    assert "Dora" not in why


def test_a_reason_stays_readable_when_a_file_is_named_like_a_word_of_it(cohort_folder):
    (cohort_folder / "eyes" / "Dora-Muster_L.jpg").rename(cohort_folder / "eyes" / "text.jpg")
    (why,) = run(job(cohort_folder, level="quick")).run.failures().values()
    assert why.startswith("is a text file")


BLINDED = """

class Blinded(nn.Sequential):
    def forward(self, images):
        white = (images.amax((1, 2, 3)) > 1.99)[:, None]
        return torch.where(white, torch.tensor({number}), super().forward(images))

def blinded():
    return Blinded(*build())
"""


@pytest.mark.parametrize("number", ["float('nan')", "float('inf')"])
def test_an_image_without_a_finite_answer_fails_and_no_other(cohort_folder, number):
    code = cohort_folder / "tiny_network.py"
    code.write_text(code.read_text() + BLINDED.format(number=number))
    card = cohort_folder / "model.toml"
    card.write_text(card.read_text().replace("tiny_network:build", "tiny_network:blinded"))
    with PillowImage.open(cohort_folder / "eyes" / "Anna-Muster_R.png") as picture:
        picture.paste((255, 255, 255), (24, 24, 40, 40))
        picture.save(cohort_folder / "eyes" / "Emil-Muster_R.png")
    summary = run(job(cohort_folder))
    assert (summary.images, summary.failed) == (5, 2)
    assert any("not finite for this image" in why for why in summary.run.failures().values())
    assert not any("Emil" in why for why in summary.run.failures().values())


def test_the_scores_are_the_models_own(cohort_run):
    folder, summary = cohort_run
    (model,) = job(folder).models
    case = by_label(list(summary.run.cases()))[0]
    (view,) = case.views
    pixels = torch.from_numpy(view.pixels)[None]
    probability = model.output(pixels).softmax(dim=1)[0]
    scores = view.explained[0].attribution
    logit = model.output(pixels)[0, scores.target_index]
    assert scores.score == pytest.approx(float(logit), abs=1e-5)
    drop = next(m.score for m in view.explained[0].scores if m.score.name == "masked_roi_drop")
    assert drop.parts["score"] == pytest.approx(float(probability.max()), abs=1e-5)
    assert drop.params["scale"] == "log-odds"


class Stopped(BaseException):
    """Stands for an interrupt from the keyboard."""


@pytest.mark.parametrize("after", [1, 3])
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(finished_folder, after):
    key = str(finished_folder / "out.key.json")

    def stop(done: int, images: int) -> None:
        if done == after:
            raise Stopped

    with pytest.raises(Stopped):
        run(job(finished_folder, folder="stopped", key=key), on_image=stop)
    seen: list[int] = []
    summary = run(
        job(finished_folder, folder="stopped", key=key), on_image=lambda done, _: seen.append(done)
    )
    assert summary.before == (2 if after == 3 else 0)  # shards of two, kept when they are whole
    assert seen[-1] == 4
    assert tree(finished_folder / "out") == tree(finished_folder / "stopped")


def test_the_key_file_knows_a_shard_before_it_is_kept(cohort_folder, monkeypatch):
    write = Run.write

    def die(self, *arguments: object) -> None:
        write(self, *arguments)
        raise Stopped

    monkeypatch.setattr(Run, "write", die)
    with pytest.raises(Stopped):
        run(job(cohort_folder, level="quick"))
    names = json.loads((cohort_folder / "out.key.json").read_text())["names"]
    assert len(names) == 4
    kept = list(Run.open(cohort_folder / "out").cases())
    assert len(kept) == 2
    assert {case.id for case in kept} <= set(names)


def test_a_folder_where_another_process_is_at_work_is_left_alone(cohort_folder):
    out = cohort_folder / "out"
    out.mkdir()
    (out / ".lock").write_text('{"process": 1, "host": "another"}')
    done: list[int] = []
    with pytest.raises(StoreError, match="process 1 on another"):
        run(job(cohort_folder), on_image=lambda n, _: done.append(n))
    assert done == []
    assert [path.name for path in out.iterdir()] == [".lock"]


def test_a_run_that_was_there_before_is_not_discarded(cohort_folder):
    def stop(*_: object) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        run(job(cohort_folder, level="quick"), on_image=stop)
    (cohort_folder / "out.key.json").write_text("{")
    with pytest.raises(StoreError, match="key file"):
        run(job(cohort_folder, level="quick"))
    assert (cohort_folder / "out" / "run.json").exists()
    assert not (cohort_folder / "out" / ".lock").exists()


def test_threads_are_those_of_the_first_start_and_given_back(cohort_folder):
    before = torch.get_num_threads()
    plan = read_plan(cohort_folder / "plan.toml")
    plan = plan.model_copy(update={"threads": 2, "level": "quick"})
    summary = run(open_job(plan, cohort_folder, trust=True))
    assert summary.run.header["threads"] == 2
    assert torch.get_num_threads() == before


def test_nothing_that_names_a_patient_is_in_the_run(cohort_run):
    cohort_folder, _ = cohort_run
    assert (cohort_folder / "out.key.json").stat().st_mode & 0o777 == 0o600
    files = [p for p in (cohort_folder / "out").rglob("*") if p.is_file()]
    whole = b"".join(str(p.relative_to(cohort_folder)).encode() + p.read_bytes() for p in files)
    for name in ("Muster", "Beispiel", "Exempel", str(cohort_folder), cohort_folder.name):
        assert name.encode() not in whole
    key = (cohort_folder / "out.key.json").read_text()
    assert "eyes/Anna-Muster_R.png" in key


def test_a_plan_that_keeps_identity_names_files(cohort_folder):
    summary = run(job(cohort_folder, level="quick", identity="keep"))
    assert next(case.id for case in summary.run.cases()) == "eyes/Anna-Muster_R.png"
    assert not (cohort_folder / "out.key.json").exists()


def test_a_manifest_names_patients_eyes_and_labels(cohort_folder):
    (cohort_folder / "cohort.csv").write_text(
        "image,patient,eye,visit,grade\n"
        "eyes/Anna-Muster_R.png,4711,OD,2021,2\n"
        "eyes/Bert-Beispiel_L.png,4711,left,2021,\n"
        "eyes/nowhere.png,4712,,,3\n"
    )
    text = (
        (cohort_folder / "plan.toml")
        .read_text()
        .replace('files = "eyes/*"', 'manifest = "cohort.csv"')
    )
    (cohort_folder / "plan.toml").write_text(text)
    summary = run(job(cohort_folder, level="quick"))
    cases = {case.labels.get("grade", "-"): case for case in summary.run.cases()}
    assert cases["2"].laterality == "right"
    assert cases["-"].laterality == "left"
    assert cases["2"].patient == cases["-"].patient
    assert cases["2"].patient.startswith("P-")
    assert cases["2"].eye != cases["-"].eye
    assert "no such file" in cases["3"].failure.lower()
    assert "nowhere" not in cases["3"].failure


def test_a_mask_of_another_size_fails_its_image_and_no_other(cohort_folder):
    wrong = np.zeros((10, 12), np.uint8)
    PillowImage.fromarray(wrong).save(cohort_folder / "masks" / "Anna-Muster_R_MA.png")
    failures = run(job(cohort_folder, level="quick")).run.failures()
    assert len(failures) == 2
    assert any(why.startswith("the mask 'MA' is 10 x 12") for why in failures.values())
    for name in ("Muster", "masks", str(cohort_folder)):
        assert not any(name in why for why in failures.values())


def test_images_without_masks_are_explained_all_the_same(cohort_folder):
    for mask in (cohort_folder / "masks").glob("Anna*"):
        mask.unlink()
    cases = by_label(list(run(job(cohort_folder, level="quick")).run.cases()))
    assert sorted(len(case.regions) for case in cases) == [0, 2, 2]


def test_another_plan_does_not_write_into_a_finished_run(finished_folder):
    plan = read_plan(finished_folder / "plan.toml").model_copy(update={"seed": 4})
    with pytest.raises(StoreError, match="holds another run"):
        run(open_job(plan, finished_folder, trust=True))


def test_a_run_whose_key_is_gone_is_not_taken_up(finished_folder):
    (finished_folder / "out.key.json").unlink()
    with pytest.raises(StoreError, match=r"key file .* is gone"):
        run(job(finished_folder))


def test_warnings_and_times_go_into_the_log(cohort_run):
    _, summary = cohort_run
    events = summary.run.events()
    kinds = [event["event"] for event in events]
    assert kinds[0] == "started"
    assert kinds[-1] == "finished"
    assert {"python", "torch", "numpy"} <= set(events[0]["versions"])
    shards = [event for event in events if event["event"] == "shard"]
    assert {"read", "prepare", "explain", "measure", "store"} <= set(shards[0]["seconds"])
    costs = [event for event in events if event["event"] == "cost"]
    assert len(costs) == 3 * 4


COSTS = [
    # Of 4 images and 2 targets each: the shared pass, the one for gradients, and for Grad-CAM
    # 5 noisy copies and 17 of SmoothGrad's noise, and at `full` 14 of the changes of a clinic.
    pytest.param("gradcam", "standard", 4 * 2 * (1 + 1 + 5 + 17), id="standard, cheap"),
    pytest.param("scorecam", "standard", 4 * 2 * 1, id="standard, costly"),
    # And a stage for each of the two layers, with 3 seeds, and the trained model's own.
    pytest.param("gradcam", "full", 4 * 2 * (1 + 1 + 5 + 17 + 14 + 1 + 3 * 2), id="full"),
]


@pytest.mark.parametrize(("method", "level", "backward"), COSTS)
def test_the_estimate_counts_the_passes_of_the_run(
    cohort_folder, monkeypatch, method, level, backward
):
    path = cohort_folder / "plan.toml"
    text = path.read_text().replace('name = "gradcam"', f'name = "{method}"')
    text = text.replace("window = 8", "window = 8\nstride = 4")
    path.write_text(text.replace('level = "standard"', f'level = "{level}"'))
    work = job(cohort_folder)
    foreseen = estimate(work)
    (model,) = work.models
    forwards, backwards = [], []
    before, before_back = type(model).forward, Passes._gradients

    def counting(self, images):
        forwards.append(len(images))
        return before(self, images)

    def counting_back(self, scores, asked, watcher):
        backwards.append(len(scores))
        return before_back(self, scores, asked, watcher)

    monkeypatch.setattr(type(model), "forward", counting)
    monkeypatch.setattr(Passes, "_gradients", counting_back)
    done = run(work)
    # One image of the four fails before any pass; choosing the layer takes one more a target, once.
    # Each patch outside the field saves its pass, for both targets; the estimate knows no field.
    fields = [case.views[0].field for case in done.run.cases() if case.failure is None]
    saved = 2 * sum(int((~field).sum()) for field in fields)
    assert sum(forwards) == foreseen.forward * 3 // 4 + 2 - saved
    assert sum(backwards) == foreseen.backward * 3 // 4
    assert foreseen.images == 4
    assert foreseen.backward == backward
    assert foreseen.minutes > 0
    assert str(foreseen).startswith("4 images: ")


def test_the_quick_level_plans_no_pass_for_measures(cohort_folder):
    plan = read_plan(cohort_folder / "plan.toml").model_copy(update={"level": "quick"})
    none = plan.measures.model_copy(update={"names": ()})
    bare = plan.model_copy(update={"measures": none})
    quick, without = (estimate(open_job(p, cohort_folder, trust=True)) for p in (plan, bare))
    assert quick.forward == without.forward


def test_the_estimate_counts_the_changes_of_a_clinic(cohort_folder):
    plan = read_plan(cohort_folder / "plan.toml")

    def foreseen(*names):
        measures = plan.measures.model_copy(update={"names": names})
        asked = plan.model_copy(update={"measures": measures})
        return estimate(open_job(asked, cohort_folder, trust=True))

    none, moved = foreseen(), foreseen("nuisance_stability")
    windows = planned_passes(plan.explainers()["occlusion-8"], (3, 32, 32))[0]
    # Of 4 images and 2 targets each: 14 predictions, and 14 explanations by Grad-CAM, one pass
    # each, and by occlusion, with its windows.
    assert moved.forward - none.forward == 4 * 2 * 14 * (1 + 1 + 1 + windows)
    assert moved.backward - none.backward == 4 * 2 * 14


def test_passes_are_planned_without_a_model():
    assert planned_passes(IntegratedGradients(steps=7), (3, 16, 16)) == (8, 7)
    assert planned_passes(Occlusion(window=8, stride=8), (3, 16, 24)) == (6, 0)
    assert planned_passes(RISE(masks=9), (3, 16, 16)) == (9, 0)
    assert planned_passes(ScoreCAM(), (3, 16, 16), channels=10) == (10, 0)
    few = ScoreCAM(top=4, weighting="algorithm1")
    assert planned_passes(few, (3, 16, 16), channels=10) == (5, 0)


PLANS = [
    pytest.param('name = "gradcam"', 'name = "gradcat"', "no method 'gradcat'", id="method"),
    pytest.param("window = 8", "windows = 8", "occlusion has no setting 'windows'", id="setting"),
    pytest.param("window = 8", "card = 8", "'card'; it has window, stride, fill", id="no setting"),
    pytest.param('as = "occlusion-8"', 'as = "gradcam"', "two methods are called", id="names"),
    pytest.param('level = "standard"', 'level = "fast"', "line 3: level = 'fast'", id="level"),
    pytest.param('folder = "out"', 'folders = "out"', "unknown key 'output.folders'", id="key"),
    pytest.param("random_orders = 2", "threshold = 2",
                 "unknown key 'measures.threshold'; known here: names, random_orders", id="no key"),
    pytest.param('files = "eyes/*"', "", "either files or manifest", id="no images"),
    pytest.param('files = "eyes/*"', 'files = "eyes/*"\nlabels = ["site"]', "of a manifest",
                 id="labels"),
    pytest.param("{region}.png", "all.png", "needs {region}", id="regions"),
    pytest.param("random_orders = 2", 'names = ["roar"]', "no measure 'roar'", id="measure"),
    pytest.param("random_orders = 2", 'names = ["sensitivity-n"]', "three meanings",
                 id="ambiguous measure"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), PLANS)
def test_a_wrong_plan_says_what_was_wrong(cohort_folder, old, new, message):
    path = cohort_folder / "plan.toml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(PlanError, match=message):
        read_plan(path)


def test_images_that_are_not_there_are_said_before_anything_is_written(cohort_folder):
    path = cohort_folder / "plan.toml"
    path.write_text(path.read_text().replace("eyes/*", "eyes/*.tif"))
    with pytest.raises(PlanError, match=r"no file matches 'eyes/\*\.tif'"):
        job(cohort_folder)
    assert not (cohort_folder / "out").exists()


MANIFESTS = [
    pytest.param("", "has no rows", id="empty"),
    pytest.param("file,grade\na.png,1\n", "needs a column 'image'", id="no column"),
    pytest.param("image,grade\n,1\n", "names no image in line 2", id="no name"),
    pytest.param("image,grade\neyes/a.png,2,x\n", "line 2 .* has 3 cells", id="ragged"),
    pytest.param("image,Image\na.png,b.png\n", "two columns 'image'", id="columns"),
    pytest.param("image\neyes/a.png\neyes/a.png\n", "in the plan twice", id="twice"),
    pytest.param(None, "cannot read the manifest", id="missing"),
]


@pytest.mark.parametrize(("text", "message"), MANIFESTS)
def test_a_wrong_manifest_says_what_was_wrong(cohort_folder, text, message):
    if text is not None:
        (cohort_folder / "cohort.csv").write_text(text)
    path = cohort_folder / "plan.toml"
    path.write_text(path.read_text().replace('files = "eyes/*"', 'manifest = "cohort.csv"'))
    with pytest.raises(PlanError, match=message):
        job(cohort_folder)


def in_plan(folder: Path, old: str, new: str) -> None:
    """Change a line of the plan."""
    text = (folder / "plan.toml").read_text()
    assert old in text
    (folder / "plan.toml").write_text(text.replace(old, new))


def test_a_hospitals_columns_do_not_enter_the_run(cohort_folder):
    (cohort_folder / "cohort.csv").write_text(
        "image,Patient,patient_name,birth date,grade,site\n"
        "eyes/Anna-Muster_R.png,MRN12345,Anna Clearname,1950-01-02,2,Bern\n"
    )
    in_plan(cohort_folder, 'files = "eyes/*"', 'manifest = "cohort.csv"\nlabels = ["site"]')
    with pytest.warns(FovealWarning, match="patient_name, birth date"):
        work = job(cohort_folder, level="quick")
    (case,) = run(work).run.cases()
    assert case.labels == {"grade": "2", "site": "Bern"}
    assert case.patient.startswith("P-")
    whole = b"".join(tree(cohort_folder / "out").values())
    for told in (b"MRN12345", b"Clearname", b"1950-01-02"):
        assert told not in whole


def test_two_models_of_one_name_are_refused(cohort_folder):
    card = (cohort_folder / "model.toml").read_text()
    other = card.replace("mean = [0.5, 0.5, 0.5]", "mean = [0.1, 0.1, 0.1]")
    (cohort_folder / "other.toml").write_text(other)
    in_plan(cohort_folder, "[[models]]", '[[models]]\ncard = "other.toml"\n\n[[models]]')
    with pytest.raises(PlanError, match="two models are called 'tiny'; give one card another name"):
        job(cohort_folder)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        pytest.param('["Severe", "Severe"]', "target 'Severe' is asked for twice", id="target"),
        pytest.param('["grade>=2", "grade >= 2"]', "target 'grade >= 2'", id="spellings"),
        pytest.param('["Mild"]\nlayers = ["0", "0"]', "layer '0' is named twice", id="layer"),
    ],
)
def test_what_is_asked_for_twice_is_refused(cohort_folder, asked, message):
    in_plan(cohort_folder, '["predicted", "grade>=2"]', asked)
    with pytest.raises(PlanError, match=message):
        run(job(cohort_folder))
    assert not (cohort_folder / "out").exists()


def test_the_key_file_is_beside_the_plan_and_never_inside_the_run(cohort_folder, monkeypatch):
    (cohort_folder / "elsewhere").mkdir()
    monkeypatch.chdir(cohort_folder / "elsewhere")
    assert job(cohort_folder, key="keys/trial.json").key == cohort_folder / "keys" / "trial.json"
    for inside in ("out/my.key.json", str(cohort_folder / "out" / "my.key.json")):
        with pytest.raises(PlanError, match="choose a place outside"):
            job(cohort_folder, key=inside)


def test_masks_that_match_no_image_are_noted_before_the_run(cohort_folder):
    in_plan(cohort_folder, '"masks/', '"mask/')
    with pytest.warns(FovealWarning, match=r"no mask of any image matches .*mask/\{stem\}"):
        job(cohort_folder)


def test_a_target_or_layer_that_the_model_lacks_is_said_before_anything_is_written(cohort_folder):
    path = cohort_folder / "plan.toml"
    path.write_text(path.read_text().replace('"grade>=2"', '"Proliferative"'))
    with pytest.raises(ValueError, match="no class 'Proliferative'"):
        run(job(cohort_folder))
    assert not (cohort_folder / "out").exists()


def test_a_method_that_the_model_cannot_serve_ends_the_run_with_the_reason(cohort_folder):
    path = cohort_folder / "plan.toml"
    path.write_text(
        path.read_text().replace('card = "model.toml"', 'card = "model.toml"\nlayers = ["4"]')
    )
    before = {file.name for file in cohort_folder.iterdir()}
    with pytest.raises(ModelError, match="no rows and columns to make a map of"):
        run(job(cohort_folder))
    left = {file.name for file in cohort_folder.iterdir()} - before
    assert left == {"out.key.json"}, "the folder is free for the right call"


def test_a_plan_may_be_put_together_in_memory():
    plan = plan_from(
        {
            "name": "p",
            "images": [{"files": "*.png"}],
            "models": [{"card": "m.toml"}],
            "methods": [{"name": "smoothgrad", "samples": 4}],
            "output": {"folder": "out"},
        }
    )
    assert plan.explainers()["smoothgrad"].samples == 4  # type: ignore[attr-defined]
    assert "deletion_auc" in plan.measure_names
    with pytest.raises(PlanError, match="missing key 'images'"):
        plan_from({"name": "p"})
