"""What is published: the wheel, alone in an environment of its own."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = "Scripts" if sys.platform == "win32" else "bin"


def succeed(*command: str | Path, cwd: Path) -> str:
    """Run the command with nothing of this environment, and give what it printed."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_built_wheel_in_a_clean_environment_runs_the_demo(tmp_path):
    succeed(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "clean", with_pip=True)
    binaries = tmp_path / "clean" / BIN
    succeed(
        *(binaries / "python", "-m", "pip", "--disable-pip-version-check", "install", wheel),
        *("--no-compile", "-c", ROOT / "constraints.txt"),  # the demo uses a tenth of torch
        cwd=tmp_path,
    )
    said = succeed(binaries / "foveal", "demo", "--eyes", "1", cwd=tmp_path)
    run = tmp_path / "demo" / "run"
    assert f"{Path('demo') / 'run' / 'report.html'}" in said
    facts = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert [case["failure"] for case in facts["cases"]] == [None]
    assert "<svg" in (run / "report.html").read_text(encoding="utf-8")
