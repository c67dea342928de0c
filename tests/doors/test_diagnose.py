"""The clinical door says what is wrong with each map, and the run it saves says the same."""

import pytest

import foveal
from foveal.core import FINDINGS
from foveal.store import Run

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")


@pytest.fixture
def model(cohort_folder):
    return foveal.load_model(cohort_folder / "model.toml", trust=True)


@pytest.fixture
def eyes(cohort_folder):
    return [foveal.read(path) for path in sorted((cohort_folder / "eyes").glob("*.png"))]


def test_before_anything_is_measured_every_check_is_open(model, eyes):
    result = foveal.explain(model, eyes[0], ["gradcam", "saliency"], target="Severe")
    assert result.findings == []
    findings = foveal.diagnose(result)
    assert findings == result.findings
    assert len(findings) == 2
    for finding, made in zip(findings, result.attributions, strict=True):
        assert finding.label == ("UNVERIFIED_FOCUS" if made.reason is None else "EMPTY")
    assert result.scores == [], "diagnosing measures nothing"


def test_measuring_renews_the_findings(model, eyes):
    result = foveal.explain(model, eyes[0], "saliency", target="Severe")
    (before,) = foveal.diagnose(result)
    foveal.measure(result, measures=["ebc", "mean_attribution_area", "out_of_fov_mass"])
    (after,) = result.findings
    assert any("ebc was not measured" in line for line in before.unchecked)
    assert not any("ebc was not measured" in line for line in after.unchecked)
    assert foveal.diagnose(result) == [after]


def test_the_finding_stands_in_what_is_printed_and_shown_and_saved(model, eyes, tmp_path):
    result = foveal.explain(model, eyes, "gradcam", target="Severe", out=tmp_path / "run")
    foveal.measure(result, level="quick")
    lines = str(result).splitlines()
    assert lines[0] == repr(result)
    for number, (line, finding) in enumerate(zip(lines[1:], result.findings, strict=True)):
        assert line.startswith(f"image {number + 1}, gradcam: {finding.label}, {finding.text}")
        assert line.endswith(f"Next: {finding.next_step}")
    assert "Muster" not in str(result), "names of files may be names of patients"
    assert "What is wrong with them" in result._repr_html_()
    saved = [
        explained.finding
        for case in Run.open(tmp_path / "run").cases()
        for explained in case.views[0].explained
    ]
    assert sorted(map(repr, saved)) == sorted(map(repr, result.findings))
    assert {finding.label for finding in result.findings} <= set(FINDINGS)


def test_five_patients_say_whether_the_method_notices_a_ruined_model(model, eyes, tmp_path):
    result = foveal.explain(model, eyes, "gradcam", target=None)
    foveal.measure(result, measures=["mprt"])
    assert result.gates == {}, "three patients are too few"
    result = foveal.explain(model, [*eyes, *eyes], "gradcam", out=tmp_path / "run")
    foveal.measure(result, measures=["mprt"])
    (gate,) = result.gates.values()
    assert gate.parts["passed"] in (True, False)
    (kept,) = Run.open(tmp_path / "run").header["gates"]
    assert (kept["model"], kept["key"]) == ("tiny", "gradcam")
    assert kept["score"]["parts"]["auroc"] == gate.parts["auroc"]
