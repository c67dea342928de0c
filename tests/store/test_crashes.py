"""What crashes, full disks and a second process leave behind, and how a run gets over it."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from foveal.core import StoreError
from foveal.store import Case, Run, at_work

HEADER = {"fingerprint": "f"}


def hold(folder: Path, process: int, host: str) -> None:
    """Leave the lock of another process."""
    (folder / ".lock").write_text(json.dumps({"process": process, "host": host}))


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    return ended.pid


def test_a_second_process_is_kept_out_until_the_first_is_done(tmp_path):
    folder = tmp_path / "run"
    code = f"""
from pathlib import Path
from foveal.core import StoreError
from foveal.store import at_work
try:
    with at_work(Path({str(folder)!r})):
        print("inside")
except StoreError as problem:
    print(problem)
"""
    with at_work(folder):
        outside = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        Run.create(folder, HEADER)
    assert f"another foveal is at work in {folder} (process {os.getpid()} on" in outside.stdout
    assert not (folder / ".lock").exists()
    inside = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert inside.stdout == "inside\n"


def test_the_lock_goes_also_when_the_work_is_interrupted(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt), at_work(folder):
        raise KeyboardInterrupt
    assert not folder.exists()


@pytest.mark.skipif(os.name == "nt", reason="processes cannot be asked there whether they live")
def test_the_lock_of_a_dead_process_of_this_machine_is_taken_over(tmp_path, dead):
    hold(tmp_path, dead, socket.gethostname())
    with at_work(tmp_path):
        Run.create(tmp_path, HEADER)
    hold(tmp_path, os.getpid(), socket.gethostname())  # a container counts from 1 again
    with at_work(tmp_path):
        pass
    assert not (tmp_path / ".lock").exists()


@pytest.mark.parametrize(
    "text", ['{"process": 1, "host": "another"}', "", "[]"], ids=["other host", "empty", "foreign"]
)
def test_a_lock_that_may_be_held_is_respected(tmp_path, text):
    (tmp_path / ".lock").write_text(text)
    with pytest.raises(StoreError, match=r"or remove \.lock there"), at_work(tmp_path):
        pass
    assert (tmp_path / ".lock").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write the run into"), at_work(tmp_path / "file"):
        pass


def test_a_shard_that_a_crash_left_aside_comes_back(tmp_path):
    run = Run.create(tmp_path, HEADER)
    run.write(0, [Case(id="I-0", failure="too dark")])
    aside = run.shard(0).with_name(".00000.4711.old")
    run.shard(0).rename(aside)
    hold(tmp_path, 1, "another")
    assert Run.open(tmp_path).numbers() == [], "somebody else is between the renames"
    (tmp_path / ".lock").unlink()
    assert [case.id for case in Run.open(tmp_path).cases()] == ["I-0"]
    assert not aside.exists()


def test_what_dead_writers_left_is_swept(tmp_path):
    run = Run.create(tmp_path, HEADER)
    run.write(0, [Case(id="I-0", failure="too dark")])
    shards = tmp_path / "shards"
    shutil.copytree(shards / "00000", shards / ".00000.4711.old")
    shutil.copytree(shards / "00000", shards / ".00001.4711")
    shutil.copytree(shards / "00000", shards / ".00002.4711.old")
    (tmp_path / ".run.json.4711").write_text("{")
    run.sweep()
    assert sorted(path.name for path in shards.iterdir()) == ["00000", "00002"]
    assert not (tmp_path / ".run.json.4711").exists()


def test_a_start_that_failed_leaves_the_folder_free(tmp_path, monkeypatch):
    def full(path, *_: object, **__: object) -> None:
        path.touch()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as on_full_disk:
        on_full_disk.setattr(Path, "write_text", full)
        with pytest.raises(StoreError, match="No space left"):
            Run.create(tmp_path / "run", HEADER)
    assert not (tmp_path / "run").exists()
    (tmp_path / "run" / "shards").mkdir(parents=True)
    (tmp_path / "run" / ".run.json.4711").write_text("{")  # as if the process had been killed
    assert Run.create(tmp_path / "run", HEADER).is_new
    assert not Run.create(tmp_path / "run", HEADER).is_new


def test_a_line_that_a_crash_cut_short_costs_no_other(tmp_path):
    run = Run.create(tmp_path, HEADER)
    run.log("first")
    run.log("second")
    text = (tmp_path / "log.jsonl").read_text()
    (tmp_path / "log.jsonl").write_text(text[:-20])
    run.log("third")
    assert [event["event"] for event in run.events()] == ["first", "third"]


@pytest.mark.parametrize("text", ["[]", "null", "3", '{"name": "x"}', "\x00\x00"])
def test_a_header_that_is_none_is_named(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(StoreError, match=r"run\.json in .* (is not of a foveal run|is damaged)"):
        Run.open(tmp_path)


@pytest.mark.parametrize("links", [True, False], ids=["with links", "without"])
def test_a_lock_is_there_with_its_holder_or_not_at_all(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("no links")))
    seen = []
    with at_work(tmp_path):
        seen = [file.name for file in tmp_path.iterdir()]
        assert json.loads((tmp_path / ".lock").read_text())["process"] == os.getpid()
    assert seen == [".lock"], "nothing else is left beside it"
    if links:
        whole = os.link

        def killed(own, lock):
            assert not lock.exists()
            assert json.loads(own.read_text())["process"] == os.getpid()
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "link", killed)
        with pytest.raises(KeyboardInterrupt), at_work(tmp_path):
            pass
        monkeypatch.setattr(os, "link", whole)
        assert not (tmp_path / ".lock").exists()
