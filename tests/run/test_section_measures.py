"""Sections of a volume in a run are measured in micrometres, along the light and across it."""

import numpy as np
import pytest
from PIL import Image as PillowImage

from foveal.run import open_job, plan_from, run
from foveal.synthetic.dicom import ophthalmic_tomography


@pytest.mark.filterwarnings("ignore::foveal.FovealWarning")
def test_a_hit_in_a_section_is_near_by_25_and_50_micrometres(cohort_folder):
    sections = np.random.default_rng(0).integers(0, 255, (2, 64, 32), np.uint8)
    ophthalmic_tomography(sections, spacing_mm=(0.004, 0.012)).save_as(cohort_folder / "scan.dcm")
    mask = np.zeros((64, 32), np.uint8)
    mask[8:20, 4:9] = 255
    PillowImage.fromarray(mask).save(cohort_folder / "masks" / "scan_001_drusen.png")
    plan = plan_from(
        {
            "name": "sections",
            "level": "quick",
            "images": [
                {
                    "files": "scan.dcm",
                    "sections": 1,
                    "regions": "masks/{stem}_{region}.png",
                }
            ],
            "models": [{"card": "model.toml", "targets": ["Severe"]}],
            "methods": [{"name": "saliency"}],
            "output": {"folder": "sections"},
        }
    )
    job = open_job(plan, cohort_folder, trust=True)
    (case,) = run(job, command="test").run.cases()
    scores = [
        measured.score
        for measured in case.views[0].explained[0].scores
        if "tolerance_um" in measured.score.params
    ]
    assert "pointing_game" in {score.name for score in scores}
    for score in scores:
        assert score.params["tolerance_um"] == pytest.approx([25, 50])
        # Two rows of 4 um make one of the model's grid, and two columns of 12 um.
        assert score.params["tolerance_px"] == pytest.approx([25 / 8, 50 / 24])
