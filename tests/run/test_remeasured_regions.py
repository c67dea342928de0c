"""What measuring again makes of mirrored eyes, of anatomy, and of several graders."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as PillowImage

from foveal.core import Region
from foveal.images import consensus_of
from foveal.run import LEVELS, open_job, read_plan, remeasure, run
from foveal.run.measuring import Yardstick
from foveal.run.placing import place_of
from foveal.store import Run

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")

QUICK = Yardstick(names=LEVELS["quick"])


@pytest.fixture
def finished(cohort_folder) -> Run:
    plan = cohort_folder / "plan.toml"
    plan.write_text(plan.read_text().replace('level = "standard"', 'level = "quick"'))
    return run(open_job(read_plan(plan), cohort_folder, trust=True)).run


def rewritten(run: Run, change) -> None:
    """The run as if its cases had been others."""
    for number in run.numbers():
        cases = [case if case.failure else change(case) for case in run.cases_of(number)]
        run.write(number, cases, again=True)


def test_a_mirrored_eye_of_known_spacing_is_measured_again(finished, monkeypatch):
    flip = {
        "step": "flip", "source": [32, 32], "target": [32, 32], "to": "right",
        "laterality": "left", "mirrored": True,
    }  # fmt: skip
    rewritten(
        finished,
        lambda case: replace(
            case,
            spacing_mm=(0.01, 0.02),
            views=tuple(replace(view, steps=(*view.steps, flip)) for view in case.views),
        ),
    )
    spacings = []

    def asked(image, *more):
        spacings.append(image.spacing_mm)
        return place_of(image, *more)

    monkeypatch.setattr(sys.modules["foveal.run.remeasure"], "place_of", asked)
    remeasure(finished, QUICK)
    assert len(spacings) > 0
    assert all(
        rows > 0 and columns / rows == pytest.approx(2, rel=0.05) for rows, columns in spacings
    )


def test_anatomy_stays_beside_masks_that_came_later(finished, cohort_folder):
    small = np.zeros((32, 32), bool)
    small[4:9, 4:9] = True
    centre = Region(name="ETDRS centre", kind="anatomy", mask=small)
    rewritten(
        finished,
        lambda case: replace(
            case,
            regions=(*case.regions, replace(centre, mask=small.repeat(2, 0).repeat(2, 1))),
            facts={
                "anatomy.hard exudates.source": "heuristic",
                "anatomy.hard exudates.confidence": 0.8,
                "anatomy.fovea.source": "heuristic",
            },
            views=tuple(replace(v, regions=(*v.regions, centre)) for v in case.views),
        ),
    )
    remeasure(finished, QUICK, regions=str(cohort_folder / "masks" / "{stem}_{region}.png"))
    for case in (case for case in finished.cases() if case.failure is None):
        names = ["ETDRS centre", "hard exudates", "microaneurysms"]
        assert sorted(region.name for region in case.regions) == names
        assert sorted(region.name for region in case.views[0].regions) == names
        assert dict(case.facts) == {
            "anatomy.hard exudates.source": "mask",
            "anatomy.hard exudates.confidence": 1.0,
            "anatomy.fovea.source": "heuristic",
        }


def test_graders_are_joined_as_the_plan_says(finished, cohort_folder, monkeypatch):
    for grader in ("a", "b"):
        (cohort_folder / "later" / grader).mkdir(parents=True)
        mask = np.zeros((64, 64), np.uint8)
        mask[28:36, 28:36] = 255
        PillowImage.fromarray(mask).save(cohort_folder / "later" / grader / "Anna-Muster_R_EX.png")
    (table,) = finished.header["plan"]["images"]
    plan = {**finished.header["plan"], "images": [{**table, "consensus": "staple"}]}
    finished.write_header({**finished.header, "plan": plan})
    asked = []

    def joined(regions, method):
        asked.append(method)
        return consensus_of(regions, method)

    monkeypatch.setattr("foveal.images.regions.consensus_of", joined)
    pattern = str(cohort_folder / "later" / "{grader}" / "{stem}_{region}.png")
    remeasure(finished, QUICK, regions=pattern)
    assert set(asked) == {"staple"}
