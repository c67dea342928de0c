"""All objects of one source."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pydicom.dataset import Dataset

from foveal.report.dicom.making import Maker, Series
from foveal.report.dicom.measurement_report import measurement_report
from foveal.report.dicom.parametric_map import parametric_map
from foveal.report.dicom.secondary_capture import captures
from foveal.report.dicom.segmentation import binary, fractional
from foveal.report.dicom.shown import Explanation
from foveal.report.dicom.source import Source

KINDS = {
    "1-picture": "explanation picture",
    "2-segments": "explanation segments",
    "3-strength": "explanation strength",
    "4-map": "explanation map",
    "5-numbers": "explanation numbers",
}
"""The series of a source in the order in which viewers should meet them."""
_FIRST_SERIES = 9001
"""Far from the numbers that cameras give."""


class Made(NamedTuple):
    """One object, and the name of its file."""

    name: str
    dataset: Dataset


def objects_of(source: Source, explanations: Sequence[Explanation], maker: Maker) -> Iterator[Made]:
    """The objects of each explanation, one in memory at a time.

    An explanation without a map, which says why, has only its numbers.

    Raises:
        ValueError: A map that is not on the source's grid, or of a frame that it does not have.
    """
    series = {
        name: Series(kind=kind, number=_FIRST_SERIES + place)
        for place, (name, kind) in enumerate(KINDS.items())
    }
    pictures = 1
    for number, explanation in enumerate(explanations, 1):
        scale = explanation.scale
        if scale is not None:
            for made in captures(source, explanation, maker, series["1-picture"], pictures):
                yield Made(f"1-picture-{pictures:03d}.dcm", made)
                pictures += 1
            for name, make in _DRAWN.items():
                place = series[name].place(number)
                made = make(source, explanation, scale, maker, place)
                yield Made(f"{name}-{number:03d}.dcm", made)
        place = series["5-numbers"].place(number)
        report = measurement_report(source, explanation, maker, place)
        yield Made(f"5-numbers-{number:03d}.dcm", report)


_DRAWN = {"2-segments": binary, "3-strength": fractional, "4-map": parametric_map}
