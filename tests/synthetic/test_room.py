"""The room from outside."""

import subprocess
import sys

import pytest

import foveal.synthetic


def test_importing_the_room_loads_no_torch():
    code = "import sys, foveal.synthetic; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_is_there_and_in_order():
    assert foveal.synthetic.__all__ == sorted(foveal.synthetic.__all__)
    assert all(hasattr(foveal.synthetic, name) for name in foveal.synthetic.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"'foveal.synthetic' has no attribute 'retina_of'"):
        _ = foveal.synthetic.retina_of
