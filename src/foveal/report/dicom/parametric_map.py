"""The map itself for machines: raw signed values as float32."""

import highdicom
import numpy as np
from highdicom.pm import RealWorldValueMapping
from pydicom.dataset import Dataset

from foveal.report.colour import Scale
from foveal.report.dicom.codes import ATTRIBUTION, NO_UNITS
from foveal.report.dicom.making import NATIVE, Maker, Place, described, finished
from foveal.report.dicom.positions import positions_of
from foveal.report.dicom.shown import Explanation
from foveal.report.dicom.source import Source


def parametric_map(
    source: Source, explanation: Explanation, scale: Scale, maker: Maker, place: Place
) -> Dataset:
    """A parametric map, bit for bit the values that were carried onto the source's pixels.

    Zero where the model saw nothing. Other types of pixel than floating point would be smaller, but
    are rounded, and of 8 bits not valid.
    """
    values = explanation.values
    made = highdicom.pm.ParametricMap(
        source_images=[source.dataset],
        pixel_array=values,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_mapping(values)],
        voi_lut_transformations=[_window(scale)],
        content_label="EXPLANATION",
        content_description=described(explanation, source),
        plane_positions=positions_of(source, explanation),
        transfer_syntax_uid=NATIVE,
        **maker.equipment,
        **place,
    )
    made.Laterality = source.laterality  # type 2C of the series (PS3.3 C.7.3.1)
    return finished(made, source)


def _mapping(values: np.ndarray) -> RealWorldValueMapping:
    """The stored values are the real ones, without a unit."""
    return RealWorldValueMapping(
        lut_label="ATTRIBUTION",
        lut_explanation="Raw signed attribution",
        unit=NO_UNITS,
        value_range=(float(values.min()), float(values.max())),
        slope=1.0,
        intercept=0.0,
        quantity_definition=ATTRIBUTION,
    )


def _window(scale: Scale) -> highdicom.VOILUTTransformation:
    """From one end of the colours to the other; LINEAR needs a width of at least 1."""
    return highdicom.VOILUTTransformation(
        window_center=float(f"{(scale.low + scale.limit) / 2:.6g}"),
        window_width=float(f"{scale.limit - scale.low:.6g}"),
        voi_lut_function="LINEAR_EXACT",
    )
