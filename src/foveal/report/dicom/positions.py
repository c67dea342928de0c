"""The planes of the frames that an explanation holds, which need not be all of the source."""

import highdicom

from foveal.report.dicom.shown import Explanation
from foveal.report.dicom.source import Source


def positions_of(
    source: Source, explanation: Explanation
) -> list[highdicom.PlanePositionSequence] | None:
    """One for each frame; by these highdicom finds the source's frames again.

    A source without frames has its place by itself.

    Raises:
        ValueError: A frame that the source does not have, or another grid than its own.
    """
    rows, columns = source.dataset.Rows, source.dataset.Columns
    if explanation.frames[0].grid != (rows, columns):
        raise ValueError(
            f"the source has {rows} rows and {columns} columns, but the map "
            f"{explanation.frames[0].grid}; carry it onto the source's pixels first"
        )
    beyond = [shown.frame for shown in explanation.frames if not 1 <= shown.frame <= source.frames]
    if beyond:
        raise ValueError(f"the source has frames 1 to {source.frames}, but the map is of {beyond}")
    return [
        highdicom.PlanePositionSequence(
            coordinate_system="PATIENT",
            image_position=source.geometry.positions_mm[shown.frame - 1],
        )
        for shown in explanation.frames
    ]
