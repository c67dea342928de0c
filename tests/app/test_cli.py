"""The command as a user types it: what it prints, what it leaves, how it ends."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from foveal.app.cli import foveal as group
from foveal.app.cli import main
from foveal.store import Run
from foveal.synthetic.dicom import ophthalmic_tomography


def foveal(*arguments: object) -> int:
    """Run the command in this process; gives its exit code."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0)  # type: ignore[arg-type]


def add_check(folder: Path) -> None:
    """Let the tiny model's card have a check, so that loading it says nothing."""
    assert foveal("inspect", folder / "model.toml", "--trust", "--image",
                  folder / "eyes" / "Anna-Muster_R.png", "--write-check") == 0  # fmt: skip


@pytest.fixture
def checked_folder(cohort_folder, capsys) -> Path:
    add_check(cohort_folder)
    capsys.readouterr()
    return cohort_folder


@pytest.fixture
def bare_folder(checked_folder) -> Path:
    """Without figures and report: drawing them is most of the time."""
    plan, bare = checked_folder / "plan.toml", 'folder = "out"\nfigures = false\nreport = []'
    plan.write_text(plan.read_text().replace('folder = "out"', bare))
    return checked_folder


def test_a_plan_runs_reports_and_names_what_failed(checked_folder, capsys):
    assert foveal("run", checked_folder / "plan.toml", "--trust") == 3
    out, err = capsys.readouterr()
    assert "4 images: " in out
    assert "passes, which take about" in out
    assert "done 4 of 4" in err
    assert "failed: I-" in err
    assert "the files behind these names are in" in err
    assert "out.key.json" in err
    assert "Dora" not in out + err
    run = checked_folder / "out"
    for name in ("report.html", "report.json", "run.json", "log.jsonl"):
        assert (run / name).is_file()
    assert len(list((run / "figures").glob("*.png"))) == 3


def test_a_run_that_is_done_is_not_done_again(bare_folder, capsys):
    plan = bare_folder / "plan.toml"
    plan.write_text(plan.read_text().replace('level = "standard"', 'level = "quick"'))
    foveal("run", bare_folder / "plan.toml", "--trust")
    before = (bare_folder / "out" / "shards" / "00000").stat().st_mtime_ns
    capsys.readouterr()
    assert foveal("run", bare_folder / "plan.toml", "--trust") == 3
    assert "4 of 4 images were done before" in capsys.readouterr().out
    assert (bare_folder / "out" / "shards" / "00000").stat().st_mtime_ns == before


def test_explain_is_a_plan_in_one_line(checked_folder, monkeypatch, capsys):
    monkeypatch.chdir(checked_folder)
    (checked_folder / "eyes" / "Dora-Muster_L.jpg").unlink()
    code = foveal(
        "explain", "model.toml", "eyes", "--trust", "-m", "gradcam", "-m", "saliency",
        "-t", "Severe", "--regions", "masks/{stem}_{region}.png", "--level", "quick",
        "--out", "short",
    )  # fmt: skip
    assert code == 0
    cases = list(Run.open(checked_folder / "short").cases())
    assert len(cases) == 3
    assert {e.key for c in cases for e in c.views[0].explained} == {"gradcam", "saliency"}
    assert {e.attribution.target for c in cases for e in c.views[0].explained} == {"Severe"}
    assert "report: " in capsys.readouterr().out


def test_measure_and_report_work_on_a_finished_run(bare_folder, monkeypatch, capsys):
    monkeypatch.chdir(bare_folder)
    for eye in ("Bert-Beispiel_L", "Carla-Exempel_R"):  # every command draws what is left
        (bare_folder / "eyes" / f"{eye}.png").unlink()
    foveal("run", "plan.toml", "--trust")
    assert not (bare_folder / "out" / "report.html").exists()
    assert foveal("report", "out") == 3
    assert (bare_folder / "out" / "report.html").is_file()
    assert foveal("measure", "out", "--regions", "masks/{stem}_{region}.png") == 3
    again = foveal("measure", "out", "--measure", "deletion_auc", "--card", "model.toml", "--trust")
    assert again == 3
    capsys.readouterr()
    assert foveal("measure", "out", "--measure", "deletion_auc") == 2
    assert "give its card (--card)" in capsys.readouterr().err
    assert foveal("measure", "out", "--level", "full") == 3
    stay, absent = capsys.readouterr().out.splitlines()[:2]
    assert "deletion_auc, early_auc" in stay
    assert stay.endswith("ask the model and stay as they are; give its --card")
    assert "mprt" in absent
    assert absent.endswith("ask the model and are not made; give its --card")


