"""A result in memory as a run on disk."""

import pytest

import foveal
from foveal.store import Run

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")


def test_an_image_that_is_explained_twice_is_two_images_of_the_run(cohort_folder):
    model = foveal.load_model(cohort_folder / "model.toml", trust=True)
    path = cohort_folder / "eyes" / "Anna-Muster_R.png"
    foveal.explain(model, [path, path], out=cohort_folder / "twice")
    cases = list(Run.open(cohort_folder / "twice").cases())
    assert len({case.id for case in cases}) == 2
    assert [len(case.views[0].explained) for case in cases] == [1, 1]
