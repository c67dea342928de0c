"""Runs that were killed go on to the same bytes; `make soak` kills a hundred."""

import os

import pytest
from killing import killed_runs


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes do not fork here")
def test_runs_killed_ten_times_leave_the_same_bytes_when_they_are_done(cohort_folder):
    told = killed_runs(cohort_folder, 10, seed=4)

    assert told["wrong"] == []
    assert told["killed"] == 10
    assert len(told["states"]) >= 3, "they were killed at different moments"
