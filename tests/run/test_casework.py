"""What is kept of one image beside its case: times, costs and warnings."""

import warnings

import pytest

from foveal.core import FovealWarning, ImageError
from foveal.images import read
from foveal.run import open_job, read_plan, run

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")


def test_warnings_are_kept_without_what_other_libraries_repeat_of_a_file(
    cohort_folder, monkeypatch
):
    def warned(path, **settings):
        warnings.warn("Invalid value for VR UI: 'MRN12345'", stacklevel=1)
        warnings.warn(f"{path.stem} has no spacing", FovealWarning, stacklevel=1)
        if path.stem.startswith("Anna"):
            raise ImageError("is damaged")
        return read(path, **settings)

    monkeypatch.setattr("foveal.run.reading.read", warned)
    kept = run(open_job(read_plan(cohort_folder / "plan.toml"), cohort_folder, trust=True)).run
    told = [event for event in kept.events() if event["event"] == "warning"]
    failed = set(kept.failures())
    assert len(failed) == 2
    assert {event["image"] for event in told} >= failed
    assert sum(event["text"] == "UserWarning in test_casework" for event in told) == 4
    assert sum(event["text"] == f"{event['image']} has no spacing" for event in told) == 4
    log = (kept.folder / "log.jsonl").read_text()
    for name in ("MRN12345", "Anna", "Muster", "Dora"):
        assert name not in log
