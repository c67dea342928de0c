"""Every map of a run has a finding, which follows its scores and the whole cohort."""

from pathlib import Path

import pytest
from PIL import Image as PillowImage

from foveal.core import Score
from foveal.models import load
from foveal.run import estimate, open_job, read_plan, remeasure, run
from foveal.run.diagnosing import findings_of, renew_findings, variance_limits
from foveal.run.gating import gates_kept, witnesses_of
from foveal.run.measuring import Yardstick
from foveal.store import MapName, Measured, Run, Scored

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")


def with_measures(base: Path, *names: str) -> Run:
    """A run of the plan that makes these measures alone."""
    plan = read_plan(base / "plan.toml")
    chosen = plan.measures.model_copy(update={"names": names})
    plan = plan.model_copy(update={"measures": chosen})
    return run(open_job(plan, base, trust=True)).run


def labels(run: Run) -> list[str]:
    return [
        e.finding.label
        for case in run.cases()
        for view in case.views
        for e in view.explained
        if e.finding is not None
    ]


def scored(value: float, model: str = "grader") -> Scored:
    score = Score(name="repeat_variance", value=value, direction="lower", range=(0, float("inf")))
    name = MapName(f"I-{value}", model, "gradcam", "Severe")
    return Scored(name=name, reason=None, scores=(Measured(score=score),))


def test_a_run_has_a_finding_for_every_map_and_measuring_again_renews_them(cohort_folder):
    made = with_measures(cohort_folder, "gini")
    assert len(labels(made)) == 3 * 2 * 2
    before = labels(made)
    remeasure(made, Yardstick(names=("ebc", "mean_attribution_area")))
    (case, *_) = (case for case in made.cases() if case.failure is None)
    for explained in case.views[0].explained:
        values = {m.score.name: m.score.value for m in explained.scores}
        flat = values["ebc"] is None
        spread = not flat and (values["ebc"] < 0.4 or values["mean_attribution_area"] > 0.3)
        assert explained.finding is not None
        assert (explained.finding.label == "EMPTY") is flat
        assert (explained.finding.label == "DIFFUSE") is spread
        assert not any("ebc was not measured" in line for line in explained.finding.unchecked)
    assert labels(made) != before


def test_findings_are_the_same_when_they_are_made_again(cohort_folder):
    made = with_measures(cohort_folder, "ebc")
    table = made.shard(0) / "findings.parquet"
    written = table.stat().st_mtime_ns
    renew_findings(made)
    assert table.stat().st_mtime_ns == written


def test_each_model_has_its_own_limit_of_variance():
    maps = [scored(float(n)) for n in range(21)] + [scored(9.0, "other")]
    assert variance_limits(maps) == {"grader": pytest.approx(19), "other": None}
    (noisy,) = findings_of([scored(20.0)], {}, {"grader": 19.0}).values()
    assert any("hfpr was not measured" in line for line in noisy.unchecked)


@pytest.fixture
def six_eyes(cohort_folder: Path) -> Path:
    """Three photographs more, each of another patient as far as anybody knows."""
    for path in sorted((cohort_folder / "eyes").glob("*.png")):
        with PillowImage.open(path) as picture:
            picture.rotate(90).save(path.with_name(f"turned-{path.name}"))
    return cohort_folder


def test_several_patients_say_whether_a_method_notices_a_ruined_model(six_eyes):
    made = with_measures(six_eyes, "mprt")
    gates = gates_kept(made)
    assert set(gates) == {("tiny", "gradcam"), ("tiny", "occlusion-8")}
    for gate in gates.values():
        assert gate.name == "mprt"
        assert gate.parts["passed"] in (True, False)
        assert gate.parts["auroc_interval"] is not None
    kept = Run.open(made.folder)
    assert gates_kept(kept) == gates
    for case in kept.cases():
        for view in case.views:
            for explained in view.explained:
                assert explained.finding is not None
                unchecked = " ".join(explained.finding.unchecked)
                assert "METHOD_INSENSITIVE not ruled out: mprt was not" not in unchecked


def test_fewer_than_five_patients_give_no_verdict_and_the_finding_says_so(cohort_folder):
    made = with_measures(cohort_folder, "mprt")
    assert gates_kept(made) == {}
    (case, *_) = (case for case in made.cases() if case.failure is None)
    finding = case.views[0].explained[0].finding
    assert finding is not None
    assert any("mprt was not measured" in line for line in finding.unchecked)


def test_a_patient_stands_for_the_cohort_once(six_eyes):
    made = with_measures(six_eyes, "ebc")
    model = load(six_eyes / "model.toml", trust=True)
    cases = [case for case in made.cases() if case.failure is None]
    assert len(witnesses_of(cases, model)) == 6
    assert len(witnesses_of(cases * 2, model)) == 6
    first = witnesses_of(cases, model)[0]
    assert set(first.maps) == {"gradcam", "occlusion-8"}
    assert {one.target.partition(":")[0] for one in first.maps.values()} == {"predicted"}


def test_the_estimate_counts_the_passes_of_the_gate(six_eyes, monkeypatch):
    plan = read_plan(six_eyes / "plan.toml")
    chosen = plan.measures.model_copy(update={"names": ("mprt",)})
    plan = plan.model_copy(update={"measures": chosen, "methods": plan.methods[:1]})
    job = open_job(plan, six_eyes, trust=True)
    foreseen = estimate(job).forward
    (model,) = job.models
    forwards = []
    before = type(model).forward

    def counting(self, images):
        forwards.append(len(images))
        return before(self, images)

    monkeypatch.setattr(type(model), "forward", counting)
    run(job)
    # Two layers with weights, three seeds, and the trained model's own; the seventh image fails,
    # and choosing the layer takes a pass a target. Six patients answer, the seventh was foreseen.
    explanations = 1 + 3 * 2
    of_images = 6 * (1 + 2 * (1 + explanations)) + 2
    assert sum(forwards) == of_images + 6 * explanations
    assert foreseen == 7 * (1 + 2 * (1 + explanations)) + 7 * explanations
