"""The commands that prove a run's files, as a user types them."""

import json

import pytest

from foveal.app.cli import main


def foveal(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0)  # type: ignore[arg-type]


@pytest.fixture
def run(cohort_folder, monkeypatch, capsys):
    """A finished run of one image."""
    monkeypatch.chdir(cohort_folder)
    eye = "eyes/Anna-Muster_R.png"
    assert foveal("inspect", "model.toml", "--trust", "--image", eye, "--write-check") == 0
    code = foveal(
        "explain", "model.toml", eye, "--trust", "--level", "quick",
        "--out", "short",
    )  # fmt: skip
    assert code == 0
    capsys.readouterr()
    return cohort_folder / "short"


def test_a_run_comes_with_a_manifest_that_names_every_later_change(run, capsys):
    assert foveal("verify", run) == 0
    assert "files are as the manifest says" in capsys.readouterr().out
    page = run / "report.html"
    page.write_bytes(page.read_bytes().replace(b"foveal", b"faveol", 1))
    (run / "report.json").unlink()
    (run / "extra.txt").touch()
    assert foveal("verify", run) == 3
    assert capsys.readouterr().out.splitlines() == [
        "changed: report.html", "missing: report.json", "added: extra.txt", "signature: unsigned",
    ]  # fmt: skip


def test_a_report_takes_a_statement_and_is_signed(run, capsys):
    said, key = run.parent / "said.toml", run.parent / "signing.key"
    said.write_text('funding = "the town"\n')
    key.write_bytes(bytes(range(32)))
    assert foveal("report", run, "--statement", said, "--key", key) == 0
    assert json.loads((run / "report.json").read_text())["regulator"]["statement"] == {
        "funding": "the town"
    }
    assert foveal("verify", run, "--key", key) == 0
    assert "signature: right" in capsys.readouterr().out
    assert foveal("manifest", run) == 0
    assert foveal("verify", run, "--key", key) == 3
    assert "signature: missing" in capsys.readouterr().out
    assert foveal("verify", run.parent / "eyes") == 2
