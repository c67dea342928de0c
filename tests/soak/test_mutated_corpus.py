"""Thousands of wrong files of every kind: a typed error or an answer, and nothing else."""

import pytest
from mutants import corpus, problems, summary

PARTS = 8
EACH = 120
"""Mutants of each kind."""


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
def test_no_wrong_file_does_more_than_be_refused(part, capsys):
    trials = corpus(1, range(EACH), part=part, parts=PARTS)

    with capsys.disabled():
        print(summary(trials))  # noqa: T201 (who runs this for an hour wants the counts)
    assert problems(trials) == ""
    assert len(trials) > 10_000 / PARTS
    assert {"read", "ImageError"} < {trial.outcome for trial in trials}
