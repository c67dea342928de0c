"""Findings come back as they were written, and are replaced without touching anything else."""

from pathlib import Path

import numpy as np
import pytest

from foveal.core import Attribution, Evidence, Finding, Prediction, Score, StoreError
from foveal.store import Case, Explained, MapName, Measured, Run, View

FINDING = Finding(
    label="DIFFUSE",
    cause="weak_evidence: the model is unsure",
    evidence=(
        Evidence(measure="ebc", value=0.25, chance=0.2),
        Evidence(measure="dice", region="all lesions", reason="not measured"),
    ),
    unchecked=("NOISY not ruled out: hfpr was not measured",),
    warnings=("1.0 % of the evidence lies outside the eye",),
    next_step="compare layers",
)
NAME = MapName("I-0", "grader", "gradcam", "Severe")


def explained(finding: Finding | None) -> Explained:
    made = Attribution(
        map=np.ones((2, 2), np.float32), method="gradcam", target="Severe", reason="constant_map"
    )
    score = Score(name="ebc", value=0.25, direction="higher", range=(0, 1))
    return Explained(
        key="gradcam", attribution=made, scores=(Measured(score=score),), finding=finding
    )


def case(finding: Finding | None) -> Case:
    view = View(
        model="grader",
        steps=(),
        pixels=np.zeros((3, 4, 4), np.float32),
        field=np.ones((4, 4), bool),
        prediction=Prediction(label="Severe", index=1, values={}),
        explained=(explained(finding),),
    )
    return Case(id="I-0", grid=(4, 4), views=(view,))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run.create(tmp_path / "run", {"fingerprint": "f"})
    made.write(0, [case(None)])
    return made


def files(run: Run) -> dict[str, bytes]:
    inside = run.folder / "shards"
    return {str(p.relative_to(inside)): p.read_bytes() for p in inside.rglob("*") if p.is_file()}


def finding_of(run: Run) -> Finding | None:
    (kept,) = run.cases()
    return kept.views[0].explained[0].finding


def test_a_finding_written_with_its_case_comes_back_equal(tmp_path):
    made = Run.create(tmp_path, {"fingerprint": "f"})
    made.write(0, [case(FINDING)])
    assert finding_of(made) == FINDING
    (scored,) = made.scored_of(0)
    assert (scored.name, scored.reason, scored.finding) == (NAME, "constant_map", FINDING)
    assert [m.score.value for m in scored.scores] == [0.25]


def test_findings_are_replaced_and_nothing_else_is(run):
    assert finding_of(run) is None
    before = files(run)
    run.write_findings(0, {NAME: FINDING})
    assert finding_of(run) == FINDING
    after = files(run)
    assert [name for name in after if after[name] != before.get(name)] == ["00000/findings.parquet"]
    assert set(after) == set(before)


def test_the_shards_of_older_runs_have_no_findings_and_are_read(run):
    (run.shard(0) / "findings.parquet").unlink()
    assert finding_of(run) is None
    (scored,) = run.scored_of(0)
    assert scored.finding is None
    run.write_findings(0, {NAME: FINDING})
    assert finding_of(run) == FINDING


def test_findings_that_cannot_be_written_leave_the_old_ones(run, monkeypatch):
    run.write_findings(0, {NAME: FINDING})
    before = files(run)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("foveal.store.writing.pq.write_table", full)
    with pytest.raises(StoreError, match="cannot write the findings of the shard 00000"):
        run.write_findings(0, {})
    assert files(run) == before


def test_a_damaged_table_is_named(run):
    (run.shard(0) / "scores.parquet").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match="the shard 00000 of the run is damaged"):
        run.scored_of(0)
