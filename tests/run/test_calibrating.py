"""A calibrator that a card names: applied to what is shown, kept beside what the model says."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from foveal import explain, load_model
from foveal.analysis import FittedCalibrator, Temperature, write_calibrator
from foveal.core import ModelError, Prediction
from foveal.report import write_audit, write_page
from foveal.run import open_job, read_plan, run
from foveal.run.calibrating import calibrated, calibrator_of
from foveal.run.header import fingerprint
from foveal.store import Run
from foveal.store.tables import prediction_from

pytestmark = pytest.mark.filterwarnings("ignore:the card of tiny has no")
CLASSES = ("No DR", "Mild", "Severe")


def with_calibrator(folder, **changes):
    """The tiny model with a temperature of 2 beside its card."""
    card = folder / "model.toml"
    plain = load_model(card, trust=True)
    fitted = {
        "calibrator": Temperature(temperature=2.0),
        "model": "tiny",
        "fingerprint": plain.fingerprint,
        "classes": CLASSES,
        "rows": 40,
        "units": 20,
        "unit": "patient",
        "split": "half of the patients, seed 0",
        "measured": {"ece": (0.2, 0.05)},
        **changes,
    }
    write_calibrator(FittedCalibrator(**fitted), folder / "tiny.calibrator.json")
    card.write_text('calibrator = "tiny.calibrator.json"\n' + card.read_text())
    return plain, load_model(card, trust=True)


def test_naming_a_calibrator_does_not_make_another_model(folder):
    plain, model = with_calibrator(folder)
    assert model.fingerprint == plain.fingerprint
    assert calibrator_of(plain) is None
    assert calibrator_of(model).calibrator == Temperature(temperature=2.0)


def test_what_is_shown_is_calibrated_and_what_is_explained_is_not(folder):
    plain, model = with_calibrator(folder)
    before = explain(plain, folder / "eye.png", methods="gradcam")
    after = explain(model, folder / "eye.png", methods="gradcam")
    one, other = before.readings[0].seen.prediction, after.readings[0].seen.prediction
    assert other.values == one.values
    assert not one.calibrated
    own = np.array(list(one.values.values())) ** 0.5
    np.testing.assert_allclose(list(other.calibrated.values()), own / own.sum())
    assert tuple(other.calibrated) == CLASSES
    np.testing.assert_array_equal(before.attributions[0].map, after.attributions[0].map)
    assert before.attributions[0].score == after.attributions[0].score


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"fingerprint": "other"}, "was fitted for another model than tiny"),
        ({"classes": ("a", "b", "c")}, "knows the classes"),
    ],
    ids=["fingerprint", "classes"],
)
def test_the_calibrator_of_another_model_is_refused(folder, changes, says):
    _, model = with_calibrator(folder, **changes)
    with pytest.raises(ModelError, match=says):
        explain(model, folder / "eye.png")


def test_a_task_without_one_class_an_image_takes_no_calibrator(folder):
    card = folder / "model.toml"
    card.write_text('calibrator = "c.json"\n' + card.read_text().replace("ordinal", "multilabel"))
    with pytest.raises(ModelError, match="is a multilabel model"):
        calibrator_of(load_model(card, trust=True))


def test_a_run_keeps_both_probabilities_and_the_report_says_which_is_explained(cohort_folder):
    with_calibrator(cohort_folder)
    plan = cohort_folder / "plan.toml"
    text = plan.read_text().replace('level = "standard"', 'level = "quick"')
    plan.write_text(text)
    job = open_job(read_plan(plan), cohort_folder, trust=True)
    run(job)
    write_page(Run.open(cohort_folder / "out"))
    write_audit(Run.open(cohort_folder / "out"))
    kept = Run.open(cohort_folder / "out")
    views = [view for case in kept.cases() for view in case.views]
    for view in views:
        own = np.array(list(view.prediction.values.values())) ** 0.5
        np.testing.assert_allclose(list(view.prediction.calibrated.values()), own / own.sum())
    (facts,) = kept.header["models"]
    assert facts["calibrator"]["method"] == "temperature"
    assert facts["calibrator"]["units"] == 20
    page = (cohort_folder / "out" / "report.html").read_text()
    assert "temperature, fitted on 20 patients (half of the patients, seed 0)" in page
    assert "before calibration" in page
    told = json.loads((cohort_folder / "out" / "report.json").read_text())
    shown = [v["prediction"]["calibrated"] for c in told["cases"] for v in c.get("views", ())]
    assert [len(values) for values in shown if values] == [3] * len(views)


def test_another_calibrator_makes_another_run(cohort_folder):
    _, model = with_calibrator(cohort_folder)
    plan, marks = read_plan(cohort_folder / "plan.toml"), []
    for temperature in (2.0, 2.0, 3.0):
        changed = replace(calibrator_of(model), calibrator=Temperature(temperature=temperature))
        write_calibrator(changed, model.calibrator)
        job = open_job(plan, cohort_folder, trust=True)
        marks.append(fingerprint(job.plan, job.entries, job.models))
    assert marks[0] == marks[1] != marks[2]


def test_the_odds_of_a_sure_binary_answer_are_kept(folder):
    card = folder / "model.toml"
    card.write_text(
        card.read_text()
        .replace('task = "ordinal"', 'task = "binary"')
        .replace('["No DR", "Mild", "Severe"]', '["healthy", "glaucoma"]')
        .replace('weights = "tiny.safetensors"', "arguments = { classes = 1 }")
    )
    model = load_model(card, trust=True)
    said = model.read(torch.tensor([[40.0]]))
    assert said.values["healthy"] == pytest.approx(np.exp(-40.0), rel=1e-6)
    fitted = FittedCalibrator(
        calibrator=Temperature(temperature=10.0), model="tiny", fingerprint="", rows=1, units=1,
        unit="patient", split="", measured={}, classes=("healthy", "glaucoma"),
    )  # fmt: skip
    made = calibrated(said, fitted)
    assert isinstance(made, Prediction)
    assert made.calibrated["glaucoma"] == pytest.approx(1 / (1 + np.exp(-4.0)))


def test_a_run_from_before_calibrators_is_read_without_one():
    row = {"prediction": "Mild", "predicted_index": 1, "values": '[["Mild", 0.5]]', "unit": None}
    assert not prediction_from(row).calibrated
