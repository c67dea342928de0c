"""The package from outside: what it exports, and what importing it costs."""

import subprocess
import sys

import pytest

import foveal


def test_every_public_name_is_there():
    for name in foveal.__all__:
        assert getattr(foveal, name) is not None
    assert dir(foveal) == sorted(foveal.__all__)
    with pytest.raises(AttributeError, match="no attribute 'saliency'"):
        foveal.saliency  # noqa: B018


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import foveal", id="import"),
        pytest.param(
            "import foveal.app.cli as cli, click.testing as t;"
            "assert t.CliRunner().invoke(cli.foveal, ['--help']).exit_code == 0",
            id="help",
        ),
    ],
)
def test_importing_and_asking_for_help_load_neither_torch_nor_numpy(code):
    check = f"{code}; import sys; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.mark.parametrize("room", ["core", "images", "store", "report", "analysis"])
def test_reading_storing_and_reporting_never_load_torch(room):
    check = f"import foveal.{room}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
