"""Sources and explanations for the tests of DICOM export: small, synthetic, with known values."""

from dataclasses import replace

import numpy as np
from pydicom.dataset import Dataset

from foveal.core import Attribution, Finding, Score
from foveal.report.dicom import Explanation, Shown
from foveal.report.dicom.making import Maker
from foveal.store import Explained, Measured
from foveal.synthetic.dicom import (
    ophthalmic_photograph,
    ophthalmic_tomography,
    secondary_capture,
    wide_field_photograph,
)

ROWS, COLUMNS = 40, 56
MAKER = Maker(version="0.1.0", run="f" * 64)
STORED = [2, 0, 3, 1]
"""The order of the sections in the file of the volume."""


def colours(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (ROWS, COLUMNS, 3), dtype=np.uint8)


def sections() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (4, ROWS, COLUMNS), dtype=np.uint8)


def sources() -> dict[str, tuple[Dataset, list[int]]]:
    """Objects, and the frames of them that are explained."""
    volume = ophthalmic_tomography(sections(), stored=STORED, slice_spacing_mm=0.125)
    return {
        "photograph": (ophthalmic_photograph(colours()), [1]),
        "photograph-with-spacing": (ophthalmic_photograph(colours(), spacing_mm=(0.02, 0.03)), [1]),
        "photograph-16-bit": (ophthalmic_photograph(colours()[..., 0].astype(np.uint16)), [1]),
        "wide-field": (wide_field_photograph(colours()), [1]),
        "capture": (secondary_capture(colours()), [1]),
        "volume": (volume, [1, 2, 3, 4]),
        "two-frames-of-a-volume": (volume, [2, 3]),
    }


def values(frame: int) -> np.ndarray:
    """Noise of both signs, tiny and large numbers, and a hot corner at the top left."""
    drawn = np.random.default_rng(frame).normal(size=(ROWS, COLUMNS)).astype(np.float32) * 1e-3
    drawn[:4, :6] = 0.125 * frame
    drawn[-1, -1] = np.float32(-1e-20)
    return drawn


def explained(frame: int) -> Explained:
    return Explained(
        key="gradcam++",
        attribution=Attribution(
            map=values(frame),
            method="gradcam++",
            layer="features.norm5",
            target="predicted: Severe",
            model="dr-densenet",
            fingerprint="ab" * 32,
        ),
        scores=(
            measured("relevance_mass", "hard exudates", value=0.421875, chance=0.03125),
            measured("relevance_mass", "soft exudates", reason="empty_mask"),
            measured("deletion_auc", None, value=0.34375),
        ),
        finding=Finding(label="PLAUSIBLE_NOT_FAITHFUL", next_step="measure with level full"),
    )


def measured(name: str, region: str | None, **changes: object) -> Measured:
    score = Score(name=name, direction="higher", range=(0, 1), **changes)  # type: ignore[arg-type]
    return Measured(score=score, region=region)


def explanation(frames: list[int]) -> Explanation:
    """All seen but the last two columns."""
    seen = np.ones((ROWS, COLUMNS), bool)
    seen[:, -2:] = False
    return Explanation(
        frames=[
            Shown(
                frame=frame,
                picture=colours(frame),
                values=values(frame),
                seen=seen,
                explained=explained(frame),
                answer="Severe",
            )
            for frame in frames
        ]
    )


def without_map(shown: Explanation) -> Explanation:
    """The same with a map that is zero everywhere."""
    (frame,) = shown.frames
    made = replace(
        frame.explained.attribution, map=np.zeros((ROWS, COLUMNS), np.float32), reason="zero_map"
    )
    empty = replace(frame.explained, attribution=made)
    return Explanation(frames=[replace(frame, values=made.map, explained=empty)])
