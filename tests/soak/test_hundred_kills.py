"""A hundred kills at random moments: nothing is lost, nothing is there twice."""

import pytest
from killing import killed_runs


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10, 14))
def test_runs_killed_at_any_moment_leave_the_same_bytes_when_they_are_done(
    cohort_folder, seed, capsys
):
    told = killed_runs(cohort_folder, 25, seed=seed)

    with capsys.disabled():
        print(told)  # noqa: T201 (who runs this for an hour wants the counts)
    assert told["wrong"] == []
    assert told["killed"] == 25
    assert len(told["states"]) >= 4, "they were killed at different moments"
