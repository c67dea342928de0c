"""The picture for people: every archive and every viewer shows a secondary capture."""

from collections.abc import Iterator
from typing import Any

import highdicom
import numpy as np
from pydicom.dataset import Dataset

from foveal.report.colour import Scale
from foveal.report.dicom.making import NATIVE, Maker, Place, Series, compressed, finished
from foveal.report.dicom.plate import WARNING, plate
from foveal.report.dicom.shown import Explanation, Shown
from foveal.report.dicom.source import Source

_TAKEN_OVER = (
    *("BurnedInAnnotation", "LossyImageCompression"),
    *("LossyImageCompressionRatio", "LossyImageCompressionMethod"),
)
"""True of the overlay as of its source: what is written on it identifies nobody."""


def captures(
    source: Source, explanation: Explanation, maker: Maker, series: Series, first: int
) -> Iterator[Dataset]:
    """One RGB picture for each frame; its instance numbers go on from `first`."""
    scale = explanation.scale
    if scale is None:
        return
    for number, shown in enumerate(explanation.frames, first):
        made = _capture(source, plate(shown, scale, explanation.name), series.place(number), maker)
        made.DerivationDescription = _derivation(explanation, scale)
        _refer(made, source, shown)
        made.Laterality = source.laterality  # type 2C of the series (PS3.3 C.7.3.1)
        yield finished(made, source)


def _capture(source: Source, pixels: np.ndarray, place: Place, maker: Maker) -> Dataset:
    known = source.dataset
    made: Any = highdicom.sc.SCImage.from_ref_dataset(
        ref_dataset=known,
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),
        transfer_syntax_uid=NATIVE,
        specific_character_set=known.get("SpecificCharacterSet"),
        **maker.equipment,
        **place,
    )
    compressed(made)
    made.PatientOrientation = source.patient_orientation  # type 2C: unknown where unstated
    made.ConversionType = "WSD"
    for keyword in _TAKEN_OVER:
        if keyword in known:
            made[keyword] = known[keyword]
    return made


def _derivation(explanation: Explanation, scale: Scale) -> str:
    end = "maximum" if scale.scaling == "maximum" else "99.9th percentile"
    return (
        f"{WARNING}. {explanation.name}, drawn over the picture in {scale.colormap} colours from "
        f"{scale.low:.6g} to {scale.limit:.6g} (the map's {end}); half transparent."
    )


def _refer(made: Dataset, source: Source, shown: Shown) -> None:
    """Name the source, as General Reference and as Common Instance Reference do."""
    known = source.dataset
    image = Dataset()
    image.ReferencedSOPClassUID = known.SOPClassUID
    image.ReferencedSOPInstanceUID = known.SOPInstanceUID
    instance = Dataset()
    instance.update(image)
    if source.frames > 1:
        image.ReferencedFrameNumber = shown.frame
    series = Dataset()
    series.SeriesInstanceUID = known.SeriesInstanceUID
    series.ReferencedInstanceSequence = [instance]
    made.SourceImageSequence, made.ReferencedSeriesSequence = [image], [series]
