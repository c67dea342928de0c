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


def test_a_folder_that_cannot_take_the_run_is_said_before_anything_is_explained(
    cohort_folder, monkeypatch
):
    model = foveal.load_model(cohort_folder / "model.toml", trust=True)
    path = cohort_folder / "eyes" / "Anna-Muster_R.png"
    monkeypatch.setattr("foveal.doors.clinical.look", None)  # would be called to explain
    (cohort_folder / "file").write_text("")
    with pytest.raises(foveal.StoreError, match="holds no run"):
        foveal.explain(model, path, out=cohort_folder / "masks")
    with pytest.raises(foveal.StoreError, match="cannot write"):
        foveal.explain(model, path, out=cohort_folder / "file" / "run")
    with pytest.raises(TypeError, match="not callable"):
        foveal.explain(model, path, out=cohort_folder / "new")
    assert not (cohort_folder / "new").exists()
