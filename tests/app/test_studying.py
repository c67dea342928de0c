"""The command `foveal prepare-study` on files."""

import json

import pytest

from foveal.app.cli import _run as run_command

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")


def test_a_study_of_files_prints_its_table_and_names_no_file(cohort_folder, capsys, monkeypatch):
    monkeypatch.chdir(cohort_folder)
    code = run_command(
        ["prepare-study", "model.toml", "eyes", "--modality", "fundus", "--trust",
         "--regions", "masks/{stem}_{region}.png", "--step", "illumination method=ben-graham",
         "--step", "normalisation", "--out", "study"]
    )  # fmt: skip
    said = capsys.readouterr()
    assert code == 3, "one file is no picture"
    assert "4 images, 3 comparisons" in said.out
    assert "illumination method ben-graham" in said.out
    told = json.loads((cohort_folder / "study" / "study.json").read_text(encoding="utf-8"))
    assert list(told["failures"]) == ["image 4"]
    assert {row["measure"] for row in told["rows"]} >= {"relevance_mass", "intensity_cv"}
    pages = [file.read_text(encoding="utf-8") for file in (cohort_folder / "study").iterdir()]
    for name in ("Muster", "Beispiel", "Exempel", str(cohort_folder)):
        assert not any(name in text for text in [*pages, said.out])


@pytest.mark.parametrize(
    ("step", "said"),
    [("illumination method", "needs name=value"), ("illumination method=none", "method")],
    ids=["no value", "unknown method"],
)
def test_a_step_that_is_none_is_said_before_or_with_the_first_image(
    step, said, cohort_folder, capsys, monkeypatch
):
    monkeypatch.chdir(cohort_folder)
    arguments = ["prepare-study", "model.toml", "eyes", "--trust", "--step", step, "--out", "none"]
    assert run_command(arguments) == 2
    assert said in capsys.readouterr().err
    assert not (cohort_folder / "none").exists()
