"""Maps made elsewhere, named on the command line."""

import numpy as np
import pytest

from foveal.app.cli import main
from foveal.store import Run

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")


def explain(*options: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["explain", "model.toml", "eyes/Anna*", "--trust", "--level", "quick", *options])
    return int(left.value.code or 0)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore::foveal.core.FovealWarning")
def test_maps_are_named_with_their_pattern_and_grid(cohort_folder, monkeypatch):
    monkeypatch.chdir(cohort_folder)
    np.save(cohort_folder / "Anna-Muster_R.npy", np.eye(32))
    assert explain("--maps", "shap={stem}.npy", "--maps-grid", "prepared") == 0
    kept = Run.open(cohort_folder / "foveal-run")
    (case,) = kept.cases()
    np.testing.assert_array_equal(case.views[0].explained[1].attribution.map, np.eye(32))
    assert '--maps "shap=<files>" --maps-grid prepared' in kept.header["command"]
    assert explain("--maps", "shap") == 2


def test_a_map_that_is_not_there_is_said(cohort_folder, monkeypatch, capsys):
    monkeypatch.chdir(cohort_folder)
    np.save(cohort_folder / "Anna-Muster_R.npy", np.eye(64))
    assert explain("eyes/Bert*", "--maps", "shap={stem}.npy") == 0
    assert "note: there is no map 'shap' of this image (1 image)" in capsys.readouterr().err