def test_inspect_shows_layers_choice_check_and_prediction(checked_folder, capsys):
    eye = checked_folder / "eyes" / "Anna-Muster_R.png"
    assert foveal("inspect", checked_folder / "model.toml", "--trust", "--image", eye) == 0
    out = capsys.readouterr().out
    assert "tiny: ordinal, softmax over No DR, Mild, Severe" in out
    assert "parameters: 127 (0.0 MB)" in out
    assert "* 1 " in out
    assert "to explain: 1 (32 x 32), the last layer with a grid" in out
    assert "check: passed" in out
    assert "on Anna-Muster_R.png: " in out


def test_inspect_says_that_a_check_failed(checked_folder, capsys):
    card = checked_folder / "model.toml"
    card.write_text(card.read_text().replace("mean = [0.5, 0.5, 0.5]", "mean = [0.0, 0.0, 0.0]"))
    assert foveal("inspect", card, "--trust") == 2
    assert "check: FAILED" in capsys.readouterr().err


def test_writing_a_check_keeps_the_rest_of_the_card(cohort_folder, capsys):
    card = cohort_folder / "model.toml"
    text = card.read_text()
    card.write_text("# a comment that stays\n" + text)
    add_check(cohort_folder)
    changed = card.read_text()
    assert changed.startswith("# a comment that stays\n" + text.rstrip())
    assert 'image = "eyes/Anna-Muster_R.png"' in changed
    assert foveal("inspect", card, "--trust", "--write-check") == 2
    assert "--write-check needs --image" in capsys.readouterr().err


def test_check_gives_the_facts_of_images_and_their_field(checked_folder, capsys):
    good = checked_folder / "eyes" / "Anna-Muster_R.png"
    bad = checked_folder / "eyes" / "Dora-Muster_L.jpg"
    assert foveal("check", good, bad, "--json") == 3
    first, second = json.loads(capsys.readouterr().out)
    assert first["grid"] == "64 rows x 64 columns, 3 channel(s)"
    assert first["field of view"].startswith("63.")
    assert first["quality.focus"].endswith("% of local brightness")
    assert "text file" in second["problem"]
    black = checked_folder / "black.png"
    PillowImage.fromarray(np.zeros((9, 9), np.uint8)).save(black)
    assert foveal("check", black) == 0
    assert "field of view: none" in capsys.readouterr().out
    assert foveal("check", checked_folder / "eyes", "--json") == 3
    assert len(json.loads(capsys.readouterr().out)) == 4


