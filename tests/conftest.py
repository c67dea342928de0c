import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]

# Networks in tests are tiny: a second thread costs more than it gives.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real images, masks and models: the folder in FOVEAL_REAL_DATA, else ../shared/data."""
    folder = Path(os.environ.get("FOVEAL_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no real images and models here; name their folder in FOVEAL_REAL_DATA")
    return folder
