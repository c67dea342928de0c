"""Raw intensities of Heidelberg files for the eye."""

import numpy as np
from jaxtyping import Float

FOURTH_ROOT = "fourth root of the raw intensity"
"""What is recorded among the facts."""


def fourth_root(
    raw: Float[np.ndarray, "*grid"],
) -> Float[np.ndarray, "*grid"]:
    """Display units in [0, 1].

    Raw intensities are linear in [0, 1] and are shown by their fourth root. Pixels without a
    measurement (the largest float; empty columns beside a section that was shifted) become black,
    as the vendor shows them.

    Reference:
        Heidelberg Engineering, Spectralis HRA+OCT, Special Function: Exporting Raw Data, rev.
        4.0-1E: grey level = 255 * raw^(1/4).
    """
    valid = np.isfinite(raw) & (raw >= 0) & (raw <= 1)
    return np.sqrt(np.sqrt(np.where(valid, raw, 0).astype(np.float32, copy=False)))