def test_check_says_what_a_volume_is(tmp_path, capsys):
    sections = np.random.default_rng(0).integers(0, 255, (3, 8, 10), np.uint8)
    scan = tmp_path / "scan.dcm"
    ophthalmic_tomography(
        sections, spacing_mm=(0.004, 0.012), slice_spacing_mm=0.12, laterality="L"
    ).save_as(scan)
    assert foveal("check", scan, "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    told = ("grid", "side", "spacing", "between sections", "order")
    assert [row[name] for name in told] == [
        "3 sections of 8 rows x 10 columns, 1 channel(s)",
        "left",
        "(0.004, 0.012) mm",
        "0.12 mm",
        "by the places in the file",
    ]


def test_check_says_what_is_wrong_with_a_broken_volume(tmp_path, capsys):
    broken = tmp_path / "scan.vol"
    broken.write_bytes(b"HSF-OCT-103" + bytes(90))
    assert foveal("check", broken, "--json") == 3
    (row,) = json.loads(capsys.readouterr().out)
    assert "read_volume" not in row["problem"]
    assert str(broken) in row["problem"]


@pytest.mark.parametrize(
    ("asked", "explained"), [("2", ["1", "5"]), ("all", list("12345"))], ids=["two", "all"]
)
def test_explain_takes_the_sections_of_a_volume(
    checked_folder, monkeypatch, capsys, asked, explained
):
    monkeypatch.chdir(checked_folder)
    monkeypatch.setattr("foveal.app.running._write_report", lambda *_, **__: 0)  # not asked here
    sections = np.random.default_rng(0).integers(0, 255, (5, 16, 16, 3), np.uint8)
    Path("scan").mkdir()
    for number, section in enumerate(sections, start=1):
        PillowImage.fromarray(section).save(Path("scan") / f"{number}.png")
    options = ("--sections", asked, "--keep-identity", "--level", "quick", "--out", "volume")
    assert foveal("explain", "model.toml", "scan", "--trust", *options) == 0
    run = Run.open(Path("volume"))
    assert [str(case.facts["section"]) for case in run.cases()] == explained
    assert f"--sections {asked}" in run.header["command"]


@pytest.mark.parametrize("command", ["methods", "measures"])
def test_the_tables_are_readable_by_people_and_programs(command, capsys):
    assert foveal(command, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert all(row["question"].endswith("?") for row in rows)
    assert foveal(command) == 0
    printed = capsys.readouterr().out
    assert all(row["name"] in printed for row in rows)


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("command", ["methods", "measures"])
def test_the_tables_keep_within_the_terminal(command, columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert foveal(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert min(columns, 96) - 12 < max(map(len, lines)) <= min(columns, 96)


WRONG = [
    pytest.param(["run", "nowhere.toml"], "cannot read nowhere.toml", id="no plan"),
    pytest.param(["run", "plan.toml"], "runs code", id="no trust"),
    pytest.param(["explain", "model.toml", "empty", "--trust"], "no file matches", id="no images"),
    pytest.param(["explain", "model.toml"], "Missing argument", id="no argument"),
    pytest.param(["explain", "model.toml", "eyes", "--trust", "-m", "gradcat"],
                 "no method 'gradcat'", id="method"),
    pytest.param(["explain", "model.toml", "eyes", "--trust", "--sections", "few"],
                 "sections", id="sections"),
    pytest.param(["explain", "model.toml", "eyes", "--trust", "-t", "Sever"],
                 "did you mean 'Severe'", id="target"),
    pytest.param(["explain", "model.toml", "eyes", "--trust", "--layer", "7"],
                 "no layer '7'", id="layer"),
    pytest.param(["explain", "model.toml", "eyes", "--trust", "--out", "masks"],
                 "holds no run; choose a new folder", id="foreign folder"),
    pytest.param(["report", "masks"], "holds no run", id="no run"),
    pytest.param(["demo", "--out", "model.toml"], "cannot write the demo", id="no folder"),
    pytest.param(["fly"], "No such command", id="command"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_use_ends_with_2_and_says_what_to_do(
    checked_folder, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(checked_folder)
    (checked_folder / "empty").mkdir()
    assert foveal(*arguments) == 2
    assert message in capsys.readouterr().err


def test_an_interrupt_ends_with_130_and_keeps_what_is_done(bare_folder, monkeypatch, capsys):
    calls: list[int] = []

    def stop(*_: object) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("foveal.run.casework.look", _then(stop))
    assert foveal("run", bare_folder / "plan.toml", "--trust") == 130
    assert "interrupted; what is done stays done" in capsys.readouterr().err
    assert Run.open(bare_folder / "out").numbers() == [0]
    monkeypatch.undo()
    assert foveal("run", bare_folder / "plan.toml", "--trust") == 3
    assert "2 of 4 images were done before" in capsys.readouterr().out


def _then(first):
    from foveal.run.one_image import look

    def both(*arguments, **named):
        first()
        return look(*arguments, **named)

    return both


def test_an_error_of_ours_ends_with_1_and_asks_for_a_report(monkeypatch, capsys):
    def broken() -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("foveal.explainers.methods", broken)
    assert foveal("methods") == 1
    assert "internal error: RuntimeError('a bug'); please report" in capsys.readouterr().err


@pytest.mark.filterwarnings("default")
def test_warnings_are_notes_for_people(cohort_folder, capsys):
    code = foveal("explain", cohort_folder / "model.toml", cohort_folder / "eyes", "--trust",
                  "--level", "quick", "--out", cohort_folder / "noted")  # fmt: skip
    assert code == 3
    assert "note: the card of tiny has no [check]" in capsys.readouterr().err


def test_the_module_runs_as_the_command_does():
    shown = subprocess.run(
        [sys.executable, "-m", "foveal", "--version"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.startswith("foveal, version ")


def test_a_full_disk_ends_with_2_and_what_to_do(checked_folder, monkeypatch, capsys):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("foveal.store.shard.pq.write_table", full)
    assert foveal("run", checked_folder / "plan.toml", "--trust") == 2
    assert "No space left on device" in capsys.readouterr().err


def test_the_start_page_lists_every_command():
    page = Path(__file__).parents[2].joinpath("docs", "start.md").read_text(encoding="utf-8")
    listed = page.partition("lists the commands: ")[2].partition(". ")[0].replace("\n", " ")
    assert set(listed.split(", ")) == {f"`{name}`" for name in group.commands}
